"""Command `submit`: write or check a submission to the DCASE 2021 challenge."""

from pathlib import Path
from typing import Annotated

import typer

from avscene.cli.options import Overwrite
from avscene.errors import UsageError


def submit(
    table: Annotated[Path | None, typer.Argument(metavar="TABLE.tsv", help="A prediction table.")] = None,
    output: Annotated[Path, typer.Option(help="Directory for the files.")] = Path("submission"),
    name: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help="Label of the submission, LASTNAME_INSTITUTE_task1b_N with N from 1 to 4: names the files; a "
            "description to fill in (YAML) is written beside the table.",
        ),
    ] = None,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Check this submission instead of writing one.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the challenge's CSV (DCASE 2021 task 1B) from a table, or check one."""
    from avscene.outputs import check_outputs
    from avscene.tables.submission import describe_submission, read_submission, submission_files, submit_table

    if table is not None and check is None:
        path, description = submission_files(output, name)
        kept = description is not None and description.exists()
        check_outputs([path, None if kept else description], [table], overwrite=overwrite)
        path, submission = submit_table(table, output, name)
    elif table is None and check is not None and name is None:
        path, description, kept, submission = check, None, False, read_submission(check)
    else:
        raise UsageError("give either a table to submit or --check FILE")
    print(f"{path}: {describe_submission(submission)}")
    if description is not None:
        print(f"{description}: {'already there, kept as it is' if kept else 'a description to fill in'}")

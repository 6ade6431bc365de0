"""Command `submit`: write or check a submission to the DCASE 2021 challenge."""

from pathlib import Path
from typing import Annotated

import typer

from avscene.cli.options import Overwrite
from avscene.errors import UsageError


def submit(
    table: Annotated[Path | None, typer.Argument(metavar="TABLE.tsv", help="A prediction table.")] = None,
    output: Annotated[Path, typer.Option(help="Directory for the file.")] = Path("submission"),
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Check this submission instead of writing one.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the challenge's CSV (DCASE 2021 task 1B) from a table, or check one."""
    from avscene.outputs import check_outputs
    from avscene.tables.submission import FILENAME, describe_submission, read_submission, submit_table

    if table is not None and check is None:
        check_outputs([output / FILENAME], [table], overwrite=overwrite)
        path, submission = submit_table(table, output)
    elif table is None and check is not None:
        path, submission = check, read_submission(check)
    else:
        raise UsageError("give either a table to submit or --check FILE")
    print(f"{path}: {describe_submission(submission)}")

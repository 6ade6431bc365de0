"""Commands that work on prediction tables: evaluate, submit."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avscene.errors import UsageError

if TYPE_CHECKING:
    from avscene.evaluation.table import ScoreTable


def evaluate(
    tables: Annotated[list[Path], typer.Argument(metavar="TABLE.tsv...")],
    truth: Annotated[Path | None, typer.Option(help="A meta.csv with the scenes, if the table has none.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the figures here.")] = None,
    report: Annotated[Path | None, typer.Option(help="Also write a report with plots (HTML) here.")] = None,
) -> None:
    """Judge prediction tables: log loss, accuracy, calibration, per class."""
    from avscene.apps import figures
    from avscene.evaluation.table import read_table, with_truth

    read: dict[str, ScoreTable] = {}
    for path in tables:
        table = read_table(path)
        read[str(path)] = table if truth is None else with_truth(table, truth)
    evaluations = figures.evaluate_all(read)
    for name, evaluation in evaluations.items():
        print(figures.rendered(name, evaluation))
    if json is not None:
        figures.write_json(json, evaluations)
    if report is not None:
        figures.write_report_of(report, read, evaluations)


def submit(
    table: Annotated[Path | None, typer.Argument(metavar="TABLE.tsv", help="A prediction table.")] = None,
    output: Annotated[Path, typer.Option(help="Directory for the file.")] = Path("submission"),
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Instead of writing a submission, check this one.")
    ] = None,
) -> None:
    """Write the challenge's CSV (DCASE 2021 task 1B) from a table, or check one."""
    from avscene.apps import submit as submission

    if table is not None and check is None:
        print(submission.submit(table, output))
    elif table is None and check is not None:
        print(submission.check(check))
    else:
        raise UsageError("give a table to submit, or --check FILE; not both")

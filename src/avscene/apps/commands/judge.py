"""Commands that work on prediction tables: evaluate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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

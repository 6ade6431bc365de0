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
    trained_on: Annotated[
        Path | None,
        typer.Option(metavar="META.csv|TABLE.tsv", help="Training recordings: judges unseen scene-city pairs apart."),
    ] = None,
) -> None:
    """Judge prediction tables: figures with intervals, per class and city; several of the same rows are compared."""
    from avscene.apps import figures
    from avscene.apps.commands.options import tell
    from avscene.apps.output import Sink
    from avscene.evaluation.table import read_table, with_truth

    read: dict[str, ScoreTable] = {}
    for path in tables:
        table = read_table(path)
        read[str(path)] = table if truth is None else with_truth(table, truth)
    judgement = figures.judge(read, trained_on, tell)
    with Sink(None) as sink:
        sink.write(figures.rendered(judgement) + "\n")
    if json is not None:
        figures.write_json(json, judgement)
    if report is not None:
        figures.write_report_of(report, judgement)


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

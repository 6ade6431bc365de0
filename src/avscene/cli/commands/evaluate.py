"""Command `evaluate`: compute metrics of prediction tables and compare them."""

from pathlib import Path
from typing import Annotated

import typer

from avscene.cli.options import Overwrite


def evaluate(
    tables: Annotated[list[Path], typer.Argument(metavar="TABLE.tsv...")],
    truth: Annotated[Path | None, typer.Option(help="A meta.csv with the scenes, if the table has none.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the metrics to this file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Also write a report with plots (HTML) to this file.")] = None,
    trained_on: Annotated[
        Path | None,
        typer.Option(
            metavar="META.csv|TABLE.tsv", help="Training recordings: evaluates unseen scene-city pairs separately."
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Evaluate prediction tables: metrics with intervals, per scene and city; several tables are also compared."""
    from avscene.cli.output.files import TextOutput, write_json
    from avscene.cli.output.tables import evaluation_text
    from avscene.evaluation.tables import evaluate_files
    from avscene.outputs import check_outputs
    from avscene.reports.evaluation.tables import write_evaluation_report
    from avscene.reports.results import evaluation_to_dict

    check_outputs([json, report], [*tables, truth, trained_on], overwrite=overwrite)
    result = evaluate_files(tables, truth=truth, trained_on=trained_on)
    if json is not None:
        write_json(json, evaluation_to_dict(result))
    if report is not None:
        write_evaluation_report(report, result)
    with TextOutput(None) as out:
        out.write(evaluation_text(result) + "\n")

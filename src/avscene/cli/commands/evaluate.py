"""Command `evaluate`: compute metrics of prediction tables and compare them."""

from pathlib import Path
from typing import Annotated

import typer

from avscene.cli.options import Overwrite


def evaluate(
    tables: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]TABLE.tsv...",
            help="Tables of several systems are compared; tables of folds, and those of one NAME, are pooled.",
        ),
    ],
    truth: Annotated[Path | None, typer.Option(help="A meta.csv with the scenes, if the table has none.")] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN", help="Also evaluate by device, city, source, group or another column of text; repeatable."
        ),
    ] = None,
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
    from avscene.evaluation.tables import evaluate
    from avscene.outputs import check_outputs
    from avscene.reports.evaluation.tables import write_evaluation_report
    from avscene.tables.naming import split_name

    check_outputs([json, report], [*(split_name(table)[1] for table in tables), truth, trained_on], overwrite=overwrite)
    result = evaluate(tables, truth=truth, trained_on=trained_on, by=by or ())
    if json is not None:
        write_json(json, result.to_dict())
    if report is not None:
        write_evaluation_report(report, result)
    with TextOutput(None) as out:
        out.write(evaluation_text(result) + "\n")

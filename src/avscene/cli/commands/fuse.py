"""Command `fuse`: fuse prediction tables of several systems."""

from pathlib import Path
from typing import Annotated

import typer

from avscene.cli.options import Overwrite, complete_rules, one_of
from avscene.errors import UsageError


def fuse(
    tables: Annotated[
        list[str],
        typer.Argument(metavar="[NAME=]TABLE.tsv...", help="One of each system, of the same rows."),
    ],
    output: Annotated[Path, typer.Option(help="The fused table (TSV).")],
    rule: Annotated[
        str | None,
        typer.Option(
            autocompletion=complete_rules,
            help="mean, product, samplewise, classwise or log-pool. [default: log-pool, cross-fitted; mean without "
            "true scenes or groups]",
        ),
    ] = None,
    confidence: Annotated[
        str, typer.Option(help="Weights of classwise: precision, recall or f1 of each system and scene.")
    ] = "precision",
    postprocess: Annotated[
        str, typer.Option(metavar="STEPS", help="none; or power, vector, smooth, several as power,smooth.")
    ] = "none",
    fit: Annotated[
        list[str] | None,
        typer.Option(metavar="TABLE.tsv...", help="Fit weights on these: the systems in the same order, other groups."),
    ] = None,
    cross_fit: Annotated[
        int | None, typer.Option(metavar="N", help="Fit the weights for each of N folds of groups on the other folds.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Use the weights that an earlier --json wrote.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="A meta.csv with the scenes, if the tables have none.")] = None,
    details: Annotated[
        bool, typer.Option("--details", help="Print all metrics of each system, as evaluate does.")
    ] = False,
    json: Annotated[Path | None, typer.Option("--json", help="Also write weights and metrics to this file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Also write a report with plots (HTML) to this file.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Fuse the predictions of several systems; no row is fused by weights that were fitted on its group."""
    from typing import get_args

    from avscene.cli.output.files import TextOutput, write_json
    from avscene.cli.output.tables import evaluation_text, fusion_text
    from avscene.fusion.fuse import fuse
    from avscene.fusion.pooling import Confidence
    from avscene.fusion.rules import RULES
    from avscene.fusion.steps import STEPS
    from avscene.outputs import check_outputs
    from avscene.reports.fusion import write_fusion_report
    from avscene.tables.naming import split_name
    from avscene.tables.prediction_table import write_table

    if sum(bool(given) for given in (fit, cross_fit is not None, weights)) > 1:
        raise UsageError("--fit, --cross-fit and --weights are three sources of weights; give one of them")
    if weights is not None and (rule is not None or postprocess != "none"):
        raise UsageError("--weights includes the rule and steps; leave --rule and --postprocess out")
    steps = () if postprocess == "none" else tuple(step.strip() for step in postprocess.split(","))
    read = [split_name(table)[1] for table in (*tables, *(fit or ()))]
    check_outputs([output, json, report], [*read, weights, truth], overwrite=overwrite)
    result = fuse(
        tables,
        rule=None if rule is None else one_of("--rule", rule, tuple(RULES)),
        postprocess=tuple(one_of("--postprocess", step, tuple(STEPS)) for step in steps),
        confidence=one_of("--confidence", confidence, get_args(Confidence)),
        fit=fit or None,
        cross_fit=cross_fit,
        weights=weights,
        truth=truth,
    )
    if result.evaluation is None and report is not None:
        raise UsageError("--report needs the true scenes: a column 'true_label', --truth, or file names like TAU's")
    write_table(output, result.table)
    if report is not None:
        write_fusion_report(report, result)
    if json is not None:
        write_json(json, result.to_dict())
    with TextOutput(None) as out:
        out.write(fusion_text(result, output, details=details) + "\n")
        if details and result.evaluation is not None:
            out.write("\n" + evaluation_text(result.evaluation) + "\n")

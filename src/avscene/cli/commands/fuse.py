"""Command `fuse`: fuse prediction tables of several systems."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avscene.cli.options import Overwrite, complete_rules, one_of
from avscene.errors import UsageError

if TYPE_CHECKING:
    from avscene.fusion.fuse import FusionOptions


def fuse(
    tables: Annotated[list[Path], typer.Argument(metavar="TABLE.tsv...", help="One of each system, of the same rows.")],
    output: Annotated[Path, typer.Option(help="The fused table (TSV).")],
    rule: Annotated[
        str | None,
        typer.Option(
            autocompletion=complete_rules, help="mean, product, samplewise, classwise or log-pool. [default: log-pool]"
        ),
    ] = None,
    confidence: Annotated[
        str, typer.Option(help="Weights of classwise: precision, recall or f1 of each system and scene.")
    ] = "precision",
    postprocess: Annotated[
        str, typer.Option(metavar="STEPS", help="none; or power, vector, smooth, several as power,smooth.")
    ] = "none",
    fit: Annotated[
        list[Path] | None,
        typer.Option(metavar="TABLE.tsv...", help="Fit weights on these: the systems in the same order, other groups."),
    ] = None,
    cross_fit: Annotated[
        int | None, typer.Option(metavar="N", help="Fit the weights for each of N folds of groups on the other folds.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Use the weights that an earlier --json wrote.")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Also write weights and metrics to this file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Also write a report with plots (HTML) to this file.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Fuse the predictions of several systems; no row is fused by weights that were fitted on its group."""
    from avscene.cli.output.files import TextOutput, write_json
    from avscene.cli.output.tables import evaluation_text
    from avscene.fusion.fuse import evaluate_fusion, fuse_files
    from avscene.outputs import check_outputs
    from avscene.reports.fusion import cross_fit_text, fusion_to_dict, write_fusion_report
    from avscene.tables.prediction_table import write_table

    if sum(bool(given) for given in (fit, cross_fit is not None, weights)) > 1:
        raise UsageError("--fit, --cross-fit and --weights are three sources of weights; give one of them")
    if weights is not None and (rule is not None or postprocess != "none"):
        raise UsageError("--weights includes the rule and steps; leave --rule and --postprocess out")
    check_outputs([output, json, report], [*tables, *(fit or []), weights], overwrite=overwrite)
    options = _options(rule or "log-pool", confidence, postprocess, fit or [], cross_fit)
    aligned, fused = fuse_files(tables, options if weights is None else weights)
    result = evaluate_fusion(aligned, fused)
    if result is None and report is not None:
        raise UsageError("--report needs the true scenes: a column 'true_label', or file names like TAU's")
    write_table(output, fused.table)
    if result is not None and report is not None:
        write_fusion_report(report, fused, result)
    if json is not None:
        write_json(json, fusion_to_dict(fused, result))
    if result is not None:
        with TextOutput(None) as out:
            out.write(evaluation_text(result) + "\n")
            if fused.cross_fit_losses:
                out.write(f"\n{cross_fit_text(fused)}\n")
    print(f"{output}: written; weights fitted on: {fused.fitted_on}")


def _options(rule: str, confidence: str, postprocess: str, fit: list[Path], cross_fit: int | None) -> "FusionOptions":
    from typing import get_args

    from avscene.fusion.fuse import FusionOptions
    from avscene.fusion.pooling import Confidence
    from avscene.fusion.rules import RULES
    from avscene.fusion.steps import STEPS

    steps = () if postprocess == "none" else tuple(step.strip() for step in postprocess.split(","))
    return FusionOptions(
        rule=one_of("--rule", rule, tuple(RULES)),
        steps=tuple(one_of("--postprocess", step, tuple(STEPS)) for step in steps),
        confidence=one_of("--confidence", confidence, get_args(Confidence)),
        fit=tuple(fit),
        folds=cross_fit,
    )

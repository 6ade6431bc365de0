"""Render the fusion of prediction tables and its metrics as an HTML page, and its cross-fit as a line of text."""

from pathlib import Path

from avscene.errors import UsageError
from avscene.fusion.fuse import FusionResult
from avscene.fusion.tables import Fused
from avscene.reports.evaluation.page import ReportRow, write_report


def cross_fit_text(fused: Fused) -> str:
    """Return a line with the log losses of a cross-fit: of each stage the mean, least and largest; empty without one.

    They are what to expect of the stored weights, which are fitted on all groups.
    """
    losses = fused.cross_fit_losses
    if not losses:
        return ""
    count = len(next(iter(losses.values())))
    stages = [
        f"{stage} {sum(values) / count:.4f} ({min(values):.4f} to {max(values):.4f})"
        for stage, values in losses.items()
    ]
    return f"mean log loss of {count} assignments of groups to folds (least to largest): {', '.join(stages)}"


def write_fusion_report(path: Path, result: FusionResult) -> None:
    """Write a page of metrics and plots of the systems and of every stage of their fusion.

    Raises:
        UsageError: the true scenes are unknown.
        DataError: the file cannot be written.
    """
    fused, evaluation = result.fused, result.evaluation
    if evaluation is None:
        raise UsageError(f"a report needs the true scenes: {result.table.why_no_truth}")
    rows = [
        ReportRow(
            name=name,
            note="fused" if name in fused.stages else "",
            measured=measured,
            fitted_on=fused.fitted_on if name in fused.stages else "unknown",
            measured_on="",
            table=evaluation.tables[name],
        )
        for name, measured in evaluation.measured.items()
    ]
    summary = (
        f"{len(rows) - len(fused.stages)} systems and their fusion on the same rows. No row was fused with weights "
        f"that were fitted on its group. The weights were fitted on: {fused.fitted_on}."
    )
    if fused.cross_fit_losses:
        summary += f" {cross_fit_text(fused).capitalize()}; plots and metrics are of the one nearest to the mean."
    write_report(path, title="Fusion", summary=summary, rows=rows, comparison=evaluation.comparison)

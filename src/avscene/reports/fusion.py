"""Render fused prediction tables and their metrics as plain values for JSON and as an HTML page."""

from pathlib import Path
from typing import Any

from avscene.evaluation.tables import EvaluationResult
from avscene.fusion.tables import Fused
from avscene.reports.evaluation.page import ReportRow, write_report
from avscene.reports.results import evaluation_to_dict


def fusion_to_dict(fused: Fused, result: EvaluationResult | None) -> dict[str, Any]:
    """Return the weights, what they were fitted on and, if `result` is given, the metrics as plain values for JSON."""
    content = fused.saved.model_dump(mode="json") | {"fitted_on": fused.fitted_on}
    if fused.cross_fit_losses:
        content["cross_fit_log_losses"] = {stage: list(losses) for stage, losses in fused.cross_fit_losses.items()}
    if result is not None:
        content["figures"] = evaluation_to_dict(result)
    return content


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


def write_fusion_report(path: Path, fused: Fused, result: EvaluationResult) -> None:
    """Write a page of metrics and plots of the systems and of every stage of their fusion.

    Raises:
        DataError: the file cannot be written.
    """
    rows = [
        ReportRow(
            name=name,
            note="fused" if name in fused.stages else "",
            measured=measured,
            fitted_on=fused.fitted_on if name in fused.stages else "unknown",
            measured_on="",
            table=result.tables[name],
        )
        for name, measured in result.measured.items()
    ]
    summary = (
        f"{len(rows) - len(fused.stages)} systems and their fusion on the same rows. No row was fused with weights "
        f"that were fitted on its group. The weights were fitted on: {fused.fitted_on}."
    )
    if fused.cross_fit_losses:
        summary += f" {cross_fit_text(fused).capitalize()}; plots and metrics are of the one nearest to the mean."
    write_report(path, title="Fusion", summary=summary, rows=rows, comparison=result.comparison)

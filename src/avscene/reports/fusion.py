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
    if result is not None:
        content["figures"] = evaluation_to_dict(result)
    return content


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
    write_report(path, title="Fusion", summary=summary, rows=rows, comparison=result.comparison)

"""Write a page of metrics and plots of prediction tables."""

from pathlib import Path

from avscene.evaluation.tables import EvaluationResult
from avscene.reports.evaluation.page import ReportRow, write_report


def write_evaluation_report(path: Path, result: EvaluationResult) -> None:
    """Write the page of `result`, whose tables do not say what their systems were fitted on.

    Raises:
        DataError: the file cannot be written.
    """
    rows = [
        ReportRow(
            name=name,
            note="",
            measured=measured,
            fitted_on="",
            measured_on="" if result.same_rows else name,
            table=result.tables[name],
        )
        for name, measured in result.measured.items()
    ]
    summary = "One prediction table." if len(rows) == 1 else f"{len(rows)} prediction tables."
    if result.comparison is not None:
        summary += f" They are compared on {result.comparison.n:,} rows"
        summary += (
            "." if result.same_rows else ", those that all of them have; other metrics are of all rows of a table."
        )
    write_report(path, title="Evaluation", summary=summary, rows=rows, comparison=result.comparison)

"""Write the HTML page of evaluated prediction tables."""

from pathlib import Path

from avscene.evaluation.tables import Evaluation
from avscene.reports.evaluation.page import ReportRow, write_report


def write_evaluation_report(path: Path, result: Evaluation) -> None:
    """Write a page of metrics and plots of each table and of their comparison.

    Raises:
        DataError: the file cannot be written.
    """
    rows = [
        ReportRow(
            name=name,
            note="",
            measured=measured,
            fitted_on="",  # a prediction table does not contain it
            measured_on="" if result.same_rows else name,
            table=result.tables[name],
        )
        for name, measured in result.measured.items()
    ]
    summary = "One prediction table." if len(rows) == 1 else f"{len(rows)} prediction tables."
    for name, parts in result.pooled.items():
        summary += f" {name} is {len(parts)} pooled tables of folds: {', '.join(parts)}."
    if result.comparison is not None:
        n = f"{result.comparison.n:,}"
        summary += (
            f" They are compared on the same {n} rows."
            if result.same_rows
            else f" They are compared on the {n} rows that all tables have; other metrics are of all rows of a table."
        )
    write_report(path, title="Evaluation", summary=summary, rows=rows, comparison=result.comparison)

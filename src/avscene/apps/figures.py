"""Figures as text tables, JSON and reports."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from avscene.apps.output import Sink
from avscene.evaluation.metrics import Evaluation, evaluate
from avscene.evaluation.report import ReportRow, write_report
from avscene.evaluation.table import ScoreTable
from avscene.models import presence, registry


def evaluate_all(tables: Mapping[str, ScoreTable]) -> dict[str, Evaluation]:
    """The figures of each table."""
    return {name: evaluate(table) for name, table in tables.items()}


def rendered(name: str, evaluation: Evaluation) -> str:
    """The figures of one table as text: overall, then per class."""
    overall = (
        f"{name}: {evaluation.n} rows\n"
        f"  log loss           {evaluation.log_loss:.4f}   class mean {_number(evaluation.log_loss_class_mean)}\n"
        f"  accuracy           {evaluation.accuracy:.4f}   class mean {_number(evaluation.accuracy_class_mean)}\n"
        f"  calibration error  {evaluation.expected_calibration_error:.4f}\n"
    )
    columns = ("n", "precision", "recall", "f1", "log_loss")
    rows = [
        [scene, *(_number(figures[column]) for column in columns)] for scene, figures in evaluation.per_class.items()
    ]
    return overall + _aligned(["scene", *columns], rows)


def rows_table(rows: Sequence[ReportRow]) -> str:
    """Systems side by side as text."""
    cells = [[row.name, f"{row.evaluation.log_loss:.3f}", f"{row.evaluation.accuracy:.1%}", row.note] for row in rows]
    return _aligned(["system", "log loss", "accuracy", ""], cells)


def systems_table() -> str:
    """Every named system as text: what it is, what it needs, the seed's figures, whether its weights are here."""
    cells = []
    for name, row in registry.systems().items():
        published = f"{row.published.log_loss:.3f} / {row.published.accuracy:.1f} %" if row.published else ""
        cells.append([name, row.needs, published, presence.presence(name)[1], row.title])
    table = _aligned(["system", "needs", "published", "weights", ""], cells)
    return table + "\n  DIRECTORY  a checkpoint of your own: avscene train fast --data DATA --output DIRECTORY"


def write_json(path: Path, evaluations: Mapping[str, Evaluation]) -> None:
    """Write the figures of each table as JSON, by table."""
    content = {name: evaluation.to_dict() for name, evaluation in evaluations.items()}
    with Sink(path) as sink:
        sink.write(json.dumps(content, indent=2) + "\n")


def write_report_of(path: Path, tables: Mapping[str, ScoreTable], evaluations: Mapping[str, Evaluation]) -> None:
    """Write a page of plots for tables whose origin is not known here."""
    rows = [ReportRow(name, "", evaluation, "not recorded", name) for name, evaluation in evaluations.items()]
    write_report(path, title="Evaluation", summary=f"{len(rows)} prediction tables.", rows=rows, tables=tables)


def _aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    return "\n".join(lines)


def _number(value: object) -> str:
    """A figure; nothing where it is undefined."""
    if isinstance(value, int):
        return str(value)
    return f"{value:.4f}" if isinstance(value, float) and value == value else ""

"""Measure prediction tables and compare them on their common rows."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avscene.errors import DataError
from avscene.evaluation.comparison import Comparison, compare
from avscene.evaluation.measurement import Measurement, measure
from avscene.tables.alignment import align
from avscene.tables.prediction_table import add_truth, read_table
from avscene.tables.score_table import ScoreTable
from avscene.tables.training_pairs import read_training_pairs

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationResult:
    """Tables by name, the measurement of each, and their comparison on the rows that all of them have.

    `comparison` is None for a single table and for tables that cannot be compared; `same_rows` is whether all tables
    have the same rows.
    """

    tables: Mapping[str, ScoreTable]
    measured: Mapping[str, Measurement]
    comparison: Comparison | None
    same_rows: bool = False


def evaluate_files(
    paths: Sequence[Path], *, truth: Path | None = None, trained_on: Path | None = None
) -> EvaluationResult:
    """Read prediction tables and evaluate them under their paths.

    Args:
        paths: files of prediction tables.
        truth: a file with the true scene of each recording, if the tables have none.
        trained_on: a list of what the systems were trained on, in a format of `read_training_pairs`.

    Raises:
        DataError: a table has no truth, or a file is malformed.
    """
    tables: dict[str, ScoreTable] = {}
    for path in paths:
        table = read_table(path)
        tables[str(path)] = table if truth is None else add_truth(table, truth)
    return evaluate_tables(tables, trained_on=trained_on)


def evaluate_tables(tables: Mapping[str, ScoreTable], *, trained_on: Path | None = None) -> EvaluationResult:
    """Measure each table and compare all; log which rows are not compared, or why there is no comparison.

    Raises:
        DataError: a table has no truth, or `trained_on` is malformed.
    """
    seen = None if trained_on is None else read_training_pairs(trained_on)
    measured = {name: measure(table, seen=seen) for name, table in tables.items()}
    if len(tables) == 1:
        return EvaluationResult(tables, measured, None)
    try:
        aligned = align(tables)
        comparison = compare(aligned.tables)
    except DataError as error:
        logger.warning(f"not compared: {error}")
        return EvaluationResult(tables, measured, None)
    for line in aligned.left_out:
        logger.warning(f"compared on {comparison.n} rows; {line}")
    return EvaluationResult(tables, measured, comparison, same_rows=not aligned.left_out)

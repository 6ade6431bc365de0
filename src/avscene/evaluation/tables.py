"""Measure prediction tables and compare them on their common rows."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from avscene.errors import DataError
from avscene.evaluation.comparison import Comparison, compare
from avscene.evaluation.measurement import Measurement, measure
from avscene.evaluation.plain_values import measurement_to_dict
from avscene.tables.alignment import align
from avscene.tables.collection import NamedTables, Tables, read_tables
from avscene.tables.folds import FOLD_TABLE
from avscene.tables.prediction_table import read_table
from avscene.tables.score_table import ScoreTable
from avscene.tables.training_pairs import read_training_pairs
from avscene.tables.truth import add_truth

logger = logging.getLogger(__name__)

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Tables by name, the measurement of each, and their comparison on the rows that all of them have.

    Attributes:
        tables: the tables by name.
        measured: their metrics: `measured[name].segments.log_loss`, `.intervals["accuracy"].low` and so on.
        comparison: None for a single table and for tables that cannot be compared.
        same_rows: whether all tables have the same rows.
        pooled: the names of the tables of folds that were pooled into one, by the name of the pooled table.
    """

    tables: Mapping[str, ScoreTable]
    measured: Mapping[str, Measurement]
    comparison: Comparison | None = None
    same_rows: bool = False
    pooled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def ranking(self) -> tuple[str, ...]:
        """The names of the tables, the best first: of least log loss, or of highest accuracy without probabilities."""
        by_accuracy = any(table.labels_only for table in self.tables.values())

        def cost(name: str) -> float:
            metrics = self.measured[name].segments
            return -metrics.accuracy if by_accuracy else metrics.log_loss

        return tuple(sorted(self.measured, key=cost))

    def to_dict(self) -> dict[str, Any]:
        """Return all metrics by the name of the table, as plain values: what `avscene evaluate --json` writes."""
        return {
            name: measurement_to_dict(self.tables[name], measured, self.comparison, name, pooled=name in self.pooled)
            for name, measured in self.measured.items()
        }

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each table: metrics, and `..._low` and `..._high` of intervals.

        Raises:
            PackageError: pandas is not installed.
        """
        from avscene.evaluation.notebook import evaluation_frame

        return evaluation_frame(self.measured)

    def __repr__(self) -> str:
        shown = [f"{name}: {_summary(self.measured[name])}" for name in self.ranking]
        return f"Evaluation({'; '.join(shown)})"

    def _repr_html_(self) -> str:
        from avscene.evaluation.notebook import evaluation_html

        return evaluation_html(self.tables, {name: self.measured[name] for name in self.ranking})


def evaluate(
    tables: Tables,
    *,
    truth: PathLike | None = None,
    trained_on: PathLike | None = None,
    by: str | Sequence[str] = (),
) -> Evaluation:
    """Compute metrics of prediction tables, with intervals, and compare several on their common rows.

    Tables that share no recording, as those of folds, are pooled into one, and each is also measured; tables with
    names, as in a mapping, are pooled only under one name.

    >>> import avscene
    >>> avscene.evaluate(["audio.tsv", "video.tsv"]).to_pandas()
    >>> avscene.evaluate({"mine": ["fold1.tsv", "fold2.tsv"], "theirs": "theirs.tsv"}, by="device")

    Args:
        tables: a path, `NAME=PATH`, a `PredictionTable`, or several of them; or a mapping from names to them. Tables
            of predicted scenes without probabilities have an accuracy, but no log loss.
        truth: a file with the true scene of each recording, if the tables have none.
        trained_on: a list of what the systems were trained on, in a format of `read_training_pairs`.
        by: columns whose texts divide the rows into subsets, as `device`, `city`, `source` or `group`.

    Raises:
        UsageError: `tables` are something else, none, or one is given twice.
        DataError: a table has no truth or not a column of `by`, or a file is malformed.
    """
    named = read_tables(tables, partial(read_table, labels_suffice=True))
    if truth is not None:
        known = {name: add_truth(table, os.fspath(truth)) for name, table in named.tables.items()}
        named = replace(named, tables=known)
    pooled = named.pool_folds()
    for name, parts in pooled.pooled.items():
        logger.warning(
            f"{name}: {len(parts)} tables that share no recording are evaluated as the folds of one system "
            f"({', '.join(parts)}); to compare them instead, name them: A={parts[0]} B={parts[1]}"
            if name not in named.pooled
            else f"{name}: {len(parts)} tables are pooled: {', '.join(parts)}"
        )
    return _evaluate_named(pooled, trained_on, (by,) if isinstance(by, str) else tuple(by))


def evaluate_tables(tables: Mapping[str, ScoreTable]) -> Evaluation:
    """Measure each table and compare all; log which rows are not compared, or why there is no comparison.

    Raises:
        DataError: a table has no truth.
    """
    return _evaluate_named(NamedTables(tables), None, ())


def _evaluate_named(named: NamedTables, trained_on: PathLike | None, by: Sequence[str]) -> Evaluation:
    tables = named.tables
    seen = None if trained_on is None else read_training_pairs(os.fspath(trained_on))
    columns = {name: dict.fromkeys([*by, *([FOLD_TABLE] if name in named.pooled else [])]) for name in tables}
    measured = {name: measure(table, seen=seen, by=tuple(columns[name])) for name, table in tables.items()}
    for name, table in tables.items():
        if table.labels_only:
            logger.warning(
                f"{name}: has predicted scenes without probabilities: accuracy and confusions are computed; log loss, "
                "ECE, Brier score and AURC need probabilities"
            )
    found = Evaluation(tables, measured, pooled=named.pooled)
    if len(tables) == 1:
        return found
    try:
        aligned = align(tables)
        comparison = compare(aligned.tables)
    except DataError as error:
        logger.warning(f"not compared: {error}")
        return found
    for line in aligned.left_out:
        logger.warning(f"compared on {comparison.n} rows; {line}")
    return replace(found, comparison=comparison, same_rows=not aligned.left_out)


def _summary(measured: Measurement) -> str:
    """Accuracy and log loss in a few words, with the interval of the accuracy if there is one."""
    metrics, interval = measured.segments, measured.intervals.get("accuracy")
    within = "" if interval is None else f" ({interval.low:.1%} to {interval.high:.1%})"
    loss = "" if metrics.log_loss != metrics.log_loss else f"log loss {metrics.log_loss:.3f}, "
    return f"{loss}accuracy {metrics.accuracy:.1%}{within}, {metrics.n} rows"

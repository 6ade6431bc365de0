"""Read one or several prediction tables, given as paths, as `NAME=PATH` or as tables, under distinct names."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from avscene.errors import UsageError
from avscene.tables.folds import are_folds, pool_tables, pooled_names
from avscene.tables.naming import distinguishing_names, split_name
from avscene.tables.prediction_table import read_table
from avscene.tables.score_table import DEFAULT_SOURCE, ScoreTable

TableSource = str | os.PathLike[str] | ScoreTable
Tables = TableSource | Sequence[TableSource] | Mapping[str, TableSource | Sequence[TableSource]]
ReadTable = Callable[[Path], ScoreTable]

POOLED = "pooled"  # name of tables of folds that the user did not name


@dataclass(frozen=True, slots=True)
class NamedTables:
    """Tables by name; `named` is whether the user named them, `pooled` has the parts of those that were pooled."""

    tables: Mapping[str, ScoreTable]
    named: bool = False
    pooled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def pool_folds(self) -> "NamedTables":
        """Return tables that share no recording, as those of folds, as one table, unless the user named them."""
        if self.named or not are_folds(self.tables):
            return self
        table = pool_tables(self.tables)
        return NamedTables({POOLED: table}, pooled={POOLED: pooled_names(table)})


def read_tables(sources: Tables, read: ReadTable = read_table) -> NamedTables:
    """Read tables under their names; tables that the user gives one name are pooled.

    Args:
        sources: a path, a text `NAME=PATH`, a table, or several of them; or a mapping from names to them.
        read: reads the table of a path.

    Raises:
        UsageError: something else is given, no table, or one twice.
        DataError: a table is malformed, or tables of one name cannot be pooled.
    """
    given = [
        (name, source if isinstance(source, ScoreTable) else read(source)) for name, source in _named_sources(sources)
    ]
    if not given:
        raise UsageError("no prediction table is given; `avscene predict` writes one")
    origins = [_origin(table, number) for number, (_, table) in enumerate(given, start=1)]
    unnamed = [origin for origin, (name, _) in zip(origins, given, strict=True) if name is None]
    found = iter(distinguishing_names(unnamed))
    parts: dict[str, list[tuple[str, ScoreTable]]] = {}
    for origin, (name, table) in zip(origins, given, strict=True):
        parts.setdefault(next(found) if name is None else name, []).append((origin, table))
    pooled = {name: _pool(own) for name, own in parts.items() if len(own) > 1}
    return NamedTables(
        {name: pooled.get(name, own[0][1]) for name, own in parts.items()},
        len(unnamed) < len(given),
        {name: pooled_names(table) for name, table in pooled.items()},
    )


def read_one_table(source: TableSource) -> ScoreTable:
    """Read the table of a path or `NAME=PATH`; return a table as it is.

    Raises:
        UsageError: `source` is something else.
        DataError: the table is malformed.
    """
    (table,) = read_tables([source]).tables.values()
    return table


def _named_sources(sources: Tables) -> Iterator[tuple[str | None, Path | ScoreTable]]:
    """Yield each source with the name that the user gave it, or None."""
    if isinstance(sources, Mapping):
        for name, own in sources.items():
            for source in _listed(own):
                yield str(name), source if isinstance(source, ScoreTable) else Path(source)
        return
    for source in _listed(sources):
        yield (None, source) if isinstance(source, ScoreTable) else split_name(source)


def _listed(sources: TableSource | Sequence[TableSource]) -> list[TableSource]:
    """Return one or several sources as a list, after a check of their types."""
    if isinstance(sources, str | os.PathLike | ScoreTable):
        return [sources]
    found = list(sources) if isinstance(sources, Sequence) and not isinstance(sources, bytes) else [sources]
    for source in found:
        if not isinstance(source, str | os.PathLike | ScoreTable):
            raise UsageError(
                "prediction tables are paths, PredictionTable objects, lists of them or a mapping from names to them, "
                f"not {type(source).__name__}"
            )
    return found


def _origin(table: ScoreTable, number: int) -> str:
    return f"table {number}" if table.source == DEFAULT_SOURCE else table.source


def _pool(parts: Sequence[tuple[str, ScoreTable]]) -> ScoreTable:
    names = distinguishing_names([origin for origin, _ in parts])
    return pool_tables(dict(zip(names, (table for _, table in parts), strict=True)))

"""Write outcomes as a Parquet file: the rows and columns of the CSV format."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from avscene.cli.output.files import not_writable, partial_path
from avscene.files import link_target
from avscene.labels import LabelSet
from avscene.reports.recordings.rows import RowKind, Value, outcome_rows, row_columns
from avscene.reports.recordings.spans import Outcome

ROW_GROUP = 65536  # rows in memory at once
_TYPES = {str: pa.string(), float: pa.float64(), bool: pa.bool_()}


def write_parquet(path: Path, outcomes: Iterable[Outcome], kind: RowKind, labels: LabelSet) -> None:
    """Write rows of outcomes, compressed with zstd; without any, no file is written.

    The columns are those of `row_columns`; what is not known is null. Bytes of a name that are not UTF-8 are escaped,
    as Parquet has text only.

    Raises:
        UsageError: the file cannot be written.
    """
    path = link_target(path)  # so that a link is kept and its target replaced
    partial = partial_path(path)
    schema = pa.schema([(name, _TYPES[value]) for name, value in row_columns(kind, labels).items()])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            writer = None
            for table in _tables(outcomes, kind, labels, schema):
                writer = writer or parquet.ParquetWriter(partial, schema, compression="zstd")
                writer.write_table(table)
            if writer is not None:
                writer.close()
                partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise not_writable(path, error) from error


def _tables(outcomes: Iterable[Outcome], kind: RowKind, labels: LabelSet, schema: pa.Schema) -> Iterator[pa.Table]:
    """Rows in tables of at least ROW_GROUP rows, except the last."""
    rows: list[list[Value]] = []
    for outcome in outcomes:
        rows += outcome_rows(kind, outcome, labels)
        if len(rows) >= ROW_GROUP:
            yield _table(rows, schema)
            rows = []
    if rows:
        yield _table(rows, schema)


def _table(rows: list[list[Value]], schema: pa.Schema) -> pa.Table:
    columns = zip(*([_as_text(value) for value in row] for row in rows), strict=True)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def _as_text(value: Value) -> Value:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value

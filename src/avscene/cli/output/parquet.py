"""Write predictions as a Parquet file: a row per segment, the columns of the CSV format."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from avscene.cli.output.files import not_writable, partial_path
from avscene.cli.output.formats import scene_of
from avscene.files import link_target
from avscene.records import Prediction, SegmentPrediction

ROW_GROUP = 65536  # rows in memory at once
_COLUMNS = (("filename", pa.string()), ("start", pa.float64()), ("scene_label", pa.string()))


def write_parquet(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write predictions, compressed with zstd; without any, no file is written.

    The columns are `filename`, `start` in seconds, `scene_label` (null if no scene was accepted), the probability of
    each scene and, if the system measures it, `familiarity`. Bytes of a name that are not UTF-8 are escaped, as Parquet
    has text only.

    Raises:
        UsageError: the file cannot be written.
    """
    path = link_target(path)  # so that a link is kept and its target replaced
    partial = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            writer = None
            for table in _tables(predictions):
                writer = writer or parquet.ParquetWriter(partial, table.schema, compression="zstd")
                writer.write_table(table)
            if writer is not None:
                writer.close()
                partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise not_writable(path, error) from error


def _tables(predictions: Iterable[Prediction]) -> Iterator[pa.Table]:
    """Rows of predictions in tables of at least ROW_GROUP rows, except the last."""
    rows: list[list[object]] = []
    names: tuple[str, ...] = ()
    for prediction in predictions:
        names = prediction.labels.names + (() if prediction.familiarity is None else ("familiarity",))
        source = prediction.source.encode("utf-8", "backslashreplace").decode()
        rows += (
            [source, float(segment.start), scene_of(prediction, segment), *_numbers(segment)]
            for segment in prediction.segments
        )
        if len(rows) >= ROW_GROUP:
            yield _table(rows, names)
            rows = []
    if rows:
        yield _table(rows, names)


def _numbers(segment: SegmentPrediction) -> list[float]:
    familiarity = [] if segment.familiarity is None else [segment.familiarity.score]
    return [*map(float, segment.probabilities), *familiarity]


def _table(rows: list[list[object]], names: tuple[str, ...]) -> pa.Table:
    schema = pa.schema([*_COLUMNS, *((name, pa.float64()) for name in names)])
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)],
        schema=schema,
    )

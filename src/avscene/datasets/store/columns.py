"""Add embeddings to a segment store as a column, without rewriting the other columns."""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa

from avscene.datasets.store.manifest import StoreSpec
from avscene.datasets.store.reader import EMBEDDING, KEY, SegmentStore
from avscene.datasets.store.table import UNFINISHED, as_data_error, clean_up, open_table, write_lock
from avscene.errors import DataError
from avscene.features.content import DEFAULT_CONTENT
from avscene.records import FloatArray

ROWS_PER_BATCH = 4096


def column_key(encoder_key: str, spec: StoreSpec) -> str:
    """Return the key of a column: it differs where the encoder, the settings of the store or the thresholds differ.

    The thresholds are those of what holds content; stores with JPEG frames are older than these.
    """
    thresholds = "" if spec.jpeg_quality is not None else f" {DEFAULT_CONTENT}"
    return f"{encoder_key} store:{spec.digest}{thresholds}"


def add_embeddings(store: SegmentStore, name: str, key: str, size: int, batches: Iterable[FloatArray]) -> SegmentStore:
    """Store the embeddings of all segments by one encoder; an existing column of that name is replaced.

    Args:
        store: The store.
        name: Name of the encoder.
        key: The `column_key` under which they were computed.
        size: Length of an embedding.
        batches: Arrays (n_i, size), together one row per row of the store; NaN where the modality is missing.

    Returns:
        The store with the column; `store` itself still reads the version it was opened with.

    Raises:
        DataError: another process writes to the store, it was changed since it was opened, or cannot be written.
        ValueError: the shape is not (n, size).
    """
    with write_lock(store.directory):
        return write_column(store, name, key, np.concatenate([np.empty((0, size), np.float32), *batches]))


def write_column(store: SegmentStore, name: str, key: str, values: FloatArray) -> SegmentStore:
    """Store all embeddings (n, size) as `add_embeddings` does; the caller holds the `write_lock`."""
    _check_name(name)
    if values.shape[:1] != (len(store),):
        raise ValueError(f"{name}: {len(values)} embeddings for the {len(store)} segments of {store.directory}")
    table = open_table(store.directory)
    if table.version != store.version:
        raise DataError(f"{store.directory}: was changed meanwhile; run the same command again")
    column = pa.field(EMBEDDING + name, pa.list_(pa.float32(), values.shape[1]), metadata={KEY: key.encode()})
    schema = pa.schema([column])
    with as_data_error(store.directory, "written"):
        if column.name in table.schema.names:
            table.drop_columns([column.name])
        table.add_columns(pa.RecordBatchReader.from_batches(schema, _batches(store.in_table_order(values), schema)))
        clean_up(table)
    return SegmentStore.open(store.directory)


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[\w-]+", name):
        raise ValueError(f"{name!r} cannot be the name of an encoder's column")


def _batches(values: FloatArray, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for first in range(0, len(values), ROWS_PER_BATCH):
        part = np.ascontiguousarray(values[first : first + ROWS_PER_BATCH], np.float32)
        yield pa.record_batch([pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), part.shape[1])], schema=schema)


class UnfinishedColumn:
    """A file to which embeddings (n, size) are appended batch by batch as they are computed.

    What a killed process appended is there for the next one, if that computes the same: embeddings of the same rows
    under the same `key`.
    """

    def __init__(self, store: SegmentStore, name: str, key: str, size: int) -> None:
        _check_name(name)
        self._size = size
        identity = hashlib.sha256(f"{store.content_key}\n{key}\n{size}".encode()).hexdigest()
        self._path = store.directory / UNFINISHED / EMBEDDING.strip("_") / name / f"{identity}.f32"

    def __len__(self) -> int:
        return self._path.stat().st_size // self._row_bytes if self._path.exists() else 0

    @property
    def _row_bytes(self) -> int:
        return self._size * np.dtype(np.float32).itemsize

    def extend(self, batches: Iterable[FloatArray], progress: Callable[[int], None]) -> None:
        """Append each of `batches` (n_i, size) as soon as it comes; call `progress` with the rows in the file.

        Raises:
            DataError: the file cannot be written.
        """
        rows = len(self)
        with as_data_error(self._path, "written"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("ab", buffering=0)
        with file:
            file.truncate(rows * self._row_bytes)  # a killed process may have written part of a row
            for batch in batches:
                with as_data_error(self._path, "written"):
                    file.write(np.ascontiguousarray(batch, np.float32).tobytes())
                rows += len(batch)
                progress(rows)

    def values(self) -> FloatArray:
        """Read all rows (n, size)."""
        with as_data_error(self._path, "read"):
            return np.fromfile(self._path, np.float32).reshape(-1, self._size)

    def delete(self) -> None:
        """Delete the file, and unfinished files of the same column under other keys."""
        shutil.rmtree(self._path.parent, ignore_errors=True)

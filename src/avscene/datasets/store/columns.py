"""Embeddings -> a column of a segment store, beside the others: nothing else is written again."""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa

from avscene.datasets.store.manifest import StoreSpec
from avscene.datasets.store.reader import EMBEDDING, KEY, SegmentStore
from avscene.datasets.store.table import UNFINISHED, open_table, tidy, translate_errors, write_lock
from avscene.errors import DataError
from avscene.records import FloatArray

ROWS_PER_BATCH = 4096


def column_key(encoder_key: str, spec: StoreSpec) -> str:
    """The key of a column: another encoder or other settings of the store, other embeddings."""
    return f"{encoder_key} store:{spec.digest}"


def add_embeddings(store: SegmentStore, name: str, key: str, size: int, batches: Iterable[FloatArray]) -> SegmentStore:
    """Store `batches` (n_i, size), together one row for each of the store's, as the embeddings of encoder `name`.

    A column that is there under this name is replaced. Rows of NaN say that the modality is missing.

    Returns:
        The store with the column; `store` itself goes on seeing the version it was opened with.

    Raises:
        DataError: another process writes to the store, it was changed since it was opened, or cannot be written.
        ValueError: the shape is not (n, size).
    """
    with write_lock(store.directory):
        return write_column(store, name, key, np.concatenate([np.empty((0, size), np.float32), *batches]))


def write_column(store: SegmentStore, name: str, key: str, values: FloatArray) -> SegmentStore:
    """As `add_embeddings`, of all embeddings (n, size), by who has the right to write."""
    _check_name(name)
    if values.shape[:1] != (len(store),):
        raise ValueError(f"{name}: {len(values)} embeddings for the {len(store)} segments of {store.directory}")
    table = open_table(store.directory)
    if table.version != store.version:
        raise DataError(f"{store.directory}: was changed meanwhile; run the same command again")
    column = pa.field(EMBEDDING + name, pa.list_(pa.float32(), values.shape[1]), metadata={KEY: key.encode()})
    schema = pa.schema([column])
    with translate_errors(store.directory, "written"):
        if column.name in table.schema.names:
            table.drop_columns([column.name])
        table.add_columns(pa.RecordBatchReader.from_batches(schema, _batches(store.in_table_order(values), schema)))
        tidy(table)
    return SegmentStore.open(store.directory)


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[\w-]+", name):
        raise ValueError(f"{name!r} cannot be the name of an encoder's column")


def _batches(values: FloatArray, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for first in range(0, len(values), ROWS_PER_BATCH):
        part = np.ascontiguousarray(values[first : first + ROWS_PER_BATCH], np.float32)
        yield pa.record_batch([pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), part.shape[1])], schema=schema)


class UnfinishedColumn:
    """Embeddings (n, size) as far as they are computed, in a file to which they are appended batch by batch.

    What a process appended before it was killed is there for the next one, if that computes the same: embeddings of
    the same rows under the same `key`.
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

    def extend(self, batches: Iterable[FloatArray], done: Callable[[int], None]) -> None:
        """Append `batches` (n_i, size), each as soon as it comes; `done` is told how many rows there are.

        Raises:
            DataError: the file cannot be written.
        """
        rows = len(self)
        with translate_errors(self._path, "written"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("ab", buffering=0)
        with file:
            file.truncate(rows * self._row_bytes)  # of a row that was being written there may be a part
            for batch in batches:
                with translate_errors(self._path, "written"):
                    file.write(np.ascontiguousarray(batch, np.float32).tobytes())
                rows += len(batch)
                done(rows)

    def values(self) -> FloatArray:
        """All rows (n, size)."""
        with translate_errors(self._path, "read"):
            return np.fromfile(self._path, np.float32).reshape(-1, self._size)

    def delete(self) -> None:
        """Delete the file, and what was begun for the same column under other keys."""
        shutil.rmtree(self._path.parent, ignore_errors=True)

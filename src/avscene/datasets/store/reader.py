"""Read segments, labels and embeddings of a segment store by row numbers."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lance
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from avscene.datasets.dataset import DataSet
from avscene.datasets.store.manifest import Manifest, StoreSpec, read_manifest
from avscene.datasets.store.rows import decode_frame, decode_waveform
from avscene.datasets.store.table import as_data_error, open_table
from avscene.errors import DataError
from avscene.labels import LabelSet
from avscene.records import Example, FloatArray, Frame, Modality, Segment

IntArray = npt.NDArray[np.int64]
EMBEDDING = "embedding_"  # prefix of the names of the columns with embeddings
KEY = b"avscene:key"  # metadata of such a column: weights, front end and store settings that it was made with
COLUMNS: dict[Modality, tuple[str, ...]] = {"audio": ("sound",), "video": ("frames", "frame_times")}
BOTH: tuple[Modality, ...] = ("audio", "video")


@dataclass(frozen=True, slots=True, eq=False)
class StoredSegment:
    """A segment as it is stored: `frames` are encoded images with `times` in seconds; `waveform` (n,) or None."""

    start: float
    end: float
    frames: tuple[bytes, ...]
    times: tuple[float, ...]
    waveform: FloatArray | None
    padded: bool

    def decoded(self, *, every_frame: bool = False) -> Segment:
        """Decode to RGB frames, by default the middle one only."""
        middle = len(self.frames) // 2
        wanted = slice(None) if every_frame else slice(middle, middle + 1)
        frames = tuple(
            Frame(time, decode_frame(content))
            for time, content in zip(self.times[wanted], self.frames[wanted], strict=True)
        )
        return Segment(self.start, self.end, frames, self.waveform, self.padded)


class SegmentStore:
    """The segments of a data set as numbered rows, sorted by the recordings' names and by time.

    The order depends on what is stored, never on the order in which it was written. `examples` (n) has the recording of
    each row, `starts` and `ends` (n,) are in seconds; `complete` is False while recordings are still to be prepared.
    Several processes may read one store; it is pickled as its directory and version. Give a torch DataLoader
    `multiprocessing_context="spawn"` or `"forkserver"`: Lance runs threads, which a fork does not copy.
    """

    def __init__(self, directory: Path, manifest: Manifest, dataset: lance.LanceDataset) -> None:
        table = dataset.to_table(columns=["recording", "sha256", "start", "end"])
        known = {recording.name: recording.example() for recording in manifest.recordings}
        names = table.column("recording").to_pylist()
        starts = table.column("start").to_numpy()
        self._physical: IntArray = np.lexsort((starts, _ranks(names)))  # position in the table of each row
        self.directory = directory
        self.spec: StoreSpec = manifest.spec
        source = Path(manifest.source)
        self.made_of = source.parent.name if source.suffix == ".csv" else source.name  # the data set, by its folder
        self.complete = manifest.complete
        self.examples: tuple[Example, ...] = tuple(_example(known, names[row], directory) for row in self._physical)
        self.starts: FloatArray = starts[self._physical]
        self.ends: FloatArray = table.column("end").to_numpy()[self._physical]
        self.version: int = dataset.version
        self.unreadable = len(known) - len(set(names)) if manifest.complete else 0
        self._content: dict[str, str] = dict(zip(names, table.column("sha256").to_pylist(), strict=True))
        self._columns = _embedding_columns(dataset.schema)
        self._opened: tuple[int, lance.LanceDataset] = (os.getpid(), dataset)

    @classmethod
    def open(cls, directory: str | Path) -> "SegmentStore":
        """Open the store in `directory`.

        Raises:
            DataError: it is not a store, one of another version, damaged or empty.
        """
        path = Path(directory)
        manifest = read_manifest(path)
        table = open_table(path)
        with as_data_error(path, "read"):
            store = cls(path, manifest, table)
        if not len(store):
            raise DataError(f"{path}: holds no segments yet; finish it: avscene prepare DATA --output {path}")
        return store

    def __len__(self) -> int:
        return len(self.examples)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": (0, None)}

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings for the user: whether part of the data set is missing, and whether content was stored with loss."""
        return (*self.missing, *self.losses)

    @property
    def losses(self) -> tuple[str, ...]:
        """A warning for the user if content was stored with loss, as earlier versions did."""
        if self.spec.jpeg_quality is None:
            return ()
        return (
            f"{self.directory}: was prepared by an earlier version, with JPEG frames and 16-bit audio: systems trained "
            "from it may answer otherwise from files; make a new one: avscene prepare DATA --output ANOTHER",
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """Warnings for the user if part of the data set is missing."""
        if not self.complete:
            return (f"{self.directory}: is only partly prepared; finish it: avscene prepare DATA --output STORE",)
        if self.unreadable:
            return (f"{self.directory}: {self.unreadable} recordings of the data set could not be read",)
        return ()

    @property
    def data(self) -> DataSet:
        """The recordings that have rows, as a data set."""
        return DataSet(self.directory, tuple({example.name: example for example in self.examples}.values()))

    @property
    def labels(self) -> LabelSet:
        """The scenes that occur, sorted by name."""
        return self.data.labels

    def rows(self, condition: str) -> IntArray:
        """Return the numbers of the rows whose recording meets a condition such as `split=train`.

        Raises:
            DataError: no such column or value.
        """
        names = {example.name for example in self.data.only(condition).examples}
        return np.array([row for row, example in enumerate(self.examples) if example.name in names], np.int64)

    def truth(self, names: Sequence[str]) -> IntArray:
        """Return (n,) the position in `names` of each row's scene.

        Raises:
            DataError: a scene is not among them.
        """
        position = {name: index for index, name in enumerate(names)}
        for example in self.examples:
            if example.label not in position:
                raise DataError(
                    f"{self.directory}: scene {example.label!r} ({example.name}) is not one of {', '.join(names)}"
                )
        return np.array([position[example.label] for example in self.examples], np.int64)

    def raw(self, rows: Sequence[int] | IntArray, modalities: Sequence[Modality] = BOTH) -> list[StoredSegment]:
        """Read the segments of `rows`, in their order, undecoded; only `modalities` are read.

        Raises:
            DataError: the store cannot be read.
            IndexError: there is no such row.
        """
        wanted = np.asarray(rows, np.int64)
        if wanted.size and not 0 <= wanted.min() <= wanted.max() < len(self):
            raise IndexError(f"{self.directory}: has rows 0 to {len(self) - 1}")
        columns = ["padded", *(column for modality in modalities for column in COLUMNS[modality])]
        with as_data_error(self.directory, "read"):
            table = self._dataset().take(self._physical[wanted].tolist(), columns=columns)
        return [
            StoredSegment(
                float(self.starts[row]),
                float(self.ends[row]),
                tuple(record.get("frames") or ()),
                tuple(record.get("frame_times") or ()),
                None if record.get("sound") is None else decode_waveform(record["sound"], self.spec),
                record["padded"],
            )
            for row, record in zip(wanted, table.to_pylist(), strict=True)
        ]

    def segments(
        self, rows: Sequence[int] | IntArray, *, every_frame: bool = False, modalities: Sequence[Modality] = BOTH
    ) -> list[Segment]:
        """Read the segments of `rows`, in their order, decoded; by default with their middle frame only.

        Raises:
            DataError: the store cannot be read.
            IndexError: there is no such row.
        """
        found = self.raw(rows, modalities)
        with as_data_error(self.directory, "read"):
            return [segment.decoded(every_frame=every_frame) for segment in found]

    @property
    def encoders(self) -> tuple[str, ...]:
        """Names of the encoders whose embeddings are stored."""
        return tuple(self._columns)

    def embedding_key(self, encoder: str) -> str:
        """Return the key under which the embeddings of `encoder` were computed.

        Raises:
            DataError: there are none.
        """
        if encoder not in self._columns:
            has = f"it has {', '.join(self._columns)}" if self._columns else "it has none"
            raise DataError(
                f"{self.directory}: has no embeddings of {encoder}; {has}; "
                f"run: avscene embed {self.directory} --encoder {encoder}"
            )
        return self._columns[encoder]

    def embeddings(self, encoder: str) -> FloatArray:
        """Read the embeddings float32 (n, size) of `encoder`; rows are NaN where the modality is missing.

        Raises:
            DataError: there are none, or not of all rows.
        """
        values, computed = self.stored_embeddings(encoder)
        if not computed.all():
            raise DataError(
                f"{self.directory}: {(~computed).sum()} of {len(self)} segments have no embeddings of {encoder} yet; "
                f"run: avscene embed {self.directory} --encoder {encoder}"
            )
        return values

    def stored_embeddings(self, encoder: str) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Read the embeddings (n, size) of `encoder` and (n,) whether each was computed: rows added later were not.

        Raises:
            DataError: there are none.
        """
        self.embedding_key(encoder)
        with as_data_error(self.directory, "read"):
            table = self._dataset().to_table(columns=[EMBEDDING + encoder])
            column = table.column(0).combine_chunks()
        size = column.type.list_size
        values = column.values.to_numpy(zero_copy_only=False)
        values = values[column.offset * size :][: len(self) * size].reshape(-1, size)
        computed = ~column.is_null().to_numpy(zero_copy_only=False)
        if not np.array_equal(self._physical, np.arange(len(self))):
            values, computed = values[self._physical], computed[self._physical]
        return values, computed

    @property
    def content_key(self) -> str:
        """Hash of the content and the order of the rows: equal where all segments are the same."""
        digest = hashlib.sha256(self.spec.digest.encode())
        for example, start in zip(self.examples, self.starts, strict=True):
            digest.update(f"{example.name}\n{self._content[example.name]}\n{start}\n".encode())
        return digest.hexdigest()

    def in_table_order(self, values: FloatArray) -> FloatArray:
        """Reorder values (n, ...), one per row of the store, to the order of the rows in its table."""
        ordered = np.empty_like(values)
        ordered[self._physical] = values
        return ordered

    def _dataset(self) -> lance.LanceDataset:
        """Return the table, opened in this process, in the version that this store was opened with."""
        process, dataset = self._opened
        if process != os.getpid():
            dataset = open_table(self.directory, self.version)
            self._opened = (os.getpid(), dataset)
        return dataset


def _ranks(names: Sequence[str]) -> IntArray:
    """Return (n,) the position of each name among the distinct names, sorted."""
    rank = {name: position for position, name in enumerate(sorted(set(names)))}
    return np.array([rank[name] for name in names], np.int64)


def _example(known: dict[str, Example], name: str, directory: Path) -> Example:
    if name not in known:
        raise DataError(f"{directory}: is damaged: it holds segments of {name!r}, which store.json does not list")
    return known[name]


def _embedding_columns(schema: pa.Schema) -> dict[str, str]:
    """Map the name of each encoder with a column to the key of the column."""
    return {
        field.name.removeprefix(EMBEDDING): (field.metadata or {}).get(KEY, b"").decode()
        for field in schema
        if field.name.startswith(EMBEDDING)
    }

"""A data set or a segment store to embeddings: every recording decoded once, every segment encoded once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import soxr

from avscene.datasets.dataset import DataSet
from avscene.datasets.store.columns import UnfinishedColumn, column_key, write_column
from avscene.datasets.store.manifest import StoreSpec
from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.table import write_lock
from avscene.errors import DataError, MediaError
from avscene.inference import BATCH_SIZE, batched, prefetch
from avscene.media.segments import Recording, Sampling
from avscene.models import SegmentEncoder
from avscene.models.device import Runtime
from avscene.models.encoders import build_encoder
from avscene.progress import Progress, StageProgress
from avscene.records import Example, FloatArray, Segment

State = Literal["absent", "outdated", "partial", "current"]  # of a column of a store


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Segments of a data set as rows: `by_encoder` maps a name to embeddings (n, size), NaN where there are none.

    `examples` holds each row's recording and `starts` (n,) its time in seconds; `failures` what could not be read.
    """

    by_encoder: dict[str, FloatArray]
    examples: tuple[Example, ...]
    starts: FloatArray
    failures: tuple[str, ...]

    @property
    def labels(self) -> list[str]:
        """Scene of each row."""
        return [example.label for example in self.examples]

    @property
    def groups(self) -> list[str]:
        """Group of each row."""
        return [example.group for example in self.examples]

    def truth(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """(n,) position of each row's scene in `names`."""
        position = {name: index for index, name in enumerate(names)}
        return np.array([position[label] for label in self.labels])


def embed_dataset(
    data: DataSet,
    encoders: Mapping[str, SegmentEncoder],
    sampling: Sampling,
    progress: Progress | None = None,
) -> Embeddings:
    """Embed every segment of every recording. One that cannot be decoded is left out and reported.

    Raises:
        MediaError: no recording could be read.
    """
    failures: list[str] = []
    rows: list[tuple[Example, float]] = []
    parts: dict[str, list[FloatArray]] = {name: [] for name in encoders}
    done: set[str] = set()
    for batch in prefetch(batched(_read_all(data, sampling, failures), BATCH_SIZE)):
        segments = [segment for _, segment in batch]
        for name, encoder in encoders.items():
            parts[name].append(encoder.embed(segments))
        rows += [(example, segment.start) for example, segment in batch]
        done.update(example.name for example, _ in batch)
        if progress is not None:
            progress(len(done) + len(failures), len(data.examples))
    if not rows:
        count = len(data.examples)
        raise MediaError(f"{data.source}: none of its {count} recordings can be read; first: {failures[0]}")
    return Embeddings(
        {name: np.concatenate(arrays) for name, arrays in parts.items()},
        tuple(example for example, _ in rows),
        np.array([start for _, start in rows]),
        tuple(failures),
    )


def _read_all(data: DataSet, sampling: Sampling, failures: list[str]) -> Iterator[tuple[Example, Segment]]:
    for example in data.examples:
        try:
            with Recording(example.path, example.audio) as recording:
                for segment in recording.segments(sampling):
                    yield example, segment
        except MediaError as error:
            failures.append(str(error))


def embed_store(
    store: SegmentStore, name: str, encoder: SegmentEncoder, progress: Progress | None = None
) -> SegmentStore:
    """Embed every segment of a store, by its middle frame or its sound, and keep the embeddings as a column of it.

    Nothing is computed that is there already under the same key (`embeddings_state`); a column of another key is
    replaced. Interrupted at any moment, the next call goes on where this one was. `progress` is told segments.

    Returns:
        The store with the column.

    Raises:
        DataError: the store's sound has too low a rate for the encoder, or it cannot be read or written.
    """
    check_rate(store, name, encoder)
    with write_lock(store.directory):
        store = SegmentStore.open(store.directory)
        if embeddings_state(store, name, encoder) == "current":
            return store
        key = column_key(encoder.key, store.spec)
        column = UnfinishedColumn(store, name, key, encoder.embedding_size)

        def done(rows: int) -> None:
            if progress is not None:
                progress(rows, len(store))

        column.extend(_computed(store, name, encoder, len(column)), done)
        store = write_column(store, name, key, column.values())
        column.delete()
    return store


def ensure_embeddings(
    store: SegmentStore, encoders: Sequence[str], runtime: Runtime, progress: StageProgress
) -> tuple[dict[str, FloatArray], dict[str, str]]:
    """Add the embeddings of `encoders` that a store lacks.

    Returns:
        Embeddings (n, size) of every row of the store, and the key, by encoder.

    Raises:
        DataError: the store does not fit an encoder, or cannot be read or written.
        WeightsError: the weights of an encoder are absent.
    """
    keys = {}
    for name in encoders:
        encoder = build_encoder(name, runtime)
        store = embed_store(store, name, encoder, progress(f"{name}: embedding"))
        keys[name] = encoder.key
    return {name: store.embeddings(name) for name in encoders}, keys


def embeddings_state(store: SegmentStore, name: str, encoder: SegmentEncoder) -> State:
    """How the column `name` stands to `encoder`.

    `outdated`: other weights, another front end or other settings of the store made it. `partial`: segments came later.
    """
    if name not in store.encoders:
        return "absent"
    if store.embedding_key(name) != column_key(encoder.key, store.spec):
        return "outdated"
    return "current" if store.stored_embeddings(name)[1].all() else "partial"


def check_rate(store: SegmentStore, name: str, encoder: SegmentEncoder) -> None:
    """See that the sound of `store` can be given to `encoder`: taking samples away is fine, making them up is not.

    Raises:
        DataError: it cannot.
    """
    wanted = encoder.sample_rate
    if wanted is not None and wanted > store.spec.sample_rate:
        raise DataError(
            f"{store.directory}: holds sound at {store.spec.sample_rate} Hz, encoder {name} takes {wanted} Hz; "
            f"run: avscene prepare DATA --output ANOTHER --sample-rate {wanted}"
        )


def _computed(store: SegmentStore, name: str, encoder: SegmentEncoder, first: int) -> Iterator[FloatArray]:
    """Embeddings (n, size) of the rows from `first` on in batches, decoded ahead; computed where they are not there."""
    stored = store.stored_embeddings(name) if embeddings_state(store, name, encoder) == "partial" else None
    missing = np.ones(len(store), bool) if stored is None else ~stored[1]
    batches = [np.arange(row, min(row + BATCH_SIZE, len(store))) for row in range(first, len(store), BATCH_SIZE)]
    for rows, segments in prefetch((rows, _wanted(store, rows[missing[rows]], encoder)) for rows in batches):
        embeddings = np.full((len(rows), encoder.embedding_size), np.nan, np.float32)
        if stored is not None:
            embeddings[:] = stored[0][rows]
        if segments:
            embeddings[missing[rows]] = encoder.embed(segments)
        yield embeddings


def _wanted(store: SegmentStore, rows: npt.NDArray[np.int64], encoder: SegmentEncoder) -> list[Segment]:
    """The segments of `rows` with what `encoder` needs, at its rate."""
    segments = store.segments(rows, modalities=[encoder.needs]) if rows.size else []
    rate = encoder.sample_rate
    if rate is None or rate == store.spec.sample_rate:
        return segments
    return [replace(segment, waveform=_resampled(segment.waveform, store.spec, rate)) for segment in segments]


def _resampled(waveform: FloatArray | None, spec: StoreSpec, rate: int) -> FloatArray | None:
    if waveform is None:
        return None
    samples = soxr.resample(waveform, spec.sample_rate, rate)
    length = round(spec.hop * rate)  # rounding may be off by a sample
    return np.asarray(np.pad(samples[:length], (0, max(length - len(samples), 0))), np.float32)

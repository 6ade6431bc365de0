"""Compute the embeddings of a data set or a segment store by frozen encoders."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from statistics import median_low
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import soxr

from avscene.datasets.dataset import DataSet
from avscene.datasets.store.columns import UnfinishedColumn, column_key, write_column
from avscene.datasets.store.manifest import StoreSpec
from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.table import write_lock
from avscene.errors import DataError, MediaError
from avscene.features.batch import SegmentBatch
from avscene.features.content import DEFAULT_CONTENT, with_content
from avscene.inference import BATCH_SIZE, BatchReader, Source, prefetch
from avscene.media.sampling import Sampling
from avscene.models import SegmentEncoder
from avscene.models.device import Runtime
from avscene.models.encoders import build_encoder
from avscene.progress import Progress, StageProgress
from avscene.records import Example, FloatArray, Segment
from avscene.training.embed_on_cluster import Compute

State = Literal["absent", "outdated", "partial", "current"]  # of a store's embeddings by an encoder


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Embeddings of the segments of a data set: `by_encoder` has arrays (n, size), NaN where the modality is missing.

    `examples` has each row's recording and `starts` (n,) its time in seconds; `failures` has a message for each
    recording that cannot be read. `audio_rate` is the median sample rate in Hz of the recordings' audio, None without
    any.
    """

    by_encoder: dict[str, FloatArray]
    examples: tuple[Example, ...]
    starts: FloatArray
    failures: tuple[str, ...]
    audio_rate: int | None = None

    @property
    def labels(self) -> list[str]:
        """The scene of each row."""
        return [example.label for example in self.examples]

    @property
    def groups(self) -> list[str]:
        """The group of each row."""
        return [example.group for example in self.examples]

    def truth(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the position (n,) of each row's scene in `names`."""
        position = {name: index for index, name in enumerate(names)}
        return np.array([position[label] for label in self.labels])


class _EmbeddedBatch(NamedTuple):
    """Starts in seconds of consecutive segments of a recording, and their embeddings (n, size) by encoder."""

    starts: list[float]
    by_encoder: dict[str, FloatArray]


def embed_dataset(
    data: DataSet,
    encoders: Mapping[str, SegmentEncoder],
    sampling: Sampling,
    progress: Progress | None = None,
) -> Embeddings:
    """Embed every segment of every recording. A recording that cannot be decoded is skipped and reported.

    Raises:
        MediaError: no recording could be read.
    """
    embedded: list[list[_EmbeddedBatch]] = [[] for _ in data.examples]
    failures: dict[int, str] = {}
    rates: list[int] = []
    n_done = 0
    reader = BatchReader([Source(example.path, example.audio) for example in data.examples], sampling)
    with closing(iter(reader)) as batches:
        for position, _, segments, _, end in batches:
            if segments:
                batch = SegmentBatch(segments)
                by_encoder = {name: encoder.embed(batch) for name, encoder in encoders.items()}
                embedded[position].append(_EmbeddedBatch([segment.start for segment in segments], by_encoder))
            if isinstance(end, MediaError):
                failures[position] = str(end)
            elif end is not None and end.audio_source is not None:
                rates.append(end.audio_source.rate)
            if end is not None and progress is not None:
                n_done += 1
                progress(n_done, len(data.examples))
    messages = tuple(failures[position] for position in sorted(failures))
    parts = [batch for of_recording in embedded for batch in of_recording]
    if not parts:
        count = len(data.examples)
        raise MediaError(f"{data.source}: none of its {count} recordings can be read; first: {messages[0]}")
    return Embeddings(
        {name: np.concatenate([part.by_encoder[name] for part in parts]) for name in encoders},
        tuple(
            example
            for example, of_recording in zip(data.examples, embedded, strict=True)
            for batch in of_recording
            for _ in batch.starts
        ),
        np.array([start for part in parts for start in part.starts]),
        messages,
        median_low(rates) if rates else None,
    )


def embed_store(
    store: SegmentStore,
    name: str,
    encoder: SegmentEncoder,
    progress: Progress | None = None,
    compute: Compute | None = None,
) -> SegmentStore:
    """Embed every segment of a store, by its middle frame or its audio, and add the embeddings to it as a column.

    Embeddings that exist under the same key (`embeddings_state`) are not computed again; a column with another key is
    replaced. After an interruption the next call resumes. `progress` counts segments.
    `compute` yields the batches in place of this machine (`ClusterEmbedding`).

    Returns:
        The store with the column.

    Raises:
        DataError: the store's audio has too low a sample rate for the encoder, or the store cannot be read or written.
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

        starts = range(len(column), len(store), BATCH_SIZE)
        column.extend((compute or compute_batches)(store, name, encoder, starts), done)
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
    """Return the state of the embeddings that `encoder` should have made, in column `name`.

    `outdated`: made with other weights, another front end or other settings of the store. `partial`: segments were
    added since.
    """
    if name not in store.encoders:
        return "absent"
    if store.embedding_key(name) != column_key(encoder.key, store.spec):
        return "outdated"
    return "current" if store.stored_embeddings(name)[1].all() else "partial"


def check_rate(store: SegmentStore, name: str, encoder: SegmentEncoder) -> None:
    """Make sure that the audio of `store` has at least the sample rate of `encoder`.

    Raises:
        DataError: it has a lower one.
    """
    wanted = encoder.sample_rate
    if wanted is not None and wanted > store.spec.sample_rate:
        raise DataError(
            f"{store.directory}: has audio at {store.spec.sample_rate} Hz, encoder {name} needs {wanted} Hz; "
            f"run: avscene prepare DATA --output ANOTHER --sample-rate {wanted}"
        )


def compute_batches(
    store: SegmentStore, name: str, encoder: SegmentEncoder, starts: Iterable[int]
) -> Generator[FloatArray]:
    """Yield embeddings (n, size) of the BATCH_SIZE rows from each of `starts` on; only missing ones are computed."""
    stored = store.stored_embeddings(name) if embeddings_state(store, name, encoder) == "partial" else None
    missing = np.ones(len(store), bool) if stored is None else ~stored[1]
    batches = (np.arange(row, min(row + BATCH_SIZE, len(store))) for row in starts)
    for rows, segments in prefetch((rows, _wanted(store, rows[missing[rows]], encoder)) for rows in batches):
        embeddings = np.full((len(rows), encoder.embedding_size), np.nan, np.float32)
        if stored is not None:
            embeddings[:] = stored[0][rows]
        if segments:
            embeddings[missing[rows]] = encoder.embed(segments)
        yield embeddings


def _wanted(store: SegmentStore, rows: npt.NDArray[np.int64], encoder: SegmentEncoder) -> list[Segment]:
    """Return the segments of `rows` with what `encoder` needs, at its sample rate, if it holds content."""
    stored = store.segments(rows, modalities=[encoder.needs]) if rows.size else []
    segments = [with_content(segment, DEFAULT_CONTENT) for segment in stored]
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

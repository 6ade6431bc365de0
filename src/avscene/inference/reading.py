"""Read recordings as batches of segments; worker processes decode several recordings while others are scored."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count, islice
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from avscene.errors import MediaError
from avscene.features.content import DEFAULT_CONTENT, ContentFilter, ContentSpec
from avscene.inference.missing import Missing
from avscene.media.limits import DEFAULT_LIMITS, Limits
from avscene.media.sampling import CPU, Sampling
from avscene.media.workers import IsolatedRecording, decoder_threads, default_workers
from avscene.records import AudioSource, Modality, Segment
from avscene.storage.copies import local_copies
from avscene.storage.urls import local_path

Item = TypeVar("Item")
BATCH_SIZE = 16  # waveforms or frames scored at once: enough to keep networks busy, few enough to bound memory
MAX_SEGMENTS = 64  # of a batch, where many segments share a frame (key frames)
WAITING_BATCHES = 2  # of each recording that may wait until they are scored
WINDOW = (
    4  # recordings per worker that may be read before the first of them is scored: while one takes long, others go on
)


@dataclass(frozen=True, slots=True)
class Source:
    """A media file and, if the audio is apart, the file with it; each a path or a URL.

    `program` is read of a transport stream; None is that of its best video. URLs must have these `versions`, if any.
    """

    path: str | Path
    audio: str | Path | None = None
    program: int | None = None
    versions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", local_path(self.path))
        object.__setattr__(self, "audio", None if self.audio is None else local_path(self.audio))


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """Properties of a recording that was read; `duration` is in seconds, `audio_source` how its audio is stored.

    `modalities` states what it has; of a decoded modality, whether any segment has it. `missing` is the reason if not.
    """

    duration: float
    modalities: dict[Modality, bool]
    warnings: tuple[str, ...]
    missing: Missing = field(default_factory=Missing)
    audio_source: AudioSource | None = None


class Batch(NamedTuple):
    """Consecutive segments of one recording, which is given by its position among the sources.

    `number` counts the batches of the recording from 0. `end` comes with the last one: the properties of the recording,
    or the error that ended it.
    """

    position: int
    number: int
    segments: tuple[Segment, ...]
    end: RecordingInfo | MediaError | None = None


@dataclass(frozen=True, slots=True)
class _Result(Generic[Item]):
    """What a thread hands over: a result or an error; after its last one, `is_last`."""

    values: tuple[Item, ...]
    error: BaseException | None = None
    is_last: bool = False


class BatchReader:
    """Recordings of `sources` in batches of segments without what holds no content, each batch of one recording.

    Batches of a recording come in order, and those of several recordings alternate. A batch has at most BATCH_SIZE
    different waveforms or frames; it mixes no recordings, as networks round differently in batches of other sizes.

    Args:
        sources: The recordings.
        sampling: What is decoded of them.
        decoder: Decodes the video.
        content: The thresholds of what holds content.
        limits: Limits of a recording.
        workers: Number of recordings that are decoded at a time.
        stop: No further recording is begun once set.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        sampling: Sampling,
        decoder: str = CPU,
        *,
        content: ContentSpec = DEFAULT_CONTENT,
        limits: Limits = DEFAULT_LIMITS,
        workers: int | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self._sources, self._sampling, self._content, self._decoder = sources, sampling, content, decoder
        self._n_workers = min(workers or default_workers(), len(sources))
        self._limits = replace(limits, threads=min(limits.threads, decoder_threads(self._n_workers)))
        self._stop = stop or threading.Event()
        self._changed = threading.Condition()  # guards all of the following
        self._waiting: dict[int, deque[Batch]] = {}  # of recordings that are not finished, by position
        self._next = 0  # position of the next recording to begin
        self._open: dict[int, IsolatedRecording] = {}  # by position
        self._n_reading = 0
        self._closed = False
        self._failure: BaseException | None = None

    def __iter__(self) -> Generator[Batch]:
        """Yield the batches of all recordings; those of the earliest recording first. To be called once."""
        return self.map(lambda batch: batch, n_threads=1)

    def map(self, function: Callable[[Batch], Item], n_threads: int) -> Generator[Item]:
        """Apply `function` to each batch in `n_threads` threads; yield each result as soon as it is there.

        Results of a recording may change places. An error of `function` is raised. To be called once.
        """
        results: queue.Queue[_Result[Item]] = queue.Queue(maxsize=2 * n_threads)
        threads = self._start()
        threads += [threading.Thread(target=self._map, args=(function, results), daemon=True) for _ in range(n_threads)]
        for thread in threads[-n_threads:]:
            thread.start()
        n_running = n_threads
        try:
            while n_running:
                result = results.get()
                n_running -= result.is_last
                if result.error is not None:
                    raise result.error
                yield from result.values
        finally:
            self._close()
            while n_running:  # the threads may wait to hand over a result
                n_running -= results.get().is_last
            for thread in threads:
                thread.join()

    def _start(self) -> list[threading.Thread]:
        self._n_reading = self._n_workers
        threads = [threading.Thread(target=self._read, daemon=True) for _ in range(self._n_workers)]
        for thread in threads:
            thread.start()
        return threads

    def _map(self, function: Callable[[Batch], Item], results: "queue.Queue[_Result[Item]]") -> None:
        try:
            while (batch := self._take()) is not None:
                results.put(_Result((function(batch),)))
        except BaseException as error:  # noqa: BLE001  # raised in the thread that takes the results
            results.put(_Result((), error))
        finally:
            results.put(_Result((), is_last=True))

    def _take(self) -> Batch | None:
        """Return the next batch, None after the last one."""
        with self._changed:
            while True:
                if self._failure is not None:
                    raise self._failure
                if self._closed:
                    return None
                for position in sorted(self._waiting):
                    if self._waiting[position]:
                        batch = self._waiting[position].popleft()
                        if batch.end is not None:
                            del self._waiting[position]
                        self._changed.notify_all()
                        return batch
                if not self._n_reading:
                    return None
                self._changed.wait()

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            for recording in self._open.values():
                recording.close()
            self._changed.notify_all()

    def _read(self) -> None:
        """Read recordings, in a thread, until there are no more."""
        try:
            while (position := self._begin()) is not None:
                for batch in self._batches(position):
                    if not self._put(batch):
                        return
        except BaseException as error:  # noqa: BLE001  # raised in the thread that takes the batches
            with self._changed:
                self._failure = error
        finally:
            with self._changed:
                self._n_reading -= 1
                self._changed.notify_all()

    def _begin(self) -> int | None:
        """Return the position of the next recording once it may be begun; None if there is none."""
        with self._changed:
            while not self._closed and not self._stop.is_set() and self._next < len(self._sources):
                if self._next < min(self._waiting, default=self._next) + WINDOW * self._n_workers:
                    self._next += 1
                    self._waiting[self._next - 1] = deque()
                    return self._next - 1
                self._changed.wait()
            return None

    def _put(self, batch: Batch) -> bool:
        """Hand over a batch once there is room for it; return False if no more are wanted."""
        with self._changed:
            while not self._closed and len(self._waiting[batch.position]) >= WAITING_BATCHES:
                self._changed.wait()
            if not self._closed:
                self._waiting[batch.position].append(batch)
                self._changed.notify_all()
            return not self._closed

    def _batches(self, position: int) -> Iterator[Batch]:
        source = self._sources[position]
        segments: list[Segment] = []
        numbers = count()
        end: RecordingInfo | MediaError
        try:
            with self._recording(position, source) as recording:
                content = ContentFilter(self._content)
                for segment in content.apply(recording.segments(self._sampling)):
                    segments.append(segment)
                    if _is_full(segments):
                        yield Batch(position, next(numbers), tuple(segments))
                        segments = []
                end = _info(recording, content, self._sampling)
        except MediaError as error:
            end = error
        finally:
            with self._changed:
                self._open.pop(position, None)
        yield Batch(position, next(numbers), tuple(segments), end)

    @contextmanager
    def _recording(self, position: int, source: Source) -> Iterator[IsolatedRecording]:
        files, limit = (source.path, source.audio), self._limits.download_bytes
        with local_copies(files, source.versions, limit, lambda: self._closed) as (path, audio):
            assert path is not None
            recording = IsolatedRecording(path, audio, self._decoder, self._limits, source.program)
            self._register(position, recording)
            with recording:
                yield recording

    def _register(self, position: int, recording: IsolatedRecording) -> None:
        with self._changed:
            self._open[position] = recording
            if self._closed:
                recording.close()


def _info(recording: IsolatedRecording, content: ContentFilter, sampling: Sampling) -> RecordingInfo:
    """Return the properties of a recording whose segments were read through `content`."""
    modalities: dict[Modality, bool] = {"audio": recording.has_audio, "video": recording.has_video}
    decoded = [modality for modality in modalities if modalities[modality] and modality in sampling.modalities]
    missing = Missing.of(content, decoded)
    modalities |= dict.fromkeys(missing.throughout, False)
    return RecordingInfo(recording.duration, modalities, recording.warnings, missing, recording.audio_source)


def _is_full(segments: Sequence[Segment]) -> bool:
    n_waveforms = sum(segment.waveform is not None for segment in segments)
    n_frames = len({id(frame.pixels) for segment in segments for frame in segment.frames})
    return max(n_waveforms, n_frames) >= BATCH_SIZE or len(segments) == MAX_SEGMENTS


def batched(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    """Yield the items in tuples of `size`, the last one perhaps shorter (itertools.batched needs Python 3.12)."""
    iterator = iter(items)
    while batch := tuple(islice(iterator, size)):
        yield batch


def prefetch(items: Iterable[Item]) -> Generator[Item, None, None]:
    """Yield the items, each computed in a thread while the one before it is in use."""
    iterator = iter(items)
    end = object()
    with ThreadPoolExecutor(max_workers=1) as pool:
        following = pool.submit(next, iterator, end)
        while (item := following.result()) is not end:
            following = pool.submit(next, iterator, end)
            yield item  # type: ignore[misc]  # never `end`

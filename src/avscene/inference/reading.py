"""Read recordings as batches of segments; worker processes decode several recordings while others are scored."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Generic, TypeVar

from avscene.arguments import wrong_argument
from avscene.errors import MediaError
from avscene.features.content import DEFAULT_CONTENT, ContentFilter, ContentSpec
from avscene.inference.scoring.batches import Batch, RecordingInfo, is_full, recording_info
from avscene.inference.sources import Source
from avscene.media.limits import DEFAULT_LIMITS, Limits
from avscene.media.sampling import CPU, Sampling
from avscene.media.workers import IsolatedRecording, decoder_threads, default_workers
from avscene.records import Segment
from avscene.storage.copies import local_copies

Item = TypeVar("Item")
WAITING_BATCHES = 2  # of each recording that may wait until they are scored
WINDOW = (
    4  # recordings per worker that may be read before the first of them is scored: while one takes long, others go on
)


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
        sources: The recordings; those of an iterator are taken when they are begun, in threads, one at a time.
        sampling: What is decoded of them.
        decoder: Decodes the video.
        content: The thresholds of what holds content.
        limits: Limits of a recording.
        workers: Number of recordings that are decoded at a time.
        stop: No further recording is begun once set.
        in_order: Whether batches of earlier recordings come first and later recordings wait for them; otherwise
            recordings take turns, and none waits for another.
    """

    def __init__(
        self,
        sources: Iterable[Source],
        sampling: Sampling,
        decoder: str = CPU,
        *,
        content: ContentSpec = DEFAULT_CONTENT,
        limits: Limits = DEFAULT_LIMITS,
        workers: int | None = None,
        stop: threading.Event | None = None,
        in_order: bool = True,
    ) -> None:
        self._sampling, self._content, self._decoder = sampling, content, decoder
        self._sources: Iterator[object] = iter(sources)
        self._n_workers = workers or default_workers()
        if isinstance(sources, Sequence):
            self._sources = (sources[position] for position in range(len(sources)))
            self._n_workers = min(self._n_workers, len(sources))
        self._limits = replace(limits, threads=min(limits.threads, decoder_threads(self._n_workers)))
        self._stop = stop or threading.Event()
        self._in_order = in_order
        self._changed = threading.Condition()  # guards all of the following
        self._waiting: dict[int, deque[Batch]] = {}  # of recordings that are not finished, by position
        self._next = 0  # position of the next recording to begin
        self._taking: threading.Thread | None = None  # that waits for the next source
        self._is_exhausted = False
        self._open: dict[int, IsolatedRecording] = {}  # by position
        self._cancelled: set[int] = set()
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
                if thread is not self._taking:  # it may wait for the caller's iterator for ever
                    thread.join()

    def cancel(self, position: int) -> None:
        """Stop reading the recording at `position`, and score no more of it: it ends with a MediaError.

        May be called from any thread.
        """
        with self._changed:
            if self._next > position and position not in self._waiting:
                return  # it was read to its end
            self._cancelled.add(position)
            if (recording := self._open.get(position)) is not None:
                recording.close()

    def stated_duration(self, position: int) -> float | None:
        """Return the duration in seconds that the file at `position` states, while it is read."""
        with self._changed:
            recording = self._open.get(position)
            return None if recording is None else recording.stated_duration

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
                for position in sorted(self._waiting) if self._in_order else list(self._waiting):
                    if self._waiting[position]:
                        batch = self._waiting[position].popleft()
                        if position in self._cancelled:
                            batch = batch.cancelled()
                        waiting = self._waiting.pop(position)
                        if batch.end is None:
                            self._waiting[position] = waiting  # as the last: the others come first if they take turns
                        else:
                            self._cancelled.discard(position)
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
            while (begun := self._begin()) is not None:
                for batch in self._batches(*begun):
                    if not self._put(batch):
                        return
        except BaseException as error:  # noqa: BLE001  # raised in the thread that takes the batches
            with self._changed:
                self._failure = error
        finally:
            with self._changed:
                self._n_reading -= 1
                self._changed.notify_all()

    def _begin(self) -> tuple[int, Source] | None:
        """Return the position and the source of the next recording once it may be begun; None if there is none."""
        with self._changed:
            while not self._is_over() and (self._taking is not None or not self._has_room()):
                self._changed.wait()
            if self._is_over():
                return None
            self._taking = threading.current_thread()
        source: Source | None = None
        try:
            source = self._take_source()
        finally:
            with self._changed:
                self._taking, self._is_exhausted = None, source is None
                self._changed.notify_all()
        with self._changed:
            if source is None or self._is_over():
                return None
            self._next += 1
            self._waiting[self._next - 1] = deque()
            return self._next - 1, source

    def _take_source(self) -> Source | None:
        """Return the next source; the iterator may wait, so that no lock is held."""
        source = next(self._sources, None)
        if source is not None and not isinstance(source, Source):
            raise wrong_argument(f"source {self._next}", source, "a Source", "System.classify_many for paths")
        return source

    def _is_over(self) -> bool:
        return self._closed or self._is_exhausted or self._stop.is_set()

    def _has_room(self) -> bool:
        if not self._in_order:
            return True
        return self._next < min(self._waiting, default=self._next) + WINDOW * self._n_workers

    def _put(self, batch: Batch) -> bool:
        """Hand over a batch once there is room for it; return False if no more are wanted."""
        with self._changed:
            while not self._closed and len(self._waiting[batch.position]) >= WAITING_BATCHES:
                self._changed.wait()
            if not self._closed:
                self._waiting[batch.position].append(batch)
                self._changed.notify_all()
            return not self._closed

    def _batches(self, position: int, source: Source) -> Iterator[Batch]:
        segments: list[Segment] = []
        numbers = count()
        end: RecordingInfo | MediaError
        try:
            with self._recording(position, source) as recording:
                content = ContentFilter(self._content)
                for segment in content.apply(recording.segments(self._sampling)):
                    segments.append(segment)
                    if is_full(segments):
                        yield Batch(position, next(numbers), tuple(segments), source)
                        segments = []
                end = recording_info(recording, content, self._sampling)
        except MediaError as error:
            end = error
        finally:
            with self._changed:
                self._open.pop(position, None)
        yield Batch(position, next(numbers), tuple(segments), source, end)

    @contextmanager
    def _recording(self, position: int, source: Source) -> Iterator[IsolatedRecording]:
        limit = self._limits.download_bytes
        with local_copies(source.files, source.versions, limit, lambda: self._closed) as (path, audio):
            assert path is not None
            recording = IsolatedRecording(path, audio, self._decoder, self._limits, source.program)
            self._register(position, recording)
            with recording:
                yield recording

    def _register(self, position: int, recording: IsolatedRecording) -> None:
        with self._changed:
            self._open[position] = recording
            if self._closed or position in self._cancelled:
                recording.close()


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

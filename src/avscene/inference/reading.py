"""Read recordings as batches of segments; decode the next batch while the current one is scored."""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from avscene.errors import AvsceneError
from avscene.media.hardware import CPU
from avscene.media.segments import Recording, Sampling
from avscene.records import Modality, Segment

Item = TypeVar("Item")
BATCH_SIZE = 16  # waveforms or frames scored at once: enough to keep networks busy, few enough to bound memory
MAX_SEGMENTS = 64  # of a batch, where many segments share a frame (key frames)
MAX_RECORDING_ENDS = 64  # of a batch: outcomes of recordings that cannot be read do not wait for segments


@dataclass(frozen=True, slots=True)
class Source:
    """A media file and, if the audio is apart, the file that holds it."""

    path: str | Path
    audio: str | Path | None = None


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """Properties of a recording, complete once all of it was read; `duration` is in seconds."""

    duration: float
    modalities: dict[Modality, bool]
    warnings: tuple[str, ...]


# A recording is read as its segments, then its properties or the error that ended it.
ReadItem = Segment | RecordingInfo | AvsceneError


class SegmentReader:
    """Recordings of `sources` in batches of items, each with the position of its source.

    A batch has BATCH_SIZE different waveforms or frames, of one or more recordings, so that short recordings are scored
    together. `decoder` decodes the video.
    """

    def __init__(self, sources: Sequence[Source], sampling: Sampling, decoder: str = CPU) -> None:
        self._sources = sources
        self._decoder = decoder
        self._sampling = sampling
        self._stopped = threading.Event()

    def __iter__(self) -> Iterator[list[tuple[int, ReadItem]]]:
        batch: list[tuple[int, ReadItem]] = []
        for position, item in self._items():
            batch.append((position, item))
            if _is_full([item for _, item in batch]):
                yield batch
                batch = []
        if batch:
            yield batch

    def stop(self) -> None:
        """End reading after the segment that is being read; may be called from any thread."""
        self._stopped.set()

    def _items(self) -> Iterator[tuple[int, ReadItem]]:
        for position, source in enumerate(self._sources):
            try:
                with Recording(source.path, source.audio, self._decoder) as recording:
                    for segment in recording.segments(self._sampling):
                        if self._stopped.is_set():
                            return
                        yield position, segment
                    modalities: dict[Modality, bool] = {"audio": recording.has_audio, "video": recording.has_video}
                    info = RecordingInfo(recording.duration, modalities, recording.warnings)
            except AvsceneError as error:
                yield position, error
            else:
                yield position, info


def _is_full(items: Sequence[ReadItem]) -> bool:
    segments = [item for item in items if isinstance(item, Segment)]
    n_waveforms = sum(segment.waveform is not None for segment in segments)
    n_frames = len({id(frame.pixels) for segment in segments for frame in segment.frames})
    n_ends = len(items) - len(segments)
    return max(n_waveforms, n_frames) >= BATCH_SIZE or len(segments) == MAX_SEGMENTS or n_ends == MAX_RECORDING_ENDS


def batched(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    """Yield the items in tuples of `size`, the last one perhaps shorter (itertools.batched needs Python 3.12)."""
    iterator = iter(items)
    while batch := tuple(islice(iterator, size)):
        yield batch


def prefetch(items: Iterable[Item], stop: Callable[[], None] = lambda: None) -> Generator[Item, None, None]:
    """Yield the items, each computed in a thread while the one before it is in use.

    `stop` is called when no more items are wanted, to end the computation of the next item early.
    """
    iterator = iter(items)
    end = object()
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            following = pool.submit(next, iterator, end)
            while (item := following.result()) is not end:
                following = pool.submit(next, iterator, end)
                yield item  # type: ignore[misc]  # never `end`
        finally:
            stop()

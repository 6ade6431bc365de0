"""Recordings -> batches of their segments, decoded ahead of whoever scores them, in memory that does not grow."""

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
BATCH = 16  # sounds or images scored at a time: enough to keep the networks busy, little enough to keep memory flat
MOST_SEGMENTS = 64  # in a batch, where many show one image (key frames)
MOST_ENDS = 64  # recordings that end in a batch: those that cannot be read do not hold the others up


@dataclass(frozen=True, slots=True)
class Source:
    """A media file and, if it is apart, the file that holds its sound."""

    path: str | Path
    audio: str | Path | None = None


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """What is known of a recording once all of it was read."""

    duration: float
    modalities: dict[Modality, bool]
    warnings: tuple[str, ...]


ReadItem = (
    Segment | RecordingInfo | AvsceneError
)  # of a recording: its segments, and in the end what is known of it, or why not


class SegmentReader:
    """The recordings of `sources` in batches of pieces, each with the position of its source.

    Batches have BATCH different sounds or images, whichever recordings those belong to, so that short ones are scored
    together too. `decoder` decodes the pictures.
    """

    def __init__(self, sources: Sequence[Source], sampling: Sampling, decoder: str = CPU) -> None:
        self._sources = sources
        self._decoder = decoder
        self._sampling = sampling
        self._stopped = threading.Event()

    def __iter__(self) -> Iterator[list[tuple[int, ReadItem]]]:
        batch: list[tuple[int, ReadItem]] = []
        for position, piece in self._pieces():
            batch.append((position, piece))
            if _full([piece for _, piece in batch]):
                yield batch
                batch = []
        if batch:
            yield batch

    def stop(self) -> None:
        """No more pieces after the one that is being read, in whichever thread that is."""
        self._stopped.set()

    def _pieces(self) -> Iterator[tuple[int, ReadItem]]:
        for position, source in enumerate(self._sources):
            try:
                with Recording(source.path, source.audio, self._decoder) as recording:
                    for segment in recording.segments(self._sampling):
                        if self._stopped.is_set():
                            return
                        yield position, segment
                    modalities: dict[Modality, bool] = {"audio": recording.has_audio, "video": recording.has_video}
                    facts = RecordingInfo(recording.duration, modalities, recording.warnings)
            except AvsceneError as error:
                yield position, error
            else:
                yield position, facts


def _full(pieces: Sequence[ReadItem]) -> bool:
    segments = [piece for piece in pieces if isinstance(piece, Segment)]
    n_sounds = sum(segment.waveform is not None for segment in segments)
    n_images = len({id(frame.pixels) for segment in segments for frame in segment.frames})
    n_ends = len(pieces) - len(segments)
    return max(n_sounds, n_images) >= BATCH or len(segments) == MOST_SEGMENTS or n_ends == MOST_ENDS


def batched(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    """The items in tuples of `size`, the last one perhaps shorter (itertools.batched, of Python 3.12)."""
    iterator = iter(items)
    while batch := tuple(islice(iterator, size)):
        yield batch


def ahead(items: Iterable[Item], stop: Callable[[], None] = lambda: None) -> Generator[Item, None, None]:
    """The same items, each made in a thread while the one before it is in use.

    `stop` is called when no more items are wanted: then the one that is being made had better end soon.
    """
    iterator = iter(items)
    end = object()
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            coming = pool.submit(next, iterator, end)
            while (item := coming.result()) is not end:
                coming = pool.submit(next, iterator, end)
                yield item  # type: ignore[misc]  # `end` never gets here
        finally:
            stop()

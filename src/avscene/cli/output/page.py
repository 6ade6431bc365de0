"""Write the page of recordings, with a frame of each that worker processes read in advance."""

import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from avscene.cli.output.files import TextOutput
from avscene.media.workers import MiddleFrameReader, default_workers
from avscene.records import ByteArray, Prediction
from avscene.reports.recordings.markup import SystemInfo
from avscene.reports.recordings.page import page_texts
from avscene.reports.recordings.spans import Outcome
from avscene.storage.urls import is_remote

FRAME_SIZE = 90  # pixels of the shorter side
AHEAD = 4  # frames for each worker that may be read before they are needed


def write_page(
    path: Path, outcomes: Iterable[Outcome], system: SystemInfo, frames: MiddleFrameReader, stop: threading.Event
) -> None:
    """Write a page with a row for each outcome; the file appears complete.

    Raises:
        UsageError: the file cannot be written.
        KeyboardInterrupt: `stop` was set.
    """
    with TextOutput(path, one_writer=True) as out, closing(_with_frames(outcomes, frames, stop)) as rows:
        for text in page_texts(rows, system):
            out.write(text)


def _with_frames(
    outcomes: Iterable[Outcome], frames: MiddleFrameReader, stop: threading.Event
) -> Generator[tuple[Outcome, ByteArray | None], None, None]:
    """Yield each outcome with its frame; frames are read in threads, a bounded number in advance."""
    n_threads = default_workers()
    pending: deque[tuple[Outcome, Future[ByteArray | None]]] = deque()
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for outcome in outcomes:
                pending.append((outcome, pool.submit(_frame, outcome, frames)))
                if len(pending) > AHEAD * n_threads:
                    yield _finished(*pending.popleft(), stop)
            while pending:
                yield _finished(*pending.popleft(), stop)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            if pending:  # interrupted
                frames.close()


def _finished(
    outcome: Outcome, frame: "Future[ByteArray | None]", stop: threading.Event
) -> tuple[Outcome, ByteArray | None]:
    if stop.is_set():
        raise KeyboardInterrupt
    return outcome, frame.result()


def _frame(outcome: Outcome, frames: MiddleFrameReader) -> ByteArray | None:
    """Return the frame of a recording; None for a URL, which would be copied a second time."""
    if not isinstance(outcome, Prediction) or not outcome.modalities["video"] or is_remote(outcome.source):
        return None
    return frames.read(outcome.source, outcome.duration)

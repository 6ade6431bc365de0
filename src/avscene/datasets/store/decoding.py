"""Decode recordings to files from which a store takes their rows: in threads, or on the nodes of a cluster."""

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from avscene.cluster import Scheduler
from avscene.datasets.store.manifest import StoreSpec
from avscene.datasets.store.rows import DecodingCancelled, decode_to_file
from avscene.errors import MediaError, UsageError
from avscene.files import sha256_of
from avscene.media.limits import DEFAULT_LIMITS
from avscene.media.workers import default_workers
from avscene.records import Example
from avscene.storage.copies import local_copies
from avscene.storage.urls import shown

WORKERS = default_workers()  # recordings decoded at a time; the decoder uses more threads
STALL_MARGIN = 240.0  # seconds on top of the limit of a recording, for its SHA-256
AHEAD = 4 * WORKERS  # decoded recordings that may wait on disk for one that takes long


@dataclass(frozen=True, slots=True)
class Decoded:
    """A recording that is new or has changed: `rows` rows in the file `path`, or the reason why there are none."""

    name: str
    path: Path
    rows: int = 0
    notes: tuple[str, ...] = ()
    failure: str | None = None


Outcome = Decoded | MediaError | None  # an error if a recording cannot be opened; None if it has not changed


@dataclass(frozen=True, slots=True)
class Decoder:
    """Decodes recordings whose SHA-256 is not that in `stored`, by name, to files in `directory`."""

    stored: Mapping[str, str]
    spec: StoreSpec
    directory: Path

    def decode(self, number: int, example: Example, stopped: Callable[[], bool]) -> Outcome:
        """Decode the recording that is `number` in its data set.

        Raises:
            OSError: the file cannot be written.
            DecodingCancelled: `stopped` returned true.
        """
        path = self.directory / f"{number}.arrow"
        try:
            with local_copies((example.path, example.audio), stopped=stopped) as (media, audio):
                assert media is not None
                local, name = replace(example, path=media, audio=audio), shown(example.path)
                sha256 = _content_hash(local)
                if self.stored.get(example.name) == sha256:
                    return None
                try:
                    rows, notes = decode_to_file(local, sha256, self.spec, path, stopped)
                except MediaError as error:
                    return Decoded(example.name, path, failure=str(error).replace(str(media), name))
                return Decoded(example.name, path, rows, tuple(note.replace(str(media), name) for note in notes))
        except MediaError as error:
            return error


def decode_in_threads(decoder: Decoder, examples: Sequence[Example], stop: threading.Event) -> Generator[Outcome]:
    """Decode recordings, a bounded number of them ahead; yield the outcomes in their order."""
    pool = ThreadPoolExecutor(WORKERS)
    waiting: deque[Future[Outcome]] = deque()
    try:
        for number, example in enumerate(examples):
            waiting.append(pool.submit(decoder.decode, number, example, stop.is_set))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def decode_on_cluster(decoder: Decoder, examples: Sequence[Example], stop: threading.Event) -> Generator[Outcome]:
    """Decode recordings on the nodes of the connected cluster; yield the outcomes in their order.

    Raises:
        UsageError: no node can decode them.
    """

    def give_up(example: Example) -> MediaError:
        return MediaError(f"{example.path}: the process that reads it ended or hung twice")

    task = _DecodingTask(replace(decoder, directory=decoder.directory.absolute()), Path.cwd())
    return Scheduler(task, enumerate(examples), DEFAULT_LIMITS.stall + STALL_MARGIN, stop).in_order(give_up)


@dataclass(frozen=True, slots=True)
class _DecodingTask:
    """Decodes units of recordings in an actor; `folder` is the working directory, to which paths are relative."""

    decoder: Decoder
    folder: Path

    def __call__(self) -> "_DecodingTask":
        """Check that this node sees the folders.

        Raises:
            UsageError: it does not.
        """
        try:
            os.chdir(self.folder)
            os.stat(self.decoder.directory)  # noqa: PTH116
        except OSError as error:
            raise UsageError(f"{error.filename}: {error.strerror} on a node; use folders that all nodes see") from error
        return self

    def run(
        self, items: Sequence[tuple[int, Example]], report: Callable[[], None], stop: threading.Event
    ) -> list[Outcome]:
        """Decode recordings, given with their numbers."""

        def stopped() -> bool:  # asked after every few segments
            report()
            return stop.is_set()

        with ThreadPoolExecutor(int(os.environ.get("OMP_NUM_THREADS", "1"))) as pool:
            try:
                return list(pool.map(lambda item: self.decoder.decode(item[0], item[1], stopped), items))
            except DecodingCancelled:
                return []


def _content_hash(example: Example) -> str:
    """Return the SHA-256 of a recording's file, or of the digests of its video and audio files."""
    paths = [path for path in (example.path, example.audio) if path is not None]
    digests = []
    for path in paths:
        try:
            digests.append(sha256_of(Path(path)))
        except OSError as error:
            raise MediaError(f"{path}: cannot be read ({error.strerror or error})") from error
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()

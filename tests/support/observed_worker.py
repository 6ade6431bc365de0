"""Run a worker process that notes each recording which it opens, and that fails like `faulty_worker`.

Usage: `python observed_worker.py DESCRIPTOR`, in place of `python -m avscene.media.workers DESCRIPTOR`. The variable
OPENED_LOG names the file of notes. A recording called `wait-...` is not opened until the file `PATH.go` exists.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from avscene.media import segments
from avscene.media.sampling import Sampling
from avscene.media.workers.__main__ import main
from avscene.records import Segment
from tests.support.faulty_worker import FaultyRecording


def note(event: str, path: str | Path) -> None:
    """Append a line to the notes, at once, so that it survives the end of this process."""
    descriptor = os.open(os.environ["OPENED_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, f"{event} {time.monotonic()} {os.getpid()} {path}\n".encode())
    os.close(descriptor)


class ObservedRecording(FaultyRecording):
    """Notes when it is opened, each segment that was sent, and the end."""

    def __init__(self, path: str, *arguments: object) -> None:
        note("open", path)
        while Path(path).name.startswith("wait-") and not Path(f"{path}.go").exists():
            time.sleep(0.01)
        try:
            super().__init__(path, *arguments)
        except Exception:
            note("end", path)
            raise

    def segments(self, sampling: Sampling) -> Iterator[Segment]:
        try:
            for segment in super().segments(sampling):
                yield segment
                note("segment", self.path)
        finally:
            note("end", self.path)


if __name__ == "__main__":
    segments.Recording = ObservedRecording  # type: ignore[misc]
    main()

"""Run a worker process whose decoder crashes, hangs, allocates or writes garbage on recordings of certain names.

Usage: `python faulty_worker.py DESCRIPTOR`, in place of `python -m avscene.media.workers DESCRIPTOR`. The fault is the
first part of the file's name, as in `crash-anything.mp4`, or its suffix, as in `a.crash`; `open-` hangs while the file
is opened. With `-later` in the name, it comes after the first segment.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from avscene.media import segments
from avscene.media.sampling import Sampling
from avscene.media.workers.__main__ import main
from avscene.records import Segment

LIBC = ctypes.CDLL(None)


def crash() -> None:
    ctypes.string_at(0)  # reads address 0


def abort() -> None:
    LIBC.abort()


def hang() -> None:
    LIBC.pause()  # native code that releases Python's lock, as PyAV does


def lock() -> None:
    ctypes.PyDLL(None).pause()  # native code that keeps Python's lock


def loop() -> None:
    while True:
        pass


def allocate() -> None:
    kept = []
    while True:
        kept.append(bytearray(b"x") * 2**26)


def leave() -> None:
    os._exit(7)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def garbage() -> None:
    os.write(int(sys.argv[1]), b"0123456789abcdef" * 1000)
    LIBC.pause()


def header() -> None:
    """A message that promises more than it may."""
    os.write(int(sys.argv[1]), b"avs1" + b"\xff" * 12)
    LIBC.pause()


FAULTS = {fault.__name__: fault for fault in (crash, abort, hang, lock, loop, allocate, leave, kill, garbage, header)}


class FaultyRecording(segments.Recording):
    """Decodes, but not the recordings whose names say otherwise."""

    def __init__(self, path: str, *arguments: object) -> None:
        if Path(path).name.startswith("open"):
            hang()
        super().__init__(path, *arguments)  # type: ignore[arg-type]

    def segments(self, sampling: Sampling) -> Iterator[Segment]:
        fault = FAULTS.get(self.path.name.split("-")[0]) or FAULTS.get(self.path.suffix[1:])
        if fault is not None and "-later" not in self.path.name:
            self._fail(fault)
        for segment in super().segments(sampling):
            yield segment
            if fault is not None:
                self._fail(fault)

    def _fail(self, fault) -> None:
        """Fail; a recording called `-once` fails in one process only."""
        mark = Path(f"{self.path}.failed")
        if "-once" in self.path.name and mark.exists():
            return
        if "-once" in self.path.name:
            mark.touch()
        fault()


if __name__ == "__main__":
    segments.Recording = FaultyRecording
    main()

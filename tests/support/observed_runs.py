"""Run commands whose worker processes are replaced; observe their processes, files and opened recordings."""

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import observed_worker
from tests.support.processes import ROOT

PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from avscene.media.workers import process
process.COMMAND = (sys.executable, "-P", sys.argv.pop(1))
from avscene.cli.main import main
main()
"""


@dataclass(frozen=True)
class Note:
    """What a worker process did with a recording (open, segment, end), and when, in seconds of the monotonic clock."""

    event: str
    time: float
    worker: int
    path: str


class ObservedRuns:
    """Runs of commands in `folder`; their processes are found by a variable in their environment."""

    def __init__(self, folder: Path, worker: str = observed_worker.__file__) -> None:
        self.folder = folder
        self.log = folder / "opened.log"
        self.temporary = folder / "temporary"
        self.messages = folder / "messages.txt"
        self._worker = worker
        self.temporary.mkdir(parents=True)

    @contextmanager
    def running(self, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Start `avscene ARGUMENTS`; at the end the process, if it still runs, is killed."""
        with self.messages.open("wb") as messages:
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, self._worker, *arguments],
                stdout=messages,
                stderr=messages,
                cwd=self.folder,
                env=os.environ
                | {
                    "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
                    "OPENED_LOG": str(self.log),
                    "TMPDIR": str(self.temporary),
                },
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def run(self, *arguments: str) -> int:
        """Run `avscene ARGUMENTS` and return the exit code."""
        with self.running(*arguments) as process:
            return process.wait()

    def processes(self) -> list[int]:
        """Return the ids of the processes of all runs that have not ended, orphans included."""
        return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if self._is_ours(folder)]

    def _is_ours(self, process: Path) -> bool:
        try:
            return os.fsencode(f"OPENED_LOG={self.log}") in (process / "environ").read_bytes().split(b"\0")
        except OSError:  # it ended, or is another user's
            return False

    def notes(self) -> list[Note]:
        """Return what the worker processes noted so far."""
        # Names may hold characters that end a line for `splitlines`; the last line may be incomplete.
        lines = self.log.read_bytes().decode().split("\n")[:-1] if self.log.exists() else []
        fields = [line.split(" ", 3) for line in lines]
        return [Note(event, float(time), int(worker), path) for event, time, worker, path in fields]

    def opened(self) -> list[str]:
        """Return the paths that worker processes opened, in the order of time, as often as they did."""
        return [note.path for note in self.notes() if note.event == "open"]

    def decoding(self) -> set[int]:
        """Return the ids of the worker processes that have sent segments of a recording and not come to its end."""
        last = {note.worker: note.event for note in self.notes()}
        return {worker for worker, event in last.items() if event == "segment"}


def recorded(journal: Path) -> set[str]:
    """Return the paths of the recordings that the journal of a run which has ended knows."""
    if not journal.exists():
        return set()
    with closing(sqlite3.connect(journal)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        rows = connection.execute("SELECT source FROM records").fetchall() if "records" in tables else []
    return {os.fsdecode(source) for (source,) in rows}


@dataclass(frozen=True)
class Resources:
    """What a process uses: kinds of its open descriptors, threads, child processes, and memory in MiB."""

    descriptors: Counter[str]
    n_threads: int
    n_children: int
    memory: float


def resources(pid: int) -> Resources:
    """Return what a process uses now."""
    process = Path("/proc", str(pid))
    targets = [str(file.readlink()) for file in (process / "fd").iterdir()]
    resident = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmRSS:"))
    return Resources(
        Counter(target.partition(":[")[0] for target in targets),
        len(list((process / "task").iterdir())),
        len(children(pid)),
        int(resident.split()[1]) / 1024,
    )


def children(pid: int) -> list[int]:
    """Return the ids of the child processes of a process, those that ended but were not waited for included."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(file.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended
            continue
        if parent == pid:
            found.append(int(file.parent.name))
    return found

"""Time the first result of `avscene classify --system conse`, and `avscene --help`, in new processes.

python -m benchmarks.startup [--rounds 9]

Importing torch takes the larger part of the first, so that is what it is compared with.
"""

import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from benchmarks.harness import Row, duration, main, ratios, time_in_turn
from benchmarks.videos import cached_video

SIZE = {"width": 640, "height": 360, "fps": 25}
SECONDS = 5
MAX_RATIO = 2.2
MAX_HELP_SECONDS = 0.3

CLASSIFY = "classify, 5 s of 360p"
HELP = "--help"
TORCH = "import torch"
PYTHON = "python without imports"


class Process:
    """A command to run in turns; `processor` holds the user and system seconds of each run."""

    def __init__(self, *arguments: object) -> None:
        self._command = [sys.executable, *map(str, arguments)]
        self.processor: list[float] = []

    def __call__(self) -> None:
        before = _children_seconds()
        subprocess.run(self._command, check=True, stdout=subprocess.DEVNULL, cwd=Path(__file__).parent.parent)
        self.processor.append(_children_seconds() - before)


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    video = cached_video(1 if quick else SECONDS, **SIZE)
    classify = Process("-m", "avscene", "classify", video, "--system", "conse")
    torch = Process("-c", "import torch")
    yield _row(CLASSIFY, classify, TORCH, torch, rounds, f"at most {MAX_RATIO:g}")
    limit = f"at most {duration(MAX_HELP_SECONDS)}"
    yield _row(HELP, Process("-m", "avscene", "--help"), PYTHON, Process("-c", ""), rounds, limit)


def _row(name: str, ours: Process, peer_name: str, peer: Process, rounds: int, target: str) -> Row:
    """The row whose ratios are how many times as long as the peer `ours` takes."""
    times = time_in_turn({name: ours, peer_name: peer}, rounds)
    processor = _processor_ratio(ours.processor, peer.processor)
    return Row(
        f"new process: avscene {name}",
        duration(median(times[name])),
        f"{peer_name}: {duration(median(times[peer_name]))}",
        ratios(times[name], times[peer_name]),
        note=f"ratio: times as long; in processor time: {processor:.2f}",
        target_text=target,
    )


def _processor_ratio(ours: Sequence[float], peer: Sequence[float]) -> float:
    """The median over the rounds that count."""
    return median(own / other for own, other in zip(ours[1:], peer[1:], strict=True))


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main(rows, __doc__)

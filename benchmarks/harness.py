"""Runs in turn, their medians and spread, and the rows that tell of them."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Run = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One line of the results; `ratios` are those of the rounds, `least` is what their median should reach."""

    what: str
    ours: str
    peer: str
    ratios: tuple[float, ...]
    least: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    def markdown(self) -> str:
        spread = f"{min(self.ratios):.2f} to {max(self.ratios):.2f}"
        wanted = "" if self.least is None else f"{self.least:g}"
        return f"| {self.what} | {self.ours} | {self.peer} | {self.ratio:.2f} | {spread} | {wanted} | {self.note} |"


def seconds(run: Run) -> float:
    """What one run takes on the clock."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def in_turn(runs: Mapping[str, Run], rounds: int) -> dict[str, list[float]]:
    """Seconds of every run in every round, after a round that does not count.

    Runs take turns, so that what else the machine does falls on all of them.
    """
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            time_taken = seconds(run)
            if number:
                taken[name].append(time_taken)
    return taken


def ratios(peer: list[float], ours: list[float]) -> tuple[float, ...]:
    """How many times the peer takes as long, round by round."""
    return tuple(theirs / own for theirs, own in zip(peer, ours, strict=True))

"""Runs in turn, their medians and spread, and the rows that tell of them."""

import argparse
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

HEADINGS = ("what", "avscene", "instead", "ratio", "spread", "wanted", "note")

Run = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One line of the results; `ratios` are those of the rounds, `least` is what their median should reach.

    `wanted` says in words what is not a least.
    """

    what: str
    ours: str
    peer: str
    ratios: tuple[float, ...]
    least: float | None = None
    note: str = ""
    wanted: str = ""

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    def markdown(self) -> str:
        spread = f"{min(self.ratios):.2f} to {max(self.ratios):.2f}"
        wanted = self.wanted if self.least is None else f"{self.least:g}"
        return f"| {self.what} | {self.ours} | {self.peer} | {self.ratio:.2f} | {spread} | {wanted} | {self.note} |"


def compared(
    what: str, taken: Mapping[str, list[float]], ours: str, peer: str, least: float | None = None, note: str = ""
) -> Row:
    """The row of two runs out of those that took turns."""
    told = f"{peer}: {duration(median(taken[peer]))}"
    return Row(what, duration(median(taken[ours])), told, ratios(taken[peer], taken[ours]), least, note)


def duration(seconds: float) -> str:
    """Three figures and a unit."""
    value, unit = (seconds, "s") if seconds >= 1 else (1000 * seconds, "ms")
    return f"{value:.{max(0, 2 - int(math.log10(max(value, 1))))}f} {unit}"


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


def table(rows: Iterable[Row]) -> Iterator[str]:
    """Lines of Markdown."""
    yield f"| {' | '.join(HEADINGS)} |"
    yield "|---" * len(HEADINGS) + "|"
    for row in rows:
        yield row.markdown()


def main(rows: Callable[[int, bool], Iterator[Row]], described: str | None) -> None:
    """Run one module's benchmarks alone and print each row as it comes."""
    parser = argparse.ArgumentParser(description=described, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether it runs, not how fast")
    options = parser.parse_args()
    for line in table(rows(options.rounds, options.quick)):
        print(line, flush=True)

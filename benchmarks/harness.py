"""Time alternatives in turn and format medians and ratios as rows of a table."""

import argparse
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

HEADINGS = ("benchmark", "avscene", "alternative", "ratio", "range", "target", "note")

Run = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One line of the results.

    `ratios` are those of the rounds; their median should reach `target`. `target_text` states other targets in words.
    """

    name: str
    ours: str
    peer: str
    ratios: tuple[float, ...]
    target: float | None = None
    note: str = ""
    target_text: str = ""

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    def markdown(self) -> str:
        span = f"{min(self.ratios):.2f} to {max(self.ratios):.2f}"
        target = self.target_text if self.target is None else f"{self.target:g}"
        return f"| {self.name} | {self.ours} | {self.peer} | {self.ratio:.2f} | {span} | {target} | {self.note} |"


def comparison_row(
    name: str, times: Mapping[str, list[float]], ours: str, peer: str, target: float | None = None, note: str = ""
) -> Row:
    """Return the row of two of the runs that were timed in turn."""
    peer_time = f"{peer}: {duration(median(times[peer]))}"
    return Row(name, duration(median(times[ours])), peer_time, ratios(times[peer], times[ours]), target, note)


def duration(seconds: float) -> str:
    """Format a duration with three significant digits and a unit."""
    value, unit = (seconds, "s") if seconds >= 1 else (1000 * seconds, "ms")
    return f"{value:.{max(0, 2 - int(math.log10(max(value, 1))))}f} {unit}"


def seconds(run: Run) -> float:
    """Return the wall-clock seconds of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def time_in_turn(runs: Mapping[str, Run], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every run in every round, after one round to warm up.

    Runs take turns, so that other load on the machine affects all of them.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            time_taken = seconds(run)
            if number:
                times[name].append(time_taken)
    return times


def ratios(peer: list[float], ours: list[float]) -> tuple[float, ...]:
    """Return the time of the peer divided by ours, for each round."""
    return tuple(theirs / own for theirs, own in zip(peer, ours, strict=True))


def table(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield f"| {' | '.join(HEADINGS)} |"
    yield "|---" * len(HEADINGS) + "|"
    for row in rows:
        yield row.markdown()


def main(rows: Callable[[int, bool], Iterator[Row]], description: str | None) -> None:
    """Run the benchmarks of one module and print each row as soon as it is measured."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to check that it runs")
    options = parser.parse_args()
    for line in table(rows(options.rounds, options.quick)):
        print(line, flush=True)

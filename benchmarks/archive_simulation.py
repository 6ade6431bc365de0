"""Simulate a run over an archive on a cluster, event by event: which part of the driver limits how many actors.

    python -m benchmarks.archive_simulation          # with the costs below: tables in Markdown
    python -m benchmarks.archive_costs               # measures costs, and checks the simulation against a real run

The driver is one thread. In a turn it takes answers of actors, moves their Parquet parts into the journal in one
transaction, writes the results, lists the next inputs and gives out units. An actor computes the files of a unit and
writes a part. Nodes fail at random; their units are done again, and another node takes their place.
"""

import math
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

import numpy as np
import simpy

UNITS = 30  # of each actor: so much of an archive is simulated; the rate in its middle is that of the whole
ACTORS, FILES = 1000, 10_000_000


@dataclass(frozen=True)
class Costs:
    """Seconds of the driver, except those of an actor; measured by `archive_costs`, load and machine in its page."""

    list_item: float  # list an input and look it up in the journal
    turn: float  # one turn of the driver: wait for an answer, fetch it, give out a unit
    turn_per_actor: float  # more of it for each actor that is waited for
    dispatch_item: float  # send and receive an item of a unit
    read_unit: float  # open and remove a part
    read_item: float
    commit: float  # a transaction of the journal
    record: float  # a row of the journal
    write_item: float  # take a ready line out of its part and write it
    write_segment: float  # more of it for each segment
    part_unit: float  # of an actor: write a part
    part_item: float


@dataclass(frozen=True)
class Run:
    """What is simulated: `seconds` of an actor for a file have a log-normal distribution of this relative `spread`.

    With `unit` 0, a unit has as many files as take UNIT_SECONDS, at most MAX_UNIT. With `batched`, a turn takes all
    answers that are there, in one transaction; without, one answer.
    """

    actors: int
    files: int
    seconds: float
    spread: float
    unit: int
    batched: bool = True
    segments: int = 5  # of a file
    node_actors: int = 10
    node_hours: float = math.inf  # mean time between two failures of a node
    detect: float = 10.0  # until the driver knows of it
    replace: float = 300.0  # until another node has taken its place
    seed: int = 0


@dataclass(frozen=True)
class Result:
    """Makespan in seconds, and shares of it; `rate` is the files per second between the first fifth and the last."""

    seconds: float
    rate: float
    files: int
    driver_busy: float
    actors_busy: float  # in computing files whose results count
    n_lost: int  # units

    @property
    def files_per_second(self) -> float:
        return self.files / self.seconds


UNIT_SECONDS, MAX_UNIT = 30.0, 1024


def unit_of(run: Run) -> int:
    """Return the number of files of a unit."""
    return run.unit or max(1, min(MAX_UNIT, int(UNIT_SECONDS / run.seconds)))


class Archive:
    """The state of one simulation."""

    def __init__(self, run: Run, costs: Costs) -> None:
        self.run, self.costs = run, costs
        self.env = simpy.Environment()
        self.random = np.random.default_rng(run.seed)
        self.left = run.files
        self.done = 0
        self.again: deque[int] = deque()
        self.answers = simpy.Store(self.env)  # (size of a finished unit, event by which its actor gets the next one)
        self.driver_seconds = self.computed = 0.0
        self.n_lost = 0
        self.end = 0.0
        self.times: list[tuple[float, int]] = []  # of turns, and files done until then

    def simulate(self) -> Result:
        """Run until every file has its result."""
        for number in range(self.run.actors):
            self.env.process(self._actor(number // self.run.node_actors))
        self.env.run(until=self.env.process(self._driver()))
        busy = self.computed / (self.end * self.run.actors)
        return Result(self.end, self._rate(), self.run.files, self.driver_seconds / self.end, busy, self.n_lost)

    def _rate(self) -> float:
        middle = [(time, done) for time, done in self.times if 0.2 <= done / self.run.files <= 0.8]
        (first, n_first), (last, n_last) = middle[0], middle[-1]
        return (n_last - n_first) / (last - first) if last > first else self.run.files / self.end

    def _next_unit(self) -> int:
        if self.again:
            return self.again.popleft()
        size = min(unit_of(self.run), self.left)
        self.left -= size
        return size

    def _driver(self) -> Generator[simpy.Event, object, None]:
        costs, waiting = self.costs, deque()
        while self.done < self.run.files:
            answers = [(yield self.answers.get())]
            while self.run.batched and self.answers.items:
                answers.append((yield self.answers.get()))
            finished = [size for size, _ in answers if size]
            seconds = costs.turn + costs.turn_per_actor * self.run.actors
            seconds += (len(answers) - 1) * costs.turn  # each is fetched, and its actor gets a unit
            seconds += costs.commit * bool(finished) + costs.read_unit * len(finished)
            seconds += (costs.read_item + costs.record + write_seconds(costs, self.run.segments)) * sum(finished)
            waiting.extend(ready for _, ready in answers)
            given = []
            while waiting and (size := self._next_unit()):
                given.append((waiting.popleft(), size))
                seconds += (costs.list_item + costs.dispatch_item) * size
            self.driver_seconds += seconds
            yield self.env.timeout(seconds)
            for ready, size in given:
                ready.succeed(size)
            self.done += sum(finished)
            if finished:
                self.times.append((self.env.now, self.done))
            while waiting and self.again:  # of nodes that were lost meanwhile
                waiting.popleft().succeed(self.again.popleft())
        self.end = self.env.now

    def _actor(self, node: int) -> Generator[simpy.Event, int, None]:
        """Compute units; the failures of a node are the same for all of its actors."""
        failures = np.random.default_rng([self.run.seed, node])
        fails = failures.exponential(self.run.node_hours * 3600)
        finished = 0
        while True:
            ready = self.env.event()
            self.answers.put((finished, ready))
            size = yield ready
            seconds = self._service(size) + self.costs.part_unit + self.costs.part_item * size
            while fails < self.env.now:  # while it waited: the driver gives it no work before it is replaced
                fails += self.run.replace + failures.exponential(self.run.node_hours * 3600)
            if fails < self.env.now + seconds:
                yield self.env.timeout(fails - self.env.now + self.run.detect)
                self.again.append(size)
                self.n_lost += 1
                finished = 0
                yield self.env.timeout(max(0.0, self.run.replace - self.run.detect))
                fails = self.env.now + failures.exponential(self.run.node_hours * 3600)
                continue
            yield self.env.timeout(seconds)
            self.computed += seconds
            finished = size

    def _service(self, size: int) -> float:
        """Return the seconds for `size` files: the sum of log-normal ones, itself nearly log-normal."""
        mean, variance = size * self.run.seconds, size * (self.run.spread * self.run.seconds) ** 2
        sigma2 = math.log1p(variance / mean**2)
        return float(self.random.lognormal(math.log(mean) - sigma2 / 2, math.sqrt(sigma2)))


def write_seconds(costs: Costs, segments: int) -> float:
    """Return the seconds of the driver for the line of a file."""
    return costs.write_item + costs.write_segment * segments


def simulate(run: Run, costs: Costs) -> Result:
    """Simulate a whole run."""
    return Archive(run, costs).simulate()


def simulate_part(run: Run, costs: Costs) -> Result:
    """Simulate as much of a run as shows its rate."""
    return simulate(replace(run, files=min(run.files, UNITS * run.actors * unit_of(run))), costs)


def driver_limit(costs: Costs, actors: int, unit: int, segments: int, *, batched: bool) -> float:
    """Return the files per second of a driver that is always busy; batched turns take all actors' answers at best."""
    per_item = costs.list_item + costs.dispatch_item + costs.read_item + costs.record + write_seconds(costs, segments)
    per_turn = costs.turn_per_actor * actors + costs.commit
    per_unit = costs.turn + costs.read_unit + (per_turn / actors if batched else per_turn)
    return 1 / (per_item + per_unit / unit)


Kinds = dict[str, tuple[float, float, int]]  # seconds of an actor for a file, their relative spread, segments


def scenario_rows(costs: Costs, kinds: Kinds, files: int = FILES) -> Iterator[str]:
    """Yield rows of the table of runs by 1,000 actors."""
    for name, (seconds, spread, segments) in kinds.items():
        for unit in (1, 64, 256, 0):
            for batched in (False, True):
                run = Run(ACTORS, files, seconds, spread, unit, batched, segments)
                found = simulate_part(run, costs)
                size = f"{unit_of(run)}{'' if unit else ' (30 s)'}"
                limit = driver_limit(costs, ACTORS, unit_of(run), segments, batched=batched)
                share = min(1.0, found.rate * seconds / ACTORS)
                yield (
                    f"| {name} | {size} | {'all' if batched else 'one'} | {found.rate:,.0f} "
                    f"| {files / found.rate / 3600:.1f} | {share:.2f} | {limit:,.0f} |"
                )


def saturation_rows(costs: Costs, kinds: Kinds) -> Iterator[str]:
    """Yield rows of the share of the actors' speed that is reached, by their number, in units of 30 s."""
    for name, (seconds, spread, segments) in kinds.items():
        for batched in (False, True):
            cells = []
            for actors in (10, 100, 1000, 3000, 10_000):
                run = Run(actors, FILES, seconds, spread, 0, batched, segments)
                run = replace(run, files=actors * unit_of(run) * 12)
                cells.append(f"{min(1.0, simulate(run, costs).rate * seconds / actors):.2f}")
            yield f"| {name} | {'all' if batched else 'one'} | {' | '.join(cells)} |"


def failure_rows(costs: Costs, kinds: Kinds) -> Iterator[str]:
    """Yield rows of runs of two hours whose nodes fail, in units of 30 s of work, at most MAX_UNIT files."""
    for name, (seconds, spread, segments) in kinds.items():
        run = Run(ACTORS, 0, seconds, spread, 0, segments=segments)
        speed = min(ACTORS / seconds, driver_limit(costs, ACTORS, unit_of(run), segments, batched=True))
        run = replace(run, files=int(2 * 3600 * speed))
        steady = simulate(run, costs)
        for hours in (1000.0, 100.0, 10.0):
            found = simulate(replace(run, node_hours=hours), costs)
            yield (
                f"| {name} | {hours:g} h | {found.n_lost} | {found.seconds / steady.seconds:.3f} "
                f"| {found.n_lost * unit_of(run) / run.files:.5f} |"
            )

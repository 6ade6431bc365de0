"""Write the page of the simulation of an archive from measured costs."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from statistics import mean

from benchmarks.__main__ import machine
from benchmarks.archive_simulation import (
    ACTORS,
    FILES,
    MAX_UNIT,
    Costs,
    Run,
    driver_limit,
    failure_rows,
    saturation_rows,
    scenario_rows,
    write_seconds,
)
from benchmarks.million_hours import RESULTS, measured

NAMES = {
    "list_item": "look an input up in the journal, and its state on disk",
    "turn": "a turn: send a unit, wait for an answer, fetch it",
    "turn_per_actor": "more of it for each actor that is waited for",
    "dispatch_item": "send an item of a unit",
    "read_unit": "open and remove a part",
    "read_item": "an item of it",
    "commit": "a transaction of the journal",
    "record": "a row of it",
    "write_item": "take a ready line of JSON out of its part and write it",
    "write_segment": "more of it for each segment of the recording",
    "part_unit": "actor: write a part",
    "part_item": "actor: an item of it",
}
HEADINGS = (
    "files",
    "unit",
    "answers a turn",
    "files/s",
    "hours",
    "of the actors' speed",
    "driver's limit",
)
PAGE = """# A thousand actors and ten million files: a simulation

{date}; {machine}, under load of other programs.

Made by `python -m benchmarks.archive_costs`. It measures what a file, a unit of files and a turn of the driver cost,
checks the simulation (`archive_simulation.py`) against a real run, and simulates runs that are too large to be tried.

## Measured costs

| of | microseconds |
|---|---|
{costs}

## The simulation beside a real run

Two actors classify {n_files} files of 5 s (256 x 256) by `conse` in units of {unit}. A file takes an actor
{milliseconds:.0f} ms, with a standard deviation of {spread:.2f} of that; these two are from the same run.

| makespan, real | simulated, mean of 9 | extremes | difference |
|---|---|---|---|
| {real:.1f} s | {simulated:.1f} s | {least:.1f} to {most:.1f} s | {off:+.1f} % |

## {actors:,} actors, {files:,} files

An actor is one core. For small videos it takes {small:.3f} s for 10 s, the rate of 400 short files in results.md; a
GPU with 16 cores takes as long for 10 s of 720p (40.7 times as fast as real time, by `benchmarks/cuda.py` on an H100).
For 720p it takes {large:.2f} s, the rate of zero-shot ViT-B/32 there. Time is proportional to length, and a second is a
segment. A turn of the driver takes one answer and one transaction, or all answers that are there. So much of each
archive is simulated that the rate in its middle is that of the whole.

| {headings} |
{rule}
{scenarios}

## How many actors a driver feeds

Share of the actors' speed that is reached in the middle of a run, in units of 30 s of work, at most {max_unit:,}
files, by the number of actors:

| files | answers a turn | 10 | 100 | 1,000 | 3,000 | 10,000 |
|---|---|---|---|---|---|---|
{saturation}

## Nodes that fail

Nodes of ten actors fail at random; after 10 s the driver knows, after 300 s another node has taken the place.

| files | mean time between failures of a node | lost units | makespan, times as long | share of files done twice |
|---|---|---|---|---|
{failures}

## What follows

- One task per file makes the driver the bottleneck: of files of 10 s, at most {one:,.0f}/s with all answers in a turn,
  {one_single:,.0f}/s with one. Units of 64 files raise that to {many:,.0f} ({many_single:,.0f}), of 256 to
  {most_files:,.0f}.
- Actors make the line of each result. Made by the driver (26 microseconds for each segment of `conse`, more for systems
  of several models), it was nine tenths of its work for a file of 10 s, and bounded files of 360 s to 111/s. Now lines
  are {write_share:.0%} of its work for a file of 10 s and {long_share:.0%} for one of 360 s, of which it takes up to
  {long_limit:,.0f}/s: {long_hours:,.0f} hours of media per second.
- Taking all answers that are there in one turn keeps the costs of waiting, which grow with the number of actors, and
  of transactions from growing with the number of units.
- Beyond that, divide the inputs among several runs with an output each: drivers and journals share nothing.
"""


def page(costs: Costs, run: Run, real: float, simulated: Sequence[float]) -> str:
    """Return the page; `real` and `simulated` are makespans of `run` in seconds."""
    results = RESULTS.read_text(encoding="utf-8")
    small = 2 * 2 / measured("400 files of 5 s, 256 x 256", 1, results)  # two cores, 10 s instead of 5 s
    large = 10 * 2 / measured("zero-shot ViT-B/32, 720p", 1, results)
    kinds = {
        "10 s, small": (small, run.spread, 10),
        "10 s, 720p": (large, run.spread, 10),
        "360 s, small": (36 * small, run.spread, 360),
        "360 s, 720p": (36 * large, run.spread, 360),
    }
    others = costs.list_item + costs.dispatch_item + costs.read_item + costs.record
    short, long = write_seconds(costs, 10), write_seconds(costs, 360)
    long_limit = driver_limit(costs, ACTORS, 64, 360, batched=True)
    return PAGE.format(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=machine(),
        costs="\n".join(f"| {NAMES[name]} | {1e6 * value:,.1f} |" for name, value in asdict(costs).items()),
        n_files=run.files,
        unit=run.unit,
        milliseconds=run.seconds * 1000,
        spread=run.spread,
        real=real,
        simulated=mean(simulated),
        least=min(simulated),
        most=max(simulated),
        off=100 * (mean(simulated) / real - 1),
        actors=ACTORS,
        max_unit=MAX_UNIT,
        files=FILES,
        small=small,
        large=large,
        headings=" | ".join(HEADINGS),
        rule="|---" * len(HEADINGS) + "|",
        scenarios="\n".join(scenario_rows(costs, kinds)),
        saturation="\n".join(saturation_rows(costs, kinds)),
        failures="\n".join(failure_rows(costs, kinds)),
        one=driver_limit(costs, ACTORS, 1, 10, batched=True),
        one_single=driver_limit(costs, ACTORS, 1, 10, batched=False),
        many=driver_limit(costs, ACTORS, 64, 10, batched=True),
        many_single=driver_limit(costs, ACTORS, 64, 10, batched=False),
        most_files=driver_limit(costs, ACTORS, 256, 10, batched=True),
        write_share=short / (short + others),
        long_share=long / (long + others),
        long_limit=long_limit,
        long_hours=long_limit / 10,
    )

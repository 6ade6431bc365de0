"""Measure what a run on a cluster costs its driver and its actors, and check the simulation against a real run.

    python -m benchmarks.archive_costs > benchmarks/archive_simulation.md

Costs are the least of repeated calls, as other programs may run: of the journal, of the Parquet files of the ledger, of
Ray. The real run has two actors on this machine that classify short files, and a driver that takes their parts into a
journal. The actors report the seconds of each file, from which the simulation of the same run takes mean and spread.
"""

import argparse
import functools
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import ray

import avscene
from avscene.inference import Source, System
from avscene.inference.journal.content import BackgroundHashes, key_of, paths_of, state_of
from avscene.inference.journal.database import Journal, NewRecord, open_journal
from avscene.inference.journal.known import KnownRecords
from avscene.inference.journal.outcomes import pack, unpack
from avscene.inference.ledger.parts import read_part, write_part
from avscene.inference.runs.remote import ReadyLine, RemoteRecord
from benchmarks.archive_simulation import Costs, Run, simulate
from benchmarks.videos import cached_video

SYSTEM = "conse"
LABELS = ["kitchen", "street", "forest", "office", "bus", "beach", "park", "station", "shop", "tunnel"]
N_RECORDS = 4096
SIZES = (16, 256)  # of units, whose times give costs of a unit and of an item
WAITING = 1000  # actors


def clock(run: Callable[[], object], rounds: int = 7) -> float:
    """Return the least seconds of a call: other programs make the others longer."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times)


def line(seconds: dict[int, float]) -> tuple[float, float]:
    """Return the cost of a unit and of an item from the seconds of units of two sizes."""
    (small, of_small), (large, of_large) = seconds.items()
    item = max(0.0, (of_large - of_small) / (large - small))
    return max(0.0, of_small - item * small), item


def records_of(system: System, video: Path, folder: Path, count: int) -> list[NewRecord]:
    """Return the records of `count` copies of one prediction, of files that exist."""
    outcome = pack(system.classify(video))
    made = []
    for number in range(count):
        path = folder / f"{number}.mp4"
        path.touch()
        source = Source(path)
        made.append(NewRecord(key_of(source), state_of(paths_of(source)), outcome))
    return made


def journal_costs(journal: Journal, system: System, records: Sequence[NewRecord], folder: Path) -> dict[str, float]:
    """Measure the driver's work for a part, and for looking inputs up."""
    position = 0

    def add(size: int) -> None:
        nonlocal position
        journal.add_many(records[position : position + size])
        position = (position + size) % (len(records) - max(SIZES))

    commit, record = line({size: clock(functools.partial(add, size)) for size in SIZES})
    bare = [RemoteRecord(record) for record in records]
    names = {size: [write_part(folder, bare[:size]) for _ in range(7)] for size in SIZES}

    def read(size: int) -> None:
        path = folder / names[size].pop()
        read_part(path)
        path.unlink()

    read_unit, read_item = line({size: clock(functools.partial(read, size)) for size in SIZES})
    part = line({size: clock(functools.partial(write_part, folder, bare[:size])) for size in SIZES})

    journal.add_many(records[:256])
    sources = [(number, Source(folder / f"new-{number}.mp4")) for number in range(1024)]
    for _, source in sources:
        Path(source.path).touch()
    hashes: BackgroundHashes[int] = BackgroundHashes()
    known = KnownRecords(journal, hashes, None, threading.Event())
    listing = clock(lambda: [os.scandir(folder).close(), known.find(sources)]) / len(sources)
    hashes.close()
    return {
        "list_item": listing,
        "commit": commit,
        "record": record,
        "read_unit": read_unit,
        "read_item": read_item,
        "part_unit": part[0],
        "part_item": part[1],
        **writing_costs(system, records[:64], folder),
    }


def writing_costs(system: System, records: Sequence[NewRecord], folder: Path) -> dict[str, float]:
    """Measure reading lines in a part and writing them to a file, for lines of two lengths."""
    short = unpack(records[0].outcome, "x", system.name, system.labels)
    assert isinstance(short, avscene.Prediction)
    long = replace(short, segments=tuple(short.segments) * 72)

    def write(name: str, output: BinaryIO) -> None:
        for found in read_part(folder / name):
            if found.line is not None:
                output.write(found.line.text().encode())

    seconds = {}
    with (folder / "lines").open("wb", buffering=0) as output:
        bare = write_part(folder, [RemoteRecord(record) for record in records])
        without = clock(functools.partial(write, bare, output), 21)
        for one in (short, long):
            name = write_part(folder, [RemoteRecord(record, ReadyLine.of(one)) for record in records])
            took = clock(functools.partial(write, name, output), 21) - without
            seconds[len(one.segments)] = max(0.0, took) / len(records)
    item, segment = line(seconds)
    return {"write_item": item, "write_segment": segment}


class Worker:
    """An actor: answers at once, or classifies files and reports the seconds of each."""

    def __init__(self) -> None:
        self._system: System | None = None

    def nothing(self, items: Sequence[Any]) -> int:
        return len(items)

    def sleep(self) -> None:
        time.sleep(600)

    def load(self) -> None:
        import torch

        torch.set_num_threads(1)
        self._system = avscene.load(SYSTEM, labels=LABELS, precision="float32")

    def run(self, items: Sequence[tuple[int, Source]], ledger: str) -> tuple[str, list[float]]:
        assert self._system is not None
        seconds, records = [], []
        for _, source in items:
            begin = time.perf_counter()
            found = self._system.classify(source.path)
            record = NewRecord(key_of(source), state_of(paths_of(source)), pack(found))
            records.append(RemoteRecord(record, ReadyLine.of(found)))
            seconds.append(time.perf_counter() - begin)
        return write_part(Path(ledger), records), seconds


def ray_costs(folder: Path) -> dict[str, float]:
    """Measure calls of an actor, and how waiting grows with the number of calls that are waited for."""
    actor, sleeper = ray.remote(Worker).remote(), ray.remote(Worker).remote()
    ray.get(actor.nothing.remote([]))

    def call(size: int, others: list[Any]) -> None:
        items = [(number, Source(folder / f"{number}.mp4")) for number in range(size)]
        ref = actor.nothing.remote(items)
        ray.wait([ref, *others], num_returns=1, timeout=1.0)
        ray.get(ref)

    turn, item = line({size: clock(functools.partial(call, size, []), 31) for size in SIZES})
    sleeping = [sleeper.sleep.remote() for _ in range(WAITING)]
    many = clock(functools.partial(call, SIZES[0], sleeping), 31) - clock(functools.partial(call, SIZES[0], []), 31)
    ray.kill(sleeper)
    ray.kill(actor)
    return {"turn": turn, "dispatch_item": item, "turn_per_actor": max(0.0, many / WAITING)}


def real_run(video: Path, n_files: int, unit: int, folder: Path) -> tuple[float, list[float]]:
    """Classify copies of a video by two actors; return the makespan and the seconds of each file."""
    media, ledger = folder / "media", folder / "ledger"
    media.mkdir()
    ledger.mkdir()
    sources = []
    for number in range(n_files):
        sources.append((number, Source(media / f"{number}.mp4")))
        shutil.copy(video, sources[-1][1].path)
    actors = [ray.remote(Worker).options(num_cpus=1).remote() for _ in range(2)]
    ray.get([actor.load.remote() for actor in actors])
    ray.get([actor.run.remote([sources[0]], str(ledger)) for actor in actors])  # warm
    units = [sources[begin : begin + unit] for begin in range(0, n_files, unit)][::-1]
    seconds: list[float] = []
    with open_journal(folder / "real.journal", "x" * 64) as journal, (folder / "real").open("wb", 0) as output:
        begin = time.perf_counter()
        running = {actor.run.remote(units.pop(), str(ledger)): actor for actor in actors}
        while running:
            (ref,), _ = ray.wait(list(running), num_returns=1)
            actor = running.pop(ref)
            name, of_files = ray.get(ref)
            seconds += of_files
            records = read_part(ledger / name)
            journal.add_many([found.record for found in records])
            (ledger / name).unlink()
            for found in records:
                assert found.line is not None
                output.write(found.line.text().encode())
            if units:
                running[actor.run.remote(units.pop(), str(ledger))] = actor
        makespan = time.perf_counter() - begin
    for actor in actors:
        ray.kill(actor)
    return makespan, seconds


def measure(folder: Path, video: Path) -> Costs:
    """Measure all costs."""
    system = avscene.load(SYSTEM, labels=LABELS, precision="float32")
    records = records_of(system, video, folder, N_RECORDS)
    with open_journal(folder / "costs.journal", "x" * 64) as journal:
        journal.add_many(records)
        return Costs(**journal_costs(journal, system, records, folder), **ray_costs(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=300, help="of the real run")
    parser.add_argument("--unit", type=int, default=16, help="files of a unit in the real run")
    options = parser.parse_args()
    from benchmarks.archive_page import page  # prints what is measured here

    video = cached_video(5, 256, 256)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        ray.init("local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        costs = measure(folder, video)
        real, seconds = real_run(video, options.files, options.unit, folder)
        ray.shutdown()
    spread = float(np.std(seconds) / np.mean(seconds))
    run = Run(2, options.files, float(np.mean(seconds)), spread, options.unit, batched=False)
    simulated = [simulate(Run(**{**vars(run), "seed": seed}), costs).seconds for seed in range(9)]
    print(page(costs, run, real, simulated))


if __name__ == "__main__":
    main()

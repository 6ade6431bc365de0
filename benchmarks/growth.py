"""How time and memory grow with the length of a film and with the number of recordings: `python -m benchmarks.growth`.

What is timed is `avscene classify --system conse` without its start, which is told apart: imports, weights and a
first minute of film. Time should be proportional, so the exponent of a power of the length or number is 1.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.clips import cached, repeated
from benchmarks.harness import Row, duration, main, median

SIZE = {"width": 320, "height": 180, "fps": 10}
SECONDS = (60, 600, 3600, 7200)
NUMBERS = (10, 100, 1000)
ROUNDS = 3  # at most: one takes minutes
MOST_GROWTH = 100  # MB
WANTED = "0.95 to 1.05"


@dataclass(frozen=True)
class Measured:
    """By a process of its own: seconds of its start and of each path, those of the processor for each path, and the
    most memory it held, in MB."""

    start: float
    seconds: list[float]
    processor: list[float]
    peak: float


def measure(*paths: Path) -> Measured:
    """Classify one path after the other in a fresh process, the first of them as part of its start."""
    code = "import sys; from benchmarks.growth import child; child(*sys.argv[1:])"
    command = [sys.executable, "-c", code, *map(str, paths)]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=root)
    return Measured(**json.loads(done.stdout))


def child(*paths: str) -> None:
    times = [(time.perf_counter(), time.process_time())]
    import avscene
    from avscene.cli.inputs import expand
    from avscene.cli.output.formats import jsonl
    from avscene.inference.classify import classify_files

    system = avscene.load("conse")
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            outcomes = classify_files(system, expand([path]))
            (Path(folder) / "predictions.jsonl").write_text("".join(map(jsonl, outcomes)))
            times.append((time.perf_counter(), time.process_time()))
    (start, *seconds), (_, *processor) = np.diff(times, axis=0).T.tolist()
    print(json.dumps({"start": start, "seconds": seconds, "processor": processor, "peak": peak()}))


def peak() -> float:
    """MB. Not `getrusage`: what that tells includes the process which started this one."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The k for which size**k comes closest to being proportional to `seconds`, by least squares of logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    lengths = (2, 8) if quick else SECONDS
    numbers = (2, 6) if quick else NUMBERS
    first = cached(lengths[0], **SIZE)
    yield from by_length(first, lengths, min(rounds, ROUNDS))
    yield by_number(first, numbers, min(rounds, ROUNDS))


def by_length(first: Path, lengths: Sequence[int], rounds: int) -> Iterator[Row]:
    """Films of so many seconds: the first one, over and over."""
    times = [length // lengths[0] for length in lengths]
    names = [f"{length // 60} min" if length >= 60 else f"{length} s" for length in lengths]
    with tempfile.TemporaryDirectory() as folder:
        films = [repeated(Path(folder) / f"{number}.mp4", first, number) for number in times]
        found = [[measure(first, film) for film in films] for _ in range(rounds)]
    yield of_time("time by length of a film", lengths, names, [joined(by_film) for by_film in found])
    peaks = [median(one.peak for one in by_round) for by_round in zip(*found, strict=True)]
    told = [f"{name}: {held:.0f} MB" for name, held in zip(names, peaks, strict=True)]
    shares = tuple(by_film[0].peak / by_film[-1].peak for by_film in found)
    note = f"grows by {peaks[-1] - peaks[0]:.0f} MB"
    wanted = f"{MOST_GROWTH} MB more at most"
    yield Row("most memory by length of a film", told[-1], ", ".join(told[:-1]), shares, note=note, wanted=wanted)


def joined(by_film: Sequence[Measured]) -> Measured:
    """Processes for one film each, as if it had been one."""
    return Measured(
        start=median(one.start for one in by_film),
        seconds=[one.seconds[0] for one in by_film],
        processor=[one.processor[0] for one in by_film],
        peak=max(one.peak for one in by_film),
    )


def by_number(first: Path, numbers: Sequence[int], rounds: int) -> Row:
    clips = [cached(length, **SIZE) for length in (1, 2, 3)]
    with tempfile.TemporaryDirectory() as folder:
        folders = [copies(clips, number, Path(folder) / str(number)) for number in numbers]
        found = [measure(first, *folders) for _ in range(rounds)]
    return of_time("time by number of recordings of 1 to 3 s", numbers, [str(number) for number in numbers], found)


def of_time(what: str, sizes: Sequence[int], names: Sequence[str], found: Sequence[Measured]) -> Row:
    """The row whose ratios are exponents."""
    exponents = tuple(exponent(sizes, one.seconds) for one in found)
    seconds = [median(by_round) for by_round in zip(*(one.seconds for one in found), strict=True)]
    told = [f"{name}: {duration(taken)}" for name, taken in zip(names, seconds, strict=True)]
    processor = median(exponent(sizes, one.processor) for one in found)
    start = duration(median(one.start for one in found))
    note = f"ratio: exponent; that of the processor's time: {processor:.2f}; start: {start}"
    return Row(what, told[-1], ", ".join(told[:-1]), exponents, note=note, wanted=WANTED)


def copies(clips: Sequence[Path], number: int, folder: Path) -> Path:
    """A folder of so many files, each a copy of the next clip."""
    folder.mkdir()
    for index in range(number):
        shutil.copy(clips[index % len(clips)], folder / f"{index}.mp4")
    return folder


if __name__ == "__main__":
    main(rows, __doc__)

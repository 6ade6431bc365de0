"""Measure how time and memory grow with length and number of recordings: `python -m benchmarks.growth`.

Timed is `avscene classify --system conse` without its start (imports, weights and a first minute of video), which
is stated separately. If time is proportional to length or number, the exponent of the fitted power is 1.
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

from benchmarks.harness import Row, duration, main, median
from benchmarks.videos import cached_video, repeat_video

SIZE = {"width": 320, "height": 180, "fps": 10}
SECONDS = (60, 600, 3600, 7200)
NUMBERS = (10, 100, 1000)
MAX_ROUNDS = 3  # each takes minutes
MAX_GROWTH = 100  # MB
TARGET = "0.95 to 1.05"


@dataclass(frozen=True)
class Measurement:
    """Measurements of one process.

    Seconds of its start, seconds and CPU seconds of each path, and peak memory in MB.
    """

    start: float
    seconds: list[float]
    cpu_seconds: list[float]
    peak: float


def measure(*paths: Path) -> Measurement:
    """Classify one path after the other in a fresh process, the first one as part of its start."""
    code = "import sys; from benchmarks.growth import measure_here; measure_here(*sys.argv[1:])"
    command = [sys.executable, "-c", code, *map(str, paths)]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=root)
    return Measurement(**json.loads(done.stdout))


def measure_here(*paths: str) -> None:
    times = [(time.perf_counter(), time.process_time())]
    import avscene
    from avscene.cli.inputs import expand
    from avscene.inference.runs.computing import Settings
    from avscene.inference.runs.files import FileRun
    from avscene.records import json_line

    system = avscene.load("conse")
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            run = FileRun(system, expand([path]), Settings())
            lines = (json_line(classified.outcome) for classified in run.outcomes())
            (Path(folder) / "predictions.jsonl").write_text("".join(lines))
            times.append((time.perf_counter(), time.process_time()))
    (start, *seconds), (_, *cpu_seconds) = np.diff(times, axis=0).T.tolist()
    print(json.dumps({"start": start, "seconds": seconds, "cpu_seconds": cpu_seconds, "peak": peak()}))


def peak() -> float:
    """Return the peak memory in MB. That of `getrusage` would include the process that started this one."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the k for which size**k fits `seconds` up to a factor, by least squares of logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    lengths = (2, 8) if quick else SECONDS
    numbers = (2, 6) if quick else NUMBERS
    first = cached_video(lengths[0], **SIZE)
    yield from by_length(first, lengths, min(rounds, MAX_ROUNDS))
    yield by_number(first, numbers, min(rounds, MAX_ROUNDS))


def by_length(first: Path, lengths: Sequence[int], rounds: int) -> Iterator[Row]:
    """Measure videos of these lengths in seconds, each the first one repeated."""
    times = [length // lengths[0] for length in lengths]
    names = [f"{length // 60} min" if length >= 60 else f"{length} s" for length in lengths]
    with tempfile.TemporaryDirectory() as folder:
        videos = [repeat_video(Path(folder) / f"{number}.mp4", first, number) for number in times]
        found = [[measure(first, video) for video in videos] for _ in range(rounds)]
    yield time_row("time by length of a video", lengths, names, [joined(of_videos) for of_videos in found])
    peaks = [median(one.peak for one in of_video) for of_video in zip(*found, strict=True)]
    texts = [f"{name}: {peak_of_video:.0f} MB" for name, peak_of_video in zip(names, peaks, strict=True)]
    ratios = tuple(of_videos[0].peak / of_videos[-1].peak for of_videos in found)
    note = f"grows by {peaks[-1] - peaks[0]:.0f} MB"
    target = f"at most {MAX_GROWTH} MB more"
    yield Row(
        "peak memory by length of a video", texts[-1], ", ".join(texts[:-1]), ratios, note=note, target_text=target
    )


def joined(of_videos: Sequence[Measurement]) -> Measurement:
    """Combine the measurements of one process per video into one."""
    return Measurement(
        start=median(one.start for one in of_videos),
        seconds=[one.seconds[0] for one in of_videos],
        cpu_seconds=[one.cpu_seconds[0] for one in of_videos],
        peak=max(one.peak for one in of_videos),
    )


def by_number(first: Path, numbers: Sequence[int], rounds: int) -> Row:
    videos = [cached_video(length, **SIZE) for length in (1, 2, 3)]
    with tempfile.TemporaryDirectory() as folder:
        folders = [copies(videos, number, Path(folder) / str(number)) for number in numbers]
        found = [measure(first, *folders) for _ in range(rounds)]
    return time_row("time by number of recordings of 1 to 3 s", numbers, [str(number) for number in numbers], found)


def time_row(name: str, sizes: Sequence[int], names: Sequence[str], found: Sequence[Measurement]) -> Row:
    """Return a row whose ratios are exponents."""
    exponents = tuple(exponent(sizes, one.seconds) for one in found)
    seconds = [median(by_round) for by_round in zip(*(one.seconds for one in found), strict=True)]
    texts = [f"{name}: {duration(value)}" for name, value in zip(names, seconds, strict=True)]
    cpu_exponent = median(exponent(sizes, one.cpu_seconds) for one in found)
    start = duration(median(one.start for one in found))
    note = f"ratio: exponent; exponent of CPU time: {cpu_exponent:.2f}; start: {start}"
    return Row(name, texts[-1], ", ".join(texts[:-1]), exponents, note=note, target_text=TARGET)


def copies(videos: Sequence[Path], number: int, folder: Path) -> Path:
    """Make a folder of `number` files, copies of the videos in turn."""
    folder.mkdir()
    for index in range(number):
        shutil.copy(videos[index % len(videos)], folder / f"{index}.mp4")
    return folder


if __name__ == "__main__":
    main(rows, __doc__)

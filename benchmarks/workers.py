"""Time decoding by one worker on one core and by two workers on two cores: `python -m benchmarks.workers`.

Each side is a process that is restricted to its cores and chooses its workers and their threads as avscene does. It
reads its recordings, which take nearly all of the time to decode, once to warm up and then several times in turn.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Row, main, ratios
from benchmarks.videos import benchmark_video

SECONDS = 20  # of each recording
N_VIDEOS = 4  # for each core
TARGET = 1.8
READ = """
import os, sys, time
os.sched_setaffinity(0, set(map(int, sys.argv[1].split(","))))
from avscene.inference import BatchReader, Source
from avscene.media.sampling import Sampling
for line in sys.stdin:
    start = time.perf_counter()
    reader = BatchReader([Source(sys.argv[2])] * int(line), Sampling(frame_size=256))
    print(sum(len(batch.segments) for batch in reader), time.perf_counter() - start, flush=True)
"""


class Reader:
    """A process that reads recordings on some cores."""

    def __init__(self, cores: list[int], path: Path) -> None:
        command = [sys.executable, "-c", READ, ",".join(map(str, cores)), str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.n_videos = N_VIDEOS * len(cores)

    def seconds_per_video(self) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{self.n_videos}\n")
        self.process.stdin.flush()
        n_segments, seconds = self.process.stdout.readline().split()
        assert int(n_segments) >= self.n_videos
        return float(seconds) / self.n_videos

    def close(self) -> None:
        self.process.communicate()


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        return
    path = benchmark_video(SECONDS, quick=quick)
    readers = [Reader(cores[:1], path), Reader(cores, path)]
    times: list[list[float]] = [[], []]
    try:
        for number in range(rounds + 1):
            for reader, taken in zip(readers, times, strict=True):
                seconds = reader.seconds_per_video()
                if number:
                    taken.append(seconds)
    finally:
        for reader in readers:
            reader.close()
    one, two = (1 / min(taken) for taken in times)
    yield Row(
        f"decoding {N_VIDEOS} videos of {'360p' if quick else '720p'} per core",
        f"two workers on two cores: {two:.2f} videos/s",
        f"one worker on one: {one:.2f} videos/s",
        ratios(times[0], times[1]),
        TARGET,
    )


if __name__ == "__main__":
    main(rows, __doc__)

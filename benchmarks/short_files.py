"""Time the classification of many short files beside decoding and inference alone: `python -m benchmarks.short_files`.

The bound is the time of decoding alone (in as many processes as there are workers, without handing anything over) plus
that of inference alone (on segments in memory, in as many threads as avscene): on a CPU, both need all processors.
"""

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

import avscene
from avscene.inference import BatchReader, Source, System
from avscene.inference.recordings import SCORING_THREADS
from avscene.media.workers import default_workers
from benchmarks.harness import Row, main
from benchmarks.videos import cached_video

N_FILES, N_QUICK = 400, 8
SECONDS, SIDE = 5, 256
TARGET = 0.85
DECODE = """
import sys
from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
for path in sys.argv[2:]:
    with Recording(path) as recording:
        list(recording.segments(Sampling(frame_size=int(sys.argv[1]))))
"""


def decoding(paths: list[Path], size: int) -> float:
    """Return the seconds that processes take to decode `paths`, each a part of them."""
    count = default_workers()
    start = time.perf_counter()
    commands = [[sys.executable, "-c", DECODE, str(size), *map(str, paths[k::count])] for k in range(count)]
    for process in [subprocess.Popen(command) for command in commands]:
        if process.wait():
            raise RuntimeError("decoding failed")
    return time.perf_counter() - start


def inference(system: System, path: Path, n_files: int) -> float:
    """Return the seconds to score the segments of `path` as often as there are files."""
    batches = [batch for batch in BatchReader([Source(path)], system.sampling(1.0)) if batch.segments]
    n_threads = torch.get_num_threads()

    def score(_: int) -> None:
        torch.set_num_threads(n_threads)
        for batch in batches:
            system.score_by_model(batch.segments)

    start = time.perf_counter()
    with ThreadPoolExecutor(SCORING_THREADS) as pool:
        list(pool.map(score, range(n_files)))
    return time.perf_counter() - start


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    system = avscene.load("conse", precision="float32")
    n_files = N_QUICK if quick else N_FILES
    video = cached_video(SECONDS, SIDE, SIDE)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{k}.mp4" for k in range(n_files)]
        for path in paths:
            shutil.copyfile(video, path)
        ratios, ours, bounds = [], [], []
        for _ in range(rounds):
            start = time.perf_counter()
            memory = [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]
            for position, _ in enumerate(system.classify_all([Source(path) for path in paths])):
                if position == n_files // 10:
                    memory = [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]
            ours.append(time.perf_counter() - start)
            memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
            bounds.append(decoding(paths, system.sampling(1.0).frame_size or 1) + inference(system, video, n_files))
            ratios.append(bounds[-1] / ours[-1])
    yield Row(
        f"{n_files} files of {SECONDS} s, {SIDE} x {SIDE}",
        f"{n_files / min(ours):.1f} files/s",
        f"decoding and inference alone: {n_files / min(bounds):.1f} files/s",
        tuple(ratios),
        TARGET,
        f"memory grew by {(memory[-1] - memory[0]) / 1024:.0f} MB after the first tenth",
    )


if __name__ == "__main__":
    main(rows, __doc__)

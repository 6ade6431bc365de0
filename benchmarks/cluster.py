"""Time `--ray local` beside `--workers` on many short files: `python -m benchmarks.cluster`."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from avscene.media.workers import default_workers
from benchmarks.harness import Row, comparison_row, main
from benchmarks.videos import cached_video

N_FILES, N_QUICK = 2000, 16
SECONDS, SIDE = 5, 256
TARGET = 0.95


def classify(listed: Path, output: Path, *options: str) -> float:
    """Return the seconds of a whole command, with its start."""
    command = [sys.executable, "-m", "avscene", "classify", str(listed), "--system", "conse", "--format", "jsonl"]
    start = time.perf_counter()
    subprocess.run([*command, "--output", str(output), *options], check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    n_files = N_QUICK if quick else N_FILES
    video = cached_video(SECONDS, SIDE, SIDE)
    workers = str(default_workers())
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "list.txt"
        paths = [Path(folder) / f"{k}.mp4" for k in range(n_files)]
        for path in paths:
            shutil.copyfile(video, path)
        listed.write_text("\n".join(map(str, paths)))
        alone, on_ray = [], []
        for number in range(rounds):
            outputs = [Path(folder) / f"{kind}-{number}.jsonl" for kind in ("alone", "ray")]
            alone.append(classify(listed, outputs[0], "--workers", workers))
            on_ray.append(classify(listed, outputs[1], "--ray", "local"))
            if outputs[0].read_bytes() != outputs[1].read_bytes():
                raise RuntimeError("the results differ")
    yield comparison_row(
        f"{n_files} files of {SECONDS} s on a cluster of this machine, with its start",
        {"ours": on_ray, f"--workers {workers}": alone},
        "ours",
        f"--workers {workers}",
        TARGET,
    )


if __name__ == "__main__":
    main(rows, __doc__)

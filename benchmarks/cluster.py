"""Time `--ray` beside `--workers` on many short files: `python -m benchmarks.cluster`.

The cluster has this machine as its only node. It runs already, or is started by the command (`--ray local`).
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ray.cluster_utils import Cluster

from avscene.media.workers import default_workers
from benchmarks.harness import Row, comparison_row, main
from benchmarks.videos import cached_video

N_FILES, N_QUICK = 2000, 16
SECONDS, SIDE = 5, 256
TARGET = 0.95
HEAD = {"include_dashboard": False, "object_store_memory": 100 * 2**20}
NAMES = {"running": "that runs", "started": "of the command, with its start and end"}


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
        times: dict[str, list[float]] = {"running": [], "started": [], "alone": []}
        cluster = Cluster(initialize_head=True, head_node_args=HEAD | {"num_cpus": default_workers()})
        options = {
            "running": ("--ray", cluster.address),
            "started": ("--ray", "local"),
            "alone": ("--workers", workers),
        }
        try:
            for number in range(rounds):
                outputs = {kind: Path(folder) / f"{kind}-{number}.jsonl" for kind in options}
                for kind, chosen in options.items():
                    times[kind].append(classify(listed, outputs[kind], *chosen))
                if len({output.read_bytes() for output in outputs.values()}) > 1:
                    raise RuntimeError("the results differ")
        finally:
            cluster.shutdown()
    for kind, target in (("running", TARGET), ("started", None)):
        yield comparison_row(
            f"{n_files} files of {SECONDS} s on a Ray cluster {NAMES[kind]}",
            {"ours": times[kind], f"--workers {workers}": times["alone"]},
            "ours",
            f"--workers {workers}",
            target,
        )


if __name__ == "__main__":
    main(rows, __doc__)

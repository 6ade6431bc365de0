"""Time `avscene serve` under 32 clients beside `avscene classify` on the same clips: `python -m benchmarks.server`.

Both run with their models loaded: of `classify`, the time counts from its first line of output to its last one.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.harness import Row, main
from benchmarks.load import Load, send
from benchmarks.videos import cached_video
from tests.support.server import serve

N_CLIENTS = 32
SECONDS, SECONDS_QUICK = 60.0, 1.5
N_FILES, N_QUICK = 600, 8
TARGET = 0.85
SYSTEM = "conse"


def clips(n: int = 12) -> list[Path]:
    """Return `n` clips of 2 to 5 seconds that differ in length or size, and so in their probabilities."""
    return [cached_video(2 + k % 4, 256, 192 + 16 * (k // 4)) for k in range(n)]


def classify(paths: Sequence[Path]) -> tuple[float, list[str]]:
    """Return the files per second of `avscene classify`, and its lines of JSON."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "list.txt"
        listed.write_text("\n".join(map(str, paths)))
        command = [sys.executable, "-m", "avscene", "classify", str(listed), "--system", SYSTEM, "--format", "jsonl"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            lines, times = [], []
            for line in process.stdout:
                lines.append(line)
                times.append(time.perf_counter())
    if process.returncode:
        raise RuntimeError(f"classify failed with exit code {process.returncode}")
    return (len(times) - 1) / (times[-1] - times[0]), lines


def for_seconds(url: str, pid: int, paths: Sequence[Path], seconds: float) -> Load:
    """Send clips for `seconds`."""
    end = time.perf_counter() + seconds
    return send(url, paths, N_CLIENTS, lambda _: time.perf_counter() > end, pid)


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    paths = clips(4 if quick else 12)
    n_files, seconds = (N_QUICK, SECONDS_QUICK) if quick else (N_FILES, SECONDS)
    repeated = [paths[k % len(paths)] for k in range(n_files)]
    rates: dict[str, list[float]] = {"server": [], "classify": []}
    loads = []
    with tempfile.TemporaryDirectory() as home, serve(Path(home), "--system", SYSTEM) as serving:
        for_seconds(serving.url, serving.process.pid, paths, min(seconds, 5))  # to load the model
        for _ in range(rounds):
            rates["classify"].append(classify(repeated)[0])
            loads.append(for_seconds(serving.url, serving.process.pid, paths, seconds))
            rates["server"].append(loads[-1].rate(skip=seconds / 20))
    answers = [answer for load in loads for answer in load.answers]
    if any(answer.status != 200 for answer in answers):
        raise RuntimeError("a request failed")
    memory = [value for load in loads for value in load.memory]
    yield Row(
        f"server, {N_CLIENTS} clients, clips of 2 to 5 s",
        f"{max(rates['server']):.1f} files/s",
        f"classify: {max(rates['classify']):.1f} files/s",
        tuple(ours / theirs for ours, theirs in zip(rates["server"], rates["classify"], strict=True)),
        TARGET,
        f"{len(answers)} requests; latency {loads[-1].latency(0.5):.2f} s, 99 %: {loads[-1].latency(0.99):.2f} s; "
        f"memory {memory[len(memory) // 10]:.0f} MB, at the end {memory[-1]:.0f} MB",
    )


if __name__ == "__main__":
    main(rows, __doc__)

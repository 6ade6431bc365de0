"""Classify a folder of damaged files with the command line, and count what came out and what was left behind.

python -m tests.support.mutation_run --count 10000 --seed 1 [--shared ../shared] [--keep FOLDER]
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from avscene.datasets.dataset import is_media
from tests.support.mutations import MAX_BYTES, mutations
from tests.support.processes import ROOT
from tests.support.rare_media import rare_files

MARK = "AVSCENE_MUTATION_RUN"  # in the environment of every process of a run
NOT_MEDIA = (".csv", ".md", ".txt", "")
DEATHS = ("the decoder crashed", "the decoder was killed", "no progress", "the decoder ended", "damaged data", "GiB of")


@dataclass
class Outcome:
    """What a run did and left behind."""

    exit_code: int = 0
    files: int = 0
    predictions: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    deaths: dict[str, str] = field(default_factory=dict)  # file -> what happened to the process that decoded it
    missing: list[str] = field(default_factory=list)  # files without a record, or with several
    bad_messages: list[str] = field(default_factory=list)
    stderr: str = ""
    left_processes: list[int] = field(default_factory=list)
    left_files: list[str] = field(default_factory=list)
    first_descriptors: int = 0  # of the parent, soon after its start and at most
    most_descriptors: int = 0
    parent_mib: int = 0
    longest: float = 0.0  # hours of media that the longest prediction claims
    seconds: float = 0.0


def seed_files(shared: Path | None, folder: Path) -> list[tuple[str, bytes]]:
    """Return intact files to be damaged: those with rare properties and the real ones in `shared`."""
    found = rare_files(folder)
    real = [] if shared is None else [*shared.glob("media/**/*"), *shared.glob("media_faults/*")]
    for path in sorted(path for path in real if path.is_file() and path.suffix not in NOT_MEDIA):
        with path.open("rb") as file:
            content = file.read(MAX_BYTES)
        if content[4:8] != b"ftyp" or b"moov" in content:  # an mp4 without its index is refused at once
            found.append((path.name, content))
    return found


def write_mutations(folder: Path, count: int, seed: int, shared: Path | None) -> None:
    """Write `count` damaged files."""
    with tempfile.TemporaryDirectory() as temporary:
        seeds = seed_files(shared, Path(temporary))
    for name, content in mutations(seeds, count, seed):
        known = is_media(name)  # other files in a folder are not classified
        (folder / (name if known else f"{name}.mp4")).write_bytes(content)


def processes_with(mark: str) -> list[int]:
    """Return the processes whose environment holds this mark."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (directory / "environ").read_bytes():
                found.append(int(directory.name))
        except OSError:  # it ended, or is another user's
            continue
    return found


def classify(media: Path, work: Path, *options: str) -> Outcome:
    """Run `avscene classify MEDIA --system conse` and return what it did; it writes to `work`."""
    output, temporary, cwd, mark = work / "results.jsonl", work / "tmp", work / "cwd", uuid.uuid4().hex
    temporary.mkdir()
    cwd.mkdir()
    environment = {**os.environ, MARK: mark, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "avscene", "classify", str(media), "--system", "conse"]
    command += ["--format", "jsonl", "--output", str(output)]
    outcome, started = Outcome(files=sum(1 for _ in media.iterdir())), time.monotonic()
    with (work / "stderr").open("w") as errors:
        process = subprocess.Popen([*command, *options], cwd=cwd, env=environment, stdout=errors, stderr=errors)
        while process.poll() is None:
            _observe(process.pid, outcome)
            time.sleep(0.5)
    outcome.seconds = round(time.monotonic() - started, 1)
    outcome.exit_code, outcome.stderr = process.returncode, (work / "stderr").read_text(errors="replace")
    outcome.left_processes = processes_with(mark)
    outcome.left_files = [str(p) for p in (*temporary.rglob("*"), *cwd.rglob("*"))]
    outcome.left_files += [str(p) for p in work.glob(".*")]
    _read_records(output, media, outcome)
    return outcome


def _observe(pid: int, outcome: Outcome) -> None:
    try:
        count = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  # names only
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return
    outcome.first_descriptors = outcome.first_descriptors or count
    outcome.most_descriptors = max(outcome.most_descriptors, count)
    if peak := re.search(r"VmHWM:\s+(\d+)", status):
        outcome.parent_mib = max(outcome.parent_mib, int(peak[1]) // 1024)


def _read_records(output: Path, media: Path, outcome: Outcome) -> None:
    names: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for line in output.read_text().splitlines():
        record = json.loads(line)
        names[Path(record["source"]).name] += 1
        if "error" not in record:
            outcome.predictions += 1
            outcome.longest = max(outcome.longest, record["duration"] / 3600)
            continue
        message = record["error"]["message"]
        if not message.startswith(f"{record['source']}: ") or "\n" in message or "Error" in message:
            outcome.bad_messages.append(message)
        problem = message.removeprefix(f"{record['source']}: ")
        errors[re.sub(r"\(streams.*|\d+(\.\d+)?", "N", problem)] += 1
        if any(death in problem for death in DEATHS):
            outcome.deaths[Path(record["source"]).name] = problem
    outcome.errors = dict(errors.most_common())
    outcome.missing = [path.name for path in media.iterdir() if names[path.name] != 1]


def run(count: int, seed: int, shared: Path | None, work: Path) -> Outcome:
    """Write damaged files to a folder in `work`, classify them and return what happened."""
    media = work / "media"
    media.mkdir()
    write_mutations(media, count, seed, shared)
    return classify(media, work)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the outcome as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--keep", type=Path, help="a new folder for the files and the results")
    given = parser.parse_args(arguments)
    shared = given.shared if given.shared.is_dir() else None
    if given.keep is not None:
        given.keep.mkdir(parents=True)
        outcome = run(given.count, given.seed, shared, given.keep)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            outcome = run(given.count, given.seed, shared, Path(temporary))
    sys.stdout.write(json.dumps(asdict(outcome), indent=1) + "\n")


if __name__ == "__main__":
    main()

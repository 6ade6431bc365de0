"""Record what the command lines of commands/cases.yaml answer: `python tests/golden/regenerate_commands.py`.

With `--compare` nothing is written: each difference from what is recorded is printed, and the exit code is 1 if there
is one. Record again only when a result changes on purpose, and read the difference before committing it.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from command_cases import EXPECTED, Case, Result, expected_files, read_cases, run_cases
from command_comparison import compared_name, differences

NO_HUB = "http://127.0.0.1:9"  # nothing listens there: whatever asks the hub is refused at once


def record(case: Case, result: Result) -> list[str]:
    """Replace the recorded files of a case; an exit code that is not the expected one is a fault."""
    shutil.rmtree(EXPECTED / case.id, ignore_errors=True)
    for name, text in result.files.items():
        path = EXPECTED / case.id / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [] if result.exit == case.exit else [_exit_differs(case, result)]


def compare(case: Case, result: Result, tolerance: float) -> list[str]:
    """Describe each difference between what a case answered and what is recorded."""
    found = [] if result.exit == case.exit else [_exit_differs(case, result)]
    ours = {compared_name(Path(name)): text for name, text in expected_files(case).items()}
    theirs = {compared_name(Path(name)): text for name, text in result.files.items()}
    for name in dict.fromkeys([*ours, *theirs]):
        if name not in ours or name not in theirs:
            found.append(f"{name}: is {'new' if name in theirs else 'missing'}")
        else:
            found += differences(Path(name), ours[name], theirs[name], tolerance)
    return found


def _exit_differs(case: Case, result: Result) -> str:
    return f"exit code {result.exit} instead of {case.exit}: {result.stderr.strip()}"


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _isolate(caches: str) -> None:
    """Set the environment before avscene is imported: one thread, no network, empty caches."""
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGINGFACE_"))]:
        del os.environ[name]
    os.environ |= {
        "HF_ENDPOINT": NO_HUB,
        "HF_HOME": f"{caches}/huggingface",
        "XDG_CACHE_HOME": f"{caches}/cache",
        "OMP_NUM_THREADS": "1",
    }


def main(arguments: Sequence[str]) -> int:
    """Run the cases; the exit code is 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--compare", action="store_true", help="compare with what is recorded and write nothing")
    parser.add_argument("--tolerance", type=float, default=0.0, help="by which numbers may differ (default: 0)")
    parser.add_argument("--slow", action="store_true", help="the slow cases instead of the others")
    parser.add_argument("--times", action="store_true", help="print the seconds that each case takes")
    given = parser.parse_args(arguments)
    count = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        _isolate(directory)
        started = time.perf_counter()
        for case, result in run_cases(read_cases(slow=given.slow), Path(directory) / "work"):
            if given.times:
                _print(f"{time.perf_counter() - started:7.2f} s  {case.id}")
                started = time.perf_counter()
            found = compare(case, result, given.tolerance) if given.compare else record(case, result)
            count += len(found)
            for line in found:
                _print(f"{case.id}: {line}")
    _print(f"{count} differences" if given.compare else f"recorded in {EXPECTED.parent}")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Run every benchmark and write a page of results: `python -m benchmarks`, for the better part of an hour."""

import argparse
import importlib
import os
import platform
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from avscene.cli.progress import progress_bars
from benchmarks.harness import HEADINGS, table

MODULES = ("decoding", "logmel", "zero_shot", "networks", "late_fusion", "e02", "growth")
PACKAGES = ("torch", "av", "opencv-python-headless", "torchcodec", "librosa", "transformers", "timm", "open-clip-torch")
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")  # those that decide how fast networks are

RESULTS = Path(__file__).with_name("results.md")
PAGE = """# What avscene takes, beside what one would use instead

{date}; {machine}; {versions}.

Remake with `make bench`; `python -m benchmarks --help` says how to run a part. Each side runs once before it counts,
then they take turns, {rounds} times (those that take minutes, 3 times). Told are medians, and median and spread of the
ratios round by round: above 1 avscene is faster.

{table}
"""


def lines_of(module: str, rounds: int, *, quick: bool) -> Iterator[str]:
    """A line of the table for each row; one that says why, if there are no more."""
    try:
        for row in importlib.import_module(f"benchmarks.{module}").rows(rounds, quick):
            yield row.markdown()
    except Exception as error:  # noqa: BLE001  # whatever it is, it must not cost the other modules' rows
        told = f"{type(error).__name__}: {' '.join(str(error).split())}".replace("|", "/")
        yield f"| **{module} failed** {'| ' * (len(HEADINGS) - 2)}| {told} |"


def machine() -> str:
    """The processor, its cores, and what it can do that matters."""
    told = Path("/proc/cpuinfo")
    text = told.read_text(encoding="utf-8") if told.exists() else ""
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    name = found[1] if found else platform.processor() or platform.machine()
    flags = [flag for flag in FLAGS if re.search(rf"\b{flag}\b", text)]
    return f"{name}, {os.cpu_count()} cores ({', '.join(flags) or 'flags unknown'})"


def versions() -> str:
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {_version(name)}" for name in PACKAGES)])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def main(arguments: Sequence[str] | None = None) -> None:
    options = parsed(arguments)
    modules = options.only or [name for name in MODULES if find_spec(f"benchmarks.{name}")]
    lines = list(table([]))
    facts = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), "versions": versions()}
    output = options.output or (None if options.only or options.quick else RESULTS)
    with progress_bars() as progress:
        for module in progress.track(modules, description="benchmarks"):
            for line in lines_of(module, options.rounds, quick=options.quick):
                lines.append(line)
                progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
                if output is not None:  # after each row: what was measured is not lost
                    page = PAGE.format(**facts, rounds=options.rounds, table="\n".join(lines))
                    output.write_text(page, encoding="utf-8")


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=MODULES, help="a part of them; may be repeated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether all runs, not how fast")
    parser.add_argument("--output", type=Path, help=f"[default: {RESULTS.name} beside this file; none for a part]")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

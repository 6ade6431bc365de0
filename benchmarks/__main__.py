"""Run every benchmark and write a page of results: `python -m benchmarks` (most of an hour)."""

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

from avscene.cli.progress import stage_bars
from benchmarks.harness import HEADINGS, table

MODULES = (
    "startup",
    "decoding",
    "isolation",
    "workers",
    "short_files",
    "server",
    "cluster",
    "logmel",
    "zero_shot",
    "networks",
    "late_fusion",
    "e02",
    "growth",
)
PACKAGES = ("torch", "av", "opencv-python-headless", "torchcodec", "librosa", "transformers", "timm", "open-clip-torch")
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")  # instruction sets that determine how fast networks are

RESULTS = Path(__file__).with_name("results.md")
PAGE = """# Time and memory of avscene beside alternatives

{date}; {machine}; {versions}.

Made by `make bench`; `python -m benchmarks --help` shows how to run a part. Each side runs once to warm up, then the
sides take turns, {rounds} times (those that take minutes, 3 times). Times are medians; ratio and range are the median
and the extremes of the ratios of the rounds. Above 1, avscene is faster.

{table}
"""


def lines_of(module: str, rounds: int, *, quick: bool) -> Iterator[str]:
    """Yield a line of the table for each row; if the module fails, a last line with the error."""
    try:
        for row in importlib.import_module(f"benchmarks.{module}").rows(rounds, quick):
            yield row.markdown()
    except Exception as error:  # noqa: BLE001  # the other modules must run whatever it is
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}".replace("|", "/")
        yield f"| **{module} failed** {'| ' * (len(HEADINGS) - 2)}| {reason} |"


def machine() -> str:
    """Return the processor, its cores and its instruction sets."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
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
    options = parse(arguments)
    modules = options.only or [name for name in MODULES if find_spec(f"benchmarks.{name}")]
    lines = list(table([]))
    facts = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), "versions": versions()}
    output = options.output or (None if options.only or options.quick else RESULTS)
    with stage_bars() as progress:
        progress("benchmarks")
        for number, module in enumerate(modules):
            progress.show("benchmarks", number, len(modules), detail=module)
            for line in lines_of(module, options.rounds, quick=options.quick):
                lines.append(line)
                print(line, flush=True)
                if output is not None:  # after each row, so that an interrupted run keeps its rows
                    page = PAGE.format(**facts, rounds=options.rounds, table="\n".join(lines))
                    output.write_text(page, encoding="utf-8")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=MODULES, help="run only this one; may be repeated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to check that all benchmarks run")
    parser.add_argument(
        "--output", type=Path, help=f"[default: benchmarks/{RESULTS.name}; none with --only or --quick]"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

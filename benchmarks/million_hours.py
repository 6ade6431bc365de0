"""Compute what a million hours need, from measured rates and named assumptions: `python -m benchmarks.million_hours`.

Writes the tables of docs/scale.md between their markers. With options such as `--cpu-price 0.2`, prints them instead,
for machines, prices and files of one's own.
"""

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).with_name("results.md")
PAGE = ROOT / "docs" / "scale.md"
BEGIN, END = "<!-- begin: python -m benchmarks.million_hours -->", "<!-- end -->"

HOURS = 1_000_000
MEASURED_CORES = 2  # of the machine of results.md
# `benchmarks/cuda.py` on an H100, torch 2.11, batches of 16; decoding of one recording at a time on 16 cores.
GPU_IMAGES = {"ViT-B/32": 1673.0, "RegNetY": 800.0, "HRNet-W18": 385.0}  # images/s
GPU_ROWS = 195_330.0  # rows/s of the late fusion network C04
GPU_DECODING = 40.7  # seconds of 720p per second, one frame per second


@dataclass(frozen=True)
class Assumptions:
    """What a reader replaces; prices in US dollars, of no particular provider."""

    cpu_cores: int = 16  # of a machine without a GPU
    cpu_price: float = 0.70  # per hour
    gpu_cores: int = 16  # beside a GPU
    gpu_price: float = 3.50  # per hour, with its cores
    scaling: float = 0.9  # speed of a core among many, as a share of one among the two that were measured
    mbit: float = 3.1  # per second of a recording, audio and video: the video of the benchmarks
    minutes: float = 6.0  # of a recording
    get_price: float = 0.40  # per million requests to read an object or to look it up
    list_price: float = 5.00  # per million requests to list a page of 1,000
    transfer_price: float = 0.0  # per GB out of the storage; within a provider's region usually nothing
    machines: int = 100  # at a time


TEXTS = {
    "cpu_cores": "cores of a machine without a GPU",
    "cpu_price": "its price per hour, $",
    "gpu_cores": "cores beside a GPU",
    "gpu_price": "price of a GPU with them per hour, $",
    "scaling": "speed of a core among many, share of one of two",
    "mbit": "Mbit per second of a recording",
    "minutes": "minutes of a recording",
    "get_price": "price of a million requests for an object, $",
    "list_price": "price of a million requests for a page of a listing, $",
    "transfer_price": "price of a GB out of the storage, $",
    "machines": "machines at a time",
}


@dataclass(frozen=True)
class Work:
    """A system and kind of frames on a kind of machine: seconds of media per second, and which part bounds them."""

    name: str
    machine: str
    rate: float
    bound: str
    price: float


def measured(row: str, column: int, text: str) -> float:
    """Return the first number in a cell of the row of results.md that begins with `row`; milliseconds as seconds."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == row:
            number = float(re.findall(r"[\d.]+", cells[column])[0])
            return number / 1000 if re.match(r"[\d.]+ ms", cells[column]) else number
    raise SystemExit(f"{RESULTS}: has no row {row!r}; run: python -m benchmarks")


def works(text: str, given: Assumptions) -> list[Work]:
    """Return the rates of all kinds of work; `text` is that of results.md."""
    cpus = given.cpu_cores / MEASURED_CORES * (given.scaling if given.cpu_cores > MEASURED_CORES else 1)
    beside = given.gpu_cores / MEASURED_CORES * (given.scaling if given.gpu_cores > MEASURED_CORES else 1)
    cpu, gpu = f"{given.cpu_cores} cores", f"GPU, {given.gpu_cores} cores"
    exact, keys = (
        measured("zero-shot ViT-B/32, 720p", 1, text),
        measured("zero-shot ViT-B/32, 720p, keyframes", 1, text),
    )
    e02 = measured("E02 on 720p, real-time factor", 1, text)
    key_decoding = 40 / measured("40 s of 720p, 3.1 Mbit/s: keyframes only", 1, text)
    network, gpu_e02 = GPU_IMAGES["ViT-B/32"], e02_on_gpu(text)
    exact_gpu = GPU_DECODING * given.gpu_cores / 16
    pairs = [
        ("zero-shot ViT-B/32, exact", exact_gpu, network),
        ("zero-shot ViT-B/32, key frames", key_decoding * beside, network),
        ("E02, exact", exact_gpu, gpu_e02),
    ]
    return [
        Work("zero-shot ViT-B/32, exact", cpu, exact * cpus, "decoding", given.cpu_price),
        Work("zero-shot ViT-B/32, key frames", cpu, keys * cpus, "decoding", given.cpu_price),
        Work("E02, exact", cpu, e02 * cpus, "networks", given.cpu_price),
        *(
            Work(name, gpu, min(decoding, networks), "decoding" if decoding < networks else "the GPU", given.gpu_price)
            for name, decoding, networks in pairs
        ),
    ]


def e02_on_gpu(text: str) -> float:
    """Return seconds of media per second that a GPU scores with E02's networks: an estimate.

    Three of its nine networks were measured on the GPU. The others are taken to be faster than on the CPU by the same
    factor as these three together.
    """
    line = next(line for line in text.splitlines() if line.startswith("| E02 on 720p, real-time factor"))
    on_cpu = {name: float(number) for name, number in re.findall(r"([\w-]+) (\d+)(?=[,\s|])", line.split("video:")[1])}
    known = {"V01": "RegNetY", "V03": "HRNet-W18", "clip-vit-b-32": "ViT-B/32"}
    on_gpu = sum(1000 / GPU_IMAGES[network] for network in known.values())
    faster = sum(on_cpu[name] for name in known) / on_gpu
    return 1000 / (sum(on_cpu.values()) / faster + 1000 / GPU_ROWS)


def tables(text: str, given: Assumptions) -> Iterator[str]:
    """Yield the lines of all tables."""
    yield "Assumed; replace them by your own:"
    yield ""
    yield "| | |\n|---|---|"
    for one in fields(Assumptions):
        yield f"| {TEXTS[one.name]} (`--{one.name.replace('_', '-')}`) | {getattr(given, one.name):g} |"
    yield ""
    yield (
        f"| {HOURS:,} hours | machine | media seconds per second | machine-hours | bounded by | machines' price, $ "
        f"| days on {given.machines} machines | Mbit/s into a machine | Gbit/s into all |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for work in works(text, given):
        hours, inflow = HOURS / work.rate, work.rate * given.mbit
        yield (
            f"| {work.name} | {work.machine} | {work.rate:,.0f} | {hours:,.0f} | {work.bound} "
            f"| {hours * work.price:,.0f} | {hours / given.machines / 24:,.1f} | {inflow:,.0f} "
            f"| {inflow * given.machines / 1000:,.1f} |"
        )
    yield ""
    recordings, size = HOURS * 60 / given.minutes, HOURS * 3600 * given.mbit / 8 / 1e6  # TB
    asked, pages = 2 * recordings, recordings / 1000  # HEAD and GET
    yield "| whatever the system | |\n|---|---|"
    yield f"| recordings | {recordings:,.0f} |"
    yield f"| volume | {size:,.0f} TB |"
    yield f"| requests: one look-up and one read of each object | {asked:,.0f}: ${asked / 1e6 * given.get_price:,.0f} |"
    yield f"| requests: pages of 1,000 names | {pages:,.0f}: ${pages / 1e6 * given.list_price:,.2f} |"
    yield f"| transfer | ${size * 1000 * given.transfer_price:,.0f} |"


def written(page: str, lines: str) -> str:
    """Return the page with `lines` between its markers."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{lines}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for one in fields(Assumptions):
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=type(one.default), default=one.default)
    given = Assumptions(**vars(parser.parse_args()))
    lines = "\n".join(tables(RESULTS.read_text(encoding="utf-8"), given))
    if given == Assumptions():
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), lines), encoding="utf-8")
    else:
        print(lines)


if __name__ == "__main__":
    main()

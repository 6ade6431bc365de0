"""Time networks, decoding, zero-shot CLIP, late fusion and E02 on a CUDA device: `python -m benchmarks.cuda`.

The speeds are absolute, in the precision that avscene chooses on the device. Without a device, the exit code is 4.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import torch

import avscene
from avscene.errors import UsageError
from avscene.inference import BATCH_SIZE, System
from avscene.media.hardware import check_decoder
from avscene.media.sampling import CPU
from avscene.models.device import Runtime
from avscene.models.inference import Inference
from benchmarks.e02 import SAMPLING
from benchmarks.harness import Run, time_in_turn
from benchmarks.late_fusion import N_ROWS, in_memory, random_table
from benchmarks.networks import NETWORKS, SMALL, images_of
from benchmarks.random_clip import REPOS, random_hub
from benchmarks.random_e02 import load_random
from benchmarks.reading import ONE_FRAME, segments
from benchmarks.videos import benchmark_video

NO_DEVICE = 4  # exit code, as for other missing dependencies
SECONDS = 60  # of video


def lines(device: str, rounds: int, *, quick: bool) -> Iterator[str]:
    """Yield the lines of a table, one speed per line."""
    yield "| benchmark | speed | range |\n|---|---|---|"
    precision = "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    yield from networks(Runtime.choose(device, precision), rounds, quick=quick)
    yield late_fusion(device, rounds, 2048 if quick else N_ROWS)
    path = benchmark_video(SECONDS, quick=quick)
    yield from decoding(path, (CPU, device), rounds)
    with tempfile.TemporaryDirectory() as directory, random_hub(Path(directory) / "hub", REPOS, quick=quick):
        zero_shot = avscene.load("C03", device=device, offline=True)
        _, e02 = load_random(Path(directory) / "E02", segments(path, SAMPLING), device=device, quick=quick)
    yield classifying("zero-shot ViT-B/32 on 720p", zero_shot, path, rounds)
    yield classifying("zero-shot ViT-B/32 on 720p, keyframes", zero_shot, path, rounds, keyframes=True)
    yield classifying("E02 on 720p", e02, path, rounds)


def networks(runtime: Runtime, rounds: int, *, quick: bool) -> Iterator[str]:
    for name, build in (SMALL if quick else NETWORKS).items():
        network = build()
        images = images_of(name, network)
        inference = Inference(network, [images[:1]], runtime)
        yield line(f"{name}, {runtime.dtype}", len(images), "images/s", partial(inference, images), rounds)


def late_fusion(device: str, rounds: int, n_rows: int) -> str:
    run = partial(in_memory, random_table(n_rows, 1, device))
    return line(f"C04, an epoch of {n_rows:,} rows", n_rows, "rows/s", run, rounds)


def decoding(path: Path, decoders: Sequence[str], rounds: int) -> Iterator[str]:
    for decoder in decoders:
        try:
            check_decoder(decoder)
        except UsageError as error:  # networks may run where no video is decoded: containers without the video driver
            yield f"| one frame per second of 720p, decoder {decoder} | {error} | |"
            continue
        n_seconds = len(segments(path, ONE_FRAME, decoder))
        run = partial(segments, path, ONE_FRAME, decoder)
        yield line(f"one frame per second of 720p, decoder {decoder}", n_seconds, "times real time", run, rounds)


def classifying(name: str, system: System, path: Path, rounds: int, *, keyframes: bool = False) -> str:
    n_seconds = len(system.classify(path).segments)
    return line(name, n_seconds, "times real time", partial(system.classify, path, keyframes=keyframes), rounds)


def line(name: str, amount: int, unit: str, run: Run, rounds: int) -> str:
    """Format how much of `amount` is done per second: median and extremes of the rounds."""
    rates = [amount / seconds for seconds in time_in_turn({name: run}, rounds)[name]]
    return f"| {name} | {median(rates):,.1f} {unit} | {min(rates):,.1f} to {max(rates):,.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to check that it runs")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device is available: nothing was measured", file=sys.stderr)
        raise SystemExit(NO_DEVICE)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, batches of {BATCH_SIZE}\n")
    for text in lines("cuda", options.rounds, quick=options.quick):
        print(text, flush=True)


if __name__ == "__main__":
    main()

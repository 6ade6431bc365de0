"""Time zero-shot CLIP ViT-B/32 on a video, end to end: avscene beside the pipeline of transformers.

python -m benchmarks.zero_shot

Both sides have the same random weights, ten labels, a 720p video and one frame per second. The alternative follows its
documentation: PyAV decodes, the middle frame of each second becomes a PIL image, and the pipeline takes one at a time.
"""

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from transformers import Pipeline

import avscene
from avscene.inference import BATCH_SIZE, System
from avscene.labels import TAU_SCENES
from avscene.records import FloatArray
from benchmarks.fast_precision import load_fast
from benchmarks.harness import Row, main, ratios, time_in_turn
from benchmarks.matrix_products import SIDES, peak, products
from benchmarks.networks import VIT, images_of, operations
from benchmarks.pyav_reading import middle_frames
from benchmarks.random_clip import VIT_B_32, clip_config, random_clip, random_hub
from benchmarks.reading import segments
from benchmarks.transformers_clip import zero_shot_pipeline
from benchmarks.videos import QUICK_SECONDS, benchmark_video

PROMPT = "This is a photo of {}."  # the default of the pipeline
NAMES = [name.replace("_", " ") for name in TAU_SCENES]
SECONDS = 60
TOLERANCE = 0.1  # of a probability: another precision, and frames scaled by ffmpeg, not by torchvision


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    n_seconds = QUICK_SECONDS if quick else SECONDS
    path = benchmark_video(SECONDS, quick=quick)
    with tempfile.TemporaryDirectory() as directory:
        with random_hub(Path(directory), [VIT_B_32], quick=quick):
            system = load_fast(
                lambda precision: avscene.load("C03", prompts=[PROMPT], device="cpu", precision=precision, offline=True)
            )
        model = random_clip(VIT_B_32, quick=quick)
        pipeline = zero_shot_pipeline(model, clip_config(VIT_B_32, quick=quick))
        check(system, pipeline, path)
        (precision,) = system.precision.values()
        dtype, sides = getattr(torch, precision), SIDES[:1] if quick else SIDES
        times = time_in_turn(
            {
                "ours": lambda: system.classify(path),
                "keyframes": lambda: system.classify(path, keyframes=True),
                "peer": lambda: pipeline_probabilities(pipeline, path),
                "decoding": lambda: segments(path, system.sampling(system.hop)),
                "decoding keyframes": lambda: segments(path, system.sampling(system.hop, keyframes=True)),
                **products(sides, [dtype]),
            },
            rounds,
        )
        n_operations = operations(model.visual, images_of(VIT, model.visual)) / BATCH_SIZE
    rates = peak(times, dtype, sides)
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    for ours, decoding, target, share in (("ours", "decoding", 6, 0.85), ("keyframes", "decoding keyframes", 20, 0.8)):
        name = f"zero-shot ViT-B/32, 720p{', keyframes' if ours == 'keyframes' else ''}"
        n_images = n_frames(path, system, keyframes=ours == "keyframes")
        bounds = [
            seconds + n_images * n_operations / rate for seconds, rate in zip(times[decoding], rates, strict=True)
        ]
        yield Row(
            f"{name}, share of the bound",
            f"{n_seconds / medians[ours]:.1f} s of video per second",
            f"decoding, and the network at the peak of matrix products: {n_seconds / statistics.median(bounds):.1f}",
            ratios(bounds, times[ours]),
            share,
            f"{n_images} images in {precision}, {statistics.median(rates) / 1e9:.0f} GFLOP/s",
        )
        yield Row(
            name,
            f"{n_seconds / medians[ours]:.1f} s of video per second",
            f"transformers: {n_seconds / medians['peer']:.1f}",
            ratios(times["peer"], times[ours]),
            target,
            f"decoding alone takes {medians[decoding] / medians[ours]:.0%} of the time; if it took all: ratio "
            f"{medians['peer'] / medians[decoding]:.1f}",
        )


def n_frames(path: Path, system: System, *, keyframes: bool) -> int:
    """Return the number of distinct frames that are scored."""
    read = segments(path, system.sampling(system.hop, keyframes=keyframes))
    return len({id(frame.pixels) for segment in read for frame in segment.frames})


def pipeline_probabilities(pipeline: Pipeline, path: Path) -> FloatArray:
    """Return the probabilities (n_seconds, n_scenes) of the pipeline."""
    results = pipeline(list(middle_frames(path)), candidate_labels=NAMES, hypothesis_template=PROMPT)
    by_name = [{result["label"]: result["score"] for result in of_second} for of_second in results]
    return np.array([[scores[name] for name in NAMES] for scores in by_name])


def check(system: System, pipeline: Pipeline, path: Path) -> None:
    """Check that both sides have the same seconds and about the same probabilities."""
    ours = np.array([segment.probabilities for segment in system.classify(path).segments])
    theirs = pipeline_probabilities(pipeline, path)
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    assert np.abs(ours - theirs).max() < TOLERANCE, np.abs(ours - theirs).max()
    assert len(system.classify(path, keyframes=True).segments) == len(theirs)


if __name__ == "__main__":
    main(rows, __doc__)

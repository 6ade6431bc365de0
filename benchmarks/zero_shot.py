"""Zero-shot CLIP ViT-B/32 over a film, one frame a second, end to end: avscene against transformers' pipeline.

python -m benchmarks.zero_shot

Random weights, the same on both sides; ten labels; a 720p film. The peer is written as its documentation shows: PyAV
decodes, each second's middle frame becomes a PIL image, the pipeline takes the images one at a time.
"""

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from transformers import Pipeline

import avscene
from avscene.inference import System
from avscene.labels import TAU_SCENES
from avscene.records import FloatArray
from benchmarks.clips import cached
from benchmarks.harness import Row, in_turn, main, ratios
from benchmarks.plain_reading import middle_frames
from benchmarks.random_clip import VIT_B_32, clip_config, random_clip, random_hub
from benchmarks.reading import segments
from benchmarks.transformers_clip import zero_shot_pipeline

PROMPT = "This is a photo of {}."  # the pipeline's own
NAMES = [name.replace("_", " ") for name in TAU_SCENES]
SECONDS = 60
TOLERANCE = 0.1  # of a probability: another precision, and frames scaled by ffmpeg, not by torchvision


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    n_seconds = 3 if quick else SECONDS
    path = cached(n_seconds, 640, 360) if quick else cached(n_seconds)
    with tempfile.TemporaryDirectory() as directory:
        with random_hub(Path(directory), [VIT_B_32], quick=quick):
            system = avscene.load("C03", prompts=[PROMPT], device="cpu", offline=True)
        model = random_clip(VIT_B_32, quick=quick)
        pipeline = zero_shot_pipeline(model, clip_config(VIT_B_32, quick=quick))
        check(system, pipeline, path)
        taken = in_turn(
            {
                "ours": lambda: system.classify(path),
                "keyframes": lambda: system.classify(path, keyframes=True),
                "peer": lambda: answers(pipeline, path),
                "decoding": lambda: segments(path, system.sampling(system.hop)),
                "decoding keyframes": lambda: segments(path, system.sampling(system.hop, keyframes=True)),
            },
            rounds,
        )
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    for ours, decoding, least in (("ours", "decoding", 6), ("keyframes", "decoding keyframes", 20)):
        yield Row(
            f"zero-shot ViT-B/32, 720p{', key frames' if ours == 'keyframes' else ''}",
            f"{n_seconds / medians[ours]:.1f} s of film a second",
            f"transformers: {n_seconds / medians['peer']:.1f}",
            ratios(taken["peer"], taken[ours]),
            least,
            f"decoding alone takes {medians[decoding] / medians[ours]:.0%} of the time; if it were all: ratio "
            f"{medians['peer'] / medians[decoding]:.1f}",
        )


def answers(pipeline: Pipeline, path: Path) -> FloatArray:
    """Probabilities (n_seconds, n_scenes) as transformers tells them."""
    told = pipeline(list(middle_frames(path)), candidate_labels=NAMES, hypothesis_template=PROMPT)
    by_name = [{answer["label"]: answer["score"] for answer in answered} for answered in told]
    return np.array([[scores[name] for name in NAMES] for scores in by_name])


def check(system: System, pipeline: Pipeline, path: Path) -> None:
    """Both sides look at the same seconds and say the same."""
    ours = np.array([segment.probabilities for segment in system.classify(path).segments])
    theirs = answers(pipeline, path)
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    assert np.abs(ours - theirs).max() < TOLERANCE, np.abs(ours - theirs).max()
    assert len(system.classify(path, keyframes=True).segments) == len(theirs)


if __name__ == "__main__":
    main(rows, __doc__)

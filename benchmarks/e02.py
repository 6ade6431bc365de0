"""Time E02 on a 720p video from the file to probabilities: `python -m benchmarks.e02`.

It has all architectures of the paper's table with random weights, loaded from a checkpoint like that of a training. The
alternative is a simple script with the same networks (baseline_e02.py) and the same probabilities.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

import avscene
from avscene.features.batch import SegmentBatch
from avscene.inference import BATCH_SIZE, System
from avscene.inference.precision import described
from avscene.labels import TAU_SCENES
from avscene.media.sampling import Sampling
from avscene.models.cnn.audio_cnn import LOG_MEL
from avscene.models.cnn.backbones import backbone_frame_spec
from avscene.models.device import Runtime
from avscene.models.encoders import build_encoder
from avscene.records import Segment
from benchmarks.baseline_e02 import BaselineE02, transform
from benchmarks.harness import Row, Run, main, ratios, time_in_turn
from benchmarks.random_clip import REPOS, clip_frames, random_clip, random_hub
from benchmarks.random_e02 import AUDIO_MODELS, C04, VIDEO_MODELS, Networks, load_random
from benchmarks.reading import segments
from benchmarks.videos import benchmark_video

SECONDS = 20
SAMPLING = Sampling(sample_rate=LOG_MEL.sample_rate, frame_size=288)  # as E02 needs: RN50x4 has the largest frames
# Differences allowed for scaling by ffmpeg, not Pillow; random networks amplify them, and those of bfloat16 too much.
MIN_CORRELATION = 0.8  # of a model's probabilities
TOLERANCE = 0.05  # of a fused probability
COST_ROUNDS = 3
TARGET = 2
TARGET_REAL_TIME, TARGET_FLOAT32 = 4, 1.6  # on two cores: where bfloat16 is faster, and elsewhere


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    path = benchmark_video(SECONDS, quick=quick)
    read = segments(path, SAMPLING)
    with tempfile.TemporaryDirectory() as directory, random_hub(Path(directory) / "hub", REPOS, quick=quick):
        checkpoint = Path(directory) / "E02"
        networks, system = load_random(checkpoint, read, device="cpu", quick=quick)
        exact = avscene.load(checkpoint, device="cpu", precision="float32", offline=True)
        cost_note = costs(system, networks, read[:BATCH_SIZE], 1 if quick else COST_ROUNDS)
    baseline = baseline_e02(networks, system, quick=quick)
    check(exact, baseline, path)
    del exact
    runs: dict[str, Run] = {
        "ours": lambda: system.classify(path),
        "baseline": lambda: baseline.classify(path),
        "decoding": lambda: segments(path, SAMPLING),
    }
    times = time_in_turn(runs, rounds)
    ours, theirs = (f"{len(read) / median(times[side]):.2f} s of video per second" for side in ("ours", "baseline"))
    real_time = tuple(len(read) / seconds for seconds in times["ours"])
    target = TARGET_REAL_TIME if "bfloat16" in system.precision.values() else TARGET_FLOAT32
    note = f"decoding alone takes {median(times['decoding']) / median(times['ours']):.0%} of the time; {cost_note}"
    yield Row(
        "E02 on 720p, real-time factor", ours, f"real time: 1; {described(system.precision)}", real_time, target, note
    )
    yield Row("E02 on 720p", ours, f"float32 script: {theirs}", ratios(times["baseline"], times["ours"]), TARGET)


def baseline_e02(networks: Networks, system: System, *, quick: bool) -> BaselineE02:
    """Put the same networks and weights into the simple script."""
    specs = {name: backbone_frame_spec(networks.architectures[name]) for name in VIDEO_MODELS}
    return BaselineE02(
        bands=networks.bands,
        audio_networks={name: networks.backbones[name] for name in AUDIO_MODELS},
        frame_networks={name: (transform(spec), networks.backbones[name]) for name, spec in specs.items()},
        clip_encoders={
            repo: (transform(clip_frames(repo, quick=quick)), random_clip(repo, quick=quick).visual) for repo in REPOS
        },
        fusion_network=networks.fusion_network,
        fusion=system.fusion,
    )


def check(system: System, baseline: BaselineE02, path: Path) -> None:
    """Check that the probabilities of each model and of the fusion agree on both sides, in float32."""
    segments_of_system = system.classify(path).segments
    scores = baseline.scores(path)
    for name, theirs in scores.items():
        ours = np.array([segment.by_model[name] for segment in segments_of_system])
        correlation = np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]
        assert correlation > MIN_CORRELATION, (name, correlation)
    fused = np.array([segment.probabilities for segment in segments_of_system])
    difference = np.abs(fused - baseline.fusion.apply(scores, TAU_SCENES)).max()
    assert difference < TOLERANCE, difference


def costs(system: System, networks: Networks, batch: list[Segment], rounds: int) -> str:
    """Format the time that each network takes per second of video, with its preprocessing."""
    runs: dict[str, Run] = {
        model.name: lambda model=model: model.score(SegmentBatch(batch)) for model in system.models if model.name != C04
    }
    for name in networks.encoder_keys:
        encoder = build_encoder(name, Runtime.choose("cpu", system.precision[f"{C04}/{name}"], offline=True))
        runs[name] = lambda encoder=encoder: encoder.embed(SegmentBatch(batch))
    cost = {name: 1000 * median(times) / len(batch) for name, times in time_in_turn(runs, rounds).items()}
    return "ms per second of video: " + ", ".join(f"{name} {milliseconds:.0f}" for name, milliseconds in cost.items())


if __name__ == "__main__":
    main(rows, __doc__)

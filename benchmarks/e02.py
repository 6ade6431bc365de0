"""The whole of E02 over a 720p film, from the file to probabilities: `python -m benchmarks.e02`.

All architectures of the seed's table with random weights, loaded from a checkpoint as training would leave it. Beside
it the same networks in a straightforward script (plain_e02.py), which says the same.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

from avscene.features.batch import SegmentBatch
from avscene.inference import BATCH_SIZE, System
from avscene.labels import TAU_SCENES
from avscene.media.segments import Sampling
from avscene.models.cnn.audio_cnn import LOG_MEL
from avscene.models.cnn.backbones import frame_spec
from avscene.models.device import Runtime
from avscene.models.encoders import build_encoder
from avscene.records import Segment
from benchmarks.clips import cached
from benchmarks.harness import Row, Run, in_turn, main, ratios
from benchmarks.plain_e02 import PlainE02, transform
from benchmarks.random_clip import REPOS, clip_frames, random_clip, random_hub
from benchmarks.random_e02 import C04, HEARD, SEEN, Networks, load_random
from benchmarks.reading import segments

SECONDS = 20
SAMPLING = Sampling(sample_rate=LOG_MEL.sample_rate, frame_size=288)  # as E02 asks: RN50x4 has the largest frames
# What bfloat16 may change, and that ffmpeg scales frames, not Pillow; random networks forgive little.
ALIKE = 0.8  # least correlation of a model's probabilities
TOLERANCE = 0.05  # of a fused probability
COST_ROUNDS = 3
LEAST, LEAST_REAL_TIME = 2, 1


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    path = cached(4, 640, 360) if quick else cached(SECONDS)
    read = segments(path, SAMPLING)
    with tempfile.TemporaryDirectory() as directory, random_hub(Path(directory) / "hub", REPOS, quick=quick):
        networks, system = load_random(Path(directory) / "E02", read, device="cpu", quick=quick)
        told = costs(system, networks, read[:BATCH_SIZE])
    plain = plain_e02(networks, system, quick=quick)
    check(system, plain, path)
    runs: dict[str, Run] = {
        "ours": lambda: system.classify(path),
        "plain": lambda: plain.classify(path),
        "decoding": lambda: segments(path, SAMPLING),
    }
    taken = in_turn(runs, rounds)
    ours, theirs = (f"{len(read) / median(taken[side]):.2f} s of film a second" for side in ("ours", "plain"))
    real_time = tuple(len(read) / times for times in taken["ours"])
    note = f"decoding alone takes {median(taken['decoding']) / median(taken['ours']):.0%} of the time; {told}"
    yield Row("E02 on 720p, real-time factor", ours, "real time: 1", real_time, LEAST_REAL_TIME, note)
    yield Row("E02 on 720p", ours, f"plain float32: {theirs}", ratios(taken["plain"], taken["ours"]), LEAST)


def plain_e02(networks: Networks, system: System, *, quick: bool) -> PlainE02:
    """The same networks and weights in a script of their own."""
    specs = {name: frame_spec(networks.architectures[name]) for name in SEEN}
    return PlainE02(
        bands=networks.bands,
        heard={name: networks.backbones[name] for name in HEARD},
        seen={name: (transform(spec), networks.backbones[name]) for name, spec in specs.items()},
        towers={
            repo: (transform(clip_frames(repo, quick=quick)), random_clip(repo, quick=quick).visual) for repo in REPOS
        },
        late=networks.late,
        fusion=system.fusion,
    )


def check(system: System, plain: PlainE02, path: Path) -> None:
    """Each model says the same on both sides, and so do all together."""
    told = system.classify(path).segments
    scores = plain.scores(path)
    for name, theirs in scores.items():
        ours = np.array([segment.by_model[name] for segment in told])
        alike = np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]
        assert alike > ALIKE, (name, alike)
    fused = np.array([segment.probabilities for segment in told])
    apart = np.abs(fused - plain.fusion.apply(scores, TAU_SCENES)).max()
    assert apart < TOLERANCE, apart


def costs(system: System, networks: Networks, batch: list[Segment]) -> str:
    """What each network takes for a second of film, front end included."""
    runs: dict[str, Run] = {
        model.name: lambda model=model: model.score(SegmentBatch(batch)) for model in system.models if model.name != C04
    }
    for name in networks.encoder_keys:
        encoder = build_encoder(name, Runtime.choose("cpu", offline=True))
        runs[name] = lambda encoder=encoder: encoder.embed(SegmentBatch(batch))
    told = {name: 1000 * median(times) / len(batch) for name, times in in_turn(runs, COST_ROUNDS).items()}
    return "ms for a second of film: " + ", ".join(f"{name} {milliseconds:.0f}" for name, milliseconds in told.items())


if __name__ == "__main__":
    main(rows, __doc__)

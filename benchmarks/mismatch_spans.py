"""Measure how well spans find the swapped seconds of films, for several priors.

python -m benchmarks.mismatch_spans DATA --embeddings FILE.npz [--fold 5]

FILE.npz is what `benchmarks.familiarity` made of DATA. `fast` is trained without the fold. Four of its clips of one
scene and five seconds make a film of 20 s; in every second film, a clip of another scene replaces 5 s of audio.
"""

import argparse
from pathlib import Path

import numpy as np

from avscene.datasets.layout import read_dataset
from avscene.labels import LabelSet
from avscene.mismatch.detector import MismatchDetector
from avscene.mismatch.system_detector import fit_system_detector
from avscene.records import FloatArray
from avscene.training.heads.linear_heads import fit_head
from benchmarks.familiarity import MODALITIES, Rows, stored_rows

CLIPS, SECONDS, FILMS = 4, 5, 8  # clips of a film, seconds of a clip, films of each scene
PRIORS = (0.5, 0.1, 0.01)


def trained(train: Rows, test: Rows) -> tuple[MismatchDetector, dict[str, FloatArray]]:
    """Return the detector of `fast` trained on `train`, and the probabilities of its heads for `test`."""
    scenes = sorted(set(train.labels))
    truth, groups = np.searchsorted(scenes, train.labels), train.groups.tolist()
    heads = {name: fit_head(train.by_modality[name], truth, groups, len(scenes)) for name in MODALITIES}
    detector = fit_system_detector(
        LabelSet(tuple(scenes)),
        {name: head.out_of_fold for name, head in heads.items()},
        {"audio": "audio", "video": "video"},
        recordings=train.names.tolist(),
        groups=groups,
        starts=train.starts,
        truth=truth,
    )
    assert detector is not None
    return detector, {name: heads[name].head.probabilities(test.by_modality[name]) for name in MODALITIES}


def films(test: Rows, scores: dict[str, FloatArray]) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
    """Return audio and video (20, n_scenes), and whether each second is swapped (20,), of swapped and intact films."""
    random, made = np.random.default_rng(0), []
    clips = {scene: np.unique(test.names[test.labels == scene]) for scene in np.unique(test.labels)}
    for scene, own in clips.items():
        for number in range(2 * FILMS):
            rows = np.concatenate([np.flatnonzero(test.names == name) for name in random.permutation(own)[:CLIPS]])
            audio, video, swapped = scores["audio"][rows].copy(), scores["video"][rows], np.zeros(len(rows), bool)
            if number % 2:
                other = random.choice([name for name in clips if name != scene])
                first = random.integers(0, len(rows) - SECONDS + 1)
                part = slice(first, first + SECONDS)
                audio[part] = scores["audio"][test.names == random.choice(clips[other])][:SECONDS]
                swapped[part] = True
            made.append((audio, video, swapped))
    return made


def line(detector: MismatchDetector, made: list[tuple[FloatArray, FloatArray, FloatArray]], prior: float) -> str:
    """Return counts of seconds and of films, by single seconds and by spans."""
    counts = {"seconds": np.zeros(5, int), "spans": np.zeros(5, int)}
    for audio, video, swapped in made:
        times = np.stack([np.arange(len(audio)), np.arange(1, len(audio) + 1)], axis=1).astype(float)
        segments, recording = detector.detect(audio, video, times, prior)
        spans = recording.spans if recording is not None else ()
        by_span = np.any(
            [(times[:, 0] >= s.start) & (times[:, 1] <= s.end) for s in spans] or [np.zeros(len(audio))], 0
        )
        by_second = np.array([found is not None and found.verdict for found in segments])
        for name, called in (("seconds", by_second), ("spans", by_span.astype(bool))):
            is_film = swapped.any()
            hits, others = (called & swapped).sum(), (called & ~swapped).sum()
            counts[name] += [
                hits,
                others * is_film,
                is_film and not hits,
                others * (not is_film),
                called.any() and not is_film,
            ]
    return "\n".join(
        f"prior {prior:g}, {name}: {c[0]} of {FILMS * 50} swapped and {c[1]} of {FILMS * 150} other seconds called; "
        f"{c[2]} of {FILMS * 10} films missed; {c[4]} of {FILMS * 10} intact films with {c[3]} seconds called"
        for name, c in counts.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--embeddings", type=Path, required=True)
    parser.add_argument("--fold", default="5")
    options = parser.parse_args()
    rows = stored_rows(np.load(options.embeddings), "data")
    held = {example.name for example in read_dataset(options.data).examples if example.columns["fold"] == options.fold}
    is_test = np.isin(rows.names, sorted(held))
    test = rows.part(is_test)
    detector, scores = trained(rows.part(~is_test), test)
    made = films(test, scores)
    for prior in PRIORS:
        print(line(detector, made, prior))


if __name__ == "__main__":
    main()

"""Measure how well familiarity marks scenes that were left out of training, and what it saves of false mismatches.

python -m benchmarks.familiarity DATA MEDIA [--embeddings FILE.npz] [--output benchmarks/familiarity.md]

DATA is a data set with audio and video; each of its scenes is left out of the training of `fast` in turn. MEDIA is a
folder with recordings of other scenes; those with audio and video take part. All is embedded once, into FILE.npz.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avscene.datasets.dataset import DataSet
from avscene.datasets.layout import read_dataset
from avscene.evaluation.detection import roc_auc
from avscene.familiarity.combination import combine_shares
from avscene.familiarity.fitting import fit_familiarity
from avscene.files import write_text
from avscene.labels import LabelSet
from avscene.mismatch.detector import ARCHIVE_PRIOR, FITTED_PRIOR, MismatchDetector
from avscene.mismatch.system_detector import fit_system_detector
from avscene.models.device import Runtime
from avscene.models.registry import HeadsSystem, find
from avscene.records import Example, FloatArray, Modality
from avscene.training.embed import Embeddings, embed_dataset
from avscene.training.heads.frozen_encoders import encoder_of, sampling_of
from avscene.training.heads.linear_heads import fit_head
from avscene.verdicts import FAMILIAR_SHARE

MODALITIES: tuple[Modality, ...] = ("audio", "video")
HEADER = """# Familiarity

Made by `python -m benchmarks.familiarity ../shared/everyday ../shared/media`. `fast` is trained without one scene; its
recordings, which are intact, are then classified. ROC AUC: segments of the scene left out against out-of-fold segments
of the others. Marked: called unfamiliar (below {share:g}). Dubbed: intact recordings with a verdict of mismatch.

| left out | AUC audio | AUC video | AUC both | AUC largest probability | segments marked | recordings marked | \
others marked | dubbed before | dubbed, prior {fitted:g} | dubbed, prior {archive:g} |
|---|---|---|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True, eq=False)
class Rows:
    """Embeddings (n, size) by modality of segments, with the recording, scene and group of each."""

    by_modality: dict[str, FloatArray]
    names: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    starts: FloatArray

    def part(self, rows: np.ndarray) -> "Rows":
        """Return some rows."""
        by_modality = {name: values[rows] for name, values in self.by_modality.items()}
        return Rows(by_modality, self.names[rows], self.labels[rows], self.groups[rows], self.starts[rows])


def embed(data: DataSet) -> Rows:
    """Embed the segments of a data set by the encoders of `fast`."""
    row, runtime = find("fast"), Runtime.choose("cpu", "float32", offline=True)
    assert isinstance(row, HeadsSystem)
    encoders = {name: encoder_of(head, runtime) for name, head in row.heads.items()}
    found: Embeddings = embed_dataset(data, encoders, sampling_of(1.0, encoders))
    names = np.array([example.name for example in found.examples])
    return Rows(found.by_encoder, names, np.array(found.labels), np.array(found.groups), found.starts)


def films_in(folder: Path) -> DataSet:
    """Return the films in `folder`, all as of one scene."""
    endings = {".mp4", ".mkv", ".mov", ".webm", ".avi", ".flv"}
    files = sorted(path for path in folder.rglob("*") if path.suffix in endings)
    examples = [Example(str(path.relative_to(folder)), path, "other", str(path)) for path in files]
    return DataSet(folder, tuple(examples))


def shares(train: Rows, truth: np.ndarray, test: Rows, n_scenes: int) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return the familiarity of out-of-fold and of test rows by modality, and of `both`."""
    found = {}
    for name in MODALITIES:
        fitted = fit_familiarity(train.by_modality[name], truth, train.groups.tolist(), n_scenes)
        assert fitted is not None
        found[name] = fitted.out_of_fold, fitted.detector.score(test.by_modality[name])
    inside, outside = (combine_shares(np.stack([found[name][k] for name in MODALITIES]), MODALITIES) for k in range(2))
    return {**found, "both": (inside, outside)}


def dubbed(detector: MismatchDetector, scores: dict[str, FloatArray], test: Rows, prior: float) -> float:
    """Return the share of recordings with a verdict of mismatch."""
    verdicts = []
    for name in np.unique(test.names):
        rows = np.flatnonzero(test.names == name)
        times = np.stack([test.starts[rows], test.starts[rows] + 1], axis=1)
        _, recording = detector.detect(scores["audio"][rows], scores["video"][rows], times, prior)
        verdicts.append(recording is not None and recording.verdict)
    return float(np.mean(verdicts))


def marked(names: np.ndarray, unfamiliar: np.ndarray) -> float:
    """Return the share of recordings of which more than half of the segments are unfamiliar."""
    return len(mostly(names, unfamiliar)) / len(np.unique(names))


def mostly(names: np.ndarray, unfamiliar: np.ndarray) -> list[str]:
    """Return the recordings of which more than half of the segments are unfamiliar."""
    return [name for name in np.unique(names) if unfamiliar[names == name].mean() > 0.5]


def line(title: str, train: Rows, test: Rows) -> str:
    """Train on `train` and return a row of the table for `test`."""
    scenes = sorted(set(train.labels))
    truth, labels = np.searchsorted(scenes, train.labels), LabelSet(tuple(scenes))
    heads = {name: fit_head(train.by_modality[name], truth, train.groups.tolist(), len(scenes)) for name in MODALITIES}
    inside = {name: head.out_of_fold for name, head in heads.items()}
    outside = {name: heads[name].head.probabilities(test.by_modality[name]) for name in MODALITIES}
    detector = fit_system_detector(
        labels,
        inside,
        {"audio": "audio", "video": "video"},
        recordings=train.names.tolist(),
        groups=train.groups.tolist(),
        starts=train.starts,
        truth=truth,
    )
    assert detector is not None
    found = shares(train, truth, test, len(scenes))
    unfamiliar = found["both"][1] < FAMILIAR_SHARE
    abstains = unfamiliar | np.isin(test.names, mostly(test.names, unfamiliar))  # as a system does
    judged = {name: np.where(abstains[:, None], np.nan, values) for name, values in outside.items()}
    certainty = [_largest([part[name] for name in MODALITIES]) for part in (inside, outside)]
    cells = [*(auc(*found[name]) for name in (*MODALITIES, "both")), auc(*certainty)]
    cells += [float(unfamiliar.mean()), marked(test.names, unfamiliar)]
    cells += [marked(train.names, found["both"][0] < FAMILIAR_SHARE), dubbed(detector, outside, test, FITTED_PRIOR)]
    cells += [dubbed(detector, judged, test, prior) for prior in (FITTED_PRIOR, ARCHIVE_PRIOR)]
    return f"| {title} | {' | '.join(f'{cell:.3f}' for cell in cells)} |\n"


def _largest(scores: Sequence[FloatArray]) -> FloatArray:
    """The largest probability of the mean of the modalities."""
    return np.asarray(np.nanmean(np.stack(scores), axis=0).max(axis=1))


def auc(inside: FloatArray, outside: FloatArray) -> float:
    """Return the ROC AUC of low values for rows `outside` (n,); NaN rows are left out."""
    values = np.concatenate([inside, outside])
    truth = np.repeat([False, True], [len(inside), len(outside)])
    known = ~np.isnan(values)
    return roc_auc(truth[known], -values[known])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("media", type=Path)
    parser.add_argument("--embeddings", type=Path, default=Path("familiarity.npz"))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    parts = {"data": lambda: embed(read_dataset(options.data)), "media": lambda: embed(films_in(options.media))}
    if not options.embeddings.exists():
        made = {name: make() for name, make in parts.items()}
        arrays = {f"{name}.{key}": value for name, rows in made.items() for key, value in _arrays(rows).items()}
        np.savez(options.embeddings, **arrays)
    stored = np.load(options.embeddings)
    data, media = (stored_rows(stored, name) for name in parts)
    both = np.logical_and.reduce([~np.isnan(media.by_modality[name][:, 0]) for name in MODALITIES])
    text = HEADER.format(share=FAMILIAR_SHARE, fitted=FITTED_PRIOR, archive=ARCHIVE_PRIOR)
    for scene in sorted(set(data.labels)):
        text += line(scene, data.part(data.labels != scene), data.part(data.labels == scene))
        print(text.splitlines()[-1], flush=True)
    text += line("none; recordings of other scenes", data, media.part(both))
    print(text)
    if options.output is not None:
        write_text(options.output, text)


def _arrays(rows: Rows) -> dict[str, np.ndarray]:
    return {
        **rows.by_modality,
        "names": rows.names,
        "labels": rows.labels,
        "groups": rows.groups,
        "starts": rows.starts,
    }


def stored_rows(stored: Mapping[str, np.ndarray], name: str) -> Rows:
    """Return the rows that were stored under `name`."""
    by_modality = {modality: stored[f"{name}.{modality}"].astype(np.float64) for modality in MODALITIES}
    return Rows(by_modality, *(stored[f"{name}.{key}"] for key in ("names", "labels", "groups", "starts")))


if __name__ == "__main__":
    main()

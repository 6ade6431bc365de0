"""Measure how well fine-tuned networks mark scenes left out of training, and what it saves of false mismatches.

python -m benchmarks.familiarity_networks DATA MEDIA --work DIR [--scenes A,B,C] [--output FILE]

DATA is a data set with audio and video and a column `fold`. The small networks of A01 and V01 are trained on folds 1 to
4 without each scene of `--scenes` in turn, and once with all scenes; fold 5 of the other scenes shows the rate of false
alarms. MEDIA is a folder with recordings of other scenes; those with audio and video take part. DIR keeps what was
trained: the next run continues there. About 3 minutes for a scene on two processors.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avscene.datasets.dataset import DataSet
from avscene.datasets.layout import read_dataset
from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.writer import prepare
from avscene.familiarity.combination import combine_shares
from avscene.files import write_text
from avscene.inference import batched
from avscene.mismatch.detector import ARCHIVE_PRIOR, FITTED_PRIOR, MismatchDetector
from avscene.mismatch.system_detector import fit_system_detector
from avscene.models import SceneModel
from avscene.models.checkpoint import load_checkpoint
from avscene.models.device import Runtime
from avscene.models.registry import find
from avscene.records import FloatArray
from avscene.training.experiment.definition import Experiment
from avscene.training.experiment.predictions import read_rows
from avscene.training.experiment.runner import ExperimentRunner
from avscene.verdicts import FAMILIAR_SHARE
from benchmarks.familiarity import auc, films_in, marked, mostly

SYSTEMS = {"audio": "A01", "video": "V01"}
HELD_OUT = "fold=5"
BATCH = 64
HEADER = """# Familiarity of fine-tuned networks

Made by `python -m benchmarks.familiarity_networks ../shared/everyday ../shared/media --work DIR`: small networks of A01
and V01, each trained without one scene; its recordings, which are intact, are then classified. ROC AUC: segments of the
scene left out against those of fold 5 of the others, which are held out, too. Marked: called unfamiliar (below
{share:g}). Dubbed: intact recordings with a verdict of mismatch, without and with familiarity.

| left out | AUC audio | AUC video | AUC both | AUC largest probability | segments marked | recordings marked | \
segments of others marked | recordings of others marked | dubbed before | dubbed, prior {fitted:g} | \
dubbed, prior {archive:g} |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True, eq=False)
class Scored:
    """Probabilities (n, n_scenes) and familiarity (n,) of segments by modality, and the recording and start of each."""

    probabilities: dict[str, FloatArray]
    familiarity: dict[str, FloatArray]
    names: np.ndarray
    starts: FloatArray

    @property
    def both(self) -> FloatArray:
        """The familiarity (n,) to both models."""
        return combine_shares(np.stack(list(self.familiarity.values())), ("audio", "video"))


def score(models: dict[str, SceneModel], store: SegmentStore, rows: np.ndarray) -> Scored:
    """Score rows of a store."""
    parts = {
        name: [model.score(read_rows(store, part)) for part in batched(rows.tolist(), BATCH)]
        for name, model in models.items()
    }
    probabilities = {name: np.concatenate([part.probabilities for part in found]) for name, found in parts.items()}
    familiarity = {name: np.concatenate([_known(part.familiarity) for part in found]) for name, found in parts.items()}
    names = np.array([store.examples[row].name for row in rows])
    return Scored(probabilities, familiarity, names, store.starts[rows])


def _known(familiarity: FloatArray | None) -> FloatArray:
    assert familiarity is not None
    return familiarity


def train(data: DataSet, work: Path, runtime: Runtime) -> tuple[Experiment, dict[str, SceneModel]]:
    """Train the networks on all folds but one, unless `work` has them."""
    store = prepare(data, work / "store").store
    experiment = Experiment.open(
        work / "networks", store, HELD_OUT, backbones="small", runtime=runtime, progress=lambda _: lambda *_: None
    )
    models = {}
    for modality, name in SYSTEMS.items():
        runner = ExperimentRunner(experiment)
        runner.predictions(name)
        (models[modality],) = load_checkpoint(runner.checkpoint(name), runtime).models
    return experiment, models


def mismatch_detector(experiment: Experiment) -> MismatchDetector:
    """Fit the detector as in the checkpoint of an ensemble."""
    rows, store = experiment.split.validation, experiment.store
    predictions = {name: ExperimentRunner(experiment).predictions(name)[rows] for name in SYSTEMS.values()}
    detector = fit_system_detector(
        experiment.labels,
        predictions,
        {name: find(name).needs for name in predictions},
        recordings=[store.examples[row].name for row in rows],
        groups=experiment.groups(rows),
        starts=store.starts[rows],
        truth=experiment.truth[rows],
    )
    assert detector is not None
    return detector


def dubbed(detector: MismatchDetector, scored: Scored, prior: float, *, abstains: bool) -> float:
    """Return the share of recordings with a verdict of mismatch."""
    unfamiliar = scored.both < FAMILIAR_SHARE
    ignored = abstains & (unfamiliar | np.isin(scored.names, mostly(scored.names, unfamiliar)))
    audio, video = (np.where(ignored[:, None], np.nan, scored.probabilities[name]) for name in SYSTEMS)
    verdicts = []
    for name in np.unique(scored.names):
        rows = np.flatnonzero(scored.names == name)
        times = np.stack([scored.starts[rows], scored.starts[rows] + 1], axis=1)
        _, recording = detector.detect(audio[rows], video[rows], times, prior)
        verdicts.append(recording is not None and recording.verdict)
    return float(np.mean(verdicts))


def line(title: str, detector: MismatchDetector, inside: Scored, outside: Scored) -> str:
    """Return a row of the table."""
    cells = [auc(inside.familiarity[name], outside.familiarity[name]) for name in SYSTEMS]
    cells += [auc(inside.both, outside.both), auc(_largest(inside), _largest(outside))]
    for scored in (outside, inside):
        unfamiliar = scored.both < FAMILIAR_SHARE
        cells += [float(unfamiliar.mean()), marked(scored.names, unfamiliar)]
    cells += [dubbed(detector, outside, FITTED_PRIOR, abstains=False)]
    cells += [dubbed(detector, outside, prior, abstains=True) for prior in (FITTED_PRIOR, ARCHIVE_PRIOR)]
    return f"| {title} | {' | '.join(f'{cell:.3f}' for cell in cells)} |\n"


def _largest(scored: Scored) -> FloatArray:
    """The largest probability of the mean of the models."""
    return np.asarray(np.nanmean(np.stack(list(scored.probabilities.values())), axis=0).max(axis=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("media", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--scenes", default="bedroom,coast,countryside")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    runtime, data = Runtime.choose("cpu", "float32", offline=True), read_dataset(options.data)
    every = prepare(data, options.work / "every").store
    media = prepare(films_in(options.media), options.work / "media").store
    scenes = np.array([example.label for example in every.examples])
    text = HEADER.format(share=FAMILIAR_SHARE, fitted=FITTED_PRIOR, archive=ARCHIVE_PRIOR)
    for scene in [*options.scenes.split(","), None]:
        part = DataSet(data.source, tuple(example for example in data.examples if example.label != scene))
        experiment, models = train(part, options.work / (scene or "none"), runtime)
        inside = score(models, experiment.store, experiment.split.test)
        if scene is None:
            both = [bool(found.frames) and found.waveform is not None for found in media.segments(range(len(media)))]
            outside, title = score(models, media, np.flatnonzero(both)), "none; recordings of other scenes"
        else:
            outside, title = score(models, every, np.flatnonzero(scenes == scene)), scene
        text += line(title, mismatch_detector(experiment), inside, outside)
        print(text.splitlines()[-1], flush=True)
    if options.output is not None:
        write_text(options.output, text)


if __name__ == "__main__":
    main()

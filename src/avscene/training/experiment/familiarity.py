"""Fit the familiarity detector of a trained model on rows of an experiment's store."""

import numpy as np

from avscene.datasets.store.reader import SegmentStore
from avscene.familiarity.detector import FamiliarityDetector
from avscene.familiarity.fitting import MAX_ROWS, LabelledEmbeddings, fit_familiarity, fit_on_validation
from avscene.inference import BATCH_SIZE, batched, prefetch
from avscene.models import SceneModel
from avscene.models.cnn.audio_cnn import AudioCnn
from avscene.models.cnn.frame_cnn import FrameCnn
from avscene.models.familiarity_tensors import joined
from avscene.models.fusion_network import FusionNetworkModel
from avscene.models.openl3.heads import OpenL3HeadModel
from avscene.records import FloatArray, IntArray
from avscene.training.experiment.definition import Experiment
from avscene.training.experiment.predictions import read_rows


def fit_model_familiarity(
    experiment: Experiment, name: str, model: SceneModel, validation_model: SceneModel
) -> FamiliarityDetector | None:
    """Fit the detector of the trained `model` of system `name`; None if the rows do not suffice.

    `validation_model` was not trained on the validation rows; it may be `model` itself.
    """
    store = SegmentStore.open(experiment.store.directory)  # embeddings may have been added since it was opened
    if isinstance(model, FusionNetworkModel | OpenL3HeadModel):
        rows = _all_rows(experiment)  # the encoders were trained on none of them
        values = joined([store.embeddings(encoder)[rows] for encoder in model.encoders])
        fitted = fit_familiarity(values, experiment.truth[rows], experiment.groups(rows), len(experiment.labels))
        return None if fitted is None else fitted.detector
    assert isinstance(model, AudioCnn | FrameCnn)
    assert isinstance(validation_model, AudioCnn | FrameCnn)
    return _of_network(_Embedder(experiment, store, name), model, validation_model)


def _of_network(
    embedder: "_Embedder", model: AudioCnn | FrameCnn, validation_model: AudioCnn | FrameCnn
) -> FamiliarityDetector | None:
    """Fit on the features of fine-tuned networks."""
    experiment = embedder.experiment
    train, validation = _few(experiment.split.train), _few(experiment.split.validation)
    final = None
    if model is not validation_model:
        final = embedder.embed(model, _few(_all_rows(experiment)))
    return fit_on_validation(
        embedder.embed(validation_model, train),
        embedder.embed(validation_model, validation),
        len(experiment.labels),
        final,
    )


class _Embedder:
    """Computes the features of rows of a store by fine-tuned networks of system `name`."""

    def __init__(self, experiment: Experiment, store: SegmentStore, name: str) -> None:
        self.experiment = experiment
        self._store = store
        self._name = name

    def embed(self, model: AudioCnn | FrameCnn, rows: IntArray) -> LabelledEmbeddings:
        """Return the features of `rows`, as the model computes them in use."""
        progress = self.experiment.progress(f"{self._name}: familiarity")
        parts: list[FloatArray] = []
        done = 0
        for segments in prefetch(read_rows(self._store, batch) for batch in batched(rows.tolist(), BATCH_SIZE)):
            parts.append(model.embed(segments))
            done += len(segments)
            progress(done, len(rows))
        return LabelledEmbeddings(np.concatenate(parts), self.experiment.truth[rows], self.experiment.groups(rows))


def _all_rows(experiment: Experiment) -> IntArray:
    """Return all rows that are not held out."""
    return np.concatenate([experiment.split.train, experiment.split.validation])


def _few(rows: IntArray) -> IntArray:
    """Return at most MAX_ROWS of `rows`, evenly spaced."""
    return np.asarray(rows[np.linspace(0, len(rows) - 1, min(len(rows), MAX_ROWS)).astype(int)])

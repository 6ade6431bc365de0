"""Compute the probabilities of an experiment's systems for rows of its store, and keep them in files."""

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save

from avscene.datasets.store.columns import column_key
from avscene.datasets.store.reader import SegmentStore
from avscene.errors import DataError
from avscene.features.content import DEFAULT_CONTENT, with_content
from avscene.files import write_bytes
from avscene.fusion.tree import Fusion, Layout, fit_fusion
from avscene.inference import BATCH_SIZE, batched, prefetch
from avscene.inference.precision import described, settle_precision, use_precision
from avscene.models import SceneModel, zero_shot
from avscene.models.checkpoint import load_checkpoint, read_config
from avscene.models.fusion_network import FusionNetworkModel
from avscene.models.openl3.heads import OpenL3HeadModel
from avscene.models.precision.measurement import FLOAT32
from avscene.models.registry import EnsembleSystem, find, leaves
from avscene.progress import Progress
from avscene.records import FloatArray, IntArray, Segment
from avscene.tables.score_table import ScoreTable
from avscene.training.experiment.definition import Experiment
from avscene.training.fine_tuning.finetune import REFITTED

MEASURED_IN = "measured_in"  # key of the precision in a file of predictions and in a checkpoint's configuration


def ensure_predictions(experiment: Experiment, name: str) -> None:
    """Compute the predictions of system `name` unless they exist; a trained system must have its checkpoint.

    An ensemble has no predictions of its own: they follow from those of its members.

    Raises:
        DataError: they were lost, and the system was trained on the validation rows since.
        WeightsError: the weights of a zero-shot system are absent.
    """
    if not isinstance(find(name), EnsembleSystem):
        experiment.once(experiment.predictions_path(name), lambda: _predict(experiment, name))


def read_predictions(experiment: Experiment, name: str) -> FloatArray:
    """Return probabilities (n_rows, n_scenes) of all rows; NaN where a row is trained on or was not scored."""
    if isinstance(find(name), EnsembleSystem):
        fusion = fitted_fusion(experiment, name)
        return fusion.apply(leaf_predictions(experiment, name), experiment.labels, experiment.times())
    return load_file(experiment.predictions_path(name))["scores"]


def leaf_predictions(experiment: Experiment, name: str, rows: IntArray | None = None) -> dict[str, FloatArray]:
    """Return the predictions (n, n_scenes) of each single model in system `name`, of all rows or of `rows`."""
    found = {leaf: read_predictions(experiment, leaf) for leaf in leaves(name)}
    return found if rows is None else {leaf: values[rows] for leaf, values in found.items()}


def fitted_fusion(experiment: Experiment, name: str) -> Fusion:
    """Return the fusion of ensemble `name` over all its models, fitted on the validation rows."""
    if name not in experiment.fusions:
        rows = experiment.split.validation
        experiment.fusions[name] = fit_fusion(
            layout_of(name),
            leaf_predictions(experiment, name, rows),
            experiment.truth[rows],
            experiment.labels,
            experiment.times(rows),
            groups=experiment.groups(rows),
        )
    return experiment.fusions[name]


def layout_of(name: str) -> Layout:
    """Return what ensemble `name` fuses, down to single models."""
    row = find(name)
    assert isinstance(row, EnsembleSystem)
    members = tuple(layout_of(member) if isinstance(find(member), EnsembleSystem) else member for member in row.members)
    steps = () if row.postprocess is None else (row.postprocess,)
    needs = {member: find(member).needs for member in row.members}
    return Layout(name=name, members=members, rule=row.rule, needs=needs, postprocess=steps)


def prediction_table(experiment: Experiment, name: str, rows: IntArray, predictions: FloatArray) -> ScoreTable:
    """Return `predictions` (n_rows, n_scenes) of system `name` as a table of `rows`, without those not scored.

    Raises:
        DataError: none of the rows was scored.
    """
    store = experiment.store
    kept = rows[~np.isnan(predictions[rows, 0])]
    if not len(kept):
        raise DataError(f"{store.directory}: system {name} scored none of {len(rows)} segments")
    examples = [store.examples[row] for row in kept]
    return ScoreTable(
        experiment.labels,
        tuple(example.name for example in examples),
        predictions[kept],
        starts=store.starts[kept],
        groups=tuple(example.group for example in examples),
        truth=tuple(example.label for example in examples),
        source=name,
        modality=find(name).needs,
    )


def write_predictions(experiment: Experiment, name: str, model: SceneModel, validation_model: SceneModel) -> FloatArray:
    """Compute and write predictions: of the test rows by `model`, of the validation rows by `validation_model`.

    The latter was not trained on the validation rows. Returns the predictions (n_rows, n_scenes).
    """
    precision = _settle(experiment, model, validation_model)
    predictions = np.full((len(experiment.store), len(experiment.labels)), np.nan)
    store = SegmentStore.open(experiment.store.directory)  # embeddings may have been added since it was opened
    for scorer, rows in ((validation_model, experiment.split.validation), (model, experiment.split.test)):
        if len(rows):
            predictions[rows] = score_rows(scorer, store, rows, experiment.progress(f"{name}: scoring"))
    write_bytes(experiment.predictions_path(name), save({"scores": predictions}, {MEASURED_IN: precision}))
    return predictions


def measured_in(experiment: Experiment, name: str) -> str:
    """Return the precision in which the predictions of system `name` were computed; of an ensemble, of its models."""
    found = {}
    for leaf in leaves(name):
        with safe_open(experiment.predictions_path(leaf), "numpy") as file:
            found[leaf] = (file.metadata() or {}).get(MEASURED_IN, FLOAT32)
    return described(found)


def _settle(experiment: Experiment, model: SceneModel, validation_model: SceneModel) -> str:
    """Put the networks of both models into the same precision and return it; stored embeddings are of float32."""
    if isinstance(model, FusionNetworkModel | OpenL3HeadModel) and _holds_embeddings(experiment.store, model):
        return FLOAT32
    found = settle_precision([model], experiment.store.spec.hop, experiment.runtime)
    if validation_model is not model:
        use_precision([validation_model], found)
    return described(found)


def score_rows(model: SceneModel, store: SegmentStore, rows: IntArray, progress: Progress | None = None) -> FloatArray:
    """Return probabilities (n_rows, n_scenes), NaN where not scored; embeddings in the store are not computed again."""
    if isinstance(model, FusionNetworkModel | OpenL3HeadModel) and _holds_embeddings(store, model):
        return model.score_embeddings([store.embeddings(name)[rows] for name in model.encoders]).probabilities
    parts: list[FloatArray] = [np.empty((0, len(model.labels)))]
    done = 0
    for segments in prefetch(read_rows(store, batch) for batch in batched(rows.tolist(), BATCH_SIZE)):
        parts.append(model.score(segments).probabilities)
        done += len(segments)
        if progress is not None:
            progress(done, len(rows))
    return np.concatenate(parts)


def read_rows(store: SegmentStore, rows: tuple[int, ...]) -> list[Segment]:
    """Return the segments of `rows`, without audio and frames that hold no content."""
    return [with_content(segment, DEFAULT_CONTENT) for segment in store.segments(rows)]


def _holds_embeddings(store: SegmentStore, model: FusionNetworkModel | OpenL3HeadModel) -> bool:
    """Whether the store has embeddings by exactly the model's encoders."""
    return all(
        name in store.encoders and store.embedding_key(name) == column_key(key, store.spec)
        for name, key in zip(model.encoders, model.encoder_keys, strict=True)
    )


def _predict(experiment: Experiment, name: str) -> None:
    checkpoint = experiment.checkpoint_path(name)
    if not find(name).trained:
        model = zero_shot.build(name, experiment.labels, (), experiment.runtime)
    elif REFITTED in read_config(checkpoint).training:
        raise DataError(
            f"{experiment.predictions_path(name)}: not found, and {name} was trained on its validation rows since; "
            f"remove {checkpoint} too, to train it again"
        )
    else:
        (model,) = load_checkpoint(checkpoint, experiment.runtime).models
    write_predictions(experiment, name, model, model)

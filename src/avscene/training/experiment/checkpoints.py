"""Train the systems of an experiment and write their checkpoints."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from avscene.evaluation.metrics import compute_metrics
from avscene.fusion.tree import Fusion
from avscene.labels import LabelSet
from avscene.media.sampling import FRAME_SIZE
from avscene.mismatch.system_detector import fit_system_detector
from avscene.models.checkpoint import Config, save_checkpoint
from avscene.models.ensemble_checkpoint import member_checksums, save_ensemble
from avscene.models.familiarity_tensors import familiarity_tensors
from avscene.models.registry import EnsembleSystem, NetworkSystem, find
from avscene.training.card import model_card
from avscene.training.experiment.definition import Experiment
from avscene.training.experiment.familiarity import fit_model_familiarity
from avscene.training.experiment.predictions import (
    MEASURED_IN,
    fitted_fusion,
    leaf_predictions,
    measured_in,
    prediction_table,
    read_predictions,
    write_predictions,
)
from avscene.training.experiment.provenance import identity, provenance
from avscene.training.experiment.recipes import train_model
from avscene.training.heads.frozen_encoders import TrainedHeads

VALIDATION_TABLE = "validation.tsv"  # in a checkpoint: the predictions that it was chosen and fitted on
OUT_OF_FOLD = "out_of_fold"  # in a checkpoint of cross-fitted heads: a folder with a table per model and of the fusion


def ensure_checkpoint(experiment: Experiment, name: str) -> None:
    """Make the checkpoint of system `name` unless it exists.

    An ensemble needs the checkpoints of its members and the predictions of its single models.

    Raises:
        AvsceneError: it cannot be made; a WeightsError names the weights that are absent.
    """
    path, row = experiment.checkpoint_path(name), find(name)
    if isinstance(row, EnsembleSystem):
        experiment.once(path, lambda: _assemble(experiment, row, path))
    else:
        experiment.once(path, lambda: _train(experiment, name, path), together=isinstance(row, NetworkSystem))


def write_heads(
    directory: Path, name: str, trained: TrainedHeads, labels: LabelSet, *, data: str, holdout: str | None, hop: float
) -> Config:
    """Write the checkpoint of cross-fitted heads, with their out-of-fold tables, and return its configuration.

    Raises:
        CheckpointError: `directory` already exists or cannot be written.
    """
    config = Config(
        **identity(name, labels, hop),
        frame_size=FRAME_SIZE,
        models=trained.parts,
        fusion=trained.fusion,
        mismatch=trained.mismatch,
        training={
            **provenance(data, holdout, **trained.counts),
            MEASURED_IN: trained.precision,
            "heads": trained.fitted,
        },
        metrics={model: compute_metrics(table).to_dict() for model, table in trained.out_of_fold.items()},
        measured_on="out-of-fold",
        audio_rate=trained.audio_rate,
    )
    tables = {f"{OUT_OF_FOLD}/{model}.tsv": table for model, table in trained.out_of_fold.items()}
    save_checkpoint(directory, config, trained.tensors, model_card(config), tables)
    return config


def _train(experiment: Experiment, name: str, directory: Path) -> None:
    """Train a system of one model; all processes train, the first one writes predictions and checkpoint."""
    trained = train_model(name, experiment)
    if not experiment.processes.is_first:
        return
    labels, runtime, validation = experiment.labels, experiment.runtime, experiment.split.validation
    model = trained.part.build(labels, trained.tensors, runtime)
    tensors = trained.validation_tensors
    validation_model = model if tensors is None else trained.part.build(labels, tensors, runtime)
    predictions = write_predictions(experiment, name, model, validation_model)
    detector = fit_model_familiarity(experiment, name, model, validation_model)
    kept = trained.tensors | ({} if detector is None else familiarity_tensors(detector))
    table = prediction_table(experiment, name, validation, predictions)
    config = Config(
        **identity(name, labels, experiment.store.spec.hop),
        frame_size=experiment.store.spec.frame_size,
        models=(trained.part,),
        fusion=Fusion.of(trained.part.name),
        audio_rate=experiment.store.spec.sample_rate,
        training={
            **experiment.provenance(),
            **trained.details,
            MEASURED_IN: measured_in(experiment, name),
            "history": trained.history,
        },
        metrics={"validation": compute_metrics(table).to_dict()},
    )
    save_checkpoint(directory, config, {trained.part.name: kept}, model_card(config), {VALIDATION_TABLE: table})
    shutil.rmtree(experiment.state_path(name), ignore_errors=True)


def _assemble(experiment: Experiment, row: EnsembleSystem, directory: Path) -> None:
    """Fit the fusion of an ensemble and write its checkpoint with its members in it."""
    name, validation = row.name, experiment.split.validation
    table = prediction_table(experiment, name, validation, read_predictions(experiment, name))
    members: Mapping[str, Path] = {member: experiment.checkpoint_path(member) for member in row.members}
    predictions = leaf_predictions(experiment, name, validation)
    config = Config(
        **identity(name, experiment.labels, experiment.store.spec.hop),
        frame_size=experiment.store.spec.frame_size,
        members=member_checksums(members),
        fusion=_own_fusion(experiment, name),
        mismatch=fit_system_detector(
            experiment.labels,
            predictions,
            {leaf: find(leaf).needs for leaf in predictions},
            recordings=[experiment.store.examples[row].name for row in validation],
            groups=experiment.groups(validation),
            starts=experiment.store.starts[validation],
            truth=experiment.truth[validation],
        ),
        audio_rate=experiment.store.spec.sample_rate,
        training={**experiment.provenance(), MEASURED_IN: measured_in(experiment, name)},
        metrics={"validation": compute_metrics(table).to_dict()},
    )
    save_ensemble(directory, config, members, model_card(config), {VALIDATION_TABLE: table})


def _own_fusion(experiment: Experiment, name: str) -> Fusion:
    """Return the fusion of an ensemble over its own members, whose fusions are in their own checkpoints."""
    fitted = fitted_fusion(experiment, name)
    names = tuple(member if isinstance(member, str) else member.name for member in fitted.members)
    return fitted.model_copy(update={"members": names})

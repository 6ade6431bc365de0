"""Test fine-tuning on few data: it begins as a linear probe, keeps ImageNet's statistics, ends trained on all rows."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from avscene.datasets.store.reader import SegmentStore
from avscene.errors import DataError
from avscene.evaluation.metrics import log_loss
from avscene.fusion.pooling import group_weights
from avscene.fusion.postprocess import apply_power, fit_power
from avscene.models.cnn.audio_cnn import AudioCnnPart
from avscene.models.cnn.block_network import BlockNetwork, create_block_network
from avscene.models.device import Runtime
from avscene.models.efficientnet_lite import EfficientNetLite, imagenet_state
from avscene.models.familiarity_tensors import familiarity_tensors
from avscene.records import Modality
from avscene.training.experiment.definition import Experiment
from avscene.training.experiment.familiarity import fit_model_familiarity
from avscene.training.experiment.runner import ExperimentRunner
from avscene.training.fine_tuning.finetune import REFIT_DIRECTORY, REFITTED
from avscene.training.fine_tuning.linear_probe import clean_features, fit_linear_probe, interpolate_weights
from avscene.training.fine_tuning.networks import initial_network, reader_for
from avscene.training.fine_tuning.state import STATE
from avscene.training.heads.linear_heads import RIDGES, ridge_path
from avscene.training.result import TrainedModel
from tests.support.finetune_process import train
from tests.support.processes import ROOT
from tests.support.small_store import plan, train_and_validation_rows

CPU = Runtime.choose("cpu", "float32")
KINDS: tuple[Modality, ...] = ("audio", "video")


@pytest.fixture(scope="module")
def by_kind(store: SegmentStore, tmp_path_factory: pytest.TempPathFactory) -> dict[Modality, TrainedModel]:
    """One uninterrupted training of each kind, for all tests of this module."""
    return {kind: train(store.directory, tmp_path_factory.mktemp("uninterrupted"), f"{kind}-probe") for kind in KINDS}


@pytest.fixture(params=KINDS)
def trained(request: pytest.FixtureRequest, by_kind: dict[Modality, TrainedModel]) -> TrainedModel:
    return by_kind[request.param]


def same(first: dict[str, torch.Tensor] | None, second: dict[str, torch.Tensor] | None) -> bool:
    assert first is not None
    assert second is not None
    return first.keys() == second.keys() and all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_blocks_and_the_head_are_what_the_encoder_embeds() -> None:
    network = create_block_network("tf_efficientnet_lite0", 3, 2).eval()
    encoder = EfficientNetLite("tf_efficientnet_lite0")
    encoder.net.load_state_dict(imagenet_state("tf_efficientnet_lite0"))
    images, extra = torch.rand(2, 3, 64, 64), torch.rand(2, 2)
    with torch.no_grad():
        torch.testing.assert_close(network.features(images, extra), torch.cat([encoder.eval()(images), extra], 1))
        assert network(images, extra).abs().max() == 0  # an untrained classifier


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_begins_as_a_ridge_regression_on_its_features(store: SegmentStore, kind: Modality) -> None:
    wanted, (rows, valid) = plan(kind, linear_probe=True), train_and_validation_rows(store)
    network = initial_network(wanted, store.labels, store, rows, CPU)
    reader, truth = reader_for(wanted, network, store, rows), store.truth(store.labels.names)
    train_features, valid_features = (clean_features(network, reader, part, CPU) for part in (rows, valid))
    ridge = fit_linear_probe(network, train_features, truth[rows], len(store.labels), (valid_features, truth[valid]))
    heads = dict(zip(RIDGES, ridge_path(train_features, truth[rows], len(store.labels)), strict=True))
    losses = {known: log_loss(truth[valid], head.probabilities(valid_features)) for known, head in heads.items()}
    assert losses[ridge] == min(losses.values())
    with torch.no_grad():
        probabilities = network(reader.clean(valid)).double().softmax(1).numpy()
    np.testing.assert_allclose(probabilities, heads[ridge].probabilities(valid_features), atol=1e-4)
    block = network.backbone if kind == "audio" else network
    assert isinstance(block, BlockNetwork)
    standardised = (torch.from_numpy(train_features) - block.center) / block.scale
    assert standardised.mean(0).abs().max() < 1e-3
    assert standardised.std(0).max() < 1.1


def test_the_statistics_of_batch_norms_stay_those_of_imagenet(trained: TrainedModel) -> None:
    published = imagenet_state("tf_efficientnet_lite0")
    kept = {name.partition("trunk.net.")[2]: tensor for name, tensor in trained.tensors.items() if "running_" in name}
    assert len(kept) > 90
    assert all(torch.equal(tensor, published[name]) for name, tensor in kept.items())
    weights = {name.partition("trunk.net.")[2]: tensor for name, tensor in trained.tensors.items() if "conv" in name}
    assert not any(torch.equal(tensor, published[name]) for name, tensor in weights.items())


def test_validation_rows_are_scored_by_a_network_that_was_not_trained_on_them(
    store: SegmentStore, trained: TrainedModel
) -> None:
    rows, valid = train_and_validation_rows(store)
    truth = store.truth(store.labels.names)[valid]
    assert trained.validation_tensors is not None
    assert trained.details[REFITTED] == len(rows) + len(valid)
    kept = "audio" if isinstance(trained.part, AudioCnnPart) else "video"
    segments = store.segments(valid, modalities=(kept,))
    by_validation_model = (
        trained.part.build(store.labels, trained.validation_tensors, CPU).score(segments).probabilities
    )
    assert log_loss(truth, by_validation_model) == pytest.approx(trained.details["valid_log_loss"], abs=1e-4)
    exponent = 1 / trained.details["temperature"]  # is part of it
    uncalibrated = apply_power(by_validation_model, 1 / exponent)
    weights = group_weights([store.examples[row].group for row in valid])
    assert exponent == pytest.approx(fit_power(uncalibrated, truth, weights), abs=0.02)
    final = trained.part.build(store.labels, trained.tensors, CPU).score(segments).probabilities
    assert not np.allclose(final, by_validation_model, atol=1e-6)  # it was trained on more rows


@pytest.mark.parametrize(
    "steps", [pytest.param(3, marks=pytest.mark.slow), 8]
)  # in the first training, which has 6 steps, and in the one on all rows
def test_killed_in_either_training_it_resumes_and_ends_with_the_same_bits(
    store: SegmentStore, by_kind: dict[Modality, TrainedModel], tmp_path: Path, steps: int
) -> None:
    expected = by_kind["video"]
    command = [sys.executable, "-m", "tests.support.finetune_process", str(store.directory)]
    arguments = [str(tmp_path / "killed"), str(tmp_path / "result"), "video-probe", str(steps)]
    killed = subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "killed" / STATE).is_file()
    assert (tmp_path / "killed" / REFIT_DIRECTORY).is_dir() == (steps > 6)
    resumed = train(store.directory, tmp_path / "killed", "video-probe")
    assert same(resumed.tensors, expected.tensors)
    assert same(resumed.validation_tensors, expected.validation_tensors)
    assert resumed.details == expected.details


def test_interpolated_weights_are_the_mean_of_both_ends() -> None:
    begin, end, between = (create_block_network("tf_efficientnet_lite0", 3) for _ in range(3))
    start = {name: tensor.clone() for name, tensor in begin.state_dict().items()}
    with torch.no_grad():
        for parameter in end.parameters():
            parameter.add_(2.0)
    interpolate_weights(between, start, end)
    for name, parameter in between.named_parameters():
        torch.testing.assert_close(parameter.detach(), start[name] + 1.0)


def test_lost_predictions_are_not_computed_by_a_network_trained_on_the_validation_rows(
    store: SegmentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(name: str, **_: object) -> object:
        return plan("video", name=name, linear_probe=True, epochs=1)

    monkeypatch.setattr("avscene.training.experiment.recipes.NetworkPlan", small)
    experiment = Experiment.open(
        tmp_path, store, None, backbones="paper", runtime=CPU, progress=lambda _: lambda *_: None
    )
    runner = ExperimentRunner(experiment)
    before = runner.predictions("full-video")[experiment.split.validation]
    assert np.isfinite(before).all()
    (tmp_path / "scores" / "full-video.safetensors").unlink()
    with pytest.raises(DataError, match="was trained on its validation rows since"):
        runner.predictions("full-video")


def test_familiarity_of_a_network_trained_on_all_rows_has_the_distances_of_the_one_before(
    store: SegmentStore, trained: TrainedModel, tmp_path: Path
) -> None:
    experiment = Experiment.open(
        tmp_path, store, None, backbones="small", runtime=CPU, progress=lambda _: lambda *_: None
    )
    assert trained.validation_tensors is not None
    before, final = (
        trained.part.build(store.labels, tensors, CPU) for tensors in (trained.validation_tensors, trained.tensors)
    )
    found = fit_model_familiarity(experiment, "small", final, before)
    of_the_one_before = fit_model_familiarity(experiment, "small", before, before)
    assert found is not None
    assert of_the_one_before is not None
    np.testing.assert_array_equal(found.distances, of_the_one_before.distances)
    np.testing.assert_array_equal(found.shares, of_the_one_before.shares)
    # A component for each row but one: its own statistics are those of all rows.
    components = [detector.means.shape[1] for detector in (found, of_the_one_before)]
    assert components == [len(store) - 1, len(experiment.split.train) - 1]
    segments = store.segments(range(len(store)))
    kept = trained.part.build(store.labels, trained.tensors | familiarity_tensors(found), CPU).score(segments)
    np.testing.assert_allclose(kept.familiarity, found.score(final.embed(segments)), atol=0.05)

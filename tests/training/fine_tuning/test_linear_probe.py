"""Fine-tuning on few data: it begins as a linear probe, keeps ImageNet's statistics, and ends trained on all rows."""

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
from avscene.fusion.postprocess import fit_power
from avscene.models.cnn.audio_cnn import AudioCnnPart
from avscene.models.cnn.block_network import BlockNetwork, create_block_network
from avscene.models.device import Runtime
from avscene.models.efficientnet_lite import EfficientNetLite, imagenet_state
from avscene.records import Modality
from avscene.training.experiment.definition import Experiment
from avscene.training.experiment.runner import ExperimentRunner
from avscene.training.fine_tuning.finetune import AGAIN, REFITTED
from avscene.training.fine_tuning.linear_probe import fit_probe, interpolate_weights, plain_features
from avscene.training.fine_tuning.loop import SHARPEST
from avscene.training.fine_tuning.networks import initial_network, reader_for
from avscene.training.fine_tuning.state import STATE
from avscene.training.heads.linear_heads import RIDGES, ridge_path
from avscene.training.result import TrainedModel
from tests.support.finetune_process import train
from tests.support.small_store import make_store, plan, sides

CPU = Runtime.choose("cpu", "float32")
KINDS: tuple[Modality, ...] = ("audio", "video")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SegmentStore:
    return make_store(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module", params=KINDS)
def trained(
    request: pytest.FixtureRequest, store: SegmentStore, tmp_path_factory: pytest.TempPathFactory
) -> TrainedModel:
    return train(store.directory, tmp_path_factory.mktemp("undisturbed"), f"{request.param}-probe")


def test_blocks_and_the_head_are_what_the_encoder_embeds() -> None:
    network = create_block_network("tf_efficientnet_lite0", 3, 2).eval()
    encoder = EfficientNetLite("tf_efficientnet_lite0")
    encoder.net.load_state_dict(imagenet_state("tf_efficientnet_lite0"))
    images, extra = torch.rand(2, 3, 64, 64), torch.rand(2, 2)
    with torch.no_grad():
        torch.testing.assert_close(network.features(images, extra), torch.cat([encoder.eval()(images), extra], 1))
        assert network(images, extra).abs().max() == 0  # a classifier that knows nothing


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_begins_as_a_ridge_regression_on_its_features(store: SegmentStore, kind: Modality) -> None:
    wanted, (rows, valid) = plan(kind, probe=True), sides(store)
    network = initial_network(wanted, store.labels, store, rows, CPU)
    reader, truth = reader_for(wanted, network, store, rows), store.truth(store.labels.names)
    learnt, held = (plain_features(network, reader, part, CPU) for part in (rows, valid))
    ridge = fit_probe(network, learnt, truth[rows], len(store.labels), (held, truth[valid]))
    heads = dict(zip(RIDGES, ridge_path(learnt, truth[rows], len(store.labels)), strict=True))
    losses = {known: log_loss(truth[valid], head.probabilities(held)) for known, head in heads.items()}
    assert losses[ridge] == min(losses.values())
    with torch.no_grad():
        answers = network(reader.plain(valid)).double().softmax(1).numpy()
    np.testing.assert_allclose(answers, heads[ridge].probabilities(held), atol=1e-4)
    block = network.backbone if kind == "audio" else network
    assert isinstance(block, BlockNetwork)
    standardised = (torch.from_numpy(learnt) - block.center) / block.scale
    assert standardised.mean(0).abs().max() < 1e-3
    assert standardised.std(0).max() < 1.1


def test_the_statistics_of_batch_norms_stay_those_of_imagenet(trained: TrainedModel) -> None:
    published = imagenet_state("tf_efficientnet_lite0")
    kept = {name.partition("trunk.net.")[2]: tensor for name, tensor in trained.tensors.items() if "running_" in name}
    assert len(kept) > 90
    assert all(torch.equal(tensor, published[name]) for name, tensor in kept.items())
    weights = {name.partition("trunk.net.")[2]: tensor for name, tensor in trained.tensors.items() if "conv" in name}
    assert not any(torch.equal(tensor, published[name]) for name, tensor in weights.items())


def test_validation_rows_are_judged_by_a_network_that_has_not_seen_them(
    store: SegmentStore, trained: TrainedModel
) -> None:
    rows, valid = sides(store)
    truth = store.truth(store.labels.names)[valid]
    assert trained.apart is not None
    assert trained.figures[REFITTED] == len(rows) + len(valid)
    kept = "audio" if isinstance(trained.part, AudioCnnPart) else "video"
    segments = store.segments(valid, modalities=(kept,))
    apart = trained.part.build(store.labels, trained.apart, CPU).score(segments).probabilities
    told = log_loss(truth, apart)
    assert told == pytest.approx(trained.figures["valid_log_loss"], abs=1e-4)
    exponent = 1 / trained.figures["temperature"]  # is part of it
    assert exponent <= SHARPEST
    if exponent < SHARPEST:
        assert fit_power(apart, truth) == pytest.approx(1, abs=0.02)
    final = trained.part.build(store.labels, trained.tensors, CPU).score(segments).probabilities
    assert not np.allclose(final, apart, atol=1e-6)  # which has learnt more rows


@pytest.mark.parametrize("steps", [3, 8])  # in the first training, which has 6, and in the one on all rows
def test_killed_in_either_training_it_ends_with_the_same_bits(store: SegmentStore, tmp_path: Path, steps: int) -> None:
    expected = train(store.directory, tmp_path / "undisturbed", "video-probe")
    command = [sys.executable, "-m", "tests.support.finetune_process", str(store.directory)]
    arguments = [str(tmp_path / "killed"), str(tmp_path / "result"), "video-probe", str(steps)]
    killed = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=240, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "killed" / STATE).is_file()
    assert (tmp_path / "killed" / AGAIN).is_dir() == (steps > 6)
    resumed = train(store.directory, tmp_path / "killed", "video-probe")
    assert all(torch.equal(tensor, expected.tensors[name]) for name, tensor in resumed.tensors.items())
    assert expected.apart is not None
    assert resumed.apart is not None
    assert all(torch.equal(tensor, expected.apart[name]) for name, tensor in resumed.apart.items())
    assert resumed.figures == expected.figures


def test_half_way_is_the_mean_of_both_ends() -> None:
    begun, ended, between = (create_block_network("tf_efficientnet_lite0", 3) for _ in range(3))
    start = {name: tensor.clone() for name, tensor in begun.state_dict().items()}
    with torch.no_grad():
        for parameter in ended.parameters():
            parameter.add_(2.0)
    interpolate_weights(between, start, ended)
    for name, parameter in between.named_parameters():
        torch.testing.assert_close(parameter.detach(), start[name] + 1.0)


def test_scores_that_are_lost_are_not_made_by_the_network_that_knows_the_answers(
    store: SegmentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(name: str, **_: object) -> object:
        return plan("video", name=name, probe=True, epochs=1)

    monkeypatch.setattr("avscene.training.experiment.recipes.NetworkPlan", small)
    experiment = Experiment.open(
        tmp_path, store, None, backbones="paper", runtime=CPU, progress=lambda _: lambda *_: None
    )
    runner = ExperimentRunner(experiment)
    before = runner.predictions("full-video")[experiment.split.validation]
    assert np.isfinite(before).all()
    (tmp_path / "scores" / "full-video.safetensors").unlink()
    with pytest.raises(DataError, match="has learnt from its validation rows since"):
        runner.predictions("full-video")

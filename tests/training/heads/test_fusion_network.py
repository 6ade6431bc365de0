"""The late fusion network (C04): table 1, its training in memory, and what a checkpoint brings back of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import load, save
from torch import nn
from torch.nn import functional

from avscene.errors import CheckpointError, DataError, WeightsError
from avscene.evaluation.metrics import accuracy, log_loss
from avscene.familiarity.fitting import fit_familiarity
from avscene.labels import LabelSet
from avscene.models.checkpoint import Part
from avscene.models.device import Runtime
from avscene.models.dropout import FastDropout
from avscene.models.encoders import build_encoder
from avscene.models.familiarity_tensors import familiarity_tensors
from avscene.models.fusion_network import FusionNetwork, FusionNetworkModel, FusionNetworkPart
from avscene.records import Frame, Segment
from avscene.training.heads.fusion_network import FusionPlan, initial_fusion_network, train_fusion_network
from avscene.training.heads.in_memory import HeadSettings, InMemoryData, run_epoch
from avscene.training.result import TrainedModel
from tests.support.hub_server import HubServer
from tests.support.small_clip import RN101, VIT, save_small_clip

CPU = Runtime.choose("cpu", "float32")
OFFLINE = Runtime.choose("cpu", "float32", offline=True)
SEED_SIZES = (640, 512, 512)  # RN50x4, RN101, ViT-B/32
LABELS = LabelSet(("bus", "park", "tram"))
N_ROWS = 400
TRAIN, VALID, TEST = np.arange(200), np.arange(200, 300), np.arange(300, 400)


def layer_by_layer(network: FusionNetwork, embeddings: list[torch.Tensor]) -> torch.Tensor:
    """InMemoryData 1 as it stands."""
    branches = [branch(values) for branch, values in zip(network.branches, embeddings, strict=True)]
    return network.classifier(network.fusion(torch.cat(branches, dim=1)))


def separable(
    sizes: dict[str, int], spread: float = 0.5, scale: float = 1.0
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Embeddings by encoder and scene indices: unit vectors round a centre for each scene, times `scale`."""
    random = np.random.default_rng(0)
    truth = random.integers(0, len(LABELS), N_ROWS)
    embeddings = {}
    for name, size in sizes.items():
        centres = random.normal(0, 1, (len(LABELS), size)) + 3 * random.normal(0, 1, size)
        values = centres[truth] + spread * np.sqrt(size) * random.normal(0, 1, (N_ROWS, size)) / np.sqrt(size)
        embeddings[name] = (scale * values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    return embeddings, truth


def train(
    embeddings: dict[str, np.ndarray], truth: np.ndarray, rows=(TRAIN, VALID), **settings: object
) -> TrainedModel:
    plan = FusionPlan("C04", {name: f"key of {name}" for name in embeddings}, HeadSettings(**{"epochs": 6} | settings))
    return train_fusion_network(embeddings, truth, *rows, LABELS, plan, CPU)


def scores(trained: TrainedModel, arrays: list[np.ndarray]) -> np.ndarray:
    """Probabilities by the trained network, with no encoder to be had."""
    network = trained.part.network(LABELS, trained.tensors)
    return (
        FusionNetworkModel("C04", LABELS, dict.fromkeys(trained.part.encoders), network, CPU)
        .score_embeddings(arrays)
        .probabilities
    )


@pytest.fixture(scope="module")
def problem() -> tuple[dict[str, np.ndarray], np.ndarray]:
    return separable({"one": 24, "two": 16})


@pytest.fixture(scope="module")
def trained(problem: tuple[dict[str, np.ndarray], np.ndarray]) -> TrainedModel:
    return train(*problem)


# --- table 1 ---


def test_the_layers_are_those_of_table_1() -> None:
    network = FusionNetwork(SEED_SIZES, 10)
    for branch, size in zip(network.branches, SEED_SIZES, strict=True):
        linear, norm, relu, dropout, last = branch
        assert isinstance(linear, nn.Linear)
        assert (linear.in_features, linear.out_features, linear.bias is None) == (size, 512, False)
        assert isinstance(norm, nn.BatchNorm1d)
        assert (norm.num_features, norm.affine, norm.track_running_stats) == (512, True, True)
        assert isinstance(relu, nn.ReLU)
        assert isinstance(dropout, nn.Dropout)
        assert dropout.p == 0.2
        assert isinstance(last, nn.Linear)
        assert (last.in_features, last.out_features, last.bias is None) == (512, 256, False)
    assert (network.fusion.in_features, network.fusion.out_features) == (3 * 256, 128)
    assert (network.classifier.in_features, network.classifier.out_features) == (128, 10)


def test_the_number_of_parameters_is_that_of_the_formula() -> None:
    def branch(size: int) -> int:
        return (size + 1) * 512 + 2 * 512 + 513 * 256

    by_hand = branch(640) + 2 * branch(512) + (3 * 256 + 1) * 128 + 129 * 10
    network = FusionNetwork(SEED_SIZES, 10)
    assert sum(parameter.numel() for parameter in network.parameters()) == by_hand == 1_350_282


@pytest.mark.parametrize("n_scenes", [2, 10])
def test_multiplying_the_matrices_first_changes_neither_values_nor_gradients(n_scenes: int) -> None:
    network = initial_fusion_network((7, 5, 3), n_scenes, seed=1)
    for branch in network.branches:
        branch[3].p = 0.0
    generator = torch.Generator().manual_seed(0)
    embeddings = [torch.randn(9, size, generator=generator) for size in (7, 5, 3)]
    targets = torch.arange(9) % n_scenes
    values, gradients = [], []
    for forward in (lambda: network(*embeddings), lambda: layer_by_layer(network, embeddings)):
        network.zero_grad()
        logits = forward()
        functional.cross_entropy(logits, targets).backward()
        values.append(logits.detach())
        gradients.append([parameter.grad.clone() for parameter in network.parameters()])
    torch.testing.assert_close(*values, atol=1e-6, rtol=1e-4)
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)
    assert all(gradient.abs().max() > 1e-4 for gradient in gradients[0] if gradient.dim() == 2)


@pytest.mark.parametrize("n_branches", [1, 2, 4])
def test_as_many_branches_as_encoders(n_branches: int) -> None:
    network = initial_fusion_network((5,) * n_branches, 3, seed=0).eval()
    embeddings = [torch.randn(4, 5) for _ in range(n_branches)]
    assert network.fusion.in_features == 256 * n_branches
    torch.testing.assert_close(network(*embeddings), layer_by_layer(network, embeddings), atol=1e-6, rtol=1e-4)


# --- dropout ---


def test_dropout_zeroes_a_fifth_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    values = torch.ones(1000, 501, requires_grad=True)
    dropped = FastDropout(0.2)(values)
    assert dropped.unique().tolist() == [0.0, pytest.approx(1.25, rel=1e-4)]
    kept = (dropped != 0).double()
    deviation = np.sqrt(0.2 * 0.8 / kept.numel())
    assert abs(kept.mean().item() - 0.8) < 5 * deviation
    for lag in (1, 2, 4, 501):  # bits of one random word, and of neighbouring rows, are independent
        flat = kept.flatten()
        together = (flat[lag:] * flat[:-lag]).mean().item()
        assert abs(together - 0.64) < 8 * deviation
    dropped.sum().backward()
    assert torch.equal(values.grad, dropped.detach())


@given(st.floats(0, 0.99), st.integers(1, 9))
@settings(max_examples=30)
def test_dropout_of_any_share_and_size(share: float, size: int) -> None:
    dropped = FastDropout(share)(torch.ones(1024, size))
    assert dropped.shape == (1024, size)
    mean = (dropped == 0).float().mean().item()
    assert abs(mean - share) < 6 * np.sqrt(share * (1 - share) / (1024 * size)) + 1e-4


def test_dropout_does_nothing_in_evaluation_mode() -> None:
    values = torch.randn(8, 8)
    assert torch.equal(FastDropout(0.2).eval()(values), values)


# --- training ---


def test_training_learns_separable_scenes(
    problem: tuple[dict[str, np.ndarray], np.ndarray], trained: TrainedModel
) -> None:
    embeddings, truth = problem
    predicted = scores(trained, [array[TEST] for array in embeddings.values()])
    prior = np.bincount(truth[TRAIN], minlength=3) / len(TRAIN)
    assert log_loss(truth[TEST], predicted) < 0.1
    assert log_loss(truth[TEST], predicted) < 0.1 * log_loss(truth[TEST], np.tile(prior, (len(TEST), 1)))
    assert accuracy(truth[TEST], predicted) > 0.97


def test_the_epoch_of_least_validation_log_loss_is_kept(problem: tuple[dict[str, np.ndarray], np.ndarray]) -> None:
    """On random labels a network only gets worse: the last epoch would be far above the first."""
    embeddings, _ = problem
    noise = np.random.default_rng(1).integers(0, 3, N_ROWS)
    trained = train(embeddings, noise, epochs=15)
    losses = [row["valid_log_loss"] for row in trained.history]
    assert [row["epoch"] for row in trained.history] == list(range(1, 16))
    assert trained.details["best_epoch"] == np.argmin(losses) + 1 < 15
    predicted = scores(trained, [array[VALID] for array in embeddings.values()])
    assert (
        log_loss(noise[VALID], predicted) == pytest.approx(min(losses), abs=1e-5) == trained.details["valid_log_loss"]
    )
    assert losses[-1] > min(losses) + 0.1


def test_embeddings_of_length_1_and_few_steps_are_normalised_as_in_training() -> None:
    """Their variance is far from the 1 at which a batch norm starts, and there are 12 steps to find that out."""
    embeddings, truth = separable({"one": 512}, spread=0.5, scale=0.1)
    few = np.concatenate([np.flatnonzero(truth == scene)[:20] for scene in range(3)])
    rest = np.setdiff1d(np.arange(N_ROWS), few)
    trained = train(embeddings, truth, rows=(few, rest), epochs=6)
    assert trained.details["valid_log_loss"] < 0.3


def test_the_same_seed_gives_the_same_weights_and_leaves_torch_alone(
    problem: tuple[dict[str, np.ndarray], np.ndarray], trained: TrainedModel
) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    again = train(*problem)
    assert torch.equal(torch.rand(3), expected)
    assert again.history == trained.history
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in trained.tensors.items())
    other = train(*problem, seed=1)
    assert other.history != trained.history


def test_an_epoch_is_the_same_whatever_was_drawn_before(problem: tuple[dict[str, np.ndarray], np.ndarray]) -> None:
    embeddings, truth = problem
    inputs = tuple(torch.from_numpy(array) for array in embeddings.values())
    table = InMemoryData(inputs, torch.from_numpy(truth), torch.from_numpy(TRAIN), torch.from_numpy(VALID))

    def loss_of(epoch: int, drawn_before: int) -> float:
        network = initial_fusion_network((24, 16), 3, seed=0)
        with torch.random.fork_rng([]):
            torch.rand(drawn_before)
            optimiser = torch.optim.AdamW(network.parameters())
            return run_epoch(network, optimiser, table, HeadSettings(), epoch)

    assert loss_of(3, 0) == loss_of(3, 7) != loss_of(4, 0)


def test_rows_in_another_order_make_no_difference(
    problem: tuple[dict[str, np.ndarray], np.ndarray], trained: TrainedModel
) -> None:
    embeddings, truth = problem
    order = np.random.default_rng(3).permutation(N_ROWS)
    position = np.argsort(order)
    moved = train(
        {name: array[order] for name, array in embeddings.items()},
        truth[order],
        rows=(position[TRAIN], position[VALID]),
    )
    assert all(torch.equal(moved.tensors[name], tensor) for name, tensor in trained.tensors.items())
    arrays = list(embeddings.values())
    np.testing.assert_allclose(
        scores(trained, [array[order] for array in arrays]), scores(trained, arrays)[order], atol=1e-6
    )


def test_rows_without_an_embedding_are_not_trained_on_and_not_scored(
    problem: tuple[dict[str, np.ndarray], np.ndarray], trained: TrainedModel
) -> None:
    embeddings, truth = problem
    holed = {name: np.concatenate([array, array[:6]]) for name, array in embeddings.items()}
    holed["one"][N_ROWS] = np.nan
    holed["two"][N_ROWS + 1 : N_ROWS + 4, 3] = np.nan
    holed["two"][N_ROWS + 4] = np.inf
    absent = np.arange(N_ROWS, N_ROWS + 5)
    rows = (np.concatenate([TRAIN, absent[:3]]), np.concatenate([VALID, absent[3:]]))
    again = train(holed, np.concatenate([truth, truth[:6]]), rows=rows)
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in trained.tensors.items())
    assert (again.details["rows_without_embeddings"], again.details["training_rows"]) == (5, 200)
    predicted = scores(again, list(holed.values()))
    assert np.flatnonzero(np.isnan(predicted[:, 0])).tolist() == absent.tolist()
    np.testing.assert_allclose(predicted[:N_ROWS], scores(trained, list(embeddings.values())), atol=1e-6)
    assert np.isnan(scores(again, [array[absent] for array in holed.values()])).all()


def test_data_that_do_not_suffice_are_refused(problem: tuple[dict[str, np.ndarray], np.ndarray]) -> None:
    embeddings, truth = problem
    empty = np.array([], int)
    absent = {**embeddings, "two": np.full((N_ROWS, 16), np.nan, np.float32)}
    with pytest.raises(DataError, match="none of the 200 training rows has embeddings of one, two"):
        train(absent, truth)
    with pytest.raises(DataError, match="at least two training rows, got 1"):
        train(embeddings, truth, rows=(TRAIN[:1], VALID))
    with pytest.raises(DataError, match="no validation rows to choose"):
        train(embeddings, truth, rows=(TRAIN, empty))
    huge = {name: array * np.float32(1e38) for name, array in embeddings.items()}
    with pytest.raises(DataError, match="not finite after epoch 1"):
        train(huge, truth)


@pytest.mark.parametrize("n_rows", [2, 3, 33, 65])
def test_any_number_of_rows_from_two_on_can_be_trained_on(
    problem: tuple[dict[str, np.ndarray], np.ndarray], n_rows: int
) -> None:
    """A batch of one row could not be normalised."""
    assert np.isfinite(train(*problem, rows=(TRAIN[:n_rows], VALID), epochs=1).details["valid_log_loss"])


def test_batches_are_smaller_where_data_are_few() -> None:
    sizes = [HeadSettings().batch_of(n_rows) for n_rows in (10, 2048, 6400, 65_536, 86_460)]
    assert sizes == [32, 32, 100, 1024, 1024]


def test_progress_counts_epochs(problem: tuple[dict[str, np.ndarray], np.ndarray]) -> None:
    calls: list[tuple[int, int]] = []
    plan = FusionPlan("C04", dict.fromkeys(problem[0], "key"), HeadSettings(epochs=3))
    train_fusion_network(*problem, TRAIN, VALID, LABELS, plan, CPU, lambda *call: calls.append(call))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_the_callers_arrays_are_not_changed(problem: tuple[dict[str, np.ndarray], np.ndarray]) -> None:
    embeddings, truth = problem
    fixed = {name: array.copy() for name, array in embeddings.items()}
    for array in fixed.values():
        array.setflags(write=False)
    train(fixed, truth, epochs=1)
    for name, array in embeddings.items():
        np.testing.assert_array_equal(fixed[name], array)


# --- checkpoints, on real encoders ---


@pytest.fixture(scope="session")
def small_clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("clips")
    return {
        VIT: save_small_clip(directory / "vit", "vit", seed=1),
        RN101: save_small_clip(directory / "resnet", "resnet", seed=2),
    }


@pytest.fixture
def server(hub_server: HubServer, small_clips: dict[str, Path]) -> HubServer:
    for repo_id, directory in small_clips.items():
        hub_server.add(repo_id, directory)
    return hub_server


ENCODERS = ("clip-vit-b-32", "clip-rn101")


def segments(n: int) -> list[Segment]:
    random = np.random.default_rng(0)
    tints = random.integers(40, 216, (n, 1, 1, 3))
    images = [np.clip(tint + random.normal(0, 30, (48, 64, 3)), 0, 255).astype(np.uint8) for tint in tints]
    return [Segment(k, k + 1, (Frame(k + 0.5, image),), None) for k, image in enumerate(images)]


@pytest.fixture
def on_clips(server: HubServer) -> tuple[TrainedModel, list[np.ndarray]]:
    """A network trained on real embeddings, and these: redder scenes from bluer ones."""
    encoders = {name: build_encoder(name, CPU) for name in ENCODERS}
    frames_only = segments(60)
    embeddings = {name: encoder.embed(frames_only) for name, encoder in encoders.items()}
    truth = np.array([int(np.argmax(video.frames[0].pixels.mean((0, 1)))) for video in frames_only])
    plan = FusionPlan("C04", {name: encoder.key for name, encoder in encoders.items()}, HeadSettings(epochs=3))
    rows = (np.arange(40), np.arange(40, 60))
    return train_fusion_network(embeddings, truth, *rows, LABELS, plan, CPU), list(embeddings.values())


def test_a_checkpoint_restores_the_model(on_clips: tuple[TrainedModel, list[np.ndarray]]) -> None:
    trained, arrays = on_clips
    part = TypeAdapter(Part).validate_json(trained.part.model_dump_json())
    assert part == trained.part
    model = part.build(LABELS, load(save(trained.tensors)), OFFLINE)
    assert (model.name, model.labels, model.encoders) == ("C04", LABELS, ENCODERS)
    assert (model.needs, model.sample_rate, model.frame_size) == ("video", None, 64)
    stored = model.score_embeddings(arrays).probabilities
    np.testing.assert_allclose(stored, scores(trained, arrays), atol=1e-6)
    frames_only = [*segments(60)[:5], Segment(5, 6, (), None)]
    predicted = model.score(frames_only)
    np.testing.assert_allclose(predicted.probabilities[:5], stored[:5], atol=1e-4)
    assert predicted.scored.tolist() == [True] * 5 + [False]
    assert np.ptp(stored, axis=0).max() > 0.05  # else this would prove nothing


def test_a_familiarity_detector_among_the_tensors_judges_all_embeddings(
    on_clips: tuple[TrainedModel, list[np.ndarray]],
) -> None:
    trained, arrays = on_clips
    values = np.concatenate(arrays, axis=1)
    truth = np.arange(len(values)) % len(LABELS)
    fitted = fit_familiarity(values, truth, [str(row // 2) for row in range(len(truth))], len(LABELS))
    assert fitted is not None
    tensors = load(save({**trained.tensors, **familiarity_tensors(fitted.detector)}))
    model = trained.part.build(LABELS, tensors, OFFLINE)
    found = model.score([*segments(60)[:5], Segment(5, 6, (), None)])
    np.testing.assert_allclose(found.familiarity[:5], fitted.detector.score(values[:5]), atol=0.02)
    assert np.isnan(found.familiarity[5])
    without = trained.part.build(LABELS, trained.tensors, OFFLINE).score(segments(60)[:5])
    assert without.familiarity is None
    np.testing.assert_allclose(found.probabilities[:5], without.probabilities, atol=1e-4)
    damaged = {**tensors, "familiarity.offset": torch.zeros(3)}
    with pytest.raises(CheckpointError, match=r"model 'C04': offset is not a finite array of shape"):
        trained.part.build(LABELS, damaged, OFFLINE)


@dataclass
class AmplitudeEncoder:
    """An encoder of the mean amplitude and its square; NaN without audio."""

    needs = "audio"
    sample_rate = 48_000
    frame_size = None
    embedding_size = 2
    key = "amplitude"

    def embed(self, segments: Sequence[Segment]) -> np.ndarray:
        amplitudes = [np.nan if segment.waveform is None else np.abs(segment.waveform).mean() for segment in segments]
        return np.array([[level, level**2] for level in amplitudes], np.float32)


def test_encoders_of_audio_and_of_frames_can_be_fused(server: HubServer) -> None:
    encoders = {"amplitude": AmplitudeEncoder(), "clip-vit-b-32": build_encoder("clip-vit-b-32", CPU)}
    network = initial_fusion_network((2, 32), len(LABELS), seed=0)
    both = FusionNetworkModel("mixed", LABELS, encoders, network, CPU)
    assert (both.needs, both.sample_rate, both.frame_size) == ("both", 48_000, 32)
    frames, audio = segments(1)[0].frames, np.full(48_000, 0.5, np.float32)
    mixed = [Segment(0, 1, frames, audio), Segment(1, 2, (), audio), Segment(2, 3, frames, None)]
    assert both.score(mixed).scored.tolist() == [True, False, False]
    alone = FusionNetworkModel(
        "amplitude", LABELS, {"amplitude": AmplitudeEncoder()}, initial_fusion_network((2,), len(LABELS), seed=0), CPU
    )
    assert (alone.needs, alone.sample_rate, alone.frame_size) == ("audio", 48_000, None)
    assert alone.score(mixed).scored.tolist() == [True, True, False]


def test_another_encoder_than_that_of_training_is_refused(
    on_clips: tuple[TrainedModel, list[np.ndarray]], server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, _ = on_clips
    server.add(VIT, save_small_clip(tmp_path / "other", "vit", seed=77))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "fresh"))
    with pytest.raises(CheckpointError, match=r"'C04' was trained on another clip-vit-b-32 .*train again"):
        trained.part.build(LABELS, trained.tensors, CPU)


def test_missing_weights_of_an_encoder_are_reported(
    on_clips: tuple[TrainedModel, list[np.ndarray]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, _ = on_clips
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    with pytest.raises(WeightsError, match="run once without --offline"):
        trained.part.build(LABELS, trained.tensors, OFFLINE)


def test_tensors_that_do_not_fit_are_named(trained: TrainedModel) -> None:
    part, tensors = trained.part, trained.tensors
    assert isinstance(part, FusionNetworkPart)
    short = {name: tensor for name, tensor in tensors.items() if name != "fusion.bias"}
    with pytest.raises(CheckpointError, match=r"'C04': .* on one \(24\), two \(16\): 1 missing \(fusion.bias\)"):
        part.build(LABELS, short, CPU)
    with pytest.raises(CheckpointError, match=r"1 unknown \(extra\)"):
        part.build(LABELS, {**tensors, "extra": torch.zeros(1)}, CPU)
    with pytest.raises(CheckpointError, match=r"one \(25\).*branches.0.0.weight \(512, 24\) for \(512, 25\)"):
        part.model_copy(update={"sizes": (25, 16)}).build(LABELS, tensors, CPU)
    with pytest.raises(CheckpointError, match=r"classifier.weight \(3, 128\) for \(2, 128\)"):
        part.build(LabelSet(("bus", "park")), tensors, CPU)


def test_embeddings_of_another_size_are_refused(trained: TrainedModel) -> None:
    with pytest.raises(CheckpointError, match=r"'C04' takes embeddings of one \(24\), two \(16\); got sizes 16, 24"):
        scores(trained, [np.zeros((2, 16)), np.zeros((2, 24))])
    with pytest.raises(CheckpointError, match="got sizes 24"):
        scores(trained, [np.zeros((2, 24))])


@pytest.mark.parametrize(
    "change", [{"sizes": (24,)}, {"encoder_keys": ()}, {"encoders": (), "sizes": (), "encoder_keys": ()}]
)
def test_a_part_has_a_size_and_a_key_for_each_encoder(trained: TrainedModel, change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="one size and one key for each encoder"):
        FusionNetworkPart(**{**trained.part.model_dump(), **change})

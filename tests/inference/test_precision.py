"""Test the precision of the networks of a system: speed, what it changes, and how it is kept and passed on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import avscene
from avscene.errors import UsageError
from avscene.inference import precision
from avscene.inference.precision import MAX_MOVE, networks_of
from avscene.models.precision.measurement import Measurement, Rates
from avscene.models.precision.reference import reference_segments
from tests.support.hub_server import HubServer
from tests.support.small_clip import VIT, save_small_clip

LABELS = ["kitchen", "wood", "street"]


def machine(ratio: float) -> Measurement:
    rates = Rates(float32=100, bfloat16=100 * ratio)
    return Measurement(processor="some", torch="2.15", convolution=rates, depthwise=rates, product=rates)


FAST, SLOW = machine(3), machine(0.5)


@pytest.fixture(autouse=True)
def bfloat16_is_faster_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(precision, "this_machine", lambda: FAST)


def offer_clip(hub_server: HubServer, directory: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    """Offer a small CLIP on the hub after `change` of its tensors."""
    path = save_small_clip(directory, "vit", seed=1) / "open_clip_model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    hub_server.add(VIT, directory)


@pytest.fixture
def steady(hub_server: HubServer, tmp_path: Path) -> None:
    """A CLIP whose embeddings of all images are alike, so that no precision moves its probabilities by much."""

    def change(tensors: dict[str, Tensor]) -> None:
        tensors["visual.ln_post.weight"] *= 0.01

    offer_clip(hub_server, tmp_path / "steady", change)


@pytest.fixture
def sensitive(hub_server: HubServer, tmp_path: Path) -> None:
    """A CLIP whose embeddings are small differences of large numbers, of which bfloat16 has no digits."""

    def change(tensors: dict[str, Tensor]) -> None:
        tensors["visual.ln_post.bias"][:] = 30
        tensors["visual.proj"] -= tensors["visual.proj"].mean(dim=0)  # so that the bias does not count

    offer_clip(hub_server, tmp_path / "sensitive", change)


def scores(system: avscene.System) -> np.ndarray:
    return system.score_by_model(reference_segments(1.0, None))


@pytest.mark.usefixtures("steady")
def test_a_network_gets_bfloat16_if_it_is_faster_and_hardly_changes() -> None:
    exact, chosen = avscene.load("C03", labels=LABELS, precision="float32"), avscene.load("C03", labels=LABELS)
    assert chosen.precision == {"C03": "bfloat16"}
    assert networks_of(chosen.models)["C03"].precision == "bfloat16"
    moved = np.abs(scores(chosen) - scores(exact)).max()
    assert 0 < moved <= MAX_MOVE
    np.testing.assert_array_equal(scores(chosen), scores(avscene.load("C03", labels=LABELS, precision="bfloat16")))
    assert chosen.fingerprint != exact.fingerprint


@pytest.mark.usefixtures("sensitive")
def test_a_network_whose_probabilities_move_stays_in_float32() -> None:
    exact, chosen = avscene.load("C03", labels=LABELS, precision="float32"), avscene.load("C03", labels=LABELS)
    rough = avscene.load("C03", labels=LABELS, precision="bfloat16")
    assert np.abs(scores(rough) - scores(exact)).max() > MAX_MOVE
    assert chosen.precision == {"C03": "float32"}
    np.testing.assert_array_equal(scores(chosen), scores(exact))
    assert chosen.fingerprint == exact.fingerprint


@pytest.mark.usefixtures("steady")
def test_what_moves_is_measured_once_for_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    before = avscene.load("C03", labels=LABELS)

    def refuse(*_: object) -> None:
        raise AssertionError("measured again")

    with monkeypatch.context() as patch:
        patch.setattr(precision, "reference_segments", refuse)
        again = avscene.load("C03", labels=LABELS)
        assert again.precision == before.precision
        np.testing.assert_array_equal(scores(again), scores(before))
        with pytest.raises(AssertionError, match="measured again"):
            avscene.load("C03", labels=[*LABELS, "forest"])


@pytest.mark.usefixtures("steady")
def test_several_machines_share_one_precision() -> None:
    assert avscene.load("C03", labels=LABELS, precision=[FAST, FAST]).precision == {"C03": "bfloat16"}
    mixed = avscene.load("C03", labels=LABELS, precision=[FAST, SLOW])
    assert mixed.precision == {"C03": "float32"}
    first = avscene.load("C03", labels=LABELS)
    elsewhere = avscene.load("C03", labels=LABELS, precision=first.precision)
    assert (elsewhere.precision, elsewhere.fingerprint) == (first.precision, first.fingerprint)
    np.testing.assert_array_equal(scores(elsewhere), scores(first))
    assert avscene.load("C03", labels=LABELS, precision=mixed.precision).fingerprint == mixed.fingerprint


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize("wanted", [{"C01": "bfloat16"}, {"C03": "int8"}, {}])
def test_the_precision_of_another_system_is_refused(wanted: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="the networks of the system are C03"):
        avscene.load("C03", labels=LABELS, precision=wanted)


def test_networks_that_are_shared_stay_in_float32(scene_system: "avscene.training.train.Trained") -> None:
    assert avscene.load("conse").precision == {"conse": "float32"}
    trained = avscene.load(scene_system.directory)
    assert set(trained.precision) == {model.name for model in trained.models}
    assert set(trained.precision.values()) == {"float32"}


def test_reference_segments_are_structured_and_the_same_every_time() -> None:
    first, second = (reference_segments(0.5, 32_000) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.frames[0].pixels, other.frames[0].pixels)
        np.testing.assert_array_equal(one.waveform, other.waveform)
        assert one.waveform is not None
        assert one.waveform.shape == (16_000,)
        assert np.abs(one.waveform).max() <= 1
        # Neighbouring pixels of a structured image are alike; those of white noise are not.
        grey = one.frames[0].pixels.mean(axis=2)
        assert np.corrcoef(grey[:, 1:].ravel(), grey[:, :-1].ravel())[0, 1] > 0.8


def test_float32_on_a_gpu_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    avscene.models.device.Runtime.choose("cuda", "float32")
    assert not torch.backends.cudnn.allow_tf32

"""Test fine-tuned CNNs: strict loading of weights, inputs, and saving and loading."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from timm.data import create_transform
from torch import Tensor
from torch.nn import functional

from avscene.errors import CheckpointError, UsageError, WeightsError
from avscene.features.frames import FrameSpec, frames_to_tensor
from avscene.features.logmel import LogMelSpec, log_mel
from avscene.labels import LabelSet
from avscene.models.cnn.audio_cnn import LOG_MEL, AudioCnnPart, LogMelNetwork
from avscene.models.cnn.backbones import (
    HUB_BACKBONES,
    WEIGHTS_FILE,
    backbone_frame_spec,
    backbone_presence,
    backbones,
    blank_backbone,
    classifier_of,
    create_backbone,
    input_size_of,
)
from avscene.models.cnn.frame_cnn import FrameCnnPart
from avscene.models.device import Runtime
from avscene.models.efficientnet_lite import imagenet_state
from avscene.models.weights import hub
from avscene.models.weights.strict import faults, fill
from avscene.records import Frame, Segment
from tests.support.hub_server import HubServer

CPU = Runtime.choose("cpu", "float32")
LABELS = LabelSet(("cave", "furnace", "meadow"))
LITE0 = "tf_efficientnet_lite0"
HRNET, B1 = "hrnet_w18.ms_aug_in1k", "tf_efficientnet_b1.ns_jft_in1k"
# Millions of parameters with ImageNet's 1000 classes, as timm publishes them.
PUBLISHED = {
    "regnety_064.ra3_in1k": 30.58,
    "regnetx_064.pycls_in1k": 26.21,
    "resnest50d.in1k": 27.48,
    "tf_efficientnet_b1.ns_jft_in1k": 7.79,
    "hrnet_w18.ms_aug_in1k": 21.30,
}
SMALL_MEL = LogMelSpec(sample_rate=16_000, n_fft=512, hop_length=250, n_mels=32, f_min=0.0, f_max=8_000.0)


def random_tensors(architecture: str, n_classes: int = 1000) -> dict[str, Tensor]:
    """What a file of weights for `architecture` would hold, drawn at random: for tests alone."""
    torch.manual_seed(1)
    tensors = dict(timm.create_model(architecture, pretrained=False, num_classes=n_classes).state_dict())
    for name, tensor in tensors.items():
        if name.endswith("running_var"):
            tensors[name] = torch.rand(tensor.shape) + 0.5  # not the 1 that a network begins with
    return tensors


def offer(hub_server: HubServer, directory: Path, architecture: str, tensors: dict[str, Tensor]) -> None:
    directory.mkdir(exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, directory / WEIGHTS_FILE)
    hub_server.add(f"timm/{architecture}", directory)


# --- weights ---


def test_packaged_weights_are_all_loaded_but_the_classifier() -> None:
    network = create_backbone(LITE0, 3, offline=True)
    published = imagenet_state(LITE0)
    loaded = network.state_dict()
    assert set(published) == set(loaded)
    for name, tensor in loaded.items():
        if name.startswith("classifier."):
            assert tensor.shape[0] == 3
            assert not tensor.any()
        else:
            assert torch.equal(tensor, published[name])
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_weights_of_the_hub_are_all_loaded_but_the_classifier(hub_server: HubServer, tmp_path: Path) -> None:
    tensors = random_tensors(B1)
    offer(hub_server, tmp_path / "b1", B1, tensors)
    assert backbone_presence(B1) == (False, f"fetched from the hub (timm/{B1}) when first used")
    network = create_backbone(B1, 3, offline=False)
    assert backbone_presence(B1) == (True, "cached")
    assert list(classifier_of(network)) == ["classifier.weight", "classifier.bias"]
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, tensors[name]) or name.startswith("classifier.")
    hub_server.stop()
    create_backbone(B1, 3, offline=True)


@pytest.mark.parametrize("fault", ["missing", "unknown", "misshapen", "headless"])
def test_weights_that_do_not_fit_are_refused(hub_server: HubServer, tmp_path: Path, fault: str) -> None:
    tensors = random_tensors(B1)
    if fault == "missing":
        del tensors["conv_stem.weight"]
    elif fault == "unknown":
        tensors["further.weight"] = torch.zeros(1)
    elif fault == "misshapen":
        tensors["bn1.bias"] = torch.zeros(7)
    else:
        del tensors["classifier.bias"]
    offer(hub_server, tmp_path / "b1", B1, tensors)
    name = {"missing": "conv_stem", "unknown": "further", "misshapen": r"bn1.bias \(7,\) for", "headless": "no class"}
    with pytest.raises(WeightsError, match=f"^{B1}: .*{name[fault]}"):
        create_backbone(B1, 3, offline=False)


def test_counts_of_training_batches_may_be_absent(hub_server: HubServer, tmp_path: Path) -> None:
    tensors = {name: tensor for name, tensor in random_tensors(B1).items() if "num_batches" not in name}
    offer(hub_server, tmp_path / "b1", B1, tensors)
    assert not int(create_backbone(B1, 3, offline=False).state_dict()["bn1.num_batches_tracked"])


def test_a_file_of_the_hub_that_is_no_safetensors_is_refused(hub_server: HubServer, tmp_path: Path) -> None:
    (tmp_path / "b1").mkdir()
    (tmp_path / "b1" / WEIGHTS_FILE).write_bytes(b"no weights")
    hub_server.add(f"timm/{B1}", tmp_path / "b1")
    with pytest.raises(WeightsError, match=f"^timm/{B1}: cannot read"):
        create_backbone(B1, 3, offline=False)


def test_absent_weights_are_an_error_and_never_random(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match=f"timm/{HRNET}: {WEIGHTS_FILE} is not in"):
        create_backbone(HRNET, 3, offline=True)


def test_an_unknown_network_names_the_known_ones() -> None:
    for call in (input_size_of, backbone_frame_spec, backbone_presence, lambda name: blank_backbone(name, 3)):
        with pytest.raises(UsageError, match=r"'resnet50'.*regnety_064.ra3_in1k.*tf_efficientnet_lite2"):
            call("resnet50")


def test_a_blank_network_has_no_numbers() -> None:
    blank = blank_backbone(LITE0, 3).eval()
    assert all(tensor.is_meta for tensor in blank.state_dict().values())
    assert blank(torch.zeros(1, 3, 32, 32, device="meta")).is_meta  # no numbers in it


def test_tensors_are_compared_by_name_and_shape() -> None:
    layer = torch.nn.BatchNorm1d(2)
    tensors = dict(layer.state_dict())
    assert faults(layer, tensors) == ""
    assert "1 missing (weight)" in faults(layer, {name: t for name, t in tensors.items() if name != "weight"})
    assert "1 unknown (more)" in faults(layer, tensors | {"more": torch.zeros(1)})
    assert "1 misshapen (bias (3,) for (2,))" in faults(layer, tensors | {"bias": torch.zeros(3)})
    fill(layer, tensors | {"weight": torch.tensor([2, 3], dtype=torch.float64)})
    assert layer.weight.dtype == torch.float32
    assert layer.weight.tolist() == [2, 3]


def test_every_network_has_its_own_image_preprocessing() -> None:
    assert [input_size_of(name) for name in backbones()] == [224, 224, 224, 240, 224, 224, 240, 260]
    assert backbone_frame_spec(B1) == FrameSpec(240, 272, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bicubic")
    assert backbone_frame_spec("resnest50d.in1k").interpolation == "bilinear"
    assert backbone_frame_spec(LITE0, 96) == FrameSpec(96, 109, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic")
    assert backbone_presence(LITE0) == (True, "installed")


@pytest.mark.parametrize("name", backbones())
def test_images_are_scaled_as_timm_scales_them(name: str) -> None:
    config = timm.get_pretrained_cfg(name)
    spec = backbone_frame_spec(name)
    settings = {"mean": config.mean, "std": config.std, "interpolation": config.interpolation}
    transform = create_transform((3, spec.size, spec.size), crop_pct=config.crop_pct, **settings)
    assert transform.transforms[0].size == spec.resize


# --- models ---


def trained_tensors(seed: int = 5) -> dict[str, Tensor]:
    """Return the network's own weights with a random classifier that separates inputs."""
    network = create_backbone(LITE0, len(LABELS), offline=True)
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    tensors["classifier.weight"] = 0.05 * torch.randn(3, 1280, generator=generator)
    return tensors


def audio_tensors() -> dict[str, Tensor]:
    tensors = {f"backbone.{name}": tensor for name, tensor in trained_tensors().items()}
    return tensors | {"mean": torch.linspace(-60, -30, 32), "deviation": torch.linspace(0.1, 12, 32)}


def audio(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, 16_000).astype(np.float32)


def frame(seed: int) -> Frame:
    return Frame(0.0, np.random.default_rng(seed).integers(0, 256, (72, 96, 3), dtype=np.uint8))


SEGMENTS = [
    Segment(0, 1, (frame(0),), audio(0)),
    Segment(1, 2, (frame(1), frame(2), frame(3)), None),
    Segment(2, 3, (), audio(1)),
    Segment(3, 4, (), None),
    Segment(4, 5, (frame(4),), 0 * audio(1)),
]
FRAMES = backbone_frame_spec(LITE0, 64)
AUDIO = AudioCnnPart(name="A", backbone=LITE0, log_mel=SMALL_MEL, image_size=(48, 64))
VIDEO = FrameCnnPart(name="V", backbone=LITE0, frames=FRAMES)


def test_an_audio_cnn_is_its_steps_one_by_one() -> None:
    model = AUDIO.build(LABELS, audio_tensors(), CPU)
    assert (model.name, model.needs, model.sample_rate, model.frame_size) == ("A", "audio", 16_000, None)
    scores = model.score(SEGMENTS)
    assert scores.scored.tolist() == [True, False, True, False, True]
    network = timm.create_model(LITE0, num_classes=3).eval()
    network.load_state_dict(trained_tensors())
    mels = log_mel(torch.from_numpy(SEGMENTS[2].waveform)[None], SMALL_MEL)[0]
    standard = (mels - audio_tensors()["mean"][:, None]) / audio_tensors()["deviation"].clamp_min(1)[:, None]
    video = functional.interpolate(standard[None, None], (48, 64), mode="bilinear", align_corners=False)
    expected = network(video.repeat(1, 3, 1, 1)).softmax(1)[0].detach().numpy()
    np.testing.assert_allclose(scores.probabilities[2], expected, atol=1e-5)
    assert np.ptp(scores.probabilities[scores.scored], axis=0).max() > 0.01  # else this would prove nothing


def test_without_an_image_size_a_log_mel_is_taken_as_it_comes() -> None:
    shapes: list[tuple[int, ...]] = []

    class Backbone(torch.nn.Linear):
        def forward(self, images: Tensor) -> Tensor:
            shapes.append(tuple(images.shape))
            return images.mean((2, 3))

    network = LogMelNetwork(Backbone(1, 1), torch.zeros(128), torch.ones(128), None)
    network(log_mel(torch.zeros(2, LOG_MEL.sample_rate), LOG_MEL))
    assert shapes == [(2, 3, 128, 188)]


def test_a_frame_cnn_is_the_mean_over_the_frames_of_a_segment() -> None:
    model = VIDEO.build(LABELS, trained_tensors(), CPU)
    assert (model.name, model.needs, model.sample_rate, model.frame_size) == ("V", "video", None, FRAMES.resize)
    scores = model.score(SEGMENTS)
    assert scores.scored.tolist() == [True, True, False, False, True]
    network = timm.create_model(LITE0, num_classes=3).eval()
    network.load_state_dict(trained_tensors())
    inputs = frames_to_tensor([one.pixels for one in SEGMENTS[1].frames], FRAMES)
    expected = network(inputs).softmax(1).mean(0).detach().numpy()
    np.testing.assert_allclose(scores.probabilities[1], expected, atol=1e-5)
    alone = np.concatenate([model.score([segment]).probabilities for segment in SEGMENTS])
    np.testing.assert_allclose(alone, scores.probabilities, atol=1e-5)
    assert np.ptp(scores.probabilities[scores.scored], axis=0).max() > 0.01


@pytest.mark.parametrize("part", [AUDIO, VIDEO], ids=["audio", "video"])
def test_no_segment_that_can_be_scored(part: AudioCnnPart | FrameCnnPart) -> None:
    tensors = audio_tensors() if part is AUDIO else trained_tensors()
    model = part.build(LABELS, tensors, CPU)
    assert model.score([SEGMENTS[3]] * 2).probabilities.shape == (2, 3)
    assert model.score([]).probabilities.shape == (0, 3)


@pytest.mark.parametrize("part", [AUDIO, VIDEO], ids=["audio", "video"])
def test_a_model_comes_back_from_its_part_and_tensors(part: AudioCnnPart | FrameCnnPart, tmp_path: Path) -> None:
    tensors = audio_tensors() if part is AUDIO else trained_tensors()
    before = part.build(LABELS, tensors, CPU).score(SEGMENTS).probabilities
    save_file(tensors, tmp_path / "tensors")
    again = type(part).model_validate_json(part.model_dump_json())
    assert again == part
    after = again.build(LABELS, load_file(tmp_path / "tensors"), CPU).score(SEGMENTS).probabilities
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("part", [AUDIO, VIDEO], ids=["audio", "video"])
def test_tensors_of_another_network_are_refused(part: AudioCnnPart | FrameCnnPart) -> None:
    tensors = audio_tensors() if part is AUDIO else trained_tensors()
    first = next(iter(tensors))
    wrong = {
        "missing": {name: tensor for name, tensor in tensors.items() if name != first},
        "unknown": tensors | {"more": torch.zeros(1)},
        "misshapen": tensors | {first: torch.zeros(2)},
    }
    for fault, changed in wrong.items():
        with pytest.raises(CheckpointError, match=f"model '{part.name}'.*{LITE0}.*1 {fault}"):
            part.build(LABELS, changed, CPU)
    with pytest.raises(CheckpointError, match="2 misshapen"):
        part.build(LabelSet(("a", "b")), tensors, CPU)


def test_networks_compute_in_float32_unless_bfloat16_is_requested() -> None:
    auto, half = Runtime.choose("cpu"), Runtime.choose("cpu", "bfloat16")
    for part, tensors in ((AUDIO, audio_tensors()), (VIDEO, trained_tensors())):
        exact = part.build(LABELS, tensors, CPU).score(SEGMENTS).probabilities
        np.testing.assert_array_equal(part.build(LABELS, tensors, auto).score(SEGMENTS).probabilities, exact)
        rough = part.build(LABELS, tensors, half).score(SEGMENTS).probabilities
        assert not np.array_equal(rough, exact, equal_nan=True)
        np.testing.assert_allclose(rough, exact, atol=0.1)


# --- the networks of the paper ---


@pytest.mark.slow
@pytest.mark.parametrize("architecture", HUB_BACKBONES)
def test_the_networks_of_the_paper(architecture: str, hub_server: HubServer, tmp_path: Path) -> None:
    """A01-A03 and V01-V03: built, filled from a hub, run forwards and backwards, saved and loaded."""
    tensors = random_tensors(architecture)
    counted = sum(parameter.numel() for parameter in timm.create_model(architecture).parameters()) / 1e6
    print(f"{architecture}: {counted:.2f} M parameters, published {PUBLISHED[architecture]:.2f} M")  # noqa: T201
    assert counted == pytest.approx(PUBLISHED[architecture], abs=0.01)
    offer(hub_server, tmp_path / "weights", architecture, tensors)
    network = create_backbone(architecture, 10, offline=False).train()
    size = input_size_of(architecture)
    targets = torch.tensor([1, 2])
    torch.nn.init.normal_(network.get_parameter(next(iter(classifier_of(network)))))
    functional.cross_entropy(network(torch.rand(2, 3, size, size)), targets).backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())
    ten = LabelSet(tuple(f"scene {index}" for index in range(10)))
    if architecture != HRNET:  # it is used for video only
        audio = LogMelNetwork(network, torch.full((128,), -50.0), torch.full((128,), 9.0), None)
        functional.cross_entropy(audio(torch.rand(2, 128, 188)), targets).backward()
        check_round_trip(AudioCnnPart(name="A", backbone=architecture, log_mel=LOG_MEL), audio, ten, tmp_path / "audio")
    part = FrameCnnPart(name="V", backbone=architecture, frames=backbone_frame_spec(architecture))
    check_round_trip(part, network, ten, tmp_path / "video")


def check_round_trip(part: AudioCnnPart | FrameCnnPart, network: torch.nn.Module, labels: LabelSet, path: Path) -> None:
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path)
    segment = Segment(0, 1, (frame(0),), np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32))
    scores = part.build(labels, load_file(path), CPU).score([segment]).probabilities
    again = part.build(labels, load_file(path), CPU).score([segment]).probabilities
    np.testing.assert_array_equal(scores, again)
    assert np.isfinite(scores).all()


def test_the_hub_is_asked_for_safetensors_alone(hub_server: HubServer, tmp_path: Path) -> None:
    (tmp_path / "b1").mkdir()
    (tmp_path / "b1" / "pytorch_model.bin").write_bytes(b"a pickle")
    hub_server.add(f"timm/{B1}", tmp_path / "b1")
    with pytest.raises(WeightsError, match=WEIGHTS_FILE):
        create_backbone(B1, 3, offline=False)
    assert not hub.is_cached(f"timm/{B1}", [WEIGHTS_FILE])
    assert set(hub_server.requests) == {f"HEAD {WEIGHTS_FILE}"}

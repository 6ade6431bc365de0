"""Test that one pass gives a network's probabilities and the features by which familiarity is measured."""

from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load, save
from torch import Tensor

from avscene.errors import CheckpointError
from avscene.familiarity.fitting import fit_familiarity
from avscene.models.cnn.audio_cnn import AudioCnnPart
from avscene.models.cnn.backbones import HUB_BACKBONES, backbones
from avscene.models.cnn.block_network import create_block_network
from avscene.models.cnn.classifying import ClassifyingNetwork, feature_size
from avscene.models.cnn.frame_cnn import FrameCnnPart
from avscene.models.device import Runtime
from avscene.models.familiarity_tensors import familiarity_tensors
from tests.models.cnn.test_cnn import AUDIO, CPU, LABELS, LITE0, SEGMENTS, VIDEO, audio_tensors, trained_tensors

# Modules whose outputs are the features, and their channels: stride 16 in the papers of the networks.
STAGES = {
    "regnety_064.ra3_in1k": ("s3", 576),
    "regnetx_064.pycls_in1k": ("s3", 784),
    "resnest50d.in1k": ("layer3", 1024),
    "tf_efficientnet_b1.ns_jft_in1k": ("blocks.4", 112),
    "tf_efficientnet_lite0": ("blocks.4", 112),
    "tf_efficientnet_lite1": ("blocks.4", 112),
    "tf_efficientnet_lite2": ("blocks.4", 120),
}


@pytest.mark.parametrize("architecture", [name for name in backbones() if name not in HUB_BACKBONES])
def test_one_pass_gives_probabilities_and_features(architecture: str) -> None:
    check_one_pass(architecture)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", HUB_BACKBONES)
def test_one_pass_of_the_papers_networks_gives_probabilities_and_features(architecture: str) -> None:
    check_one_pass(architecture)


def check_one_pass(architecture: str) -> None:
    """Compare with timm's forward and with what a hook sees."""
    torch.manual_seed(0)
    network = timm.create_model(architecture, num_classes=5).eval()
    images, outputs = torch.rand(3, 3, 64, 64), []
    if architecture in STAGES:
        network.get_submodule(STAGES[architecture][0]).register_forward_hook(lambda *seen: outputs.append(seen[2]))
    with torch.no_grad():
        expected = network(images).double().softmax(1)
        network(images)
    features_expected = outputs[0].mean((2, 3)) if outputs else None
    classifying = ClassifyingNetwork(network, [images[:1]], Runtime.choose("cpu", "float32"))
    probabilities, features = classifying(images)
    torch.testing.assert_close(probabilities, expected, atol=1e-4, rtol=0)  # of sums in another order
    assert features.shape == (3, feature_size(network))
    if features_expected is not None:
        assert feature_size(network) == STAGES[architecture][1]
        scale = features_expected.abs().max()
        torch.testing.assert_close(features / scale, features_expected / scale, atol=1e-4, rtol=0)
    assert classifying(images[:0])[0].shape == (0, 5)


def test_the_features_of_a_block_network_are_those_of_its_classifier() -> None:
    network = create_block_network(LITE0, 5, n_extra=4).eval()
    torch.nn.init.normal_(network.classifier.weight, std=0.01)
    images, extra = torch.rand(2, 3, 64, 64), torch.rand(2, 4)
    with torch.no_grad():
        expected, expected_features = network(images, extra).double().softmax(1), network.features(images, extra)
    probabilities, features = ClassifyingNetwork(network, [images[:1], extra[:1]], CPU)(images, extra)
    torch.testing.assert_close(probabilities, expected, atol=1e-4, rtol=0)  # of sums in another order
    torch.testing.assert_close(features, expected_features, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("part", [AUDIO, VIDEO], ids=["audio", "video"])
def test_a_familiarity_detector_among_the_tensors_judges_the_features(part: AudioCnnPart | FrameCnnPart) -> None:
    tensors: dict[str, Tensor] = audio_tensors() if part is AUDIO else trained_tensors()
    without: Any = part.build(LABELS, tensors, CPU)
    values = without.embed(SEGMENTS)
    missing = np.isnan(values).all(axis=1)
    assert 0 < missing.sum() < len(SEGMENTS)
    np.testing.assert_array_equal(missing, ~without.score(SEGMENTS).scored)
    random = np.random.default_rng(0)
    rows = np.nanmean(values, axis=0) + random.normal(0, 1, (60, values.shape[1])) * np.nanstd(values, axis=0)
    fitted = fit_familiarity(rows, np.arange(60) % len(LABELS), [str(row) for row in range(60)], len(LABELS))
    assert fitted is not None
    stored = load(save({**tensors, **familiarity_tensors(fitted.detector)}))
    found = part.build(LABELS, stored, CPU).score(SEGMENTS)
    np.testing.assert_allclose(found.familiarity, fitted.detector.score(values), atol=0.03)
    assert found.familiarity is not None
    np.testing.assert_array_equal(np.isnan(found.familiarity), missing)
    assert without.score(SEGMENTS).familiarity is None
    np.testing.assert_array_equal(found.probabilities, without.score(SEGMENTS).probabilities)
    with pytest.raises(CheckpointError, match=f"model '{part.name}': offset is not a finite array of shape"):
        part.build(LABELS, {**stored, "familiarity.offset": torch.zeros(3)}, CPU)

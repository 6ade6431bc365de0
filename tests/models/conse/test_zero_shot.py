"""ConSE with its real weights recognises the scenes of photographs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from sklearn.datasets import load_sample_image
from timm.data import ImageNetInfo

from avscene.errors import UsageError, WeightsError
from avscene.labels import TAU_SCENES, LabelSet
from avscene.models import zero_shot
from avscene.models.conse import zero_shot as conse
from avscene.models.conse.sentence import load_sentence_encoder
from avscene.models.conse.zero_shot import ConseZeroShot, class_embeddings
from avscene.models.device import Runtime
from avscene.models.weights.packaged import SENTENCE_ENCODER
from avscene.records import Frame, Segment

CPU = Runtime.choose("cpu", "float32")
LABELS = LabelSet(("temple", "flower garden", "office", "beach"))


def photograph(name: str) -> np.ndarray:
    """A photograph of scikit-learn: a Chinese palace, or a flower."""
    return np.array(load_sample_image(f"{name}.jpg"))


def segment(*images: np.ndarray) -> Segment:
    return Segment(0, 1, tuple(Frame(0.5, image) for image in images), None)


@pytest.fixture(scope="module")
def system() -> ConseZeroShot:
    return ConseZeroShot("conse", LABELS, CPU)


@pytest.fixture(scope="module")
def palace_and_flower() -> list[Segment]:
    return [segment(photograph("china")), segment(photograph("flower"))]


def test_shipped_class_embeddings_equal_those_of_the_tool() -> None:
    descriptions = ImageNetInfo().label_descriptions(detailed=True)
    chosen = list(range(0, 1000, 52))
    again = load_sentence_encoder().embed([descriptions[index] for index in chosen])
    shipped = class_embeddings()
    assert shipped.shape == (1000, 384)
    torch.testing.assert_close(shipped[chosen], again, rtol=0, atol=2e-4)  # kept in half precision
    path = Path(conse.__file__).parent / conse.CLASS_EMBEDDINGS
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"encoder_sha256": SENTENCE_ENCODER.sha256}


def test_scenes_of_photographs_are_recognised(system: ConseZeroShot, palace_and_flower: list[Segment]) -> None:
    scores = system.score(palace_and_flower).probabilities
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    assert [LABELS.names[index] for index in scores.argmax(axis=1)] == ["temple", "flower garden"]


def test_segments_without_frames_are_not_scored(system: ConseZeroShot, palace_and_flower: list[Segment]) -> None:
    without_frames = Segment(0, 1, (), np.zeros(16_000, np.float32))
    scores = system.score([without_frames, palace_and_flower[1], without_frames])
    assert scores.scored.tolist() == [False, True, False]
    np.testing.assert_allclose(scores.probabilities[1], system.score(palace_and_flower).probabilities[1], atol=1e-5)
    assert not system.score([without_frames]).scored.any()


def test_frames_of_a_segment_are_averaged(system: ConseZeroShot, palace_and_flower: list[Segment]) -> None:
    both = segment(photograph("china"), photograph("flower"))
    alone = system.score(palace_and_flower).probabilities
    np.testing.assert_allclose(system.score([both]).probabilities[0], alone.mean(axis=0), atol=1e-5)


def test_permuting_labels_permutes_columns(system: ConseZeroShot, palace_and_flower: list[Segment]) -> None:
    order = [2, 0, 3, 1]
    moved = ConseZeroShot("conse", LabelSet(tuple(LABELS.names[index] for index in order)), CPU)
    expected = system.score(palace_and_flower).probabilities[:, order]
    np.testing.assert_allclose(moved.score(palace_and_flower).probabilities, expected, atol=1e-5)


def test_underscores_read_as_spaces(system: ConseZeroShot, palace_and_flower: list[Segment]) -> None:
    labels = LabelSet(tuple(name.replace(" ", "_") for name in LABELS))
    scores = ConseZeroShot("conse", labels, CPU).score(palace_and_flower).probabilities
    np.testing.assert_allclose(scores, system.score(palace_and_flower).probabilities, atol=1e-5)


def test_registry_builds_it_for_the_ten_scenes_and_takes_no_prompts() -> None:
    model = zero_shot.build("conse", None, (), CPU)
    assert (model.name, model.labels, model.needs) == ("conse", TAU_SCENES, "video")
    assert (model.sample_rate, model.frame_size) == (None, 224)
    with pytest.raises(UsageError, match="takes no prompts"):
        zero_shot.build("conse", None, ("raw",), CPU)


def test_missing_class_embeddings_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conse, "CLASS_EMBEDDINGS", "gone.safetensors")
    with pytest.raises(WeightsError, match=r"gone\.safetensors is missing; reinstall"):
        ConseZeroShot("conse", LABELS, CPU)

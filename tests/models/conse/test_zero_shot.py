"""The embedded zero-shot system and the weights it stands on, with the real ones: photographs in, scenes out."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from sklearn.datasets import load_sample_image
from timm.data import ImageNetInfo
from transformers import AutoModel, AutoTokenizer, BertModel

from avscene.errors import UsageError, WeightsError
from avscene.labels import TAU_SCENES, LabelSet
from avscene.models import zero_shot
from avscene.models.conse import sentence
from avscene.models.conse import zero_shot as embedded
from avscene.models.conse.sentence import Bert, load_sentence_encoder
from avscene.models.conse.zero_shot import ConseZeroShot, class_embeddings
from avscene.models.device import Runtime
from avscene.models.weights.packaged import SENTENCE_ENCODER, PackagedWeights
from avscene.records import Frame, Segment
from tests.support.files import flipped

CPU = Runtime.choose("cpu", "float32")
LABELS = LabelSet(("temple", "flower garden", "office", "beach"))


def photograph(name: str) -> np.ndarray:
    """A real photograph that scikit-learn carries: a Chinese palace, or a flower."""
    return np.array(load_sample_image(f"{name}.jpg"))


def segment(*images: np.ndarray) -> Segment:
    return Segment(0, 1, tuple(Frame(0.5, image) for image in images), None)


@pytest.fixture(scope="module")
def system() -> ConseZeroShot:
    return ConseZeroShot("conse", LABELS, CPU)


@pytest.fixture(scope="module")
def palace_and_flower() -> list[Segment]:
    return [segment(photograph("china")), segment(photograph("flower"))]


# The sentence encoder


def test_sentences_are_embedded_as_transformers_would() -> None:
    texts = ["a photo of a park", "street", "palace: a large and stately mansion", "word " * 300]
    directory = SENTENCE_ENCODER.path().parent
    tokenizer = AutoTokenizer.from_pretrained(directory)
    network = AutoModel.from_pretrained(directory).eval()
    expected = []
    for text in texts:  # one at a time: nothing is padded
        tokens = tokenizer(text, return_tensors="pt", truncation=True, max_length=sentence.MAX_TOKENS)
        with torch.inference_mode():
            mean = network(**tokens).last_hidden_state[0].mean(0)
        expected.append(mean / mean.norm())
    ours = load_sentence_encoder().embed(texts)
    torch.testing.assert_close(ours, torch.stack(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("n_texts", [1, 7, 32])
def test_token_states_equal_those_of_transformers_in_padded_batches(n_texts: int) -> None:
    directory = SENTENCE_ENCODER.path().parent
    texts = [f"a photo of place number {number} {'and more ' * (number % 7)}" for number in range(n_texts)]
    tokens = AutoTokenizer.from_pretrained(directory)(texts, return_tensors="pt", padding=True)
    ids, mask = tokens["input_ids"], tokens["attention_mask"]
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    ours = Bert(config, load_file(directory / "model.safetensors"))
    with torch.inference_mode():
        expected = BertModel.from_pretrained(directory, add_pooling_layer=False).eval()(ids, mask).last_hidden_state
        states = ours(ids, mask)
    torch.testing.assert_close(states[mask.bool()], expected[mask.bool()], rtol=0, atol=1e-6)


def test_a_sentence_does_not_depend_on_its_batch() -> None:
    texts = [f"a photo of a place number {number} {'and more ' * (number % 7)}" for number in range(35)]
    encoder = load_sentence_encoder()
    together = encoder.embed(texts)
    for index in (0, 31, 32, 34):
        torch.testing.assert_close(encoder.embed([texts[index]])[0], together[index], rtol=0, atol=1e-5)


def test_altered_weights_of_the_sentence_encoder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = SENTENCE_ENCODER.path().parent
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(source / name, tmp_path / name)
    flipped(source / "model.safetensors", tmp_path / "model.safetensors")
    monkeypatch.setattr(PackagedWeights, "path", lambda _: tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"model\.safetensors was changed"):
        load_sentence_encoder.__wrapped__()


def test_the_shipped_class_embeddings_are_those_of_the_tool() -> None:
    descriptions = ImageNetInfo().label_descriptions(detailed=True)
    chosen = list(range(0, 1000, 52))
    again = load_sentence_encoder().embed([descriptions[index] for index in chosen])
    shipped = class_embeddings()
    assert shipped.shape == (1000, 384)
    torch.testing.assert_close(shipped[chosen], again, rtol=0, atol=2e-4)  # kept in half precision
    path = Path(embedded.__file__).parent / embedded.CLASS_EMBEDDINGS
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"encoder_sha256": SENTENCE_ENCODER.sha256}


# The system


def test_scenes_of_photographs(system: ConseZeroShot, palace_and_flower: list[Segment]) -> None:
    scores = system.score(palace_and_flower).probabilities
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    assert [LABELS.names[index] for index in scores.argmax(axis=1)] == ["temple", "flower garden"]


def test_segments_without_frames_are_not_scored(system: ConseZeroShot, palace_and_flower: list[Segment]) -> None:
    heard = Segment(0, 1, (), np.zeros(16_000, np.float32))
    scores = system.score([heard, palace_and_flower[1], heard])
    assert scores.scored.tolist() == [False, True, False]
    np.testing.assert_allclose(scores.probabilities[1], system.score(palace_and_flower).probabilities[1], atol=1e-5)
    assert not system.score([heard]).scored.any()


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


def test_the_registry_builds_it_for_the_ten_scenes_and_takes_no_prompts() -> None:
    model = zero_shot.build("conse", None, (), CPU)
    assert (model.name, model.labels, model.needs) == ("conse", TAU_SCENES, "video")
    assert (model.sample_rate, model.frame_size) == (None, 224)
    with pytest.raises(UsageError, match="takes no prompts"):
        zero_shot.build("conse", None, ("raw",), CPU)


def test_missing_class_embeddings_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "CLASS_EMBEDDINGS", "gone.safetensors")
    with pytest.raises(WeightsError, match=r"gone\.safetensors is missing; reinstall"):
        ConseZeroShot("conse", LABELS, CPU)

"""The sentence encoder equals transformers' BERT with the same weights."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer, BertModel

from avscene.errors import WeightsError
from avscene.models.conse import sentence
from avscene.models.conse.sentence import Bert, load_sentence_encoder
from avscene.models.weights.packaged import SENTENCE_ENCODER, PackagedWeights
from tests.support.files import flipped


def test_embeddings_equal_those_of_transformers() -> None:
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


def test_embedding_does_not_depend_on_the_batch() -> None:
    texts = [f"a photo of a place number {number} {'and more ' * (number % 7)}" for number in range(35)]
    encoder = load_sentence_encoder()
    together = encoder.embed(texts)
    for index in (0, 31, 32, 34):
        torch.testing.assert_close(encoder.embed([texts[index]])[0], together[index], rtol=0, atol=1e-5)


def test_altered_weights_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = SENTENCE_ENCODER.path().parent
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(source / name, tmp_path / name)
    flipped(source / "model.safetensors", tmp_path / "model.safetensors")
    monkeypatch.setattr(PackagedWeights, "path", lambda _: tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"model\.safetensors was changed"):
        load_sentence_encoder.__wrapped__()

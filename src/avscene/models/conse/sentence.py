"""Embed short texts with all-MiniLM-L6-v2, whose weights are installed as a Python package.

The network is written here with torch's functions: importing transformers for it takes nearly as long as importing
torch.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from avscene.models.weights.packaged import SENTENCE_ENCODER

MAX_TOKENS = 128  # the length that the encoder was trained with
_BATCH = 32


class Bert:
    """BERT (Devlin et al. 2019) in evaluation mode: token numbers to token states.

    Args:
        config: sizes, by the names of transformers' `config.json`.
        tensors: the weights, by the names of transformers' `BertModel`; a pooler is not used.
    """

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors
        self._n_layers: int = config["num_hidden_layers"]
        self._n_heads: int = config["num_attention_heads"]
        self._epsilon: float = config["layer_norm_eps"]

    def __call__(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the states (n, length, width) of tokens `ids` (n, length); `mask` is 0 where they only pad."""
        words = functional.embedding(ids, self._tensors["embeddings.word_embeddings.weight"])
        types = self._tensors["embeddings.token_type_embeddings.weight"][0]
        positions = self._tensors["embeddings.position_embeddings.weight"][: ids.shape[1]]
        states = self._layer_norm("embeddings", words + types + positions)
        attended = None if mask.all() else mask.bool()[:, None, None, :]  # for all heads and all queries
        for number in range(self._n_layers):
            layer = f"encoder.layer.{number}"
            context = self._attention(f"{layer}.attention.self", states, attended)
            mixed = self._linear(f"{layer}.attention.output.dense", context)
            states = self._layer_norm(f"{layer}.attention.output", mixed + states)
            hidden = functional.gelu(self._linear(f"{layer}.intermediate.dense", states))
            states = self._layer_norm(f"{layer}.output", self._linear(f"{layer}.output.dense", hidden) + states)
        return states

    def _attention(self, name: str, states: Tensor, mask: Tensor | None) -> Tensor:
        by_head = (*states.shape[:2], self._n_heads, -1)
        query, key, value = (
            self._linear(f"{name}.{part}", states).view(by_head).transpose(1, 2) for part in ("query", "key", "value")
        )
        return functional.scaled_dot_product_attention(query, key, value, mask).transpose(1, 2).flatten(2)

    def _linear(self, name: str, states: Tensor) -> Tensor:
        return functional.linear(states, self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"])

    def _layer_norm(self, name: str, states: Tensor) -> Tensor:
        weight, bias = (self._tensors[f"{name}.LayerNorm.{kind}"] for kind in ("weight", "bias"))
        return functional.layer_norm(states, weight.shape, weight, bias, self._epsilon)


class SentenceEncoder:
    """Sentence-BERT (Reimers & Gurevych 2019): the mean of the token states, scaled to length 1."""

    def __init__(self, directory: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self._tokenizer.enable_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        self._bert = Bert(config, load_file(directory / "model.safetensors"))

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors (n, 384) of `texts`."""
        rows = []
        for first in range(0, len(texts), _BATCH):
            tokens = self._tokenizer.encode_batch(list(texts[first : first + _BATCH]))
            ids = torch.tensor([token.ids for token in tokens])
            mask = torch.tensor([token.attention_mask for token in tokens])
            summed = (self._bert(ids, mask) * mask[..., None]).sum(1)
            rows.append(functional.normalize(summed / mask.sum(1, keepdim=True), dim=1))
        return torch.cat(rows)


@lru_cache(maxsize=1)
def load_sentence_encoder() -> SentenceEncoder:
    """Load the encoder with its weights; one for a process.

    Raises:
        WeightsError: the weights are absent or altered.
    """
    return SentenceEncoder(SENTENCE_ENCODER.verified().parent)

"""Embeddings of short texts by all-MiniLM-L6-v2, whose weights come as a Python package."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from transformers.models.bert import BertConfig, BertModel

from avscene.models.weights.packaged import SENTENCE_ENCODER

MAX_TOKENS = 128  # the length that the encoder was trained with
_BATCH = 32


class SentenceEncoder:
    """Sentence-BERT (Reimers & Gurevych 2019): mean of the token states, normalised."""

    def __init__(self, directory: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self._tokenizer.enable_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        # The package's tensors lack a buffer and a pooler that sentence embeddings never use.
        self._bert = BertModel(BertConfig.from_json_file(directory / "config.json"), add_pooling_layer=False)
        self._bert.train(mode=False)
        tensors = load_file(directory / "model.safetensors")
        wanted = self._bert.state_dict().keys()
        self._bert.load_state_dict({name: tensors[name] for name in wanted}, strict=True)

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors (n, 384) of `texts`."""
        rows = []
        for first in range(0, len(texts), _BATCH):
            tokens = self._tokenizer.encode_batch(list(texts[first : first + _BATCH]))
            ids = torch.tensor([token.ids for token in tokens])
            mask = torch.tensor([token.attention_mask for token in tokens])
            states = self._bert(input_ids=ids, attention_mask=mask).last_hidden_state
            summed = (states * mask[..., None]).sum(1)
            rows.append(functional.normalize(summed / mask.sum(1, keepdim=True), dim=1))
        return torch.cat(rows)


@lru_cache(maxsize=1)
def load_sentence_encoder() -> SentenceEncoder:
    """The encoder with its weights; one for a process.

    Raises:
        WeightsError: the weights are absent or altered.
    """
    return SentenceEncoder(SENTENCE_ENCODER.verified().parent)

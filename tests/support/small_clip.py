"""Small CLIPs with seeded random weights, saved as on the hub, and the same models for transformers."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import open_clip
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

if TYPE_CHECKING:
    from transformers import CLIPModel

# Hub repositories of the real models, whose names the small ones get.
RN101 = "timm/resnet101_clip.openai"
RN50X4 = "timm/resnet50x4_clip.openai"
VIT = "timm/vit_base_patch32_clip_224.openai"

SIZE = 32  # pixels
WIDTH = 64  # of the vision and of the text transformer
HEADS = 2  # of either transformer
TEXT = {"context_length": 77, "vocab_size": 49408, "width": WIDTH, "heads": HEADS, "layers": 2}
VISION: dict[str, dict[str, Any]] = {
    "vit": {"image_size": SIZE, "layers": 2, "width": WIDTH, "head_width": WIDTH // HEADS, "patch_size": 16},
    # as RN50x4, narrower; the image is larger because the network halves it five times
    "resnet": {"image_size": 2 * SIZE, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None},
}
PREPROCESS = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


def config(kind: str = "vit") -> dict[str, Any]:
    """Return the content of open_clip_config.json."""
    model = {"embed_dim": 32, "quick_gelu": True, "vision_cfg": VISION[kind], "text_cfg": TEXT}
    return json.loads(json.dumps({"model_cfg": model, "preprocess_cfg": PREPROCESS}))


def save_small_clip(directory: Path, kind: str = "vit", seed: int = 0) -> Path:
    """Write open_clip_config.json and open_clip_model.safetensors (13 MB, most of it the vocabulary)."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "open_clip_config.json").write_text(json.dumps(config(kind)))
    save_file(small_tensors(kind, seed), directory / "open_clip_model.safetensors")
    return directory


def small_tensors(kind: str = "vit", seed: int = 0) -> dict[str, Tensor]:
    """Return seeded random tensors by open_clip's names; none is constant 0 or 1, which would hide its use."""
    model = open_clip.CLIP(**config(kind)["model_cfg"])
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for key, value in model.state_dict().items():
        if not value.is_floating_point():
            tensors[key] = value
        elif key.endswith("running_var") or value.dim() == 1:
            tensors[key] = 0.5 + torch.rand(value.shape, generator=generator)
        else:
            fan_in = value[0].numel() if value.dim() else 1
            tensors[key] = torch.randn(value.shape, generator=generator) / fan_in**0.5
    tensors["logit_scale"] = torch.tensor(100.0).log()
    return {key: value.contiguous() for key, value in tensors.items()}


def as_transformers(directory: Path) -> "CLIPModel":
    """Return the small ViT of `directory` as transformers' CLIPModel, another implementation of the same network."""
    from transformers import CLIPConfig, CLIPModel

    settings = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "hidden_act": "quick_gelu"}
    settings |= {"num_hidden_layers": 2, "num_attention_heads": HEADS}
    model = CLIPModel(
        CLIPConfig(
            projection_dim=32,
            vision_config=settings | {"image_size": SIZE, "patch_size": 16},
            text_config=settings | {"eos_token_id": 49407, "bos_token_id": 49406},
        )
    )
    tensors = load_file(directory / "open_clip_model.safetensors")
    model.load_state_dict(_renamed(tensors), strict=True)
    return model.eval()


def _renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    vision, text = "vision_model", "text_model"
    renamed = {
        "logit_scale": tensors["logit_scale"],
        "visual_projection.weight": tensors["visual.proj"].T,
        "text_projection.weight": tensors["text_projection"].T,
        f"{vision}.embeddings.class_embedding": tensors["visual.class_embedding"],
        f"{vision}.embeddings.patch_embedding.weight": tensors["visual.conv1.weight"],
        f"{vision}.embeddings.position_embedding.weight": tensors["visual.positional_embedding"],
        f"{text}.embeddings.token_embedding.weight": tensors["token_embedding.weight"],
        f"{text}.embeddings.position_embedding.weight": tensors["positional_embedding"],
    }
    norms = {
        f"{vision}.pre_layrnorm": "visual.ln_pre",
        f"{vision}.post_layernorm": "visual.ln_post",
        f"{text}.final_layer_norm": "ln_final",
    }
    for new, old in norms.items():
        renamed |= {f"{new}.{part}": tensors[f"{old}.{part}"] for part in ("weight", "bias")}
    for layer in range(2):
        renamed |= _block(tensors, f"visual.transformer.resblocks.{layer}", f"{vision}.encoder.layers.{layer}")
        renamed |= _block(tensors, f"transformer.resblocks.{layer}", f"{text}.encoder.layers.{layer}")
    return renamed


def _block(tensors: dict[str, Tensor], old: str, new: str) -> dict[str, Tensor]:
    names = {
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "attn.out_proj": "self_attn.out_proj",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
    }
    block = {}
    for part in ("weight", "bias"):
        for theirs, ours in names.items():
            block[f"{new}.{ours}.{part}"] = tensors[f"{old}.{theirs}.{part}"]
        query, key, value = tensors[f"{old}.attn.in_proj_{part}"].chunk(3)
        for letter, tensor in (("q", query), ("k", key), ("v", value)):
            block[f"{new}.self_attn.{letter}_proj.{part}"] = tensor
    return block

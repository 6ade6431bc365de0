"""Convert a CLIP of open_clip to a pipeline of transformers with the same weights."""

from typing import Any

import open_clip
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer, Pipeline, pipeline

# Parts of tensor names, in the order of replacement.
NAMES = {
    "visual.transformer.resblocks": "vision_model.encoder.layers",
    "visual.proj": "visual_projection.weight",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.conv1": "vision_model.embeddings.patch_embedding",
    "visual.ln_pre": "vision_model.pre_layrnorm",
    "visual.ln_post": "vision_model.post_layernorm",
    "ln_final": "text_model.final_layer_norm",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn": "self_attn",
    "c_fc": "fc1",
    "c_proj": "fc2",
}
TEXT_NAMES = {  # replaced at the beginning only: names of the image encoder have the same parts further on
    "transformer.resblocks": "text_model.encoder.layers",
    "text_projection": "text_projection.weight",
    "token_embedding": "text_model.embeddings.token_embedding",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
}


def zero_shot_pipeline(model: open_clip.CLIP, config: dict[str, Any]) -> Pipeline:
    """Return transformers' pipeline from images to probabilities; `config` is open_clip's of a ViT."""
    size = config["vision_cfg"]["image_size"]
    return pipeline(
        "zero-shot-image-classification",
        model=_converted(model, config),
        tokenizer=_tokenizer(),
        image_processor=CLIPImageProcessor(size={"shortest_edge": size}, crop_size=size),
        device="cpu",
    )


def _converted(model: open_clip.CLIP, config: dict[str, Any]) -> CLIPModel:
    vision, text = config["vision_cfg"], config["text_cfg"]
    heads = vision["width"] // vision.get("head_width", 64)
    sizes = {"image_size": vision["image_size"], "patch_size": vision["patch_size"]}
    converted = CLIPModel(
        CLIPConfig(
            projection_dim=config["embed_dim"],
            vision_config=sizes | _transformer(vision["width"], heads, vision["layers"]),
            text_config=_transformer(text["width"], text["heads"], text["layers"]),
        )
    )
    converted.load_state_dict(_renamed(model.state_dict()), strict=True)
    return converted.eval()


def _transformer(width: int, heads: int, layers: int) -> dict[str, int]:
    return {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
    }


def _renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for name, tensor in tensors.items():
        new = _name(name)
        if "in_proj_" in new:
            for letter, part in zip("qkv", tensor.chunk(3), strict=True):
                renamed[new.replace("in_proj_", f"{letter}_proj.")] = part
        else:
            renamed[new] = tensor.T if "projection" in new else tensor
    return renamed


def _name(name: str) -> str:
    for old, new in TEXT_NAMES.items():
        if name.startswith(old):
            name = new + name.removeprefix(old)
            break
    for old, new in NAMES.items():
        name = name.replace(old, new)
    return name


def _tokenizer() -> CLIPTokenizer:
    """Return the tokenizer of CLIP, from the vocabulary in open_clip."""
    source = SimpleTokenizer()
    marks = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}  # open_clip's and OpenAI's names
    vocabulary = {marks.get(token, token): number for token, number in source.encoder.items()}
    return CLIPTokenizer(vocab=vocabulary, merges=list(source.bpe_ranks))

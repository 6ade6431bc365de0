"""Write CLIP models with random weights into a hub cache, where the published ones would be."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import open_clip
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from avscene.features.frames import FrameSpec
from avscene.models.weights.hub import CONFIG_FILE, WEIGHTS_FILE
from benchmarks.random_weights import blurred_noise, calibrate

# Repositories and open_clip's names of their models, in the order of the encoders of C04.
REPOS = {
    "timm/resnet50x4_clip.openai": "RN50x4-quickgelu",
    "timm/resnet101_clip.openai": "RN101-quickgelu",
    "timm/vit_base_patch32_clip_224.openai": "ViT-B-32-quickgelu",
}
VIT_B_32 = "timm/vit_base_patch32_clip_224.openai"
PREPROCESS = {
    "mean": open_clip.OPENAI_DATASET_MEAN,
    "std": open_clip.OPENAI_DATASET_STD,
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
# Small models of the same kinds, for quick runs.
SMALL_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}
SMALL_VIT = {"image_size": 64, "layers": 2, "width": 128, "head_width": 32, "patch_size": 8}
SMALL_RESNET = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}
COMMIT = "0" * 40


@contextmanager
def random_hub(directory: Path, repos: Iterable[str], *, quick: bool) -> Iterator[None]:
    """Use `directory` as the hub's cache within the block, with a random CLIP for each of `repos`."""
    for repo_id in repos:
        _write(directory, repo_id, quick=quick)
    before, constants.HF_HUB_CACHE = constants.HF_HUB_CACHE, str(directory)
    try:
        yield
    finally:
        constants.HF_HUB_CACHE = before


def clip_config(repo_id: str, *, quick: bool) -> dict[str, Any]:
    """Return open_clip's configuration of the published model, or of a small one of its kind."""
    config: dict[str, Any] = open_clip.get_model_config(REPOS[repo_id])
    if not quick:
        return config
    vision = SMALL_VIT if config["vision_cfg"]["patch_size"] else SMALL_RESNET
    return config | {"embed_dim": 32, "vision_cfg": vision, "text_cfg": SMALL_TEXT}


def random_clip(repo_id: str, *, quick: bool) -> open_clip.CLIP:
    """Build a CLIP with random weights, the same at every call."""
    torch.manual_seed(0)
    config = clip_config(repo_id, quick=quick)
    model = open_clip.CLIP(**config)
    model.logit_scale.data.fill_(100).log_()  # as at the end of training
    calibrate(model.visual, blurred_noise(config["vision_cfg"]["image_size"]))
    return model.eval().requires_grad_(requires_grad=False)


def clip_frames(repo_id: str, *, quick: bool) -> FrameSpec:
    """Return the frame preprocessing of the model."""
    side = clip_config(repo_id, quick=quick)["vision_cfg"]["image_size"]
    return FrameSpec(side, side, open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)


def _write(cache: Path, repo_id: str, *, quick: bool) -> None:
    repo = cache / f"models--{repo_id.replace('/', '--')}"
    snapshot = repo / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    config = {"model_cfg": clip_config(repo_id, quick=quick), "preprocess_cfg": PREPROCESS}
    (snapshot / CONFIG_FILE).write_text(json.dumps(config))
    tensors = random_clip(repo_id, quick=quick).state_dict()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, snapshot / WEIGHTS_FILE)

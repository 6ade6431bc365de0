"""Compute zero-shot probabilities of any scene names from frames with ConSE, a baseline without download.

ImageNet probabilities of EfficientNet-Lite0 are mapped to scene names through a space of sentence embeddings (Norouzi
et al. 2014, "Zero-Shot Learning by Convex Combination of Semantic Embeddings").
"""

from collections.abc import Sequence
from importlib.resources import files

import torch
from safetensors.torch import load
from torch import Tensor

from avscene.errors import UsageError, WeightsError
from avscene.features.batch import SegmentBatch
from avscene.labels import LabelSet, not_english
from avscene.models.conse.sentence import load_sentence_encoder
from avscene.models.device import Runtime
from avscene.models.efficientnet_lite import FRAMES, LITE0, imagenet_classifier
from avscene.models.registry import ZeroShotSystem
from avscene.records import Modality, SceneProbabilities, Segment

PROMPT = "a photo of a {}"
TOP_CLASSES = 10  # of 1000, as in the paper
# Inverse temperature of the softmax over standardised similarities. Not in the paper: chosen once so that probabilities
# are neither uniform nor certain; it does not change the predicted scene of a single frame.
SHARPNESS = 2.0
CLASS_EMBEDDINGS = "imagenet_classes.safetensors"


class ConseZeroShot:
    """Scene model: similarities of scene names to ImageNet's classes, weighted with the classes' probabilities.

    Unlike in the paper, the similarities of each scene name to the 1000 class names are standardised before they are
    combined. Otherwise a few scene names that are similar to everything ("hubs", Dinu et al. 2015) are predicted for
    most frames.
    """

    needs: Modality = "video"
    sample_rate = None
    frame_size = FRAMES.resize

    def __init__(self, name: str, labels: LabelSet, runtime: Runtime) -> None:
        self.name = name
        self.labels = labels
        self._network = imagenet_classifier(LITE0, runtime.in_float32())
        self.networks = {name: self._network}
        self._similarities = _similarities(labels)  # (1000, n_scenes)

    @torch.inference_mode()
    def score(self, segments: Sequence[Segment]) -> SceneProbabilities:
        """Return probabilities (n_segments, n_scenes), the mean over frames; NaN rows for segments without frames."""
        batch = SegmentBatch.of(segments)
        top, classes = self._network(batch.frames(FRAMES)).softmax(dim=1).topk(TOP_CLASSES, dim=1)
        combined = (top / top.sum(1, keepdim=True)).unsqueeze(2) * self._similarities[classes]
        by_frame = (SHARPNESS * combined.sum(1)).softmax(1).double()
        return SceneProbabilities(self.labels, batch.average_over_frames(by_frame))


def load_zero_shot(row: ZeroShotSystem, labels: LabelSet, prompts: tuple[str, ...], runtime: Runtime) -> ConseZeroShot:
    """Build the model of a system of this family.

    Raises:
        UsageError: prompts are given, or names that the sentence encoder does not know.
        WeightsError: the weights are absent.
    """
    if prompts:
        raise UsageError(f"system {row.name} takes no prompts; they are for CLIP systems")
    if foreign := not_english(labels):
        named = ", ".join(map(repr, foreign))
        raise UsageError(f"labels {named}: the text encoder of {row.name} knows only English; try: English names")
    return ConseZeroShot(row.name, labels, runtime)


def _similarities(labels: LabelSet) -> Tensor:
    """Cosine similarities (1000, n_scenes) of ImageNet classes and scenes, standardised over the classes."""
    prompts = [PROMPT.format(name.replace("_", " ")) for name in labels]
    cosine = class_embeddings() @ load_sentence_encoder().embed(prompts).T
    return (cosine - cosine.mean(0)) / cosine.std(0)


def class_embeddings() -> Tensor:
    """Return the unit embeddings (1000, 384) of ImageNet's class names with their WordNet definitions.

    `tools/embed_imagenet_classes.py` made the file: to embed a thousand definitions takes many times as long as all
    else here.

    Raises:
        WeightsError: the file is missing.
    """
    path = files("avscene.models.conse") / CLASS_EMBEDDINGS
    try:
        return load(path.read_bytes())["embeddings"].float()
    except FileNotFoundError as error:
        raise WeightsError(f"{CLASS_EMBEDDINGS} is missing; reinstall avscene") from error

"""`conse`: any scene names, no training and no download. A baseline, and it says so.

ImageNet probabilities of EfficientNet-Lite0 are mapped to scene names through a space of sentence embeddings (ConSE:
Norouzi et al. 2014, "Zero-Shot Learning by Convex Combination of Semantic Embeddings").
"""

from collections.abc import Sequence
from importlib.resources import files

import torch
from safetensors.torch import load
from torch import Tensor

from avscene.errors import UsageError, WeightsError
from avscene.features.batch import SegmentBatch
from avscene.labels import LabelSet
from avscene.models.conse.sentence import load_sentence_encoder
from avscene.models.device import Runtime
from avscene.models.efficientnet_lite import FRAMES, LITE0, imagenet_classifier
from avscene.models.registry import ZeroShotSystem
from avscene.records import Modality, SceneProbabilities, Segment

PROMPT = "a photo of a {}"
TOP_CLASSES = 10  # of 1000, as in the paper
# Inverse temperature of the softmax over standardised similarities. Ours: chosen once for probabilities that are
# neither flat nor certain; it changes no decision on a single frame.
SHARPNESS = 2.0
CLASS_EMBEDDINGS = "imagenet_classes.safetensors"


class ConseZeroShot:
    """Scene probabilities as a convex combination of what ImageNet's classes mean.

    Ours: the similarities of a scene name to the 1000 class names are standardised per scene before they are combined.
    Without it a few scenes that are near to everything ("hubs", Dinu et al. 2015) win everywhere.
    """

    needs: Modality = "video"
    sample_rate = None
    frame_size = FRAMES.resize

    def __init__(self, name: str, labels: LabelSet, runtime: Runtime) -> None:
        self.name = name
        self.labels = labels
        self._network = imagenet_classifier(LITE0, runtime)
        self._similarities = _similarities(labels)  # (1000, n_scenes)

    @torch.inference_mode()
    def score(self, segments: Sequence[Segment]) -> SceneProbabilities:
        """Probabilities (n_segments, n_scenes); NaN rows for segments without frames."""
        batch = SegmentBatch.of(segments)
        top, classes = self._network(batch.frames(FRAMES)).softmax(dim=1).topk(TOP_CLASSES, dim=1)
        combined = (top / top.sum(1, keepdim=True)).unsqueeze(2) * self._similarities[classes]
        by_frame = (SHARPNESS * combined.sum(1)).softmax(1).double()
        return SceneProbabilities(self.labels, batch.average_over_frames(by_frame))


def load_zero_shot(row: ZeroShotSystem, labels: LabelSet, prompts: tuple[str, ...], runtime: Runtime) -> ConseZeroShot:
    """Build the model of a row of this family.

    Raises:
        UsageError: prompts are given.
        WeightsError: the weights are absent.
    """
    if prompts:
        raise UsageError(f"system {row.name} takes no prompts; they are for CLIP systems")
    return ConseZeroShot(row.name, labels, runtime)


def _similarities(labels: LabelSet) -> Tensor:
    """(1000, n_scenes) cosine of each ImageNet class and each scene, standardised over the classes."""
    prompts = [PROMPT.format(name.replace("_", " ")) for name in labels]
    cosine = class_embeddings() @ load_sentence_encoder().embed(prompts).T
    return (cosine - cosine.mean(0)) / cosine.std(0)


def class_embeddings() -> Tensor:
    """(1000, 384) unit embeddings of ImageNet's class names with their WordNet definitions, as shipped.

    `tools/embed_imagenet_classes.py` made them: embedding a thousand definitions takes longer than anything else here.
    """
    path = files("avscene.models.conse") / CLASS_EMBEDDINGS
    try:
        return load(path.read_bytes())["embeddings"].float()
    except FileNotFoundError as error:
        raise WeightsError(f"{CLASS_EMBEDDINGS} is missing; reinstall avscene") from error

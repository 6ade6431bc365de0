"""Classify frames into any scene names: CLIP compares each frame with a sentence for each scene.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021
(https://arxiv.org/abs/2103.00020), section 3.1.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import normalize

from avscene.errors import UsageError, WeightsError
from avscene.features.batch import SegmentBatch
from avscene.features.frames import FrameSpec
from avscene.labels import LabelSet, not_english
from avscene.models.device import Runtime
from avscene.models.inference import Inference
from avscene.models.registry import ZeroShotSystem
from avscene.models.weights import hub
from avscene.models.weights.hub import CONFIG_FILE, WEIGHTS_FILE
from avscene.progress import StageProgress, silent
from avscene.records import Modality, SceneProbabilities, Segment

logger = logging.getLogger(__name__)

LOGIT_SCALE = 100.0  # exp of the learned `logit_scale`, which was clipped at 100
N_TOKENS = 49408  # vocabulary of CLIP's tokenizer, which open_clip contains
# CLIP's own prompts for scenes, beside the bare class name that the paper uses (Radford et al. 2021, section 3.1.4).
PROMPT_SETS = {
    "raw": ("{}",),
    "templates": ("a photo of a {}.", "a photo of the {}.", "a video frame of a {}.", "a scene in a {}."),
}


class ClipZeroShot:
    """A CLIP model as a scene classifier for any label set, without training.

    It keeps the image encoder and one text embedding for each scene, but not the text encoder.
    """

    needs: Modality = "video"
    sample_rate: int | None = None

    def __init__(self, name: str, labels: LabelSet, visual: Inference, text_features: Tensor, spec: FrameSpec) -> None:
        self.name = name
        self.labels = labels
        self.spec = spec
        self._visual = visual
        self.networks = {name: visual}
        self._text_features = text_features

    @classmethod
    def load(
        cls,
        name: str,
        labels: LabelSet,
        *,
        repo_id: str,
        runtime: Runtime,
        templates: Sequence[str] = ("{}",),
    ) -> "ClipZeroShot":
        """Load the model of hub repository `repo_id`, from the cache or the hub, and embed the prompts of `labels`.

        The prompts of a scene are `templates` with its name in place of `{}`, `_` replaced by a space. They are
        embedded in float32, whatever the precision of the image encoder.

        Raises:
            UsageError: a template does not contain exactly one `{}`.
            WeightsError: the weights cannot be fetched, or are not exactly those of the model in their configuration.
        """
        check_templates(templates)
        model = load_clip(repo_id, offline=runtime.offline, progress=runtime.progress)
        spec = clip_frame_spec(repo_id, model.visual.preprocess_cfg)
        text_features = embed_labels(model, labels, templates)
        return cls(name, labels, Inference(model.visual, [spec.blank], runtime), text_features, spec)

    @property
    def frame_size(self) -> int | None:
        """Shorter side in pixels to which frames are scaled."""
        return self.spec.resize

    @torch.inference_mode()
    def score(self, segments: Sequence[Segment]) -> SceneProbabilities:
        """Return probabilities (n_segments, n_scenes): the mean over a segment's frames of softmax(100 x cosine).

        The row of a segment without frames is NaN.
        """
        batch = SegmentBatch.of(segments)
        features = normalize(self._visual(batch.frames(self.spec)), dim=-1)
        by_frame = (LOGIT_SCALE * features @ self._text_features.T).softmax(dim=-1).double()
        return SceneProbabilities(self.labels, batch.average_over_frames(by_frame))


def check_templates(templates: Sequence[str]) -> None:
    """Check that each prompt template has one place for the name of a scene.

    Raises:
        UsageError: there is no template, or one does not contain exactly one `{}`.
    """
    if not templates:
        raise UsageError("CLIP needs at least one prompt template, such as 'a photo of a {}'")
    for template in templates:
        if template.count("{}") != 1:
            raise UsageError(f"prompt template {template!r} must contain {{}} once, in place of the name of the scene")


@torch.inference_mode()
def embed_labels(model: open_clip.CLIP, labels: LabelSet, templates: Sequence[str]) -> Tensor:
    """Compute text embeddings (n_scenes, embed_dim): for each scene the mean over its prompts, scaled to length 1.

    This is CLIP's prompt ensembling (Radford et al., section 3.1.4). Prompts longer than the context are cut.
    """
    device = next(model.parameters()).device
    names = [name.replace("_", " ") for name in labels]
    prompts = ([template.replace("{}", name) for name in names] for template in templates)
    tokens = (open_clip.tokenize(texts, model.context_length).to(device) for texts in prompts)
    embedded = [model.encode_text(batch, normalize=True) for batch in tokens]
    return normalize(torch.stack(embedded).mean(dim=0), dim=-1)


def load_clip(repo_id: str, *, offline: bool, progress: StageProgress = silent) -> open_clip.CLIP:
    """Load the CLIP of hub repository `repo_id` in open_clip's format: float32, on the CPU, for inference.

    Raises:
        WeightsError: the files cannot be fetched, or the tensors are not exactly those of the model.
    """
    return read_clip(repo_id, hub.fetch(repo_id, hub.OPEN_CLIP_FILES, offline=offline, progress=progress))


def read_clip(repo_id: str, snapshot: Path) -> open_clip.CLIP:
    """Load the CLIP whose files, fetched from hub repository `repo_id`, are in the directory `snapshot`.

    open_clip builds the model but does not load the weights: its loader keeps random weights where it finds none, opens
    pickles, and interpolates position embeddings of another size.

    Raises:
        WeightsError: the tensors are not exactly those of the model in the configuration.
    """
    _check_config(repo_id, snapshot / CONFIG_FILE)
    try:
        with _quiet_open_clip():
            model = open_clip.create_model(
                f"local-dir:{snapshot}",
                load_weights=False,
                pretrained_text=False,
                # As open_clip does for the tag `openai`: these weights were trained with QuickGELU.
                force_quick_gelu=repo_id.endswith(".openai"),
            )
    except (AssertionError, AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise WeightsError(f"{repo_id}: {CONFIG_FILE} does not describe a CLIP: {_line(error)}") from error
    try:
        tensors = load_file(snapshot / WEIGHTS_FILE)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{repo_id}: cannot read {snapshot / WEIGHTS_FILE}: {_line(error)}") from error
    _fill(repo_id, model, tensors)
    return model.eval().requires_grad_(False)


def clip_frame_spec(repo_id: str, preprocess: Mapping[str, Any]) -> FrameSpec:
    """Return the preprocessing of frames that open_clip's `preprocess_cfg` describes.

    Raises:
        WeightsError: it is not to scale the shorter side and crop a square, as OpenAI's is.
    """
    size, mode, interpolation = (preprocess[key] for key in ("size", "resize_mode", "interpolation"))
    height, width = (size, size) if isinstance(size, int) else size
    if height != width or mode != "shortest" or interpolation not in ("bicubic", "bilinear"):
        raise WeightsError(f"{repo_id}: frames cannot be prepared as its config asks: {dict(preprocess)}")
    mean, std = tuple(preprocess["mean"]), tuple(preprocess["std"])
    return FrameSpec(size=height, resize=height, mean=mean, std=std, interpolation=interpolation)


def _check_config(repo_id: str, path: Path) -> None:
    """Raise if a configuration is malformed, or needs another tokenizer than CLIP's."""
    try:
        text = json.loads(path.read_text(encoding="utf-8"))["model_cfg"]["text_cfg"]
        own = [key for key in ("hf_model_name", "hf_tokenizer_name", "tokenizer_kwargs") if text.get(key)]
        n_tokens = text.get("vocab_size", N_TOKENS)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{repo_id}: {CONFIG_FILE} is not an open_clip configuration: {_line(error)}") from error
    if own or n_tokens != N_TOKENS:
        named = ", ".join(own) or f"vocab_size {n_tokens}"
        raise WeightsError(f"{repo_id}: {CONFIG_FILE} needs another tokenizer than CLIP's ({named})")


def _fill(repo_id: str, model: open_clip.CLIP, tensors: dict[str, Tensor]) -> None:
    """Copy `tensors` into `model`; names and shapes must be exactly those of the model."""
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    # A batch norm's count of training batches is not used in inference; torch adds it where a file lacks it.
    missing = [key for key in expected if key not in found and not key.endswith(".num_batches_tracked")]
    unknown = [key for key in found if key not in expected]
    misshapen = [f"{key} {found[key]} for {shape}" for key, shape in expected.items() if found.get(key, shape) != shape]
    faults = {"missing": missing, "unknown": unknown, "misshapen": misshapen}
    if any(faults.values()):
        problems = "; ".join(f"{len(keys)} {fault} ({', '.join(keys[:3])})" for fault, keys in faults.items() if keys)
        raise WeightsError(f"{repo_id}: {WEIGHTS_FILE} does not fit {CONFIG_FILE}: {problems}")
    model.load_state_dict(tensors, strict=True)


@contextmanager
def _quiet_open_clip() -> Iterator[None]:
    """Suppress open_clip's warnings of random weights, which are replaced next, on the root logger.

    The handler prevents the first such message from configuring the root logger for the whole program.
    """
    root, handler = logging.getLogger(), logging.NullHandler()

    def is_from_elsewhere(record: logging.LogRecord) -> bool:
        return Path(record.pathname).parent.name != "open_clip"

    root.addHandler(handler)
    root.addFilter(is_from_elsewhere)
    try:
        yield
    finally:
        root.removeFilter(is_from_elsewhere)
        root.removeHandler(handler)


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def load_zero_shot(row: ZeroShotSystem, labels: LabelSet, prompts: tuple[str, ...], runtime: Runtime) -> ClipZeroShot:
    """Build the model of a row of this family; `prompts` are templates with one `{}`, or names of PROMPT_SETS.

    Raises:
        UsageError: a template does not have one `{}`.
        WeightsError: the weights are absent.
    """
    if foreign := not_english(labels):
        named = ", ".join(map(repr, foreign))
        logger.warning(f"labels {named}: {row.name} was trained on English texts; try: English names")
    templates = [template for prompt in prompts or ("raw",) for template in PROMPT_SETS.get(prompt, (prompt,))]
    return ClipZeroShot.load(row.name, labels, repo_id=str(row.weights), runtime=runtime, templates=templates)

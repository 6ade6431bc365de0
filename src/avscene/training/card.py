"""The model card that every checkpoint carries."""

from collections.abc import Iterator
from typing import Any

import timm

from avscene.fusion.rules import Classwise, LogPool
from avscene.fusion.tree import Fusion
from avscene.models.checkpoint import Config, Part
from avscene.models.cnn.audio_cnn import AudioCnnPart
from avscene.models.cnn.frame_cnn import FrameCnnPart
from avscene.models.fusion_network import FusionNetworkPart
from avscene.models.linear_heads import VideoHeadPart
from avscene.models.openl3.heads import OpenL3HeadPart

_CARD = """# {name}: scenes from sound and picture

A checkpoint of avscene, recipe `{recipe}`.

{parts}

Use it: `avscene classify VIDEO --system DIRECTORY`

## Scenes

{labels}

It answers in these scenes and no others, whatever it is shown.

## Training

{training}

## Metrics

Per segment of {hop:g} s. {measured}

| | log loss | accuracy | segments |
|---|---|---|---|
{metrics}

## Intended use

Telling in which of its scenes a recording was made, and research on that. It describes places; it is no ground for
decisions about the people in them.

## Limits

{limits}

## Licences

{licences}

The terms of the training data hold too: TAU's recordings, for one, are for non-commercial use.

## Sources

{sources}
"""

_MEASURED = {
    "out-of-fold": "Each segment was judged by heads that had seen no recording of its group; ridge, temperature\n"
    "and fusion were chosen on these same probabilities, so a held-out test is the better guide.",
    "validation": "Measured on validation segments, of groups that nothing was trained on. The best epochs were\n"
    "chosen and fusion was fitted on these same segments, so a held-out test is the better guide.",
}
_UNTOLD = ("heads", "history")  # of what config.json says of the training
_SMALL = ("small", "embedded")  # the present value of `backbones`, and that of earlier checkpoints

_SEED = (
    "S. Okazaki, Q. Kong, T. Yoshinaga: A Multi-Modal Fusion Approach for Audio-Visual Scene Classification Enhanced "
    "by CLIP Variants. DCASE 2021 Workshop"
)
_BASELINE = (
    "S. Wang et al.: A Curated Dataset of Urban Scenes for Audio-Visual Scene Analysis. ICASSP 2021. This is the "
    "head of its baseline"
)


def model_card(config: Config) -> str:
    """The card in Markdown."""
    return _CARD.format(
        name=config.name,
        recipe=config.recipe,
        parts="\n".join(f"- {line}" for line in _parts(config)),
        labels=", ".join(config.labels),
        training="\n".join(_training(config.training)),
        hop=config.hop,
        measured=_MEASURED[config.measured_on],
        metrics="\n".join(
            f"| {name} | {figures['log_loss']:.3f} | {figures['accuracy']:.3f} | {figures['n']} |"
            for name, figures in config.metrics.items()
        ),
        limits="\n".join(f"- {line}" for line in _limits(config)),
        licences="\n".join(f"- {line}" for line in dict.fromkeys(_licences(config))),
        sources="\n".join(f"- {line}" for line in dict.fromkeys(_sources(config))),
    )


def _parts(config: Config) -> Iterator[str]:
    for part in config.models:
        yield f"`{part.name}`: {_described(part)}"
    for member in config.members:
        yield f"`{member}`: a checkpoint of its own, in the directory of that name, with its own card"
    if fused := _fused(config.fusion):
        yield fused
    if config.mismatch is not None:
        yield "a detector of sound that does not belong to the picture, fitted on the rows that the metrics are of"


def _described(part: Part) -> str:
    if isinstance(part, AudioCnnPart):
        mel = part.log_mel
        return f"{part.backbone}, fine-tuned on log-mels ({mel.n_mels} bands of sound at {mel.sample_rate} Hz)"
    if isinstance(part, FrameCnnPart):
        return f"{part.backbone}, fine-tuned on frames of {part.frames.size} x {part.frames.size} pixels"
    if isinstance(part, FusionNetworkPart):
        return f"a late fusion network over the embeddings of {', '.join(part.encoders)}, which stay as they are"
    if isinstance(part, OpenL3HeadPart):
        kind = {"audio": "sound", "video": "frames", "both": "sound and frames"}[part.modality]
        return f"the official baseline's head on OpenL3 embeddings of {kind}"
    kind = "frames" if isinstance(part, VideoHeadPart) else "log-mels drawn as images"
    return f"a linear head on {part.encoder}, which stays as it is, of {kind}"


def _fused(fusion: Fusion) -> str:
    """Rule and post-processing in a sentence; nothing of a model alone."""
    names = ", ".join(member if isinstance(member, str) else member.name for member in fusion.members)
    parts = []
    if isinstance(fusion.rule, Classwise):
        parts.append(f"a sum of {names}, weighted by their {fusion.rule.confidence} for each scene")
    elif isinstance(fusion.rule, LogPool):
        weights = ", ".join(f"{name} {exponent:.3f}" for name, exponent in fusion.rule.exponents.items())
        parts.append(f"a log-linear pool of exponents {weights}")
    elif fusion.rule is not None:
        parts.append(f"the {fusion.rule.kind} rule over {names}")
    parts += [f"post-processing `{step.kind}`" for step in fusion.steps]
    return f"fusion: {', then '.join(parts)}" if parts else ""


def _training(training: dict[str, Any]) -> Iterator[str]:
    for key, value in training.items():
        if key not in _UNTOLD:
            yield f"- {key.replace('_', ' ')}: {_plain(value)}"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        told = {key: inner for key, inner in value.items() if not isinstance(inner, dict | list)}
        return ", ".join(f"{str(key).replace('_', ' ')} {_plain(inner)}" for key, inner in told.items())
    return f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())


def _limits(config: Config) -> Iterator[str]:
    yield "Probabilities are calibrated, if at all, for recordings like those of the training data."
    yield "Front ends (log-mels, frame size, scaling) are part of the checkpoint and cannot be changed."
    if config.members or len(config.models) > 1:
        yield "A recording without sound or picture is judged by the models that are left, unfused where that is one."
    if config.mismatch is not None:
        yield "Its mismatch detector is fitted for a world in which every second recording is a mismatch of two scenes."
    if config.training.get("backbones") in _SMALL:
        yield "Its networks are small stand-ins: its figures mean nothing beside those of the seed."


def _licences(config: Config) -> Iterator[str]:
    for part in config.models:
        if isinstance(part, AudioCnnPart | FrameCnnPart):
            yield f"{part.backbone}, from which training started: {_timm_licence(part.backbone)}"
        elif isinstance(part, FusionNetworkPart | OpenL3HeadPart):
            names = part.encoders if isinstance(part, FusionNetworkPart) else ("openl3",)
            yield from (f"{name}: {_encoder_licence(name)}" for name in names)
        else:
            yield f"{part.encoder}: {_timm_licence(part.encoder)}"
    if config.members:
        yield "of the members: see their cards"


def _timm_licence(network: str) -> str:
    config = timm.get_pretrained_cfg(network)
    return f"{config.license if config and config.license else 'unknown'}, as timm says; trained on ImageNet"


def _encoder_licence(name: str) -> str:
    if name.startswith("clip-"):
        return "MIT (OpenAI)"
    if name.startswith("openl3"):
        return "CC BY 4.0 (Cramer et al. 2019)"
    return _timm_licence(f"tf_{name.replace('-', '_')}")


def _sources(config: Config) -> Iterator[str]:
    """What stands in a publication, and what is our reading of it."""
    yield f"{_SEED}. Cite it if you use this."
    for part in config.models:
        if isinstance(part, AudioCnnPart | FrameCnnPart):
            yield "The seed names networks only: front ends, augmentation and optimisation are our reconstruction."
        elif isinstance(part, FusionNetworkPart):
            yield "The network is the seed's Table 1; how it is trained is our reconstruction."
        elif isinstance(part, OpenL3HeadPart):
            yield f"{_BASELINE}."
        else:
            yield "A linear head on a frozen network of small size is ours; the seed has no such row."
    if isinstance(config.fusion.rule, Classwise):
        yield (
            'The seed says "class-wise confidences" and no more; that they are the '
            f"{config.fusion.rule.confidence} on validation is our reconstruction."
        )
    elif isinstance(config.fusion.rule, LogPool):
        yield "The log-linear pool (Genest & Zidek 1986) is ours; the seed has no such row."
    if config.fusion.steps:
        yield "The seed names a post-processing and does not describe it: these steps are our reconstruction."

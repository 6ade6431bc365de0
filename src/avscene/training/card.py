"""Write the model card of a checkpoint from its configuration."""

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
from avscene.models.registry import BACKBONES_ALIASES
from avscene.models.sharing.metadata import front_matter
from avscene.verdicts import FAMILIAR_SHARE

_CARD = """# {name}: audio-visual scene classification

A checkpoint of avscene, trained as system `{recipe}`.

{parts}

Use it: `avscene classify VIDEO --system DIRECTORY`

## Scenes

{labels}

The model has no class for other scenes: it assigns one of these to every recording.

## Training

{training}

## Metrics

Per segment of {hop:g} s. {measured}

| | log loss | accuracy | segments |
|---|---|---|---|
{metrics}

## Intended use

Classification of recordings by the scene in which they were made, and research on it. The probabilities describe
places; do not base decisions about people on them.

## Limits

{limits}

## Licences

{licences}

The terms of the training data apply too: recordings of TAU, for example, are for non-commercial use only.

## Sources

{sources}
"""

_MEASURED = {
    "out-of-fold": (
        "The heads were cross-fitted by group: each segment was evaluated with heads that were not trained on its "
        "group. Ridge, temperature and fusion were chosen on the same probabilities; metrics of a separate test part "
        "are more reliable."
    ),
    "validation": (
        "Measured on validation segments of groups that were not used for training. The best epochs were chosen and "
        "the fusion was fitted on the same segments; metrics of a separate test part are more reliable."
    ),
}
_OMITTED = ("heads", "history")  # keys of `Config.training` that are not in the card

_PAPER = (
    "S. Okazaki, Q. Kong, T. Yoshinaga: A Multi-Modal Fusion Approach for Audio-Visual Scene Classification Enhanced "
    "by CLIP Variants. DCASE 2021 Workshop"
)
_BASELINE = (
    "S. Wang et al.: A Curated Dataset of Urban Scenes for Audio-Visual Scene Analysis. ICASSP 2021. The head is that "
    "of its baseline"
)


def model_card(config: Config) -> str:
    """Return the model card of `config` in Markdown, with the metadata that the hub reads."""
    return f"{front_matter(config)}\n" + _CARD.format(
        name=config.name,
        recipe=config.recipe,
        parts="\n".join(f"- {line}" for line in _parts(config)),
        labels=", ".join(config.labels),
        training="\n".join(_training(config.training)),
        hop=config.hop,
        measured=_MEASURED[config.measured_on],
        metrics="\n".join(
            f"| {name} | {metrics['log_loss']:.3f} | {metrics['accuracy']:.3f} | {metrics['n']} |"
            for name, metrics in config.metrics.items()
        ),
        limits="\n".join(f"- {line}" for line in _limits(config)),
        licences="\n".join(f"- {line}" for line in dict.fromkeys(_licences(config))),
        sources="\n".join(f"- {line}" for line in dict.fromkeys(_sources(config))),
    )


def _parts(config: Config) -> Iterator[str]:
    for part in config.models:
        yield f"`{part.name}`: {_part_description(part)}"
    for member in config.members:
        yield f"`{member}`: a separate checkpoint in the directory of this name, with its own card"
    if description := _fusion_description(config.fusion):
        yield description
    if config.mismatch is not None:
        yield "a detector of audio that does not belong to the video, fitted on the segments that the metrics are of"


def _part_description(part: Part) -> str:
    if isinstance(part, AudioCnnPart):
        mel = part.log_mel
        return f"{part.backbone}, fine-tuned on log-mels ({mel.n_mels} bands of audio at {mel.sample_rate} Hz)"
    if isinstance(part, FrameCnnPart):
        return f"{part.backbone}, fine-tuned on frames of {part.frames.size} x {part.frames.size} pixels"
    if isinstance(part, FusionNetworkPart):
        return f"a late fusion network on embeddings of the frozen encoders {', '.join(part.encoders)}"
    if isinstance(part, OpenL3HeadPart):
        kind = {"audio": "audio", "video": "frames", "both": "audio and frames"}[part.modality]
        return f"the official baseline's head on OpenL3 embeddings of {kind}"
    kind = "frames" if isinstance(part, VideoHeadPart) else "log-mels as images"
    return f"a linear head on {part.encoder}, frozen, of {kind}"


def _fusion_description(fusion: Fusion) -> str:
    """Describe the rule and the post-processing; empty for a single model without either."""
    names = ", ".join(member if isinstance(member, str) else member.name for member in fusion.members)
    parts = []
    if isinstance(fusion.rule, Classwise):
        parts.append(f"a sum of {names}, weighted by their {fusion.rule.confidence} for each scene")
    elif isinstance(fusion.rule, LogPool):
        weights = ", ".join(f"{name} {exponent:.3f}" for name, exponent in fusion.rule.exponents.items())
        parts.append(f"a log-linear pool with exponents {weights}")
    elif fusion.rule is not None:
        parts.append(f"the {fusion.rule.kind} rule over {names}")
    parts += [f"post-processing `{step.kind}`" for step in fusion.steps]
    return f"fusion: {', then '.join(parts)}" if parts else ""


def _training(training: dict[str, Any]) -> Iterator[str]:
    for key, value in training.items():
        if key not in _OMITTED:
            yield f"- {key.replace('_', ' ')}: {_value_text(value)}"


def _value_text(value: Any) -> str:
    if isinstance(value, dict):
        plain = {key: inner for key, inner in value.items() if not isinstance(inner, dict | list)}
        return ", ".join(f"{str(key).replace('_', ' ')} {_value_text(inner)}" for key, inner in plain.items())
    return f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())


def _limits(config: Config) -> Iterator[str]:
    yield "Probabilities are calibrated, if at all, for recordings like those of the training data."
    yield "Front ends (log-mels, frame size, scaling) are part of the checkpoint and cannot be changed."
    if config.members or len(config.models) > 1:
        yield (
            "If a recording has no audio or no video, only the models that do not need it are used; if one is left, it "
            "is used without fusion."
        )
    if config.mismatch is not None:
        yield (
            "The mismatch detector was fitted on recordings of which half are mismatches, with audio and video of two "
            "different scenes. Its score is adjusted to the share of mismatches that is given (--prior)."
        )
    yield (
        f"Segments that are unlike those of training are marked as unfamiliar: {FAMILIAR_SHARE:.0%} of those of "
        "the scenes above, and more, but not all, of those of others."
    )
    backbones = config.training.get("backbones", "")
    if BACKBONES_ALIASES.get(backbones, backbones) == "small":
        yield (
            "The checkpoint has small networks in place of the paper's: its metrics are not comparable with those of "
            "the paper."
        )


def _licences(config: Config) -> Iterator[str]:
    for part in config.models:
        if isinstance(part, AudioCnnPart | FrameCnnPart):
            yield f"{part.backbone}, the initial weights: {_timm_licence(part.backbone)}"
        elif isinstance(part, FusionNetworkPart | OpenL3HeadPart):
            names = part.encoders if isinstance(part, FusionNetworkPart) else ("openl3",)
            yield from (f"{name}: {_encoder_licence(name)}" for name in names)
        else:
            yield f"{part.encoder}: {_timm_licence(part.encoder)}"
    if config.members:
        yield "members: see their cards"


def _timm_licence(network: str) -> str:
    config = timm.get_pretrained_cfg(network)
    return f"{config.license if config and config.license else 'unknown'} according to timm; trained on ImageNet"


def _encoder_licence(name: str) -> str:
    if name.startswith("clip-"):
        return "MIT (OpenAI)"
    if name.startswith("openl3"):
        return "CC BY 4.0 (Cramer et al. 2019)"
    return _timm_licence(f"tf_{name.replace('-', '_')}")


def _sources(config: Config) -> Iterator[str]:
    """Cite the publications, and name the parts that are not described in any."""
    yield f"{_PAPER}. Please cite it if you use this checkpoint."
    for part in config.models:
        if isinstance(part, AudioCnnPart | FrameCnnPart):
            yield (
                "The paper names the networks only: preprocessing, augmentation and optimisation are reconstructions "
                "of avscene."
            )
        elif isinstance(part, FusionNetworkPart):
            yield "The network is that of Table 1 of the paper; its training is a reconstruction of avscene."
        elif isinstance(part, OpenL3HeadPart):
            yield f"{_BASELINE}."
        else:
            yield "The linear head on a small frozen network is an addition of avscene; it is not in the paper."
    if isinstance(config.fusion.rule, Classwise):
        yield (
            'The paper does not describe its "class-wise confidences"; to use the '
            f"{config.fusion.rule.confidence} on validation is a reconstruction of avscene."
        )
    elif isinstance(config.fusion.rule, LogPool):
        yield "The log-linear pool (Genest & Zidek 1986) is an addition of avscene; it is not in the paper."
    if config.fusion.steps:
        yield "The paper does not describe its post-processing; these steps are a reconstruction of avscene."

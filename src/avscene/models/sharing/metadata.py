"""Write the metadata of model cards that the hub reads: YAML at the top of `README.md`."""

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from avscene.errors import CheckpointError, UsageError
from avscene.fusion.tree import FUSED
from avscene.models.checkpoint import CARD, Config

LICENSE, LICENSE_NAME = "other", "see-model-card"  # of weights, networks and training data, as the card states
TAGS = ("avscene", "audio-visual-scene-classification", "acoustic-scene-classification")
AUDIO_KINDS = ("frozen-audio", "audio-cnn")  # of models that take audio alone
METRICS = {"accuracy": "Accuracy", "log_loss": "Log loss"}
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*$\r?\n?", re.DOTALL | re.MULTILINE)
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


def front_matter(config: Config, license_id: str = LICENSE) -> str:
    """Return the metadata of a checkpoint as the beginning of its model card, from `---` to `---`.

    Args:
        config: the configuration of the checkpoint.
        license_id: the hub's identifier of a licence, such as `cc-by-nc-4.0`.

    Raises:
        UsageError: that is no identifier.
    """
    return f"---\n{yaml.safe_dump(_metadata(config, license_id), sort_keys=False, allow_unicode=True)}---\n"


def with_metadata(card: str, config: Config, license_id: str | None) -> str:
    """Return a card with metadata: its own, or those of `config` if it has none; `license_id` replaces its licence.

    Raises:
        UsageError: the licence is no identifier of one.
        CheckpointError: its metadata are not valid for the hub.
    """
    found = _FRONT_MATTER.match(card)
    if found is None:
        card = front_matter(config, LICENSE if license_id is None else license_id) + "\n" + card
    elif license_id is not None:
        values = _parsed(found[1])
        values.pop("license_name", None)
        values["license"] = _checked_license(license_id)
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
        card = f"---\n{text}---\n{card[found.end() :]}"
    check_metadata(card)
    return card


def check_metadata(card: str) -> None:
    """Check the metadata of a card by the hub's own parser.

    Raises:
        CheckpointError: they are missing, cannot be parsed, or have no licence.
    """
    from huggingface_hub import ModelCard

    from avscene.models.weights.transfer import quiet_hub

    try:
        with quiet_hub():
            data = ModelCard(card, ignore_metadata_errors=False).data
    except (ValueError, yaml.YAMLError) as error:
        raise CheckpointError(f"{CARD}: its metadata are not valid: {' '.join(str(error).split())[:200]}") from error
    if not data.get("license"):
        raise CheckpointError(f"{CARD}: its metadata have no licence; try: --license IDENTIFIER")


def _parsed(text: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CheckpointError(f"{CARD}: its metadata are not YAML: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{CARD}: its metadata are no list of names and values")
    return values


def _metadata(config: Config, license_id: str) -> dict[str, Any]:
    named = {"license_name": LICENSE_NAME} if license_id == LICENSE else {}
    return {
        "license": _checked_license(license_id),
        **named,
        "library_name": "avscene",
        "pipeline_tag": _task(config),
        "tags": list(TAGS),
        "datasets": [_dataset(config)],
        "metrics": list(METRICS),
        "model-index": [{"name": config.name, "results": list(_results(config))}],
    }


def _checked_license(license_id: str) -> str:
    if not _LICENSE.fullmatch(license_id):
        raise UsageError(
            f"licence {license_id!r} is no identifier of the hub, such as apache-2.0, cc-by-nc-4.0 or other"
        )
    return license_id


def _task(config: Config) -> str:
    """Return the hub's name of the task, by what the models take."""
    only_audio = not config.members and all(part.kind in AUDIO_KINDS for part in config.models)
    return "audio-classification" if only_audio else "video-classification"


def _dataset(config: Config) -> str:
    """Return the name of the training data with the characters that the hub allows."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", str(config.training.get("data", ""))).strip("-._")
    return name or "unknown"


def _results(config: Config) -> Iterator[dict[str, Any]]:
    """Yield the metrics of the whole system as a result of the hub's model index."""
    found = next((config.metrics[name] for name in (FUSED, "validation") if name in config.metrics), None)
    if found is None and len(config.metrics) == 1:
        (found,) = config.metrics.values()
    if found is None:
        return
    yield {
        "task": {"type": _task(config), "name": "Scene classification"},
        "dataset": {
            "name": str(config.training.get("data", "unknown")),
            "type": _dataset(config),
            "split": config.measured_on,
        },
        "metrics": [
            {"type": name, "value": round(float(found[name]), 4), "name": f"{title} per segment ({config.measured_on})"}
            for name, title in METRICS.items()
            if name in found and math.isfinite(found[name])
        ],
    }

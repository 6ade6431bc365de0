"""Describe where a checkpoint comes from: its data, its date and the versions of the software that made it."""

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from avscene.labels import LabelSet

PACKAGES = ("avscene", "torch", "timm", "av")


def versions() -> dict[str, str]:
    """Return the versions of what the results depend on."""
    return {package: version(package) for package in PACKAGES} | {"python": platform.python_version()}


def today() -> str:
    """Return the date in UTC, as in 2026-01-31."""
    return datetime.now(UTC).date().isoformat()


def provenance(data: str, holdout: str | None, **details: Any) -> dict[str, Any]:
    """Return the entries of a configuration's `training` that every system has, with `details` in between."""
    return {"data": data, "held_out": holdout, **details, "date": today()}


def identity(name: str, labels: LabelSet, hop: float) -> dict[str, Any]:
    """Return the fields of a configuration that identify its system, with `hop` in seconds."""
    return {"name": name, "recipe": name, "labels": labels.names, "hop": hop, "versions": versions()}

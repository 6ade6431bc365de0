"""Identify by one SHA-256 all that decides the probabilities of a system."""

import hashlib
import json
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from avscene.features.content import DEFAULT_CONTENT
from avscene.labels import LabelSet
from avscene.models.registry import ZeroShotSystem, find
from avscene.models.weights import packaged

DECODING_PACKAGES = ("av", "pillow", "pillow-heif")


def decoder_versions() -> str:
    """Return the versions of the packages that decode files, such as `av 18.1.0, pillow 12.0.0`."""
    found = []
    for package in DECODING_PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def fingerprint(*parts: object) -> str:
    """Return the SHA-256 of values and of the version of avscene, whose code computes with them."""
    of_avscene = import_module("avscene").__version__
    return hashlib.sha256(json.dumps([of_avscene, *map(str, parts)]).encode()).hexdigest()


def zero_shot_fingerprint(name: str, labels: LabelSet, prompts: tuple[str, ...]) -> str:
    """Return the fingerprint of a zero-shot system whose weights are on this machine, without its precision.

    Raises:
        WeightsError: they are not.
    """
    row = find(name)
    checksums = [weights.sha256 for weights in packaged.ALL_WEIGHTS if weights.package in getattr(row, "packages", ())]
    if isinstance(row, ZeroShotSystem) and row.weights is not None:
        from avscene.models.weights import hub

        checksums += hub.checksums(row.weights, hub.OPEN_CLIP_FILES)
    return fingerprint(row.name, labels.names, prompts, checksums, DEFAULT_CONTENT)

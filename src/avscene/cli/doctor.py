"""What is installed, what is wrong, and the line that mends it."""

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from avscene.errors import AvsceneError


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `mend` is the command that puts it right, or None where it is well.

    `fatal` says that avscene cannot work at all without it.
    """

    what: str
    found: str
    mend: str | None = None
    fatal: bool = True


# Distribution name -> module name, of what avscene cannot do without.
_PACKAGES = {
    "av": "av",
    "numpy": "numpy",
    "open-clip-torch": "open_clip",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "soxr": "soxr",
    "timm": "timm",
    "torch": "torch",
    "torchvision": "torchvision",
    "transformers": "transformers",
}


def examine(*, offline: bool) -> Iterator[Finding]:
    """Look at everything in turn. `offline` leaves the hub alone."""
    yield Finding("python", sys.version.split()[0])
    for distribution, module in _PACKAGES.items():
        yield _package(distribution, module)
    for check in (_decoders, _embedded_weights, _compute):
        yield _guarded(check)
    if not offline:
        yield _guarded(_hub)


def _package(distribution: str, module: str) -> Finding:
    try:
        found = version(distribution)
        importlib.import_module(module)
    except PackageNotFoundError:
        return Finding(distribution, "not installed", f"pip install {distribution}")
    except Exception as error:  # noqa: BLE001  # a broken build raises whatever it likes when imported
        together = "torch torchvision" if distribution.startswith("torch") else distribution
        return Finding(
            distribution,
            f"{found}, but cannot be imported: {error}",
            f"pip install --force-reinstall {together}",
        )
    return Finding(distribution, found)


def _guarded(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except ImportError as error:
        name = check.__name__.strip("_").replace("_", " ")
        return Finding(name, f"cannot be looked at: {error}", "see the lines above")


def _decoders() -> Finding:
    from avscene.media.container import COMMON_DECODERS, missing_decoders

    missing = missing_decoders()
    if missing:
        return Finding(
            "decoders",
            f"PyAV lacks {', '.join(missing)}",
            "pip install --force-reinstall --only-binary av av",
        )
    return Finding("decoders", ", ".join(COMMON_DECODERS))


def _embedded_weights() -> Finding:
    from avscene.models.cnn.efficientnet_lite import LITE0, load_efficientnet_lite
    from avscene.models.conse.sentence import load_sentence_encoder

    try:
        load_efficientnet_lite(LITE0)
        load_sentence_encoder()
    except AvsceneError as error:
        return Finding("embedded weights", str(error), str(error).rpartition("run: ")[2] or None)
    return Finding("embedded weights", "present, checksums right")


def _compute() -> Finding:
    from avscene.models.device import Runtime

    runtime = Runtime.choose()
    return Finding("device", f"{runtime.device}, {str(runtime.dtype).removeprefix('torch.')}")


def _hub() -> Finding:
    from avscene.models import registry
    from avscene.models.weights import hub

    row = registry.find("C03")
    assert isinstance(row, registry.ZeroShotSystem)
    repo_id = str(row.weights)
    if hub.is_cached(repo_id, hub.OPEN_CLIP_FILES):
        return Finding("CLIP weights", "cached")
    if hub.can_fetch(repo_id, hub.OPEN_CLIP_FILES):
        return Finding("CLIP weights", "not here; the hub offers them")
    return Finding(
        "CLIP weights",
        "not here, and the hub cannot be reached; C01, C02 and C03 cannot answer, everything else can",
        "set HF_ENDPOINT to a mirror, or HF_HOME to a copy of a cache",
        fatal=False,
    )

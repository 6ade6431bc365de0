"""Check the installation: packages, decoders, packaged weights, device and CLIP weights."""

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from avscene.errors import AvsceneError


@dataclass(frozen=True, slots=True)
class InstallationCheck:
    """The result of one check: `name`, `status`, and `fix`, a command or advice; None if nothing is wrong.

    `required` is whether avscene cannot work at all without it.
    """

    name: str
    status: str
    fix: str | None = None
    required: bool = True


# Distribution name -> module name of required packages.
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
}


def check_installation(*, offline: bool) -> Iterator[InstallationCheck]:
    """Run every check in turn; with `offline`, not those that need a network."""
    yield InstallationCheck("python", sys.version.split()[0])
    for distribution, module in _PACKAGES.items():
        yield _package(distribution, module)
    for check in (_decoders, _packaged_weights, _device, _precision):
        yield _guarded(check)
    try:
        yield from _systems(offline=offline)
    except ImportError as error:
        yield InstallationCheck("systems", f"cannot be checked: {error}", "fix the packages above first")


def _package(distribution: str, module: str) -> InstallationCheck:
    try:
        installed = version(distribution)
        importlib.import_module(module)
    except PackageNotFoundError:
        return InstallationCheck(distribution, "not installed", f"pip install {distribution}")
    except Exception as error:  # noqa: BLE001  # the import of a broken build can raise any exception
        together = "torch torchvision" if distribution.startswith("torch") else distribution
        return InstallationCheck(
            distribution,
            f"{installed}, but cannot be imported: {error}",
            f"pip install --force-reinstall {together}",
        )
    return InstallationCheck(distribution, installed)


def _guarded(check: Callable[[], InstallationCheck]) -> InstallationCheck:
    try:
        return check()
    except ImportError as error:
        name = check.__name__.strip("_").replace("_", " ")
        return InstallationCheck(name, f"cannot be checked: {error}", "fix the packages above first")


def _decoders() -> InstallationCheck:
    from avscene.media.container import COMMON_DECODERS, missing_decoders

    missing = missing_decoders()
    if missing:
        return InstallationCheck(
            "decoders",
            f"PyAV has no {', '.join(missing)}",
            "pip install --force-reinstall --only-binary av av",
        )
    return InstallationCheck("decoders", ", ".join(COMMON_DECODERS))


def _packaged_weights() -> InstallationCheck:
    from avscene.models.conse.sentence import load_sentence_encoder
    from avscene.models.efficientnet_lite import LITE0, load_efficientnet_lite

    try:
        load_efficientnet_lite(LITE0)
        load_sentence_encoder()
    except AvsceneError as error:
        return InstallationCheck("packaged weights", str(error), str(error).rpartition("run: ")[2] or None)
    return InstallationCheck("packaged weights", "present, checksums match")


def _device() -> InstallationCheck:
    from avscene.models.device import Runtime

    return InstallationCheck("device", Runtime.choose().device.type)


def _precision() -> InstallationCheck:
    """Show what was measured on this machine and which precision follows from it for each kind of work."""
    from avscene.models.device import Runtime
    from avscene.models.precision.measurement import measurement_path, this_machine
    from avscene.models.precision.work import MIN_GAIN

    if Runtime.choose().device.type == "cuda":
        return InstallationCheck("precision", "on a GPU bfloat16, where it supports it; float32 is exact, without TF32")
    measured = this_machine()
    kinds = {"convolutions": measured.convolution, "depthwise": measured.depthwise, "products": measured.product}
    shown = ", ".join(
        f"{name} {'bfloat16' if rates.ratio >= MIN_GAIN else 'float32'} ({rates.ratio:.2f} x)"
        for name, rates in kinds.items()
    )
    path = measurement_path()
    where = str(path) if path.is_file() else f"nowhere, {path.parent} cannot be written"
    status = f"{shown}; x: speed in bfloat16 / float32; kept in {where}"
    return InstallationCheck("precision", status)


def _systems(*, offline: bool) -> Iterator[InstallationCheck]:
    """Show of every system whether it can classify or be trained here, now or after a download."""
    from avscene.models import registry
    from avscene.models.presence import presence, weights_state

    names: dict[tuple[bool, str], list[str]] = {}  # by whether they are trained, and the state of their weights
    for row in registry.systems().values():
        names.setdefault((row.trained, weights_state(row.name)), []).append(row.name)
    for trained, verb in ((False, "classify"), (True, "can be trained")):
        yield InstallationCheck(f"systems that {verb} here", ", ".join(names.get((trained, "here"), ["none"])))
    later = [*names.get((False, "to download"), []), *names.get((True, "to download"), [])]
    if later:
        yield _downloads(", ".join(later), offline=offline)
    for name in (*names.get((False, "missing"), []), *names.get((True, "missing"), [])):
        why = presence(name)[1]
        yield InstallationCheck(f"system {name}", why, why.rpartition("run: ")[2], required=False)


def _downloads(names: str, *, offline: bool) -> InstallationCheck:
    """Show which systems need weights to be downloaded first, and whether the hub answers."""
    from avscene.models import registry
    from avscene.models.weights import hub

    title = "systems that need a download first"
    if offline:
        return InstallationCheck(title, f"{names}; whether it is possible was not checked, because of --offline")
    row = registry.find("C03")
    assert isinstance(row, registry.ZeroShotSystem)
    if hub.can_fetch(str(row.weights), hub.OPEN_CLIP_FILES):
        return InstallationCheck(title, f"{names}; the hub answers")
    return InstallationCheck(
        title,
        f"{names}; the hub cannot be reached, so these can neither classify nor be trained here",
        "set HF_ENDPOINT to a mirror, or HF_HOME to a copy of a cache",
        required=False,
    )

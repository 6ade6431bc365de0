"""Load a system from its name or from a checkpoint directory.

What only checkpoints need is imported when one is loaded: their models of all families and prediction tables.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from avscene.arguments import check_number, check_path, check_type, wrong_argument
from avscene.errors import CheckpointError, UsageError
from avscene.evaluation.selective import SelectiveThresholds
from avscene.fusion.tree import Fusion
from avscene.inference.fingerprint import fingerprint, zero_shot_fingerprint
from avscene.inference.precision import settle_precision, use_precision
from avscene.inference.system import System
from avscene.labels import LabelSet
from avscene.media.sampling import FRAME_SIZE
from avscene.mismatch.detector import ARCHIVE_PRIOR, MismatchDetector, check_prior
from avscene.models import registry, zero_shot
from avscene.models.device import Runtime
from avscene.models.precision.measurement import Measurement
from avscene.models.sharing.reference import is_hub_reference
from avscene.progress import StageProgress, reporting
from avscene.storage.urls import is_remote, shown

Precision = str | Mapping[str, str] | Sequence[Measurement]


def load(  # noqa: PLR0913  # the options of a system
    system: str | Path,
    *,
    labels: str | Iterable[str] | LabelSet | None = None,
    prompts: Sequence[str] = (),
    max_risk: float | None = None,
    prior: float | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    offline: bool = False,
    progress: bool | StageProgress = False,
) -> System:
    """Load a system, ready to classify.

    Args:
        system: a name from `avscene systems`, the directory of a checkpoint, or `hf://user/repo[@revision]`, a
            checkpoint on the Hugging Face hub; the system is then named by the commit.
        labels: scene names for a zero-shot system (default: the ten TAU scenes), also as "a,b,c" or the path of a file
            with a name a line; a checkpoint has its own.
        prompts: templates with one `{}` for CLIP systems, or the sets `raw` (the default) and `templates`.
        max_risk: for a checkpoint: the largest share of wrong scenes among those that are named, of segments and of
            recordings; where the probability is too low for it, no scene is named (`SelectiveThresholds`).
        prior: for a checkpoint with a mismatch detector: the share of recordings whose audio does not belong to the
            video; by default that of an archive with few (ARCHIVE_PRIOR).
        device: auto, cpu or cuda.
        precision: float32, bfloat16, or auto: float32, or bfloat16 for the networks that are faster with it and hardly
            move the probabilities. For a run on several machines: their measurements, so that bfloat16 is used only
            where it is faster on all; or, to load the same system on each, `System.precision` of the first.
        offline: use only weights that are on this machine.
        progress: True shows downloads of weights, False does not; or a function (`avscene.progress.reporting`).

    Raises:
        UsageError: an argument of a wrong type, an unknown name, labels or prompts that do not fit, a risk that is not
            attainable.
        TypeError: a progress that is none of these.
        CheckpointError: the checkpoint is damaged or has other labels.
        WeightsError: weights are absent.
    """
    _check_types(system, labels, prompts, {"max_risk": max_risk, "prior": prior})
    if prior is not None:
        check_prior(prior)
    if not is_hub_reference(system):
        registry.check_usable(str(system))
    wanted = _label_set(labels)
    with reporting(progress) as stages:
        runtime = Runtime.choose(
            device, precision if isinstance(precision, str) else "auto", offline=offline, progress=stages
        )
        if is_hub_reference(system):
            loaded = _load_from_hub(str(system), wanted, prompts, runtime, max_risk=max_risk, prior=prior)
            return _with_precision(loaded, runtime, precision)
        if _is_checkpoint(system):
            loaded = _load_checkpoint(Path(system), wanted, prompts, runtime, max_risk=max_risk, prior=prior)
            return _with_precision(loaded, runtime, precision)
        if max_risk is not None:
            raise UsageError(f"system {system}: was not trained, so its risk is unknown; --max-risk is for checkpoints")
        if prior is not None:
            raise UsageError(f"system {system}: has no mismatch detector; --prior is for checkpoints that have one")
        return _with_precision(_load_zero_shot(str(system), wanted, tuple(prompts), runtime), runtime, precision)


def _is_checkpoint(system: str | Path) -> bool:
    """Return whether `system` is the directory of a checkpoint.

    Raises:
        CheckpointError: it is another directory, and no name of a system.
    """
    if not os.path.isdir(system):  # noqa: PTH112  # unlike Path, never raises
        return False
    from avscene.models.checkpoint import is_checkpoint

    if is_checkpoint(system):
        return True
    if registry.is_system(str(system)):
        return False
    raise CheckpointError(f"{system}: is a directory but not a checkpoint: no config.json, no model.safetensors")


def _load_from_hub(
    reference: str,
    labels: LabelSet | None,
    prompts: Sequence[str],
    runtime: Runtime,
    *,
    max_risk: float | None,
    prior: float | None,
) -> System:
    """Load a checkpoint of the hub; its name, and so every prediction, has the commit."""
    from avscene.models.sharing.fetch import fetch_checkpoint

    fetched = fetch_checkpoint(reference, offline=runtime.offline, progress=runtime.progress)
    with fetched.errors():
        system = _load_checkpoint(fetched.directory, labels, prompts, runtime, max_risk=max_risk, prior=prior)
    pinned = str(fetched.reference)
    return replace(system, name=pinned, fingerprint=fingerprint(system.fingerprint, pinned))


def _load_zero_shot(name: str, labels: LabelSet | None, prompts: tuple[str, ...], runtime: Runtime) -> System:
    model = zero_shot.build(name, labels, prompts, runtime)
    return System(
        model.name,
        model.labels,
        (model,),
        Fusion.of(model.name),
        frame_size=max(FRAME_SIZE, model.frame_size or 0),
        fingerprint=zero_shot_fingerprint(model.name, model.labels, prompts),
    )


def _check_types(system: object, labels: object, prompts: object, shares: Mapping[str, object]) -> None:
    """Raise UsageError if an argument of `load` is of a wrong type."""
    check_path("system", system, "a name of `avscene.list_systems()`, or the path of a checkpoint")
    if labels is not None:
        check_type("labels", labels, Iterable, "a list of scene names, a text such as 'a,b,c', or a LabelSet")
    if isinstance(prompts, str) or not isinstance(prompts, Sequence):
        raise wrong_argument("prompts", prompts, "a list of texts")
    for name, share in shares.items():
        if share is not None:
            check_number(name, share)


def _with_precision(
    system: System, runtime: Runtime, wanted: str | Mapping[str, str] | Sequence[Measurement]
) -> System:
    """Put the networks into their precision, which becomes part of the fingerprint."""
    if isinstance(wanted, Mapping):
        settled = use_precision(system.models, wanted)
    else:
        machines = () if isinstance(wanted, str) else tuple(wanted)
        settled = settle_precision(system.models, system.hop, runtime, machines, system.fingerprint)
    return replace(system, precision=settled, fingerprint=fingerprint(system.fingerprint, sorted(settled.items())))


def _label_set(labels: str | Iterable[str] | LabelSet | None) -> LabelSet | None:
    if labels is None or isinstance(labels, LabelSet):
        return labels
    return LabelSet.parse(labels) if isinstance(labels, str) else LabelSet.named(labels)


def _load_checkpoint(
    directory: Path,
    labels: LabelSet | None,
    prompts: Sequence[str],
    runtime: Runtime,
    *,
    max_risk: float | None,
    prior: float | None,
) -> System:
    from avscene.models.checkpoint import load_checkpoint, read_held_out_table

    loaded = load_checkpoint(directory, runtime)
    if labels is not None and labels != loaded.labels:
        raise CheckpointError(f"{directory}: was trained on the scenes {', '.join(loaded.labels)}; fix: omit --labels")
    if prompts:
        raise UsageError(f"{directory}: a trained system takes no prompts; they are for CLIP systems")
    config = loaded.config
    if prior is not None and config.mismatch is None:
        raise UsageError(f"{directory}: has no mismatch detector; --prior is for checkpoints that have one")
    used_prior = ARCHIVE_PRIOR if prior is None else prior
    acceptance = None if max_risk is None else SelectiveThresholds.fit(read_held_out_table(directory), max_risk)
    return System(
        config.name,
        loaded.labels,
        loaded.models,
        loaded.fusion,
        config.hop,
        config.mismatch,
        used_prior,
        acceptance,
        config.content,
        config.audio_rate,
        config.frame_size,
        fingerprint(config.config_sha256, acceptance, config.content, used_prior),
    )


def load_mismatch_detector(source: str | Path) -> MismatchDetector:
    """Load the mismatch detector of a checkpoint, or of a JSON file that `avscene mismatch --json` wrote.

    Args:
        source: the file, the directory of a checkpoint, or `hf://user/repo[@revision]`.

    Raises:
        DataError: there is no detector.
        CheckpointError: the checkpoint is damaged.
        UsageError: a URL is given.
        WeightsError: a checkpoint of the hub cannot be fetched.
    """
    if is_hub_reference(source):
        from avscene.models.sharing.fetch import fetch_checkpoint

        fetched = fetch_checkpoint(str(source), offline=False)
        with fetched.errors():
            return _detector_of(fetched.directory)
    if is_remote(source):
        raise UsageError(f"{shown(source)}: URLs are not accepted here; try: a path on this machine, or hf://USER/REPO")
    if Path(source).is_dir():
        return _detector_of(Path(source))
    from avscene.mismatch.tables import read_detector

    return read_detector(Path(source))


def _detector_of(directory: Path) -> MismatchDetector:
    """Return the mismatch detector of a checkpoint.

    Raises:
        CheckpointError: it has none, or is damaged.
    """
    from avscene.models.checkpoint import read_config

    detector = read_config(directory).mismatch
    if detector is None:
        raise CheckpointError(
            f"{directory}: has no mismatch detector: it was trained without recordings that have both audio and video"
        )
    return detector

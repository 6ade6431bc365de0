"""Check, describe and load the systems that clients may choose."""

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from avscene.errors import UsageError, WeightsError
from avscene.inference import System, load
from avscene.inference.default_system import choose_default_system
from avscene.labels import TAU_SCENES, LabelSet
from avscene.media.sampling import check_hop
from avscene.models import presence, registry
from avscene.models.catalogue import list_systems
from avscene.models.sharing.reference import is_hub_reference
from avscene.server.jobs.record import JobRequest

MAX_LOADED = 3  # systems in memory; of more, those that were used longest ago are loaded again when they are needed
MAX_LABELS = 1000  # scenes that a client may name
_WEIGHTS = {"here": "available", "to download": "downloadable", "missing": "missing"}


class LoadedSystems:
    """The systems of a server: the named ones that need no training, and the one that it was started with.

    Clients choose by name only; a path or a reference to the hub in a request is refused unless it is that system.

    Args:
        system: a name, the directory of a checkpoint, or `hf://user/repo`; None chooses as `classify` does.
        device: as in `avscene.load`, like `precision` and `offline`.
        precision: see `device`.
        offline: see `device`.

    Raises:
        UsageError: `system` is none, or must be trained first.
        WeightsError: no system has its weights on this machine.
    """

    def __init__(
        self, system: str | None = None, *, device: str = "auto", precision: str = "auto", offline: bool = False
    ) -> None:
        chosen = choose_default_system(offline=offline) if system is None else system
        registry.check_usable(chosen)
        self._options: dict[str, Any] = {"device": device, "precision": precision, "offline": offline}
        self._own = registry.ALIASES.get(chosen, chosen)  # as `load` takes it
        self._lock = threading.Lock()  # one system is loaded at a time
        self._loaded: OrderedDict[tuple[str, tuple[str, ...] | None], System] = OrderedDict()

    @property
    def default(self) -> str:
        """The name of the system that is used if a client names none."""
        if registry.is_system(self._own) or is_hub_reference(self._own):
            return self._own
        name = Path(self._own).resolve().name
        return self._own if registry.is_system(name) else name

    def check(self, request: JobRequest) -> None:
        """Check what can be checked of a request without loading its system.

        Raises:
            UsageError: the system is unknown or not trained, it takes no labels, or labels or hop are not possible.
            WeightsError: the weights of the system are missing and cannot be downloaded.
        """
        if request.hop is not None:
            check_hop(request.hop)
        if request.labels is not None:
            LabelSet.named(request.labels)
            if len(request.labels) > MAX_LABELS:
                raise UsageError(f"{len(request.labels)} labels; at most {MAX_LABELS} are accepted")
        if request.system == self.default and not registry.is_system(self._own):
            if request.labels is not None:
                raise UsageError(f"system {self.default} was trained on its own scenes; omit the labels")
            return
        registry.check_trained(registry.find(request.system))
        if presence.weights_state(request.system) == "missing":
            raise WeightsError(presence.presence(request.system)[1])

    def get(self, name: str, labels: tuple[str, ...] | None = None) -> System:
        """Return a system, which is loaded if need be.

        Args:
            name: a name of `describe`.
            labels: scenes of a zero-shot system; None stands for its ten.

        Raises:
            UsageError: there is no such system, or it cannot work with these labels.
            WeightsError: its weights are absent.
            CheckpointError: the checkpoint is damaged.
        """
        self.check(JobRequest(name="", system=name, labels=labels))
        key = (name, labels)
        with self._lock:
            if key not in self._loaded:
                self._loaded[key] = load(self._own if name == self.default else name, labels=labels, **self._options)
                while len(self._loaded) > MAX_LOADED:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(key)
            return self._loaded[key]

    @property
    def is_loaded(self) -> bool:
        """Whether the default system is in memory."""
        return (self.default, None) in self._loaded

    def describe(self) -> list[dict[str, Any]]:
        """Return the systems, that of the server first: name, title, needs, state of the weights, and scenes.

        `weights` is `available`, `downloadable`, `missing` or, of a system that must be trained first, `untrained`.
        """
        found = [] if registry.is_system(self._own) else [self._described_checkpoint()]
        for system in list_systems():
            row = registry.find(system.name)
            weights = "untrained" if system.trained else _WEIGHTS[presence.weights_state(system.name)]
            note = f"needs training: avscene train {system.name}" if system.trained else system.weights
            found.append(
                {
                    "name": system.name,
                    "title": system.title,
                    "kind": row.kind,
                    "needs": system.needs,
                    "zero_shot": not system.trained,
                    "weights": weights,
                    "note": note,
                    "labels": None if system.trained else list(TAU_SCENES),  # those of `get(name)`
                }
            )
        return sorted(found, key=lambda entry: entry["name"] != self.default)

    def _described_checkpoint(self) -> dict[str, Any]:
        system = self.get(self.default)
        needs = {model.needs for model in system.models}
        return {
            "name": self.default,
            "title": f"{system.name}, trained on {len(system.labels)} scenes",
            "kind": "checkpoint",
            "needs": needs.pop() if len(needs) == 1 else "both",
            "zero_shot": False,
            "weights": "available",
            "note": "the system of this server",
            "labels": list(system.labels),
        }

"""Hold what all steps of an experiment share: the store, its split, the networks and the work directory."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from avscene.datasets.store.reader import SegmentStore
from avscene.errors import DataError
from avscene.features.content import DEFAULT_CONTENT
from avscene.files import write_text
from avscene.fusion.steps import Times
from avscene.fusion.tree import Fusion
from avscene.labels import LabelSet
from avscene.models.device import Runtime
from avscene.models.registry import BACKBONES_ALIASES
from avscene.progress import StageProgress
from avscene.records import Backbones, IntArray
from avscene.training.experiment.provenance import provenance
from avscene.training.experiment.split import Split
from avscene.training.processes import Processes

FORMAT = "avscene-workshop/1"
KEY_FILE = "workshop.json"


@dataclass(frozen=True, slots=True, eq=False)
class Experiment:
    """One store, one split and one choice of networks; everything made of them lies under `directory`.

    `training/NAME` holds the state of an unfinished training, `systems/NAME` checkpoints, `scores/NAME.safetensors`
    probabilities of the rows that are not trained on. `fusions` caches fitted fusions by the names of their ensembles.
    """

    directory: Path
    store: SegmentStore
    holdout: str | None
    split: Split
    backbones: Backbones
    runtime: Runtime
    progress: StageProgress
    processes: Processes
    fusions: dict[str, Fusion] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        directory: Path,
        store: SegmentStore,
        holdout: str | None,
        *,
        backbones: Backbones,
        runtime: Runtime,
        progress: StageProgress,
    ) -> "Experiment":
        """Open the experiment in `directory`, which is new or was begun with the same rows and networks.

        Raises:
            DataError: `directory` holds results of other rows, of another hold-out or of other networks.
        """
        split, processes = Split.of(store, holdout), Processes.join(runtime)
        experiment = cls(directory, store, holdout, split, backbones, runtime, progress, processes)
        if processes.is_first:
            experiment._check_key()
        return experiment

    @property
    def labels(self) -> LabelSet:
        """The scenes, in the order of every table's columns."""
        return self.store.labels

    @property
    def truth(self) -> IntArray:
        """(n_rows,) scene indices of all rows of the store."""
        return self.store.truth(self.labels.names)

    def groups(self, rows: IntArray) -> list[str]:
        """Return the group of each of `rows`."""
        return [self.store.examples[row].group for row in rows]

    def times(self, rows: IntArray | None = None) -> Times:
        """Return recording and start of each of `rows`, of all rows where None."""
        rows = np.arange(len(self.store)) if rows is None else rows
        return Times([self.store.examples[row].name for row in rows], self.store.starts[rows])

    def checkpoint_path(self, name: str) -> Path:
        """Return the directory of system `name`'s checkpoint."""
        return self.directory / "systems" / name

    def predictions_path(self, name: str) -> Path:
        """Return the file of system `name`'s predictions."""
        return self.directory / "scores" / f"{name}.safetensors"

    def state_path(self, name: str) -> Path:
        """Return the directory of the state of system `name`'s unfinished training."""
        return self.directory / "training" / name

    def once(self, path: Path, make: Callable[[], object], *, together: bool = False) -> None:
        """Make `path` unless it exists: in the first process, or in all processes `together`. All wait for it."""
        if self.processes.broadcast(b"exists" if path.exists() else b"missing") == b"exists":
            return
        if together or self.processes.is_first:
            make()
        self.processes.broadcast(b"made")

    def provenance(self) -> dict[str, Any]:
        """Return the data and split of a training, for the checkpoint's configuration."""
        train, validation = self.split.train, self.split.validation
        return provenance(
            self.store.made_of,
            self.holdout,
            backbones=self.backbones,
            segments={"train": len(train), "validation": len(validation)},
            groups={"train": len(set(self.groups(train))), "validation": len(set(self.groups(validation)))},
        )

    def _check_key(self) -> None:
        """Write what the results in `directory` depend on, or compare it with what is written there."""
        path = self.directory / KEY_FILE
        key = {
            "format": FORMAT,
            "rows": _rows_key(self.store),
            "holdout": self.holdout,
            "backbones": self.backbones,
            "content": asdict(DEFAULT_CONTENT),
            "avscene": version("avscene"),
        }
        if not path.is_file():
            write_text(path, json.dumps(key, indent=2) + "\n")
            return
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found["backbones"] = BACKBONES_ALIASES.get(found.get("backbones", ""), found.get("backbones"))
        if differing := sorted(name for name in key if found.get(name) != key[name]):
            raise DataError(
                f"{self.directory}: holds results of another run ({', '.join(differing)} differ); name another "
                "--output, or remove it"
            )


def _rows_key(store: SegmentStore) -> str:
    """Return the SHA-256 of everything in a store that results depend on: segments, scenes, groups and columns."""
    digest = hashlib.sha256(store.content_key.encode())
    for example in store.examples:
        digest.update(repr((example.label, example.group, sorted(example.columns.items()))).encode())
    return digest.hexdigest()

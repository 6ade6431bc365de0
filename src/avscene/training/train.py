"""Systems of the table trained on a user's own recordings."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avscene.datasets.layout import read_dataset
from avscene.datasets.store.manifest import StoreSpec, is_store
from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.writer import prepare
from avscene.errors import UsageError
from avscene.inference import check_hop
from avscene.models.checkpoint import check_free, read_config
from avscene.models.device import Runtime
from avscene.models.registry import find, is_system, systems
from avscene.progress import StageProgress
from avscene.training.experiment import ExperimentRunner

HOLDOUT = "split=test"  # where a data set says so and nobody says otherwise


@dataclass(frozen=True, slots=True)
class Trained:
    """A checkpoint, its metrics on the validation rows, and what could not be read."""

    directory: Path
    metrics: dict[str, Any]
    failures: tuple[str, ...]


def open_data(path: Path, output: Path, hop: float, watch: StageProgress) -> tuple[SegmentStore, tuple[str, ...]]:
    """The segment store at `path`, or one made under `output` of the data set there, and what is missing in it.

    Raises:
        DataError: there is neither.
        MediaError: no recording can be read.
        UsageError: several processes would each make one.
    """
    if is_store(path):
        store = SegmentStore.open(path)
        return store, store.notes
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(f"{path}: several processes train from a store; run: avscene prepare {path} --output STORE")
    check_hop(hop)
    prepared = prepare(read_dataset(path), output / "store", StoreSpec(hop=hop), watch("preparing"))
    return prepared.store, prepared.failures


def holdout_of(store: SegmentStore, asked: str | None) -> str | None:
    """The condition for what is held out: as asked, else the test part of a data set that has one."""
    if asked is None and "test" in store.data.values("split"):
        return HOLDOUT
    return asked


def train_system(
    name: str,
    data: Path,
    output: Path,
    *,
    holdout: str | None,
    hop: float,
    runtime: Runtime,
    watch: StageProgress,
    told: Callable[[str], None],
) -> Trained:
    """Train system `name` and all that it is made of, and write its checkpoint to `output`.

    What is unfinished stays beside it in `OUTPUT.work`, and the next call goes on from there.

    Raises:
        UsageError: no such system, or one that is not trained.
        AvsceneError: it cannot be done; the message says why.
    """
    if not is_system(name):
        trainable = [known for known, row in systems().items() if row.trained]
        raise UsageError(f"recipe {name!r} is not one of {', '.join(trainable)}")
    if not find(name).trained:
        raise UsageError(f"system {name} answers untrained: run: avscene classify VIDEO --system {name}")
    check_free(output)
    work = output.with_name(f"{output.name}.work")
    store, failures = open_data(data, work, hop, watch)
    held = holdout_of(store, holdout)
    workshop = ExperimentRunner(work, store, held, backbones="paper", runtime=runtime, watch=watch)
    told(
        f"training on {len(workshop.split.train)} segments, choosing and fitting on {len(workshop.split.validation)}, "
        f"{len(store.labels)} scenes; held out: {held or 'nothing'}"
    )
    made = workshop.checkpoint(name)
    if workshop.writes:
        made.replace(output)
        shutil.rmtree(work, ignore_errors=True)
    return Trained(output, read_config(output).metrics if workshop.writes else {}, failures)

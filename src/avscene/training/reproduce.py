"""The seed's table, run: every row made where it can be, published and measured side by side."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from avscene.errors import WeightsError
from avscene.evaluation.measurement import Measurement, measure
from avscene.labels import TAU_SCENES
from avscene.models.checkpoint import read_config
from avscene.models.registry import EnsembleSystem, FusionNetworkSystem, NetworkSystem, SystemRow, find, leaves, systems
from avscene.records import IntArray
from avscene.reports.reproduction.reproduction import Absent, Published, Reproduction, ReproductionRow
from avscene.tables.prediction_table import write_table
from avscene.training.experiment import ExperimentRunner

PUBLISHED_SEGMENTS = 36_450  # of a second each, in fold 1's test part


def table_systems() -> tuple[str, ...]:
    """The rows of the table: the seed's, and those of ours that fuse the seed's."""
    return tuple(
        name
        for name, row in systems().items()
        if row.paper or (isinstance(row, EnsembleSystem) and all(find(leaf).paper for leaf in leaves(name)))
    )


def reproduce(workshop: ExperimentRunner, names: Sequence[str], told: Callable[[str], None]) -> Reproduction:
    """Make and measure each system, and leave its table of the test rows under `tables/`.

    A system whose weights are absent is a row that says so; `told` hears of each row when it is done.

    Raises:
        AvsceneError: a system cannot be made for any other reason; what was finished stays.
    """
    rows = []
    for name in names:
        rows.append(_row(workshop, name))
        told(_summary(rows[-1]))
    store = workshop.store
    return Reproduction(
        data=store.made_of,
        backbones=workshop.backbones,
        same_data=_is_published(workshop),
        date=datetime.now(UTC).date().isoformat(),
        versions=workshop.versions,
        rows=tuple(rows),
    )


def _row(workshop: ExperimentRunner, name: str) -> ReproductionRow:
    row = find(name)
    measured, absent, history = None, None, []
    try:
        measured = _measured(workshop, name)
        if row.trained:
            history = read_config(workshop.checkpoint(name)).training.get("history", [])
    except WeightsError as error:
        absent = Absent("weights absent", str(error))
    return ReproductionRow(
        index=name,
        title=row.title,
        needs=row.needs,
        fitted_on=_fitted_on(workshop, row),
        measured_on=f"{workshop.holdout}: {_extent(workshop, workshop.split.test)}",
        published=_published(row),
        measured=measured,
        absent=absent,
        stand_in=_stand_in(row) if workshop.backbones == "small" and absent is None else "",
        reconstructs=tuple(_reconstructed(name)) if row.paper else (),
        ours=row.paper is None,
        history=history,
    )


def _published(row: SystemRow) -> Published | None:
    return None if row.paper is None else Published.of_percent(row.paper.log_loss, row.paper.accuracy)


def _measured(workshop: ExperimentRunner, name: str) -> Measurement:
    table = workshop.table(name, workshop.split.test)
    write_table(workshop.directory / "tables" / f"{name}.tsv", table)
    cities = {example.name: example.columns.get("city", "") for example in workshop.store.examples}
    learnt = np.concatenate([workshop.split.train, workshop.split.validation])
    examples = [workshop.store.examples[row] for row in learnt]
    seen = {(example.label, cities[example.name]) for example in examples}
    located = any(cities.values())
    return measure(table, cities=cities if located else None, seen=seen if located else None)


def _fitted_on(workshop: ExperimentRunner, row: SystemRow) -> str:
    validation = f"{_extent(workshop, workshop.split.validation)} held out of the training part"
    if not row.trained:
        return "nothing: it is not trained"
    if isinstance(row, EnsembleSystem):
        return f"its members as their rows say; weights and post-processing on {validation}"
    return f"{_extent(workshop, workshop.split.train)}; best epoch chosen on {validation}"


def _extent(workshop: ExperimentRunner, rows: IntArray) -> str:
    groups = {workshop.store.examples[row].group for row in rows}
    return f"{len(rows):,} segments of {len(groups):,} groups"


def _stand_in(row: SystemRow) -> str:
    if isinstance(row, NetworkSystem):
        return row.stand_in
    if isinstance(row, FusionNetworkSystem):
        return ", ".join(row.stand_ins)
    return "those of its members" if isinstance(row, EnsembleSystem) else ""


def _reconstructed(name: str) -> Mapping[str, None]:
    """What the seed names and does not describe in a system or its members."""
    row = find(name)
    if not isinstance(row, EnsembleSystem):
        return {}
    found = {part: None for member in row.members for part in _reconstructed(member)}
    if row.rule == "classwise":
        found["class-wise confidences"] = None
    if row.postprocess is not None:
        found["post-processing"] = None
    return found


def _is_published(workshop: ExperimentRunner) -> bool:
    """Whether the test rows are those of the published figures, as far as counts can tell."""
    test = workshop.split.test
    return len(test) == PUBLISHED_SEGMENTS and workshop.labels == TAU_SCENES and workshop.store.spec.hop == 1


def _summary(row: ReproductionRow) -> str:
    if row.measured is None:
        assert row.absent is not None
        return f"{row.index}: {row.absent.reason}: {row.absent.remedy}"
    found = row.measured.segments
    return f"{row.index}: log loss {found.log_loss:.3f}, accuracy {found.accuracy:.1%}"

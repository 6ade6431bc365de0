"""Make and measure the systems of the paper's table, for a report of the paper's results beside the measured ones."""

import logging
from collections.abc import Iterable, Sequence

import numpy as np

from avscene.errors import WeightsError
from avscene.evaluation.measurement import Measurement, measure
from avscene.labels import TAU_SCENES
from avscene.models.checkpoint import read_config
from avscene.models.registry import EnsembleSystem, FusionNetworkSystem, NetworkSystem, SystemRow, find, leaves, systems
from avscene.records import IntArray
from avscene.reports.reproduction.rows import Absent, Published, Reproduction, ReproductionRow
from avscene.tables.prediction_table import write_table
from avscene.training.experiment.definition import Experiment
from avscene.training.experiment.predictions import measured_in
from avscene.training.experiment.provenance import today, versions
from avscene.training.experiment.runner import ExperimentRunner

logger = logging.getLogger(__name__)

PAPER_SEGMENTS = 36_450  # of one second each, in fold 1's test part


def table_systems() -> tuple[str, ...]:
    """Return the systems of the table: the paper's, and ours that fuse only the paper's."""
    return tuple(
        name
        for name, row in systems().items()
        if row.paper or (isinstance(row, EnsembleSystem) and all(find(leaf).paper for leaf in leaves(name)))
    )


def reproduce(experiment: Experiment, names: Sequence[str]) -> Reproduction:
    """Make and measure each system, write its table of the test rows under `tables/`, and log its result.

    A system whose weights are absent becomes a row without metrics.

    Raises:
        AvsceneError: a system cannot be made for any other reason; finished results stay.
    """
    runner = ExperimentRunner(experiment)
    rows = []
    for name in names:
        rows.append(_row(runner, find(name)))
        logger.info(_summary(rows[-1]))
    return Reproduction(
        data=experiment.store.made_of,
        backbones=experiment.backbones,
        same_data=_is_paper_data(experiment),
        date=today(),
        versions=versions(),
        rows=tuple(rows),
    )


def _row(runner: ExperimentRunner, row: SystemRow) -> ReproductionRow:
    experiment = runner.experiment
    measured, absent, history, notes = None, None, [], ""
    try:
        measured = _measured(runner, row.name)
        notes = f"measured in {measured_in(experiment, row.name)}"
        if row.trained:
            history = read_config(runner.checkpoint(row.name)).training.get("history", [])
    except WeightsError as error:
        absent = Absent("weights absent", str(error))
    return ReproductionRow(
        index=row.name,
        title=row.title,
        needs=row.needs,
        fitted_on=_fitted_on(experiment, row),
        measured_on=f"{experiment.holdout}: {_extent(experiment, experiment.split.test)}",
        published=None if row.paper is None else Published.of_percent(row.paper.log_loss, row.paper.accuracy),
        notes=notes,
        measured=measured,
        absent=absent,
        stand_in=_stand_in(row) if experiment.backbones == "small" and absent is None else "",
        reconstructs=tuple(dict.fromkeys(_reconstructed(row))) if row.paper else (),
        ours=row.paper is None,
        history=history,
    )


def _measured(runner: ExperimentRunner, name: str) -> Measurement:
    experiment, split = runner.experiment, runner.experiment.split
    table = runner.table(name, split.test)
    write_table(experiment.directory / "tables" / f"{name}.tsv", table)
    cities = {example.name: example.columns.get("city", "") for example in experiment.store.examples}
    examples = [experiment.store.examples[row] for row in np.concatenate([split.train, split.validation])]
    trained_on = {(example.label, cities[example.name]) for example in examples}
    located = any(cities.values())
    return measure(table, cities=cities if located else None, seen=trained_on if located else None)


def _fitted_on(experiment: Experiment, row: SystemRow) -> str:
    validation = f"{_extent(experiment, experiment.split.validation)} held out of the training part"
    if not row.trained:
        return "nothing: it is not trained"
    if isinstance(row, EnsembleSystem):
        return f"its members as stated in their rows; weights and post-processing on {validation}"
    return f"{_extent(experiment, experiment.split.train)}; best epoch chosen on {validation}"


def _extent(experiment: Experiment, rows: IntArray) -> str:
    return f"{len(rows):,} segments of {len(set(experiment.groups(rows))):,} groups"


def _stand_in(row: SystemRow) -> str:
    if isinstance(row, NetworkSystem):
        return row.stand_in
    if isinstance(row, FusionNetworkSystem):
        return ", ".join(row.stand_ins)
    return "those of its members" if isinstance(row, EnsembleSystem) else ""


def _reconstructed(row: SystemRow) -> Iterable[str]:
    """What the paper names and does not describe in a system or its members."""
    if not isinstance(row, EnsembleSystem):
        return
    for member in row.members:
        yield from _reconstructed(find(member))
    if row.rule == "classwise":
        yield "class-wise confidences"
    if row.postprocess is not None:
        yield "post-processing"


def _is_paper_data(experiment: Experiment) -> bool:
    """Whether the test rows are those of the paper's results, as far as counts show."""
    n_rows, hop = len(experiment.split.test), experiment.store.spec.hop
    return n_rows == PAPER_SEGMENTS and experiment.labels == TAU_SCENES and hop == 1


def _summary(row: ReproductionRow) -> str:
    if row.measured is None:
        assert row.absent is not None
        return f"{row.index}: {row.absent.reason}: {row.absent.remedy}"
    segments = row.measured.segments
    return f"{row.index}: log loss {segments.log_loss:.3f}, accuracy {segments.accuracy:.1%}"

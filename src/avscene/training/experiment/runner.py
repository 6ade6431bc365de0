"""Plan which steps an experiment still needs to make a system, and run them."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from avscene.models.registry import EnsembleSystem, find, leaves
from avscene.records import FloatArray, IntArray
from avscene.tables.score_table import ScoreTable
from avscene.training.experiment.checkpoints import ensure_checkpoint
from avscene.training.experiment.definition import Experiment
from avscene.training.experiment.predictions import ensure_predictions, prediction_table, read_predictions


class Step(NamedTuple):
    """One result to make: the checkpoint or the predictions of a system."""

    result: Literal["checkpoint", "predictions"]
    system: str


class ExperimentRunner:
    """Makes checkpoints and predictions of named systems, each step once.

    Every result appears complete or not at all: after a kill at any moment, the same call resumes and ends with the
    same results.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment

    def checkpoint(self, name: str) -> Path:
        """Make the checkpoint of trained system `name`, and what it is made of, unless it exists; return its path.

        Raises:
            AvsceneError: it cannot be made; a WeightsError names the weights that are absent.
        """
        self._run(checkpoint_steps(name))
        return self.experiment.checkpoint_path(name)

    def predictions(self, name: str) -> FloatArray:
        """Return probabilities (n_rows, n_scenes) for every row of the store; NaN where trained on or not scored.

        Raises:
            AvsceneError: the system cannot be made.
        """
        self._run(prediction_steps(name))
        return read_predictions(self.experiment, name)

    def table(self, name: str, rows: IntArray) -> ScoreTable:
        """Return the predictions of system `name` for `rows` as a table, without those not scored.

        Raises:
            AvsceneError: the system cannot be made, or scored none of the rows.
        """
        return prediction_table(self.experiment, name, rows, self.predictions(name))

    def missing(self, steps: Iterable[Step]) -> list[Step]:
        """Return those of `steps` whose results do not exist, as the first process finds them."""
        paths = {"checkpoint": self.experiment.checkpoint_path, "predictions": self.experiment.predictions_path}
        found = [step for step in dict.fromkeys(steps) if not paths[step.result](step.system).exists()]
        shared = self.experiment.processes.broadcast(json.dumps(found).encode())
        return [Step(result, system) for result, system in json.loads(shared or b"[]")]

    def _run(self, steps: Iterable[Step]) -> None:
        for step in self.missing(steps):
            if step.result == "checkpoint":
                ensure_checkpoint(self.experiment, step.system)
            else:
                ensure_predictions(self.experiment, step.system)


def checkpoint_steps(name: str) -> Iterator[Step]:
    """Yield the steps to the checkpoint of system `name`, in an order in which they can be run."""
    row = find(name)
    if isinstance(row, EnsembleSystem):
        for member in row.members:
            yield from checkpoint_steps(member)
        yield from prediction_steps(name)
    yield Step("checkpoint", row.name)


def prediction_steps(name: str) -> Iterator[Step]:
    """Yield the steps to the predictions of system `name`, in an order in which they can be run."""
    for leaf in leaves(name):
        if find(leaf).trained:
            yield Step("checkpoint", leaf)
        yield Step("predictions", leaf)

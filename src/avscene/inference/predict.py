"""A system over a labelled data set: prediction tables."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avscene.datasets.dataset import DataSet, Example, check_scenes
from avscene.errors import AvsceneError, MediaError
from avscene.inference import Source, System
from avscene.progress import Progress
from avscene.records import FloatArray, Needs, Prediction
from avscene.tables.prediction_table import write_table
from avscene.tables.score_table import ScoreTable
from avscene.training.heads.frozen_encoders import FUSED


@dataclass
class _Rows:
    """The rows of a table as they are collected."""

    examples: list[Example] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    probabilities: list[FloatArray] = field(default_factory=list)

    def add(self, example: Example, start: float, probabilities: FloatArray) -> None:
        self.examples.append(example)
        self.starts.append(start)
        self.probabilities.append(probabilities)

    def table(self, system: System, modality: Needs) -> ScoreTable:
        return ScoreTable(
            system.labels,
            tuple(example.name for example in self.examples),
            np.stack(self.probabilities),
            starts=np.array(self.starts),
            groups=tuple(example.group for example in self.examples),
            truth=tuple(example.label for example in self.examples),
            modality=modality,
        )


@dataclass(frozen=True)
class Predicted:
    """Tables of a data set by name (`fused` and each model's), and what could not be read."""

    tables: dict[str, ScoreTable]
    failures: tuple[str, ...]


def predict(system: System, data: DataSet, progress: Progress | None = None) -> Predicted:
    """Classify every recording of `data`; a row per segment.

    Raises:
        DataError: a scene that the system does not know.
        MediaError: no recording can be read.
    """
    check_scenes(data, system.labels)
    rows: dict[str, _Rows] = {FUSED: _Rows()}
    failures: list[str] = []
    outcomes = system.classify_all([Source(example.path, example.audio) for example in data.examples])
    for done, (example, outcome) in enumerate(zip(data.examples, outcomes, strict=True), start=1):
        if isinstance(outcome, AvsceneError):
            failures.append(str(outcome))
        else:
            _collect(rows, example, outcome)
        if progress is not None:
            progress(done, len(data.examples))
    if not rows[FUSED].examples:
        raise MediaError(f"{data.source}: none of {len(data.examples)} recordings can be read; first: {failures[0]}")
    needs: dict[str, Needs] = {model.name: model.needs for model in system.models}
    kinds = set(needs.values())
    needs[FUSED] = kinds.pop() if len(kinds) == 1 else "both"
    return Predicted({name: found.table(system, needs[name]) for name, found in rows.items()}, tuple(failures))


def _collect(rows: dict[str, _Rows], example: Example, prediction: Prediction) -> None:
    for segment in prediction.segments:
        rows[FUSED].add(example, segment.start, segment.probabilities)
        for name, probabilities in segment.by_model.items():
            rows.setdefault(name, _Rows()).add(example, segment.start, probabilities)


def write_tables(predicted: Predicted, output: Path, *, by_model: bool) -> list[Path]:
    """Write the fused table to `output` and, if asked, each model's beside it: `scores.tsv`, `scores.audio.tsv`."""
    written = []
    for name, table in predicted.tables.items():
        path = output if name == FUSED else output.with_suffix(f".{name}{output.suffix}")
        if name == FUSED or by_model:
            write_table(path, table)
            written.append(path)
    return written

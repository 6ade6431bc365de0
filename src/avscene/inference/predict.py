"""Classify recordings with a system and collect the probabilities in prediction tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avscene.errors import DataError, MediaError
from avscene.fusion.tree import FUSED
from avscene.inference.runs.computing import DEFAULT_SETTINGS
from avscene.inference.runs.resumable import ResumableRun
from avscene.inference.sources import Source
from avscene.inference.system import System
from avscene.labels import LabelSet
from avscene.progress import Progress
from avscene.records import Example, Failure, FloatArray, Needs, Prediction
from avscene.tables.names import parse_tau_name
from avscene.tables.score_table import ScoreTable

CARRIED = ("city", "device", "source", "source_label")  # columns of a data set that tables keep


@dataclass
class _Rows:
    """Rows of one table: the recording, the start in seconds and the probabilities of each segment."""

    examples: list[Example] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    probabilities: list[FloatArray] = field(default_factory=list)
    familiarity: list[float | None] = field(default_factory=list)

    def add(self, example: Example, start: float, probabilities: FloatArray, familiarity: float | None) -> None:
        self.examples.append(example)
        self.starts.append(start)
        self.probabilities.append(probabilities)
        self.familiarity.append(familiarity)

    def table(self, labels: LabelSet, modality: Needs) -> ScoreTable:
        return ScoreTable(
            labels,
            tuple(example.name for example in self.examples),
            np.stack(self.probabilities),
            starts=np.array(self.starts),
            groups=tuple(example.group for example in self.examples),
            truth=tuple(example.label for example in self.examples) if self.examples[0].label else None,
            modality=modality,
            familiarity=None if None in self.familiarity else np.array(self.familiarity, dtype=np.float64),
            carried=_carried(self.examples, labels),
        )


def _carried(examples: Sequence[Example], labels: LabelSet) -> dict[str, tuple[str, ...]]:
    """Return the columns of a data set by which results are evaluated (`evaluate --by`), if all recordings have them.

    Left out are those that names like TAU's have anyway, names of scenes, and numbers, which tables take for
    probabilities.
    """
    found = {}
    for column in CARRIED:
        texts = tuple(example.columns.get(column, "") for example in examples)
        is_in_names = column == "city" and all(parse_tau_name(example.name) for example in examples)
        if all(texts) and column not in labels and not is_in_names and not all(map(_is_number, texts)):
            found[column] = texts
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class PredictedTables:
    """Prediction tables by name (`fused`, and the name of each model), and why recordings are missing from them."""

    tables: dict[str, ScoreTable]
    failures: tuple[str, ...]


class StoppedError(Exception):
    """The run was stopped after `n_done` recordings."""

    def __init__(self, n_done: int) -> None:
        super().__init__(f"stopped after {n_done} recordings")
        self.n_done = n_done


def predict_recordings(
    system: System,
    examples: Sequence[Example],
    source: Path,
    progress: Progress | None = None,
    *,
    run: ResumableRun | None = None,
) -> PredictedTables:
    """Classify `examples`, the recordings of data set `source`, and return tables with a row per segment.

    Args:
        system: the system that classifies.
        examples: the recordings; all have a label or none has one.
        source: the data set, for messages.
        progress: called with the number of recordings done and of all.
        run: the run of `system` over `sources_of(examples)`, with its journal and settings; by default one without.

    Raises:
        DataError: a recording has a scene that is not in the system's label set.
        MediaError: no recording can be read.
        StoppedError: the run was stopped before all recordings were done.
    """
    check_scenes(examples, source, system.labels)
    rows: dict[str, _Rows] = {FUSED: _Rows()}
    failures: list[str] = []
    run = run or ResumableRun(system, sources_of(examples), DEFAULT_SETTINGS)
    done = 0
    for done, classified in enumerate(run.outcomes(), start=1):
        if isinstance(classified.outcome, Failure):
            failures.append(str(classified.outcome.error))
        else:
            _add_segments(rows, examples[done - 1], classified.outcome)
        if progress is not None:
            progress(done, len(examples))
    if done < len(examples):
        raise StoppedError(done)
    if not rows[FUSED].examples:
        raise MediaError(f"{source}: none of {len(examples)} recordings can be read; first: {failures[0]}")
    needs: dict[str, Needs] = {model.name: model.needs for model in system.models}
    kinds = set(needs.values())
    needs[FUSED] = kinds.pop() if len(kinds) == 1 else "both"
    tables = {name: collected.table(system.labels, needs[name]) for name, collected in rows.items()}
    return PredictedTables(tables, tuple(failures))


def sources_of(examples: Sequence[Example]) -> list[Source]:
    """Return the files of recordings."""
    return [Source(example.path, example.audio) for example in examples]


def check_scenes(examples: Sequence[Example], source: Path, labels: LabelSet) -> None:
    """Check that the scene of every recording of data set `source`, where it is known, is in `labels`.

    Raises:
        DataError: one is not.
    """
    for example in examples:
        if example.label and example.label not in labels:
            raise DataError(
                f"{source}: scene {example.label!r} ({example.name}) is not one of the system's: {', '.join(labels)}; "
                "to leave the labels out: --unlabelled"
            )


def _add_segments(rows: dict[str, _Rows], example: Example, prediction: Prediction) -> None:
    for segment in prediction.segments:
        found = segment.familiarity
        rows[FUSED].add(example, segment.start, segment.probabilities, None if found is None else found.score)
        for name, probabilities in segment.by_model.items():
            share = None if found is None else found.by_model.get(name)
            rows.setdefault(name, _Rows()).add(example, segment.start, probabilities, share)


def table_paths(output: Path, models: Sequence[str]) -> list[Path]:
    """Return the paths of the tables of models beside the table `output`."""
    return [output.with_suffix(f".{name}{output.suffix}") for name in models]

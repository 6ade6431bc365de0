"""Detect mismatches in prediction tables of audio and video, and write the scores."""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from avscene.errors import DataError, UsageError
from avscene.evaluation.notebook import pandas
from avscene.files import read_bytes, write_text
from avscene.groups import Side, check_apart
from avscene.mismatch.cross_fit import CrossFittedDetector
from avscene.mismatch.detector import ARCHIVE_PRIOR, Level, MismatchDetector, check_prior, pool_recordings
from avscene.mismatch.metrics import mismatch_metrics
from avscene.mismatch.pairs import PairedScores, RecordingPair, pair_tables
from avscene.mismatch.spans import find_spans
from avscene.mismatch.vadd import merge_into_three_classes, read_pairs
from avscene.records import MODALITY_NAMES, FloatArray, Modality
from avscene.tables.collection import TableSource, read_one_table
from avscene.tables.score_table import ScoreTable
from avscene.verdicts import DECIMALS

Tables = tuple[ScoreTable, ScoreTable]  # of audio, of video


@dataclass(frozen=True, slots=True, repr=False)
class MismatchResult:
    """The result of `detect_mismatch`.

    Attributes:
        paired: the paired rows of the two tables.
        detector: the detector; of a cross-fit, the one that was fitted on all groups.
        prior: the share of recordings whose audio does not belong to their video, for scores and verdicts.
        metrics: of segments and of recordings, as `mismatch_metrics` describes them.
        cross_fitted: the detectors that were applied, if they were cross-fitted.
    """

    paired: PairedScores
    detector: MismatchDetector
    prior: float
    metrics: dict[str, Any]
    cross_fitted: CrossFittedDetector | None = None

    def columns(self, level: Level) -> dict[str, Sequence[Any]]:
        """Return the columns that `write_scores` describes, of segments or of recordings; None where it writes none."""
        paired = self.paired if level == "segments" else pool_recordings(self.paired)
        assessed = (self.cross_fitted or self.detector).assess(paired, level)
        columns: dict[str, Sequence[Any]] = {"filename": [pair.name for pair in paired.pairs]}
        if any(pair.audio and pair.video and pair.audio != pair.video for pair in paired.pairs):
            columns["audio"] = [pair.audio for pair in paired.pairs]
        if paired.starts is not None:
            columns["start"] = paired.starts.tolist()
        judged = (~np.isnan(assessed.log_odds)).tolist()
        for name, values in (("score", assessed.scores(self.prior)), ("verdict", assessed.verdicts(self.prior))):
            columns[name] = [value if known else None for value, known in zip(values.tolist(), judged, strict=True)]
        if paired.pairs[0].mismatch is not None:
            columns["mismatch"] = [bool(pair.mismatch) for pair in paired.pairs]
        return columns

    def to_dict(self) -> dict[str, Any]:
        """Return metrics and detector as plain values: what `avscene mismatch --json` writes."""
        found = {**self.metrics, "detector": self.detector.model_dump()}
        if self.cross_fitted is not None:
            found["cross_fit"] = {"folds": self.cross_fitted.n_folds, "groups": len(self.cross_fitted.fold_of)}
        return found

    def to_pandas(self, level: Level = "recordings") -> Any:
        """Return a `pandas.DataFrame` with a row for each recording or segment: `columns`.

        Raises:
            PackageError: pandas is not installed.
        """
        return pandas().DataFrame(self.columns(level))

    def __repr__(self) -> str:
        found = self.metrics["recordings"]
        return (
            f"MismatchResult({found['n']} recordings, {found['judged']} with a verdict, {found['mismatched']} "
            f"mismatched, prior {self.prior:g})"
        )


def detect_mismatch(
    audio: TableSource,
    video: TableSource,
    *,
    fit: tuple[TableSource, TableSource] | None = None,
    cross_fit: int | None = None,
    detector: MismatchDetector | str | os.PathLike[str] | None = None,
    pairs: Sequence[RecordingPair] | str | os.PathLike[str] | None = None,
    three_classes: bool = False,
    prior: float = ARCHIVE_PRIOR,
) -> MismatchResult:
    """Detect whether audio and video belong together, from the prediction tables of an audio and a video model.

    A detector is needed: of an earlier call, fitted on tables of other recordings, or cross-fitted on these.

    >>> import avscene
    >>> result = avscene.detect_mismatch("audio.tsv", "video.tsv", cross_fit=5)
    >>> result.metrics["recordings"]["known"], result.to_pandas()

    Args:
        audio: the table of the audio model: a path or a `PredictionTable`.
        video: the table of the video model.
        fit: tables of audio and video of other recordings to fit a detector on.
        cross_fit: the number of folds of groups, 3 or more; each pair is judged by a detector that was fitted on other
            groups than those of its audio and of its video (`CrossFittedDetector`).
        detector: a fitted detector, or a JSON file that `avscene mismatch --json` wrote.
        pairs: which audio is paired with which video: pairs, or a file for `read_pairs`; by default those of the same
            recording.
        three_classes: merge TAU's ten scenes into indoor, outdoor and vehicle.
        prior: the share of recordings whose audio does not belong to their video.

    Raises:
        DataError: a table is malformed, does not fit the others, or shares groups or recordings with those that the
            detector was fitted on; by its column `modality` it is not of the modality that it is given for.
        UsageError: the prior is not between 0 and 1, or not one of `fit`, `cross_fit` and `detector` is given.
    """
    check_prior(prior)
    if sum(source is not None for source in (fit, cross_fit, detector)) != 1:
        raise UsageError("a mismatch detector is needed: give one of detector, fit and cross-fit")
    tables = _read_tables(audio, video, three_classes=three_classes)
    listed = read_pairs(Path(pairs)) if isinstance(pairs, str | os.PathLike) else pairs
    paired = pair_tables(*tables, listed)
    cross_fitted = None
    if fit is not None:
        detector = _fit_detector(_read_tables(*fit, three_classes=three_classes), tables)
    elif cross_fit is not None:
        intact = paired if listed is None else pair_tables(*tables)
        cross_fitted = CrossFittedDetector.of(intact, cross_fit)
        detector = cross_fitted.detector_without(frozenset())
    else:
        assert detector is not None
        given = detector
        detector = given if isinstance(given, MismatchDetector) else read_detector(Path(given))
        _check_detector(detector, "the detector" if isinstance(given, MismatchDetector) else str(given), tables)
    metrics = mismatch_metrics(paired, detector, prior, pristine=listed is None, cross_fitted=cross_fitted)
    return MismatchResult(paired, detector, prior, metrics, cross_fitted)


def write_scores(result: MismatchResult, output: Path) -> list[Path]:
    """Write `scores.tsv` with a row per segment, and beside it one per recording and, if there are starts, per span.

    Columns: `filename` of the video, `audio` if a list pairs it with the audio of another recording, `start`, `score`
    (probability of mismatch), `verdict` (1: mismatch), and `mismatch` if the list has it. Where a modality is missing
    or unfamiliar, score and verdict are empty. `scores.spans.tsv` has `start` and `end` of each mismatched span.

    Returns:
        The written files.

    Raises:
        DataError: a file cannot be written.
    """
    segments, recordings, spans = score_paths(output)
    write_text(segments, _tab_separated(result.columns("segments")))
    write_text(recordings, _tab_separated(result.columns("recordings")))
    if result.paired.starts is None:
        return [segments, recordings]
    write_text(spans, _format_spans(result, result.paired.starts))
    return [segments, recordings, spans]


def score_paths(output: Path) -> tuple[Path, Path, Path]:
    """Return the files that `write_scores` writes: `output`, and those of recordings and of spans beside it."""
    recordings, spans = (output.parent / f"{output.stem}.{part}{output.suffix}" for part in ("recordings", "spans"))
    return output, recordings, spans


def read_detector(path: Path) -> MismatchDetector:
    """Read a detector from a JSON file that `avscene mismatch --json` wrote.

    Raises:
        DataError: the file cannot be read or has no detector.
    """
    try:
        return MismatchDetector.model_validate(json.loads(read_bytes(path))["detector"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: has no detector; give a file that avscene mismatch --json wrote") from error


def _read_tables(audio: TableSource, video: TableSource, *, three_classes: bool) -> Tables:
    tables = read_one_table(audio), read_one_table(video)
    _check_modalities(tables)
    return (merge_into_three_classes(tables[0]), merge_into_three_classes(tables[1])) if three_classes else tables


def _check_modalities(tables: Tables) -> None:
    """Check the column `modality` of tables that have it."""
    expected: tuple[Modality, Modality] = ("audio", "video")
    if [table.modality for table in tables] == ["video", "audio"]:
        audio, video = (table.source for table in reversed(tables))
        raise DataError(
            f"{video}: is a table of video by its column 'modality', given as that of audio; try: avscene mismatch "
            f"{audio} {video}"
        )
    for table, modality in zip(tables, expected, strict=True):
        if table.modality not in (None, modality):
            raise DataError(
                f"{table.source}: is a table of {MODALITY_NAMES[table.modality]} by its column 'modality'; give one of "
                f"{modality} only (avscene predict --by-model writes them)"
            )


def _fit_detector(fitting: Tables, tested: Tables) -> MismatchDetector:
    """Fit a detector on two tables that share no recording and no group with the `tested` ones."""
    advice = "evaluate a detector on other recordings than those it was fitted on"
    check_apart(_groups_of(fitting), _groups_of(tested), advice)
    check_apart(_recordings_of(fitting), _recordings_of(tested), advice, kind="recording")
    if different := sorted(set(fitting[0].labels) ^ set(tested[0].labels)):
        raise DataError(f"{fitting[0].source} and {tested[0].source}: scene {different[0]!r} is only in one of them")
    try:
        return MismatchDetector.fit(pair_tables(*fitting))
    except DataError as error:
        raise DataError(f"{fitting[0].source}, {fitting[1].source}: {error}") from error


def _check_detector(detector: MismatchDetector, name: str, tested: Tables) -> None:
    fitted_on = Side(f"what {name} was fitted on", detector.fitted_on)
    check_apart(fitted_on, _groups_of(tested), "evaluate a detector on groups it was not fitted on")
    if different := sorted(set(detector.scenes) ^ set(tested[0].labels)):
        raise DataError(
            f"{name}: was fitted on different scenes than those of {tested[0].source}: {different[0]!r} is only in one"
        )


def _format_spans(result: MismatchResult, starts: FloatArray) -> str:
    paired = result.paired
    log_odds = (result.cross_fitted or result.detector).assess(paired, "segments").log_odds
    steps = np.concatenate([np.diff(starts[rows]) for rows in paired.recordings.values()])
    length = float(np.median(steps)) if steps.size else 1.0  # seconds; the tables have no ends
    found = []
    for pair, rows in paired.recordings.items():
        times = np.stack([starts[rows], starts[rows] + length], axis=1)
        found += [(pair.name, span) for span in find_spans(log_odds[rows], times, result.prior)]
    columns: dict[str, Sequence[object]] = {
        "filename": [name for name, _ in found],
        "start": [span.start for _, span in found],
        "end": [span.end for _, span in found],
        "score": [span.score for _, span in found],
    }
    return _tab_separated(columns)


def _tab_separated(columns: Mapping[str, Sequence[Any]]) -> str:
    cells = [[_cell(name, value) for value in values] for name, values in columns.items()]
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows([tuple(columns), *zip(*cells, strict=True)])
    return text.getvalue()


def _cell(column: str, value: Any) -> object:
    """A score with DECIMALS, a time with ten digits, a truth value as 0 or 1, nothing for None."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return f"{value:.{DECIMALS}f}" if column == "score" else f"{value:.10g}"
    return "" if value is None else value


def _groups_of(tables: Tables) -> Side:
    known = [table for table in tables if table.groups is not None]
    groups = [group for table in known for group in table.groups or ()]
    return Side(tables[0].source, groups, [name for table in known for name in table.filenames])


def _recordings_of(tables: Tables) -> Side:
    """Return recordings without file name extensions, which differ between audio and video."""
    names = [str(PurePath(name).with_suffix("")) for table in tables for name in table.filenames]
    return Side(tables[0].source, names)

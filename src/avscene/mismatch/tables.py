"""Detect mismatches in prediction tables of audio and video, and write the scores."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from avscene.errors import DataError
from avscene.files import read_bytes, write_text
from avscene.groups import Side, check_apart
from avscene.mismatch.detector import (
    ARCHIVE_PRIOR,
    MismatchClassifier,
    MismatchDetector,
    check_prior,
    pool_recordings,
)
from avscene.mismatch.metrics import mismatch_metrics
from avscene.mismatch.pairs import PairedScores, RecordingPair, pair_tables
from avscene.mismatch.spans import find_spans
from avscene.mismatch.vadd import merge_into_three_classes
from avscene.records import MODALITY_NAMES, FloatArray, Modality
from avscene.tables.prediction_table import read_table
from avscene.tables.score_table import ScoreTable
from avscene.verdicts import DECIMALS

Tables = tuple[ScoreTable, ScoreTable]  # of audio, of video


@dataclass(frozen=True, slots=True)
class MismatchResult:
    """Paired rows of two tables, the detector that was applied to them for `prior`, and its metrics as plain values."""

    paired: PairedScores
    detector: MismatchDetector
    prior: float
    metrics: dict[str, Any]


def detect_mismatches(
    audio: Path,
    video: Path,
    *,
    fit: tuple[Path, Path] | None = None,
    detector: MismatchDetector | None = None,
    detector_name: str = "the detector",
    pairs: Sequence[RecordingPair] | None = None,
    three_classes: bool = False,
    prior: float = ARCHIVE_PRIOR,
) -> MismatchResult:
    """Apply a fitted detector to the prediction tables of an audio and a video model.

    Args:
        audio: the table of the audio model.
        video: the table of the video model.
        fit: tables of audio and video of other recordings to fit a detector on.
        detector: the fitted detector, if `fit` is None.
        detector_name: the name of the detector in error messages.
        pairs: which audio is paired with which video; by default those of the same recording.
        three_classes: merge TAU's ten scenes into indoor, outdoor and vehicle.
        prior: the share of recordings whose audio does not belong to their video.

    Raises:
        DataError: a table is malformed, does not fit the others, or shares groups or recordings with those that the
            detector was fitted on; by its column `modality` it is not of the modality that it is given for.
        UsageError: the prior is not between 0 and 1.
    """
    check_prior(prior)
    tables = _read_tables(audio, video, three_classes=three_classes)
    paired = pair_tables(*tables, pairs)
    if fit is not None:
        detector = _fit_detector(_read_tables(*fit, three_classes=three_classes), tables)
    elif detector is not None:
        _check_detector(detector, detector_name, tables)
    else:
        raise ValueError("either fit or detector must be given")
    return MismatchResult(paired, detector, prior, mismatch_metrics(paired, detector, prior, pristine=pairs is None))


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
    paired, detector = result.paired, result.detector
    segments, recordings, spans = score_paths(output)
    write_text(segments, _format_rows(paired, detector.segment, result.prior))
    write_text(recordings, _format_rows(pool_recordings(paired), detector.recording, result.prior))
    if paired.starts is None:
        return [segments, recordings]
    write_text(spans, _format_spans(result, paired.starts))
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


def _read_tables(audio: Path, video: Path, *, three_classes: bool) -> Tables:
    tables = read_table(audio), read_table(video)
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


def _format_rows(paired: PairedScores, classifier: MismatchClassifier, prior: float) -> str:
    scores = classifier.score(paired.audio, paired.video, prior)
    columns: dict[str, Sequence[object]] = {"filename": [pair.name for pair in paired.pairs]}
    if any(pair.audio and pair.video and pair.audio != pair.video for pair in paired.pairs):
        columns["audio"] = [pair.audio for pair in paired.pairs]
    if paired.starts is not None:
        columns["start"] = [f"{start:.10g}" for start in paired.starts]
    columns["score"] = ["" if np.isnan(score) else f"{score:.{DECIMALS}f}" for score in scores]
    columns["verdict"] = ["" if np.isnan(score) else int(score >= classifier.threshold) for score in scores]
    if paired.pairs[0].mismatch is not None:
        columns["mismatch"] = [int(bool(pair.mismatch)) for pair in paired.pairs]
    return _tab_separated(columns)


def _format_spans(result: MismatchResult, starts: FloatArray) -> str:
    paired = result.paired
    log_odds = result.detector.segment.log_odds(paired.audio, paired.video)
    steps = np.concatenate([np.diff(starts[rows]) for rows in paired.recordings.values()])
    length = float(np.median(steps)) if steps.size else 1.0  # seconds; the tables have no ends
    found = []
    for pair, rows in paired.recordings.items():
        times = np.stack([starts[rows], starts[rows] + length], axis=1)
        found += [(pair.name, span) for span in find_spans(log_odds[rows], times, result.prior)]
    columns: dict[str, Sequence[object]] = {
        "filename": [name for name, _ in found],
        "start": [f"{span.start:.10g}" for _, span in found],
        "end": [f"{span.end:.10g}" for _, span in found],
        "score": [f"{span.score:.{DECIMALS}f}" for _, span in found],
    }
    return _tab_separated(columns)


def _tab_separated(columns: Mapping[str, Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(
        [tuple(columns), *zip(*columns.values(), strict=True)]
    )
    return text.getvalue()


def _groups_of(tables: Tables) -> Side:
    known = [table for table in tables if table.groups is not None]
    groups = [group for table in known for group in table.groups or ()]
    return Side(tables[0].source, groups, [name for table in known for name in table.filenames])


def _recordings_of(tables: Tables) -> Side:
    """Return recordings without file name extensions, which differ between audio and video."""
    names = [str(PurePath(name).with_suffix("")) for table in tables for name in table.filenames]
    return Side(tables[0].source, names)

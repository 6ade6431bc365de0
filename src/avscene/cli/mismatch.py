"""What `mismatch` does: tables in, a detector fitted or read, scores and figures out into files."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from avscene.errors import DataError
from avscene.files import write_text
from avscene.groups import Side, check_apart
from avscene.mismatch.detector import Decision, MismatchDetector, pooled
from avscene.mismatch.pairs import PairedScores, pair_tables
from avscene.mismatch.vadd import three_classes
from avscene.records import DECIMALS
from avscene.tables.prediction_table import read_table
from avscene.tables.score_table import ScoreTable

Tables = tuple[ScoreTable, ScoreTable]  # of sound, of the picture


def read_tables(audio: Path, video: Path, *, three: bool) -> Tables:
    """Both tables, their ten scenes merged into three classes if asked.

    Raises:
        DataError: one is malformed or has no ten TAU scenes to merge.
    """
    tables = read_table(audio), read_table(video)
    return (three_classes(tables[0]), three_classes(tables[1])) if three else tables


def fit_detector(fitting: Tables, judged: Tables) -> MismatchDetector:
    """A detector fitted on two tables that have no recording and no group in common with those to be judged.

    Raises:
        DataError: they have; or the tables do not do to fit on.
    """
    advice = "evaluate a detector on other recordings than those it was fitted on"
    check_apart(_groups_of(fitting), _groups_of(judged), advice)
    check_apart(_recordings_of(fitting), _recordings_of(judged), advice, kind="recording")
    if odd := sorted(set(fitting[0].labels) ^ set(judged[0].labels)):
        raise DataError(f"{fitting[0].source} and {judged[0].source}: scene {odd[0]!r} is only in one of them")
    try:
        return MismatchDetector.fit(pair_tables(*fitting))
    except DataError as error:
        raise DataError(f"{fitting[0].source}, {fitting[1].source}: {error}") from error


def read_detector(path: Path, judged: Tables) -> MismatchDetector:
    """The detector in a JSON file or a checkpoint directory, which was not fitted on a group of the tables.

    Raises:
        DataError: there is none, it was, or it is of other scenes.
        CheckpointError: the checkpoint is damaged.
    """
    detector = _of_checkpoint(path) if path.is_dir() else _of_file(path)
    fitted_on = Side(f"what {path} was fitted on", detector.fitted_on)
    check_apart(fitted_on, _groups_of(judged), "evaluate a detector on groups it was not fitted on")
    if odd := sorted(set(detector.scenes) ^ set(judged[0].labels)):
        raise DataError(f"{path}: was fitted on other scenes than {judged[0].source} has: {odd[0]!r} is only in one")
    return detector


def write_scores(paired: PairedScores, detector: MismatchDetector, output: Path) -> tuple[Path, Path]:
    """Write a row per segment to `output` and one per recording beside it: `scores.tsv`, `scores.recordings.tsv`.

    Columns: `filename` of the picture, `audio` where a list says whose sound it is, `start`, `score` (probability of
    mismatch), `verdict` (1: mismatch), and `mismatch` where a list says so. Where a modality is missing, score and
    verdict are empty.

    Raises:
        DataError: a file cannot be written.
    """
    whole = pooled(paired)
    beside = output.with_suffix(f".recordings{output.suffix}")
    for path, part, decision in ((output, paired, detector.segment), (beside, whole, detector.recording)):
        write_text(path, _rows(part, decision))
    return output, beside


def write_json(path: Path, found: dict[str, Any], detector: MismatchDetector) -> None:
    """Write the figures and the detector.

    Raises:
        DataError: the file cannot be written.
    """
    write_text(path, json.dumps({**found, "detector": detector.model_dump()}, indent=2) + "\n")


def _rows(paired: PairedScores, decision: Decision) -> str:
    scores = decision.score(paired.audio, paired.video)
    known = ~np.isnan(scores)
    columns: dict[str, Sequence[object]] = {"filename": [pair.name for pair in paired.pairs]}
    if any(pair.audio and pair.video and pair.audio != pair.video for pair in paired.pairs):
        columns["audio"] = [pair.audio for pair in paired.pairs]
    if paired.starts is not None:
        columns["start"] = [f"{start:.10g}" for start in paired.starts]
    columns["score"] = [f"{score:.{DECIMALS}f}" if told else "" for score, told in zip(scores, known, strict=True)]
    columns["verdict"] = [
        int(score >= decision.threshold) if told else "" for score, told in zip(scores, known, strict=True)
    ]
    if paired.pairs[0].mismatch is not None:
        columns["mismatch"] = [int(bool(pair.mismatch)) for pair in paired.pairs]
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
    """Without endings, which differ between audio and video."""
    names = [str(PurePath(name).with_suffix("")) for table in tables for name in table.filenames]
    return Side(tables[0].source, names)


def _of_file(path: Path) -> MismatchDetector:
    try:
        return MismatchDetector.model_validate(json.loads(path.read_bytes())["detector"])
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: holds no detector; give what avscene mismatch --json wrote") from error


def _of_checkpoint(path: Path) -> MismatchDetector:
    from avscene.models.checkpoint import read_config

    config = read_config(path)
    if config.mismatch is None:
        raise DataError(
            f"{path}: has no mismatch detector; it was trained without sound, picture or both in one recording"
        )
    return config.mismatch

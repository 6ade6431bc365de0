"""Write and check submissions to DCASE 2021 task 1B: tab-separated text made from a prediction table.

Columns: `filename`, `scene_label`, then the probabilities of the ten scenes in alphabetical order. The evaluation set
has 72,000 files of one second, `0.wav` to `71999.wav`; a submission with one of them has all of them.

A submission has a label, `LASTNAME_INSTITUTE_task1b_N`, and two files, `LABEL.output.csv` and `LABEL.meta.yaml`.

Other recordings keep their names from the table, without folders and with the ending `.wav`. If a table has several
segments of a recording, segment k is `airport-lisbon-1175-44106_k.wav`; with segments of one second, k is its start in
seconds.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from avscene.errors import DataError, UsageError
from avscene.files import write_text
from avscene.labels import TAU_SCENES
from avscene.records import FloatArray
from avscene.tables.delimited import DelimitedFile, read_delimited
from avscene.tables.names import stem
from avscene.tables.prediction_table import read_table
from avscene.tables.rounding import SIGNIFICANT_DIGITS, rescale_rows
from avscene.tables.score_table import ScoreTable
from avscene.tables.submission_description import description_template

FILENAME = "task1b_1.output.csv"  # of a submission without a label
LABEL = re.compile(r"[A-Za-z][A-Za-z0-9-]*_[A-Za-z0-9-]+_task1b_[1-4]")
LABEL_PARTS = ("LASTNAME", "INSTITUTE", "task1b", "N")
HEADER = ("filename", "scene_label", *TAU_SCENES)
EVALUATION_FILES = 72_000
EVALUATION_NAME = re.compile(r"\d+\.wav")
SUBMISSION_SUM_TOLERANCE = 0.01  # ten numbers of three decimals sum to 0.995 .. 1.005

GRID_TOLERANCE = 1e-3  # of a segment's length, by which its start may miss the grid


def is_evaluation(table: ScoreTable) -> bool:
    """Whether `table` has a file of the challenge's evaluation set."""
    return any(EVALUATION_NAME.fullmatch(name) for name in table.filenames)


def to_submission(table: ScoreTable) -> ScoreTable:
    """Return `table` with the names, columns and order of a submission, without true scenes and groups.

    Several rows of one evaluation file become their mean: the challenge takes one row per file.

    Raises:
        DataError: its scenes are not the challenge's ten; two rows would have one name; the starts of segments are not
            multiples of one distance; evaluation files are missing.
    """
    if set(table.labels) != set(TAU_SCENES):
        different = sorted(set(table.labels) ^ set(TAU_SCENES))
        raise DataError(
            f"{table.source}: its scenes are not the challenge's ten; they differ in {', '.join(different)}"
        )
    probabilities = table.probabilities[:, [table.labels.index(scene) for scene in TAU_SCENES]]
    names = tuple(f"{stem(name)}.wav" for name in table.filenames)
    renamed = replace(
        table,
        labels=TAU_SCENES,
        filenames=names,
        probabilities=rescale_rows(probabilities, 0.0),
        truth=None,
        groups=None,
        resolution=0.0,
    )
    if not is_evaluation(renamed):
        return _name_segments(renamed, table.filenames)
    submission = renamed.by_recording()
    for row, name in enumerate(submission.filenames, start=1):
        if problem := _evaluation_name_problem(name):
            raise DataError(f"{table.source}, row {row}: {problem}")
    _check_complete(submission)
    return _sort_by_number(submission)


def _name_segments(table: ScoreTable, sources: Sequence[str]) -> ScoreTable:
    """`table` with a name for each row: that of its recording, with the segment's number if there are several."""
    names = table.filenames
    if len(set(sources)) < len(sources):
        if table.starts is None:
            raise DataError(f"{table.source}: has several rows of a recording and no column 'start' to number them by")
        names = tuple(
            f"{name.removesuffix('.wav')}_{number}.wav"
            for name, number in zip(names, _segment_numbers(table, table.starts), strict=True)
        )
    seen: dict[str, str] = {}
    for name, source in zip(names, sources, strict=True):
        if name in seen:
            raise DataError(f"{table.source}: {source!r} and {seen[name]!r} would both be {name!r} in a submission")
        seen[name] = source
    return replace(table, filenames=names, starts=None)


def _segment_numbers(table: ScoreTable, starts: FloatArray) -> list[int]:
    """The number of each segment in its recording: its start divided by the least distance between two starts."""
    by_name: dict[str, list[float]] = {}
    for name, start in zip(table.filenames, starts, strict=True):
        by_name.setdefault(name, []).append(float(start))
    gaps = np.concatenate([np.diff(sorted(times)) for times in by_name.values()])
    hop = float(gaps[gaps > 0].min(initial=np.inf))
    numbers = starts / hop
    if not np.allclose(numbers, np.round(numbers), rtol=0, atol=GRID_TOLERANCE):
        raise DataError(f"{table.source}: segments do not start at multiples of {hop:g} s; they cannot be numbered")
    return [round(number) for number in numbers]


def _sort_by_number(table: ScoreTable) -> ScoreTable:
    order = sorted(range(len(table)), key=lambda row: int(table.filenames[row].removesuffix(".wav")))
    names = tuple(table.filenames[row] for row in order)
    return replace(table, filenames=names, probabilities=table.probabilities[order])


def _evaluation_name_problem(name: str) -> str | None:
    """Why `name` is not an evaluation file, a number below 72,000 without leading zeros; None if it is."""
    number = name.removesuffix(".wav")
    if EVALUATION_NAME.fullmatch(name) and str(int(number)) == number and int(number) < EVALUATION_FILES:
        return None
    return f"{name!r} is not a file of the evaluation set, 0.wav .. {EVALUATION_FILES - 1}.wav"


def _check_complete(table: ScoreTable) -> None:
    if is_evaluation(table) and len(table) != EVALUATION_FILES:
        present = set(table.filenames)
        first = next(name for name in (f"{number}.wav" for number in range(EVALUATION_FILES)) if name not in present)
        missing = EVALUATION_FILES - len(present)
        raise DataError(
            f"{table.source}: {missing} of the {EVALUATION_FILES} evaluation files are missing, first {first}"
        )


def write_submission(path: str | Path, table: ScoreTable) -> ScoreTable:
    """Write `table` as a submission and return the rows written; the file appears complete or not at all.

    Raises:
        DataError: as `to_submission`; or the file cannot be written.
    """
    submission = to_submission(table)
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(HEADER)
    for name, row in zip(submission.filenames, submission.probabilities, strict=True):
        writer.writerow([name, TAU_SCENES.names[row.argmax()], *(f"{value:.{SIGNIFICANT_DIGITS}g}" for value in row)])
    write_text(path, text.getvalue())
    return submission


def check_label(label: str) -> str:
    """Return `label` if it is one of the challenge: `LASTNAME_INSTITUTE_task1b_N` with N from 1 to 4.

    Raises:
        UsageError: it is not.
    """
    if LABEL.fullmatch(label):
        return label
    parts = label.split("_")
    problem = "is not LASTNAME_INSTITUTE_task1b_N, in letters, digits and hyphens"
    if len(parts) != len(LABEL_PARTS):
        problem = f"has {len(parts)} parts between underscores, not {len(LABEL_PARTS)}: {'_'.join(LABEL_PARTS)}"
    elif parts[2] != "task1b":
        problem = f"is for {parts[2]!r}, not for 'task1b'"
    elif parts[3] not in ("1", "2", "3", "4"):
        problem = f"ends in {parts[3]!r}, not in the number of the submission, 1 to 4"
    raise UsageError(f"--name {label!r}: {problem}; try: --name Lastname_INSTITUTE_task1b_1")


def submission_files(output: Path, label: str | None) -> tuple[Path, Path | None]:
    """Return the table and the description that a submission has in the directory `output`.

    Raises:
        UsageError: `label` is not one of the challenge.
    """
    if label is None:
        return output / FILENAME, None
    check_label(label)
    return output / f"{label}.output.csv", output / f"{label}.meta.yaml"


def submit_table(table: Path, output: Path, label: str | None = None) -> tuple[Path, ScoreTable]:
    """Write the submission of a prediction table into the directory `output` and read it back.

    With the `label` of a submission, its description is written beside the table for the participant to fill in,
    unless it exists.

    Raises:
        UsageError: `label` is not one of the challenge.
        DataError: the table cannot be submitted, or a file cannot be written.
    """
    path, description = submission_files(output, label)
    write_submission(path, read_table(table))
    if label is not None and description is not None and not description.exists():
        write_text(description, description_template(label))
    return path, read_submission(path)


def describe_submission(table: ScoreTable) -> str:
    """Return what a submission contains, in words."""
    if is_evaluation(table):
        return f"a submission of all {len(table)} files of the evaluation set"
    return f"in a submission's format, {len(table)} rows; not of the evaluation set, whose files are 0.wav, 1.wav, ..."


def read_submission(path: str | Path) -> ScoreTable:
    """Read and check a submission.

    Raises:
        DataError: the challenge would not accept it; the message names the file and, if there is one, the line and the
            column.
    """
    file = read_delimited(path)
    _check_header(file)
    names = file.cells("filename")
    official = any(map(EVALUATION_NAME.fullmatch, names))
    seen: dict[str, int] = {}
    for row, name in enumerate(names):
        if not name.endswith(".wav") or name == ".wav" or "/" in name:
            raise file.error_at(row, "filename", f"{name!r} is not the name of a wav file, without folders")
        if (first := seen.setdefault(name, row)) != row:
            raise file.error_at(row, "filename", f"{name!r} is already on line {file.line(first)}")
        if official and (problem := _evaluation_name_problem(name)):
            raise file.error_at(row, "filename", problem)
    probabilities = _read_probabilities(file)
    table = ScoreTable(
        labels=TAU_SCENES,
        filenames=names,
        probabilities=probabilities / probabilities.sum(axis=1, keepdims=True),
        source=str(path),
    )
    _check_complete(table)
    return table


def _check_header(file: DelimitedFile) -> None:
    for position, (found, expected) in enumerate(zip(file.columns, HEADER, strict=False), start=1):
        if found != expected:
            raise DataError(f"{file.path}, line 1: column {position} is {found!r}, not {expected!r}")
    if len(file.columns) != len(HEADER):
        raise DataError(f"{file.path}, line 1: {len(file.columns)} columns, not {len(HEADER)}")
    try:
        # A pipe is read only once.
        with file.path.open(encoding="utf-8-sig") if file.path.is_file() else io.StringIO(file.text) as text:
            first = next(line for line in text if line.strip())
    except UnicodeDecodeError as error:
        raise DataError(f"{file.path}, line 1: not UTF-8 text, as the challenge requires") from error
    if first.rstrip("\n") != "\t".join(HEADER):
        raise DataError(
            f"{file.path}, line 1: not {len(HEADER)} names without quotes or spaces, separated by single tabs"
        )


def _read_probabilities(file: DelimitedFile) -> FloatArray:
    """(n, 10) numbers of the file, after a check that each label is the most probable scene."""
    values = np.stack([file.numbers(scene) for scene in TAU_SCENES], axis=1)
    for column, scene in enumerate(TAU_SCENES):
        if (above := values[:, column] > 1).any():
            row = int(above.argmax())
            raise file.error_at(row, scene, f"{file.cells(scene)[row]!r} is not between 0 and 1")
    sums = values.sum(axis=1)
    if (far := np.abs(sums - 1) > SUBMISSION_SUM_TOLERANCE + 1e-9).any():
        row = int(far.argmax())
        span = f"{TAU_SCENES.names[0]} .. {TAU_SCENES.names[-1]}"
        raise file.error_at(row, span, f"the probabilities sum to {sums[row]:.4g}, not 1")
    for row, label in enumerate(file.cells("scene_label")):
        if label not in TAU_SCENES:
            raise file.error_at(row, "scene_label", f"{label!r} is not one of {', '.join(TAU_SCENES)}")
        if values[row, TAU_SCENES.index(label)] < values[row].max():
            more_probable = TAU_SCENES.names[values[row].argmax()]
            raise file.error_at(row, "scene_label", f"is {label!r}, but {more_probable!r} is more probable")
    return values

"""What `submit` does: a table becomes the challenge's CSV, or such a file is checked; both say what it holds."""

from pathlib import Path

from avscene.tables.prediction_table import read_table
from avscene.tables.score_table import ScoreTable
from avscene.tables.submission import FILENAME, is_evaluation, read_submission, write_submission


def submit(table: Path, output: Path) -> str:
    """Write the submission of a prediction table into the directory `output` and read it back.

    Raises:
        DataError: the table is no submission's, or the file cannot be written.
    """
    path = output / FILENAME
    write_submission(path, read_table(table))
    return check(path)


def check(path: Path) -> str:
    """Say what a submission holds.

    Raises:
        DataError: it is none; the message names line and column.
    """
    return f"{path}: {_described(read_submission(path))}"


def _described(table: ScoreTable) -> str:
    if is_evaluation(table):
        return f"a submission of all {len(table)} files of the evaluation set"
    return f"in a submission's format, {len(table)} rows; not of the evaluation set, whose files are 0.wav, 1.wav, ..."

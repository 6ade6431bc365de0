"""A checkpoint to what it said, before it was whole, of rows that it was not trained on."""

from pathlib import Path

from avscene.errors import CheckpointError
from avscene.tables.prediction_table import read_table
from avscene.tables.score_table import ScoreTable

TABLES = ("out_of_fold/fused.tsv", "validation.tsv")  # of recipe `fast`, and of all others


def validation_table(directory: Path) -> ScoreTable:
    """The table of the whole system that training left in its checkpoint.

    Raises:
        CheckpointError: it is not there any more.
        DataError: it is damaged.
    """
    for name in TABLES:
        if (directory / name).is_file():
            return read_table(directory / name)
    raise CheckpointError(f"{directory}: has neither {' nor '.join(TABLES)}, from which its risk is known")

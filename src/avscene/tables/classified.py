"""Reduce a table that `avscene classify` wrote to the rows and columns of a prediction table."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute

from avscene.errors import DataError
from avscene.tables.delimited import DelimitedFile

# By these columns such a table is recognised; tables of recordings have the others, too.
MARKS = frozenset({"end", "score", "unsure", "mismatch", "mismatch_verdict", "error"})
COLUMNS = MARKS | {"familiarity", "scenes", "mismatch_spans", "warnings"}


def predictions_only(file: DelimitedFile) -> DelimitedFile:
    """Return `file` without the columns that only `classify` writes and without failures; other tables as they are.

    Raises:
        DataError: all recordings failed.
    """
    if not set(file.columns) >= MARKS:
        return file
    is_familiarity_known = not pa.compute.any(pa.compute.equal(file.table.column("familiarity"), "")).as_py()
    left_out = COLUMNS - ({"familiarity"} if is_familiarity_known else set())
    columns = tuple(name for name in file.columns if name not in left_out)
    succeeded = pa.compute.equal(file.table.column("error"), "")
    table = file.table.filter(succeeded)
    if not table.num_rows:
        raise DataError(f"{file.path}: has no predictions: all recordings failed")
    rows = tuple(pa.compute.indices_nonzero(succeeded).to_pylist())
    return replace(file, columns=columns, table=table.select(list(columns)), rows=rows)

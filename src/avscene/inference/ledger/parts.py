"""Write the records of a unit of work as one Parquet file, which appears complete or not at all."""

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from avscene.errors import UsageError
from avscene.files import replace_when_complete
from avscene.inference.journal.content import FileState
from avscene.inference.journal.database import NewRecord
from avscene.inference.runs.remote import ReadyLine, RemoteRecord
from avscene.reports.recordings.counts import OutcomeSummary

LEDGER_SUFFIX = ".ledger"
MARKER = "ledger-of-avscene"  # a file by which a node knows that it sees the directory
_SUFFIX = ".parquet"
_SCHEMA = pa.schema(
    [
        ("source", pa.binary()),  # absolute paths of the files, as in a journal
        ("sizes", pa.string()),  # of the files; null if the outcome is for one run only
        ("mtimes", pa.string()),
        ("sha256", pa.string()),
        ("failed", pa.string()),
        ("outcome", pa.binary()),
        ("line", pa.binary()),  # ready to be written; null for failures, and where other formats are written
        ("seconds", pa.float64()),  # with the line: what is counted of the prediction
        ("scene", pa.string()),
        ("states", pa.list_(pa.string())),
    ]
)


def write_part(directory: Path, records: Sequence[RemoteRecord]) -> str:
    """Write records to a new file in `directory`, and return its name.

    Raises:
        UsageError: it cannot be written.
    """
    rows = [
        {
            "source": found.record.source,
            "sizes": found.record.state and found.record.state.sizes,
            "mtimes": found.record.state and found.record.state.mtimes,
            "sha256": found.record.sha256,
            "failed": found.record.failed,
            "outcome": found.record.outcome,
            "line": found.line and found.line.content,
            "seconds": found.line and found.line.summary.seconds,
            "scene": found.line and found.line.summary.scene,
            "states": found.line and found.line.summary.states,
        }
        for found in records
    ]
    name = f"part-{uuid.uuid4().hex}{_SUFFIX}"
    try:
        with replace_when_complete(directory / name) as partial:
            # Outcomes and lines are compressed already.
            pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), partial, compression="none")
    except OSError as error:
        raise UsageError(f"{directory}: cannot be written ({error.strerror or error})") from error
    return name


def read_part(path: Path) -> list[RemoteRecord]:
    """Return the records of a file.

    Raises:
        ValueError: it is not such a file.
        OSError: it cannot be read.
    """
    table = pq.ParquetFile(path).read()
    if not table.schema.equals(_SCHEMA):
        raise ValueError("its columns are not those of records")
    return [
        RemoteRecord(
            NewRecord(
                row["source"],
                None if row["sizes"] is None else FileState(row["sizes"], row["mtimes"]),
                row["outcome"],
                row["failed"],
                row["sha256"],
            ),
            None if row["line"] is None else ReadyLine(row["line"], _summary(row)),
        )
        for row in table.to_pylist()
    ]


def _summary(row: dict[str, Any]) -> OutcomeSummary:
    return OutcomeSummary(row["seconds"], row["scene"], tuple(row["states"]))


def parts_in(directory: Path) -> Iterator[Path]:
    """Yield the complete files in `directory`."""
    yield from sorted(directory.glob(f"part-*{_SUFFIX}"))

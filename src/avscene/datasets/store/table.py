"""The Lance table of a segment store: who may write to it, how it is opened, what its failures are called."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import lance
import pyarrow as pa

from avscene.datasets.store.rows import SCHEMA
from avscene.errors import DataError
from avscene.files import lock

LOCK = ".lock"
SEGMENTS = "segments.lance"  # a row for each segment: what was decoded
UNFINISHED = "unfinished"  # directory of what is not in the table yet; no reader needs it
LANCE_FORMAT: Final = "2.1"  # of the table's files, whatever a later Lance would choose
KEPT = timedelta(days=1)  # versions that a reader may still be at


def open_table(directory: Path, version: int | None = None) -> lance.LanceDataset:
    """The table of the store in `directory`, by default in its last version.

    Raises:
        DataError: it cannot be read.
    """
    with translate_errors(directory, "read"):
        return lance.dataset(directory / SEGMENTS, version=version)


def open_or_create_table(directory: Path) -> lance.LanceDataset:
    """The table of the store in `directory`, an empty one if there is none.

    Raises:
        DataError: it cannot be read or written.
    """
    path = directory / SEGMENTS
    if not any(path.glob("_versions/*.manifest")):  # no version was ever committed
        with translate_errors(directory, "written"):
            shutil.rmtree(path, ignore_errors=True)
            lance.write_dataset(SCHEMA.empty_table(), path, mode="create", data_storage_version=LANCE_FORMAT)
    return open_table(directory)


def tidy(table: lance.LanceDataset) -> None:
    """Delete what killed processes left behind, and what was replaced some time ago; by who has the right to write."""
    table.cleanup_old_versions(older_than=KEPT, delete_unverified=True)


@contextmanager
def write_lock(directory: Path) -> Iterator[None]:
    """The right to write to the store in `directory`; it ends with the process, however that ends.

    Raises:
        DataError: another process has it.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(lock(directory / LOCK))
        except BlockingIOError:
            raise DataError(f"{directory}: another avscene is writing to it; wait until it is done") from None
        except OSError as error:
            raise DataError(f"{directory}: cannot be written ({error.strerror or error})") from error
        yield


@contextmanager
def translate_errors(directory: Path, doing: str) -> Iterator[None]:
    """Failures of Arrow and Lance inside become one line about `directory`, which cannot be `doing` ("read").

    Raises:
        DataError: there was one.
    """
    try:
        yield
    except (OSError, RuntimeError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{directory}: cannot be {doing} ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    """The heart of an error of Lance, which tells of its own sources and of line numbers."""
    text = str(error)
    if "No space left on device" in text:
        return "no space left on device; what was finished is kept: free some and run the same command again"
    return " ".join(text.split())[:200] or type(error).__name__

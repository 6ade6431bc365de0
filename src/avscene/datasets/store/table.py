"""Open, lock and clean up the Lance table of a segment store, and translate its errors."""

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
SEGMENTS = "segments.lance"  # one row per decoded segment
UNFINISHED = "unfinished"  # directory of work that is not in the table yet; readers do not need it
LANCE_FORMAT: Final = "2.1"  # of the table's files, whatever later versions of Lance write by default
VERSIONS_KEPT_FOR = timedelta(days=1)  # a reader may still use them


def open_table(directory: Path, version: int | None = None) -> lance.LanceDataset:
    """Open the table of the store in `directory`, by default its latest version.

    Raises:
        DataError: it cannot be read.
    """
    with as_data_error(directory, "read"):
        return lance.dataset(directory / SEGMENTS, version=version)


def open_or_create_table(directory: Path) -> lance.LanceDataset:
    """Open the table of the store in `directory`, or create an empty one.

    Raises:
        DataError: it cannot be read or written.
    """
    path = directory / SEGMENTS
    if not any(path.glob("_versions/*.manifest")):  # no version was ever committed
        with as_data_error(directory, "written"):
            shutil.rmtree(path, ignore_errors=True)
            lance.write_dataset(SCHEMA.empty_table(), path, mode="create", data_storage_version=LANCE_FORMAT)
    return open_table(directory)


def clean_up(table: lance.LanceDataset) -> None:
    """Delete old versions and files that killed processes left behind; the caller holds the `write_lock`."""
    table.cleanup_old_versions(older_than=VERSIONS_KEPT_FOR, delete_unverified=True)


@contextmanager
def write_lock(directory: Path) -> Iterator[None]:
    """Hold the right to write to the store in `directory`; it ends with the process, however that ends.

    Raises:
        DataError: another process holds it.
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
def as_data_error(path: Path, action: str) -> Iterator[None]:
    """Raise errors of Arrow, Lance and the disk as one line: `path` cannot be `action`, such as "read".

    Raises:
        DataError: there was an error.
    """
    try:
        yield
    except (OSError, RuntimeError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be {action} ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    """The essential part of an error of Lance, which also lists its own source files and lines."""
    text = str(error)
    if "No space left on device" in text:
        return "no space left on device; what was finished is kept: free some and run the same command again"
    return " ".join(text.split())[:200] or type(error).__name__

"""Keep the files of each job (media, result, preview) in a directory that is named after its id."""

import json
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from avscene.errors import DataError, UsageError
from avscene.files import lock, write_text
from avscene.records import Prediction
from avscene.reports.recordings.formats import recording_text

_ID = re.compile(r"[A-Za-z0-9_-]{22}")
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")
_ID_BYTES = 16  # as many random bits as a UUID


def new_id() -> str:
    """Return an id of a job, which cannot be guessed."""
    return secrets.token_urlsafe(_ID_BYTES)


def suffix_of(name: str) -> str:
    """Return the suffix of a file name in lower case, with its dot; empty unless it is 1 to 8 of `a-z` and `0-9`."""
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if _SUFFIX.fullmatch(suffix) else ""


class JobFiles:
    """The files of jobs, in `DIRECTORY/jobs/ID/`.

    No part of a path comes from a client but the suffix of the media, which has letters and digits only. Files that are
    being written have hidden names.
    """

    def __init__(self, directory: Path) -> None:
        self._jobs = directory / "jobs"

    def directory(self, job_id: str) -> Path:
        """Return the directory of a job, which need not exist.

        Raises:
            KeyError: `job_id` is not the id of a job.
        """
        if not _ID.fullmatch(job_id):
            raise KeyError(job_id)
        return self._jobs / job_id

    def new_media(self, job_id: str, name: str) -> Path:
        """Return the path to which the media of a job is written, and make its directory, readable by its owner only.

        Args:
            job_id: Of the job.
            name: File name that the client gave; its suffix is kept if it has 1 to 8 letters and digits.

        Raises:
            DataError: the directory cannot be made.
            KeyError: `job_id` is not the id of a job.
        """
        directory = self.directory(job_id)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{directory}: cannot be made: {error.strerror or error}") from error
        return directory / f"media{suffix_of(name)}"

    def media(self, job_id: str) -> Path | None:
        """Return the media of a job, None if there is none."""
        found = [path for path in self._listed(self.directory(job_id)) if path.name.split(".")[0] == "media"]
        return found[0] if found else None

    def result(self, job_id: str) -> Path:
        """Return the path of the result of a job; it exists if the job is done."""
        return self.directory(job_id) / "result.json"

    def write_result(self, job_id: str, prediction: Prediction) -> None:
        """Write the result of a job, the JSON that `avscene classify --format json` writes; it appears as a whole.

        Raises:
            DataError: it cannot be written.
        """
        write_text(self.result(job_id), recording_text(prediction, "json"))

    def read_result(self, job_id: str) -> dict[str, Any]:
        """Return the result of a job, schema `avscene/1`.

        Raises:
            DataError: it is missing or damaged.
        """
        path = self.result(job_id)
        try:
            values: dict[str, Any] = json.loads(path.read_bytes())
        except OSError as error:
            raise DataError(f"{path}: {error.strerror or error}") from error
        except ValueError as error:
            raise DataError(
                f"{path}: is damaged ({error}); fix: remove the job and classify the recording again"
            ) from error
        return values

    def ids(self) -> list[str]:
        """Return the ids of all jobs that have a directory."""
        return [path.name for path in self._listed(self._jobs) if _ID.fullmatch(path.name)]

    def remove(self, job_id: str) -> None:
        """Remove the directory of a job, if there is one."""
        shutil.rmtree(self.directory(job_id), ignore_errors=True)

    def remove_unfinished(self, job_id: str) -> None:
        """Remove the files of a job that a process did not finish writing, after that process has ended."""
        for path in self.directory(job_id).glob(".*"):
            with suppress(OSError):
                path.unlink()

    def last_change(self, job_id: str) -> float:
        """Return when a file of a job was last written, in seconds since 1970; 0 if there is none."""
        times = [0.0]
        with suppress(OSError):  # a file is being renamed
            times.extend(path.stat().st_mtime for path in self.directory(job_id).iterdir())
        return max(times)

    @staticmethod
    def _listed(directory: Path) -> Iterator[Path]:
        """Yield what is in a directory, without hidden files; nothing if it does not exist."""
        with suppress(FileNotFoundError, NotADirectoryError):
            yield from (path for path in sorted(directory.iterdir()) if not path.name.startswith("."))


@contextmanager
def lock_directory(directory: Path) -> Iterator[None]:
    """Let no other process use the directory, which is made if need be.

    Raises:
        UsageError: another process uses it, or it cannot be written.
    """
    with ExitStack() as stack:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(lock(directory / "lock"))
        except BlockingIOError as error:
            problem = "is used by another avscene serve; stop that one"
            raise UsageError(f"{directory}: {problem}, or try: avscene serve --directory OTHER") from error
        except OSError as error:
            raise UsageError(f"{directory}: cannot be written ({error.strerror or error})") from error
        yield

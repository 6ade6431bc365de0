"""Write results to object storage: to a file on disk first, which is uploaded when it is complete."""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from avscene.errors import StorageError, UsageError
from avscene.files import data_directory
from avscene.storage.uploads import check_writable, upload
from avscene.storage.urls import is_remote, local_path, name_of, scheme_of, shown

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OutputPlace:
    """Where results go: `path` is the file on disk (None: standard output), `url` the object it becomes, if any.

    `is_folder` is whether the user wrote a slash at the end of the path.
    """

    path: Path | None
    url: str | None = None
    is_folder: bool = False

    @classmethod
    def of(cls, location: str | None) -> "OutputPlace":
        """Return the output that a user names: a path, or a URL; the file of a URL is in the user's data directory."""
        if location is None or not is_remote(location):
            return cls(None if location is None else Path(local_path(location)), is_folder=str(location).endswith("/"))
        name = shown(location)
        folder = data_directory() / "results" / f"{scheme_of(name)}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        return cls(folder / (name_of(name) or "results"), location)

    def check(self, inputs: Iterable[str]) -> None:
        """Check before any work that the object can be written and is none of the inputs.

        Raises:
            UsageError: it cannot be written, or is an input.
            PackageError: the package for its scheme is not installed.
        """
        if self.url is None:
            return
        if self.url in inputs:
            raise UsageError(f"{shown(self.url)}: is one of the inputs; give another name for the output")
        try:
            check_writable(self.url)
        except StorageError as error:
            raise UsageError(str(error)) from error

    def publish(self, files: Sequence[Path], journal: Path | None) -> list[str]:
        """Upload files that were written beside `path` and remove them; log where the journal of the run is.

        Returns:
            The names of the files as they are shown: their paths, or the URLs of the objects.

        Raises:
            UsageError: an object cannot be written; its file is kept.
        """
        if self.url is None:
            return list(map(str, files))
        names = []
        for file in filter(Path.exists, files):
            url = self.url.rpartition("/")[0] + "/" + file.name
            try:
                upload(file, url)
            except StorageError as error:
                raise UsageError(f"{error}; the complete results are in {file}") from error
            file.unlink()
            names.append(shown(url))
        kept = f"; its journal is {journal}" if journal is not None and journal.exists() else ""
        if names:
            logger.info(f"{', '.join(names)}: written{kept}")
        return names

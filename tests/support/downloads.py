"""Download small archives from an archive server, and check what arrived."""

import sys
from pathlib import Path

import numpy as np

from avscene.datasets.tau.archives import Archive, ArchiveKind, PublishedDataSet
from avscene.datasets.tau.download import download, plan_download
from avscene.progress import Progress
from tests.support.archive_server import ArchiveServer, zipped

TABLE = np.random.default_rng(0).bytes(300_000)  # incompressible, and long enough for several reads
ONE_ARCHIVE: dict[str, tuple[ArchiveKind, bytes]] = {"meta.zip": ("meta", zipped({"table.csv": TABLE}))}
# A program that runs `avscene ARGUMENTS`, for which the data set tau-2021 is the one given as the last argument.
COMMAND_LINE = """
import sys
from avscene.datasets.tau import archives
from avscene.cli.main import main
published = archives.PublishedDataSet.model_validate_json(sys.argv.pop())
archives.published_data_sets = lambda: {"tau-2021": published}
main()
"""


def command(published: PublishedDataSet, *arguments: object) -> list[str]:
    """Return the command that runs `avscene ARGUMENTS` with `published` as tau-2021."""
    return [sys.executable, "-c", COMMAND_LINE, *map(str, arguments), published.model_dump_json()]


def checked_progress(stage: str) -> Progress:
    """Accept any progress that makes sense."""
    assert stage
    return checked_counts


def checked_counts(done: int, total: int) -> None:
    """Accept any counts that make sense."""
    assert 0 <= done <= total


def download_all(published: PublishedDataSet, directory: Path, subset: str = "all", **options: object) -> list[str]:
    """Download `subset` and return the labels of the archives that were unpacked."""
    unpacked: list[str] = []
    plan = plan_download(published, subset, directory, **({"discard": False} | options))  # type: ignore[arg-type]
    download(plan, checked_progress, lambda archive, _: unpacked.append(archive.label))
    return unpacked


def only_archive(published: PublishedDataSet) -> Archive:
    """Return the archive of a data set with a single one."""
    (archive,) = published.archives
    return archive


def has_arrived(directory: Path) -> bool:
    """Return whether the table is there as it was published, and no temporary file is left."""
    left = [path.name for path in directory.rglob("*") if path.name.endswith(".part")]
    return (directory / "table.csv").read_bytes() == TABLE and not left


def first_bytes(server: ArchiveServer) -> list[int]:
    """Return the position from which each request asked."""
    return [int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0 for _, asked in server.requests]

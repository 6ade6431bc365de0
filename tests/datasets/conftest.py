"""Fixtures that several tests of data sets share: a small disk, an archive server, and the small TAU data set on it."""

from collections.abc import Iterator

import pytest

from avscene.datasets.tau import archives, layout
from avscene.datasets.tau.archives import ArchiveKind, PublishedDataSet
from tests.support import small_tau
from tests.support.archive_server import ArchiveServer
from tests.support.small_disk import small_disk

__all__ = ["small_disk"]


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with ArchiveServer() as server:
        yield server


@pytest.fixture(scope="package")
def content(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the small data set, by path."""
    return small_tau.files(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="package")
def packed(content: dict[str, bytes]) -> dict[str, tuple[ArchiveKind, bytes]]:
    """The archives of the small data set, by label."""
    return small_tau.archives(content)


@pytest.fixture
def published(
    server: ArchiveServer, packed: dict[str, tuple[ArchiveKind, bytes]], monkeypatch: pytest.MonkeyPatch
) -> PublishedDataSet:
    """The small data set on the server, instead of tau-2021."""
    offered = server.offer(packed, small_tau.PREFIX)
    monkeypatch.setattr(archives, "published_data_sets", lambda: {"tau-2021": offered})
    monkeypatch.setattr(layout, "PUBLISHED", small_tau.PUBLISHED)
    return offered

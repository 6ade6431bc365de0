"""Serve `conse` to the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from avscene.server.settings import ServerSettings
from tests.support.live_server import Live, live_server
from tests.support.media_files import write_media


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of two seconds, lossy and with audio."""
    return write_media(tmp_path_factory.mktemp("served") / "clip.mp4", seconds=2)


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that takes many seconds to classify."""
    return write_media(tmp_path_factory.mktemp("served") / "long.mp4", seconds=900, audio=False, fps=2, gop=2)


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server without a token."""
    directory = tmp_path_factory.mktemp("server")
    settings = ServerSettings(directory=directory, system="conse", max_upload=4 * 2**20, device="cpu")
    with live_server(settings) as live:
        yield live


@pytest.fixture
def live(shared_server: Live) -> Iterator[Live]:
    """The shared server without jobs."""
    yield shared_server
    for job in shared_server.services.table.list(limit=1000)[0]:
        shared_server.services.remove(job.id)

"""Test Google Cloud Storage and Azure Blob Storage with their own clients and servers that imitate the services."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from avscene.errors import MediaError, StorageError
from avscene.storage import listing, objects, retrying
from avscene.storage.listing import list_objects
from avscene.storage.objects import object_state
from avscene.storage.spooling import GIB, spooled
from avscene.storage.uploads import check_writable, upload
from tests.support.cloud_servers import PLACE, AzureServer, CloudServer, GoogleServer

CONTENT = random.Random(1).randbytes(100_000)


@pytest.fixture(params=[GoogleServer, AzureServer])
def cloud(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, no_connections: None
) -> Iterator[CloudServer]:
    with request.param() as server:
        server.set_environment(monkeypatch)
        monkeypatch.setattr(retrying, "DELAYS", (0.001,) * 5)
        monkeypatch.setattr(objects, "_BLOCK", 30_000)
        monkeypatch.setattr(listing, "PAGE", 2)
        server.objects["folder/a.mp4"] = CONTENT
        yield server


def url_of(cloud: CloudServer, name: str = "folder/a.mp4") -> str:
    return f"{cloud.scheme}://{PLACE}/{name}"


def copied(cloud: CloudServer, limit: int = GIB, version: str = "") -> bytes:
    with spooled(url_of(cloud), limit, version=version) as copy:
        return Path(copy).read_bytes()


def test_copies_an_object_in_blocks(cloud: CloudServer) -> None:
    assert object_state(url_of(cloud)).size == len(CONTENT)
    assert copied(cloud) == CONTENT
    assert copied(cloud, version=object_state(url_of(cloud)).version) == CONTENT


@pytest.mark.parametrize("status", [500, 503])
def test_repeats_what_may_pass(cloud: CloudServer, status: int) -> None:
    object_state(url_of(cloud))  # connects
    cloud.statuses = [status]
    assert copied(cloud) == CONTENT


def test_repeats_a_short_block(cloud: CloudServer) -> None:
    object_state(url_of(cloud))
    cloud.n_short = 2
    assert copied(cloud) == CONTENT


def test_is_never_a_mixture_of_two_versions(cloud: CloudServer) -> None:
    object_state(url_of(cloud))
    cloud.replaced = lambda: cloud.objects.update({"folder/a.mp4": CONTENT[::-1]})
    with pytest.raises(StorageError, match="changed while it was read"):
        copied(cloud)
    assert copied(cloud) == CONTENT[::-1]


def test_names_what_is_missing_refused_or_too_large(cloud: CloudServer) -> None:
    with pytest.raises(StorageError, match="no such object"):
        object_state(url_of(cloud, "folder/none.mp4"))
    with pytest.raises(MediaError, match="GiB that are read"):
        copied(cloud, limit=len(CONTENT) - 1)
    cloud.statuses = [403] * 4
    with pytest.raises(StorageError, match="access denied"):
        copied(cloud)


def test_lists_pages(cloud: CloudServer) -> None:
    names = [f"folder/{name}" for name in ("b.mp4", "c d&.mp4", "e/f.mp4", "ü.mp4")]
    cloud.objects |= dict.fromkeys((*names, "folder/.hidden", "other.mp4"), b"x")
    cloud.n_requests = 0
    assert list(list_objects(url_of(cloud, "folder/"))) == [url_of(cloud, name) for name in ("folder/a.mp4", *names)]
    assert cloud.n_requests == 3


def test_writes_an_object(cloud: CloudServer, tmp_path: Path) -> None:
    file = tmp_path / "scenes.jsonl"
    file.write_bytes(b'{"a": 1}')
    check_writable(url_of(cloud, "scenes.jsonl"))
    assert "scenes.jsonl" not in cloud.objects
    upload(file, url_of(cloud, "scenes.jsonl"))
    assert cloud.objects["scenes.jsonl"] == b'{"a": 1}'
    cloud.statuses = [403] * 4
    with pytest.raises(StorageError, match="access denied"):
        check_writable(url_of(cloud, "scenes.jsonl"))


@pytest.mark.usefixtures("no_connections")
def test_azure_without_an_account() -> None:
    with pytest.raises(StorageError, match=r"no credentials in the environment; set for example AZURE_STORAGE_ACCOUNT"):
        object_state(f"az://{PLACE}/a.mp4")

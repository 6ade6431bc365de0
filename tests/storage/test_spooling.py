"""Test copies of objects: the whole object in one version, or an error, whatever the service does."""

import random
import threading
from pathlib import Path

import pytest

from avscene.errors import MediaError, StorageError
from avscene.storage.connections import StoppedError
from avscene.storage.objects import object_state
from avscene.storage.spooling import GIB, spooled
from tests.support.object_server import BUCKET, SECRET, ObjectServer

CONTENT = random.Random(1).randbytes(3_000_000)
URLS = ["s3", "http"]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, which must be empty after each test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def put(server: ObjectServer, scheme: str, content: bytes = CONTENT) -> str:
    url = server.put("folder/a.mp4", content)
    return url if scheme == "s3" else f"{server.url}/{BUCKET}/folder/a.mp4"


def copied(url: str, limit: int = GIB, version: str = "") -> bytes:
    with spooled(url, limit, version=version) as copy:
        assert copy.endswith(".mp4")
        return Path(copy).read_bytes()


def message_of(url: str, kind: type[MediaError] = StorageError, limit: int = GIB, version: str = "") -> str:
    with pytest.raises(MediaError) as found:
        copied(url, limit, version)
    assert type(found.value) is kind
    message = str(found.value)
    assert SECRET not in message
    assert message.startswith(f"{url}: ")
    return message.removeprefix(f"{url}: ")


@pytest.mark.parametrize("scheme", URLS)
def test_copies_an_object_with_one_request(server: ObjectServer, scheme: str, temporary: Path) -> None:
    url = put(server, scheme)
    assert copied(url) == CONTENT
    assert server.count("GET") == 1
    assert server.count("HEAD") == 0
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("scheme", URLS)
def test_copies_an_empty_object(server: ObjectServer, scheme: str) -> None:
    assert copied(put(server, scheme, b"")) == b""


@pytest.mark.parametrize("scheme", URLS)
@pytest.mark.parametrize("fault", ["500", "503", "429", "cut", "reset", "dropped", "stall"])
def test_repeats_what_may_pass(server: ObjectServer, scheme: str, fault: str) -> None:
    url = put(server, scheme)
    server.faults["folder/a.mp4"] = [fault] * 3
    assert copied(url) == CONTENT
    assert server.count("GET") == 4


@pytest.mark.parametrize("scheme", URLS)
def test_waits_for_a_slow_answer(server: ObjectServer, scheme: str) -> None:
    url = put(server, scheme)
    server.faults["folder/a.mp4"] = ["slow"]
    assert copied(url) == CONTENT
    assert server.count("GET") == 1


@pytest.mark.parametrize("scheme", URLS)
def test_continues_where_an_answer_broke_off(server: ObjectServer, scheme: str) -> None:
    url = put(server, scheme)
    server.faults["folder/a.mp4"] = ["cut", "reset"]
    assert copied(url) == CONTENT
    ranges = [found for method, _, found in server.requests if method == "GET"]
    assert ranges[0] is None
    assert all(found is not None and found.startswith("bytes=") for found in ranges[1:])
    assert 0 < int(str(ranges[1]).strip("bytes=-")) <= 1_500_000


@pytest.mark.parametrize("scheme", URLS)
@pytest.mark.parametrize(("fault", "reason"), [("503", "HTTP 503"), ("dropped", "no connection")])
def test_gives_up_after_six_attempts(
    server: ObjectServer, scheme: str, fault: str, reason: str, temporary: Path
) -> None:
    url = put(server, scheme)
    server.faults["folder/a.mp4"] = [fault, ...]
    expected = f"cannot be reached after 6 attempts ({reason}); run the same command again later"
    assert message_of(url) == expected
    # After a connection that was kept open ends, aiohttp repeats the request once by itself.
    assert server.count("GET") in ((6,) if fault == "503" else range(6, 13))
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("scheme", URLS)
def test_is_never_a_mixture_of_two_versions(server: ObjectServer, scheme: str, temporary: Path) -> None:
    url = put(server, scheme)
    server.faults["folder/a.mp4"] = ["replaced half-way"]
    assert message_of(url) == "changed while it was read; try: run the same command again"
    assert copied(url) == CONTENT[::-1]
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("scheme", URLS)
def test_is_the_version_that_was_looked_up(server: ObjectServer, scheme: str) -> None:
    url = put(server, scheme)
    version = object_state(url).version
    server.faults["folder/a.mp4"] = ["replaced before"]
    assert message_of(url, version=version) == "changed while it was read; try: run the same command again"


@pytest.mark.parametrize("scheme", URLS)
def test_does_not_repeat_what_is_refused(server: ObjectServer, scheme: str) -> None:
    url = put(server, scheme)
    server.faults["folder/a.mp4"] = ["403", ...]
    assert message_of(url) == "access denied (HTTP 403); check the credentials in the environment"
    assert server.count("GET") == 1


def test_names_what_is_missing(server: ObjectServer) -> None:
    hint = "no such object; the name of a folder of objects ends with /"
    assert message_of(f"s3://{BUCKET}/none.mp4") == hint
    assert message_of("s3://nowhere/none.mp4") == hint
    assert message_of(f"{server.url}/{BUCKET}/none.mp4") == "not found (HTTP 404)"


@pytest.mark.parametrize("scheme", URLS)
def test_refuses_a_large_object_before_it_is_read(server: ObjectServer, scheme: str, temporary: Path) -> None:
    url = put(server, scheme)
    server.faults["folder/a.mp4"] = ["stall"]  # reading it would be repeated
    assert message_of(url, MediaError, limit=len(CONTENT) - 1).startswith("has 0.00279 GiB, more than the ")
    assert server.count("GET") == 1
    assert list(temporary.iterdir()) == []


def test_names_a_full_disk(server: ObjectServer, monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    url = put(server, "s3")
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    assert message_of(url) == (
        f"cannot be copied to {temporary} (No space left on device); free some space or set TMPDIR to another folder"
    )


def test_can_be_stopped(server: ObjectServer, temporary: Path) -> None:
    url = put(server, "s3")
    server.faults["folder/a.mp4"] = ["stall"]
    object_state(url)  # connects
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(StoppedError), spooled(url, GIB, stop.is_set):
        pass
    assert server.count("GET") == 1
    assert list(temporary.iterdir()) == []


def test_state_needs_no_content(server: ObjectServer) -> None:
    state = object_state(put(server, "s3"))
    assert state.size == len(CONTENT)
    assert server.count("GET") == 0
    assert object_state(put(server, "http")) == state


def test_credentials_are_not_taken_from_a_url(server: ObjectServer) -> None:
    with pytest.raises(StorageError) as found:
        copied(f"s3://user:{SECRET}@{BUCKET}/a.mp4")
    assert str(found.value) == (
        f"s3://{BUCKET}/a.mp4: has a user and password; give them in the environment, not in the URL"
    )

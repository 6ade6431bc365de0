"""Test fetching files from a hub on loopback: caching, verification, and errors."""

import errno
import os
from pathlib import Path

import pytest
from huggingface_hub import constants, file_download

from avscene.errors import WeightsError
from avscene.models.weights import hub
from avscene.models.weights.hub import OPEN_CLIP_FILES as FILES
from avscene.models.weights.hub import WEIGHTS_FILE
from tests.support.hub_server import COMMIT, HubServer
from tests.support.small_clip import VIT


def refusal(repo_id: str = VIT, files: tuple[str, ...] = FILES, *, offline: bool = False) -> str:
    """The message with which `fetch` refuses: one line that names the repo."""
    with pytest.raises(WeightsError) as caught:
        hub.fetch(repo_id, files, offline=offline)
    message = str(caught.value)
    assert message.startswith(f"{repo_id}: ")
    assert "\n" not in message
    return message


def test_files_are_fetched_once_and_then_read_from_the_cache(clip_server: HubServer, small_vit: Path) -> None:
    assert not hub.is_cached(VIT, FILES)
    snapshot = hub.fetch(VIT, FILES, offline=False)
    assert snapshot.name == COMMIT
    for name in FILES:
        assert (snapshot / name).read_bytes() == (small_vit / name).read_bytes()
    assert clip_server.requests[f"GET {WEIGHTS_FILE}"] == 1
    assert hub.is_cached(VIT, FILES)

    clip_server.requests.clear()
    assert hub.fetch(VIT, FILES, offline=False) == snapshot
    assert not clip_server.requests
    clip_server.stop()
    assert hub.fetch(VIT, FILES, offline=True) == snapshot


def test_only_the_file_that_is_absent_is_fetched(clip_server: HubServer) -> None:
    hub.fetch(VIT, FILES[:1], offline=False)
    assert not hub.is_cached(VIT, FILES)
    message = refusal(offline=True)
    assert f": {WEIGHTS_FILE} is not in" in message
    hub.fetch(VIT, FILES, offline=False)
    assert clip_server.requests[f"GET {FILES[0]}"] == 1


def test_offline_without_a_cached_file_the_error_names_the_remedy(clip_server: HubServer, tmp_path: Path) -> None:
    message = refusal(offline=True)
    assert WEIGHTS_FILE in message
    assert str(tmp_path / "hub") in message
    assert "run once without --offline" in message
    assert not clip_server.requests


def test_hf_hub_offline_is_honoured(clip_server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "--offline or HF_HUB_OFFLINE is set" in refusal()
    assert not hub.can_fetch(VIT, FILES)
    assert not clip_server.requests


def test_an_unreachable_hub_is_an_error_at_once(clip_server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    clip_server.stop()
    slept: list[float] = []
    monkeypatch.setattr(file_download.time, "sleep", slept.append)
    message = refusal()  # the fixture has set the time limit to hours
    assert not slept
    assert "cannot be reached" in message
    assert "set HF_ENDPOINT" in message


def test_a_slow_answer_ends_at_the_time_limit(clip_server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "FIRST_ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(hub, "CHECK_SECONDS", 0.2)
    clip_server.fault = "trickle"  # until the server stops
    assert "cannot be reached" in refusal()
    assert not hub.can_fetch(VIT, FILES)


def test_all_files_are_of_one_commit(clip_server: HubServer) -> None:
    clip_server.fault = "moving"
    snapshot = hub.fetch(VIT, FILES, offline=False)
    assert snapshot.name == COMMIT
    assert all((snapshot / name).is_file() for name in FILES)


def test_a_server_error_after_the_first_answer(clip_server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_download.time, "sleep", lambda _: None)
    monkeypatch.setattr(hub, "_check_hub", lambda *_: None)
    clip_server.fault = "http-500"
    assert "HTTP 500" in refusal()


def test_can_fetch(clip_server: HubServer) -> None:
    assert hub.can_fetch(VIT, FILES)
    assert not any(request.startswith("GET") for request in clip_server.requests)
    assert not hub.can_fetch(VIT, ["no.safetensors"])
    assert not hub.can_fetch("nobody/nothing", FILES)
    assert not hub.can_fetch("not a repository name", FILES)
    clip_server.fault = "portal"
    assert not hub.can_fetch(VIT, FILES)
    clip_server.stop()
    assert not hub.can_fetch(VIT, FILES)


@pytest.mark.parametrize(
    ("repo_id", "files", "reason"),
    [
        ("nobody/nothing", FILES, "has no such repository"),
        (VIT, ("no.safetensors",), "has the repository but not this file"),
        ("a/b/c", FILES, "not a repository name"),
        (VIT, ("open_clip_pytorch_model.bin",), "only safetensors and JSON"),
    ],
)
def test_files_that_the_hub_lacks(clip_server: HubServer, repo_id: str, files: tuple[str, ...], reason: str) -> None:
    message = refusal(repo_id, files)
    assert reason in message
    assert files[-1] in message


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("http-500", "HTTP 500"),
        ("portal", "is not that of a hub"),
        ("cut", "the connection was lost"),
        ("short", "the connection was lost"),
    ],
)
def test_a_broken_hub(clip_server: HubServer, fault: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_download.time, "sleep", lambda _: None)
    clip_server.fault = fault  # type: ignore[assignment]
    assert reason in refusal()
    assert not hub.is_cached(VIT, FILES)
    clip_server.fault = None
    hub.fetch(VIT, FILES, offline=False)


def test_an_interrupted_transfer_is_resumed(clip_server: HubServer) -> None:
    clip_server.fault = "cut-once"
    hub.fetch(VIT, FILES, offline=False)
    assert clip_server.requests[f"GET {WEIGHTS_FILE}"] == 2


def test_a_damaged_transfer_is_detected_and_can_be_repeated(clip_server: HubServer) -> None:
    clip_server.fault = "damaged"
    message = refusal()
    assert f"{WEIGHTS_FILE} is damaged" in message
    clip_server.fault = None
    assert "damaged" in refusal(offline=True)  # on every later call, too
    blob = message.split("delete ")[1].removesuffix(" and run again")
    Path(blob).unlink()
    hub.fetch(VIT, FILES, offline=False)


def test_a_truncated_file_in_the_cache_is_detected(clip_server: HubServer) -> None:
    weights = (hub.fetch(VIT, FILES, offline=False) / WEIGHTS_FILE).resolve()
    os.truncate(weights, weights.stat().st_size - 1)
    assert str(weights) in refusal(offline=True)


@pytest.mark.parametrize(
    ("code", "reason", "then"),
    [
        (errno.ENOSPC, "no space left", "set HF_HOME to another disk"),
        (errno.EACCES, "cannot be written", "set HF_HOME to a writable directory"),
    ],
)
def test_a_disk_that_cannot_be_written(
    clip_server: HubServer, code: int, reason: str, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> str:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(hub, "hf_hub_download", refuse)
    message = refusal()
    assert reason in message
    assert then in message

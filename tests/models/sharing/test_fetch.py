"""Test loading checkpoints from a hub on loopback: caching, pinning, offline use, and repositories of attackers."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants

import avscene
from avscene.errors import AvsceneError, CheckpointError, UsageError, WeightsError
from avscene.models.checkpoint import CARD, CONFIG, WEIGHTS
from avscene.models.sharing import contents
from avscene.models.sharing.fetch import fetch_checkpoint
from avscene.models.weights.transfer import bar_class
from avscene.progress import silent
from tests.support.hub_server import COMMIT, NEXT_COMMIT, HubServer
from tests.support.small_checkpoint import forge

REPO = "owner/scenes"
HF = f"hf://{REPO}"
PINNED = f"{HF}@{COMMIT}"


@pytest.fixture
def server(hub_server: HubServer, small: Path) -> HubServer:
    hub_server.add(REPO, small)
    return hub_server


def gets(server: HubServer) -> list[str]:
    return sorted(name for name in server.requests if name.startswith("GET ") and name != "GET scenes")


def test_only_safetensors_and_json_are_downloaded_once(server: HubServer, small: Path) -> None:
    fetched = fetch_checkpoint(HF, offline=False)
    assert str(fetched.reference) == PINNED
    assert {path.name for path in fetched.directory.iterdir()} == {WEIGHTS, CONFIG}
    assert (fetched.directory / WEIGHTS).read_bytes() == (small / WEIGHTS).read_bytes()
    assert f"GET {CARD}" not in server.requests
    server.requests.clear()
    assert fetch_checkpoint(HF, offline=False) == fetched  # asks which commit main is
    assert all(name.startswith("GET main") for name in server.requests), server.requests
    server.requests.clear()
    assert fetch_checkpoint(PINNED, offline=False) == fetched
    assert not server.requests


def test_offline_the_cache_is_used_or_what_is_missing_is_named(server: HubServer, photograph: Path) -> None:
    for reference in (HF, PINNED):
        with pytest.raises(WeightsError, match=f"{CONFIG} is not in .*--offline or HF_HUB_OFFLINE is set: run once"):
            fetch_checkpoint(reference, offline=True)
    online = avscene.load(HF)
    expected = online.classify(photograph)
    server.stop()
    for reference in (HF, f"{HF}@main", PINNED):
        system = avscene.load(reference, offline=True)
        assert (system.name, system.fingerprint) == (online.name, online.fingerprint) == (PINNED, online.fingerprint)
        np.testing.assert_array_equal(system.classify(photograph).probabilities, expected.probabilities)
    (fetch_checkpoint(HF, offline=True).directory / WEIGHTS).unlink()
    with pytest.raises(WeightsError, match=f"{WEIGHTS} is not in .*--offline"):
        avscene.load(HF, offline=True)


def test_hf_hub_offline_is_honoured(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set"):
        fetch_checkpoint(HF, offline=False)
    assert not server.requests


def test_a_hub_that_is_gone_is_an_error_even_with_a_cache(server: HubServer) -> None:
    fetch_checkpoint(HF, offline=False)
    server.stop()
    with pytest.raises(WeightsError, match=r"cannot be reached.*; or use what was fetched last: --offline"):
        fetch_checkpoint(HF, offline=False)
    assert str(fetch_checkpoint(PINNED, offline=False).reference) == PINNED


def test_a_branch_that_moves_while_it_is_fetched_gives_the_commit_that_was_listed(
    server: HubServer, pair: Path
) -> None:
    before = {**server.repos[REPO]}
    server.pushed[REPO] = [(COMMIT, before)]

    def move() -> None:
        server.pushed[REPO] = [(COMMIT, before), (NEXT_COMMIT, {**before, WEIGHTS: b"other"})]

    server.after_listing = move
    first = fetch_checkpoint(HF, offline=False)
    assert str(first.reference) == PINNED
    server.after_listing = lambda: None
    other = (pair.parent / "V2").joinpath
    server.pushed[REPO] = [
        (COMMIT, before),
        (NEXT_COMMIT, {name: other(name).read_bytes() for name in (WEIGHTS, CONFIG)}),
    ]
    second = fetch_checkpoint(HF, offline=False)
    assert second.reference.revision == NEXT_COMMIT
    systems = [avscene.load(str(fetched.reference)) for fetched in (first, second)]
    assert systems[0].fingerprint != systems[1].fingerprint


def test_names_that_the_hub_does_not_have(server: HubServer) -> None:
    for reference, reason in {
        "hf://owner/nothing": "has no such repository",
        f"{HF}@v9": "has the repository but not this revision",
    }.items():
        with pytest.raises(WeightsError, match=reason):
            fetch_checkpoint(reference, offline=False)
    with pytest.raises(UsageError, match="is not hf://USER/REPO or hf://USER/REPO@REVISION"):
        avscene.load("hf://owner/scenes@../../../etc")


def test_what_only_other_systems_have_is_refused_by_name(server: HubServer) -> None:
    for options, reason in {
        (("prompts", ("a {}",)),): "takes no prompts",
        (("max_risk", 0.1),): "has neither out_of_fold",
        (("labels", "a,b"),): "was trained on the scenes",
    }.items():
        with pytest.raises(AvsceneError, match=reason) as caught:
            avscene.load(HF, **dict(options))  # type: ignore[arg-type]
        assert str(caught.value).startswith(f"{PINNED}: ")


# --- repositories of attackers, and damaged ones ---


def _config(change: Callable[[dict[str, Any]], object]) -> Callable[[HubServer, Path], None]:
    """Change the configuration, with the checksums of its new content."""

    def apply(server: HubServer, directory: Path) -> None:
        forge(directory, change)
        server.add(REPO, directory)

    return apply


def _file(name: str, content: bytes = b"{}") -> Callable[[HubServer, Path], None]:
    return lambda server, _: server.repos[REPO].update({name: content})


def _stated(name: str, **values: object) -> Callable[[HubServer, Path], None]:
    return lambda server, _: server.stated.update({name: values})


def _other_weights(server: HubServer, directory: Path) -> None:
    content = server.repos[REPO][WEIGHTS]
    server.repos[REPO][WEIGHTS] = content[:-1] + bytes([content[-1] ^ 1])


def _swapped_after_the_listing(server: HubServer, directory: Path) -> None:
    def swap() -> None:
        content = server.repos[REPO][WEIGHTS]
        server.repos[REPO][WEIGHTS] = content[:-1] + bytes([content[-1] ^ 1])

    server.after_listing = swap


def _config_swapped_after_the_listing(server: HubServer, directory: Path) -> None:
    forge(directory, lambda values: values.update(name="other"))
    other = (directory / CONFIG).read_bytes()
    server.after_listing = lambda: server.repos[REPO].update({CONFIG: other})


def _pickled_weights(server: HubServer, directory: Path) -> None:
    (directory / WEIGHTS).write_bytes(b"\x80\x04\x95pickle")
    _config(dict)(server, directory)


def _member(name: str) -> Callable[[dict[str, Any]], None]:
    def change(values: dict[str, Any]) -> None:
        values["members"] = {name: "0" * 64}
        values["fusion"] = {"name": "pair", "members": ["V1", name], "rule": {"kind": "mean"}}

    return change


def _part(**settings: object) -> Callable[[dict[str, Any]], None]:
    return lambda values: values["models"][0].update(settings)


def _frames(values: dict[str, Any]) -> None:
    values["models"][0]["frames"]["size"] = 100_000


ATTACKS: dict[str, tuple[Callable[[HubServer, Path], None], str]] = {
    "a pickle beside it": (
        _file("pytorch_model.bin"),
        "files that are not of the checkpoint: 'pytorch_model.bin'; nothing",
    ),
    "code beside it": (_file("modeling.py"), "'modeling.py'"),
    "a path upwards": (_file("../../../evil.json"), r"'../../../evil.json'"),
    "an absolute path": (_file("/etc/evil.json"), r"'/etc/evil.json'"),
    "a path of Windows": (_file("..\\evil.json"), "evil.json"),
    "control characters": (_file("\x1b[2Jevil"), r"'\\x1b\[2Jevil'"),
    "a folder": (_file("V2/config.json"), "'V2/config.json'"),
    "weights that do not fit": (_other_weights, "the hub states another SHA-256 than config.json"),
    "pickled weights": (_pickled_weights, "is not a safetensors file"),
    "weights swapped after the listing": (_swapped_after_the_listing, "SHA-256"),
    "configuration swapped after the listing": (_config_swapped_after_the_listing, "is not what the hub states"),
    "no configuration": (
        lambda server, _: server.repos[REPO].pop(CONFIG) and None,
        "no such file; it is no checkpoint",
    ),
    "no weights": (lambda server, _: server.repos[REPO].pop(WEIGHTS) and None, "no such file"),
    "a configuration of another kind": (_file(CONFIG, b'{"architectures": ["X"]}'), "damaged or of another version"),
    "a huge configuration": (_stated(CONFIG, size=1 << 40), "at most 16777216 are loaded"),
    "huge weights": (_stated(WEIGHTS, size=1 << 50), f"at most {16 << 30} are loaded"),
    "a size that is not stated": (_stated(WEIGHTS, size=None), "the hub states no size of"),
    "a changed setting": (_file(CONFIG, b""), "damaged or of another version"),
    "a member upwards": (_config(_member("../../V2")), "fusion.members.1.*should match pattern"),
    "a member that is a file": (_config(_member("config.json")), "fusion.members.1.*should match pattern"),
    "a member that is missing": (_config(_member("V2")), "V2/config.json: the repository has no such file"),
    "huge frames": (_config(_frames), "has size 100000; at most 2048 is loaded"),
    "a network of another hub": (
        _config(lambda values: values["models"][0].update(kind="frame-cnn", backbone="hf-hub:evil/net", encoder=None)),
        "damaged or of another version|no network",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_repository_that_is_not_exactly_a_checkpoint_is_refused(
    server: HubServer, small: Path, tmp_path: Path, attack: str
) -> None:
    apply, reason = ATTACKS[attack]
    apply(server, shutil.copytree(small, tmp_path / "checkpoint"))
    with pytest.raises(AvsceneError, match=reason) as caught:
        avscene.load(HF)
    message = str(caught.value)
    assert isinstance(caught.value, CheckpointError | WeightsError)
    assert message.isprintable()
    assert message.startswith((f"{HF}@", f"{REPO}: "))
    assert not [name for name in gets(server) if name.endswith((".bin", ".py", "evil.json", ".pkl"))]
    assert {path.suffix for path in Path(constants.HF_HUB_CACHE).rglob("snapshots/*/*")} <= {".safetensors", ".json"}
    if "listing" not in attack and "pickled" not in attack:
        assert f"GET {WEIGHTS}" not in server.requests  # refused before the weights


def test_too_many_members(server: HubServer, small: Path, tmp_path: Path) -> None:
    def change(values: dict[str, Any]) -> None:
        names = [f"M{number}" for number in range(contents.MAX_MEMBERS + 1)]
        values["members"] = dict.fromkeys(names, "0" * 64)
        values["fusion"] = {"name": "pair", "members": ["V1", *names], "rule": {"kind": "mean"}}

    directory = shutil.copytree(small, tmp_path / "checkpoint")
    forge(directory, change)
    server.add(REPO, directory)
    with pytest.raises(CheckpointError, match="more than 64 members"):
        fetch_checkpoint(HF, offline=False)


def test_members_must_be_those_of_the_ensemble(hub_server: HubServer, pair: Path, tmp_path: Path) -> None:
    directory = shutil.copytree(pair, tmp_path / "checkpoint")
    for name in (CONFIG, WEIGHTS):
        shutil.copy(directory / "V1" / name, directory / "V2" / name)
    hub_server.add(REPO, directory)
    with pytest.raises(CheckpointError, match=r"V2: is not the member V2 .*\(SHA-256\)"):
        fetch_checkpoint(HF, offline=False)
    assert f"GET {WEIGHTS}" not in hub_server.requests


def test_files_that_change_in_the_cache_are_refused(server: HubServer) -> None:
    directory = fetch_checkpoint(HF, offline=False).directory
    for name, kind in ((WEIGHTS, WeightsError), (CONFIG, CheckpointError)):
        path = (directory / name).resolve()
        content = path.read_bytes()
        path.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
        with pytest.raises(kind):
            avscene.load(HF, offline=True)
        path.write_bytes(content)
    avscene.load(HF, offline=True)


def test_a_file_without_symbolic_links_is_compared_with_the_configuration(server: HubServer) -> None:
    path = fetch_checkpoint(HF, offline=False).directory / WEIGHTS
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # as on Windows; the hub's hash is not known there
    with pytest.raises(CheckpointError, match=f"{WEIGHTS}: has another SHA-256 than {CONFIG} states"):
        fetch_checkpoint(HF, offline=True)


def test_a_transfer_of_more_than_was_announced_ends() -> None:
    with bar_class(silent(""))(total=100) as bar:
        bar.update(100)
        with pytest.raises(OSError, match="more than the 100 bytes"):
            bar.update(1)


def test_the_hash_of_small_files_is_that_of_git(server: HubServer) -> None:
    """`git hash-object`, by a repository whose listing states another one."""
    server.stated[CONFIG] = {"blobId": hashlib.sha1(server.repos[REPO][CONFIG]).hexdigest()}
    with pytest.raises(CheckpointError, match=f"{CONFIG}: is not what the hub states"):
        fetch_checkpoint(HF, offline=False)
    assert json.loads(server.repos[REPO][CONFIG])["name"] == "V1"

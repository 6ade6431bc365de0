"""Test pushing checkpoints to a hub on loopback with huggingface_hub: what goes up, what is refused, what arrives."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import avscene
from avscene.errors import AvsceneError, CheckpointError, StorageError, UsageError
from avscene.models.checkpoint import CARD, CONFIG, WEIGHTS
from avscene.models.sharing.push import plan_push, push
from avscene.models.sharing.reference import HubReference
from tests.support.hub_server import HubServer
from tests.support.small_checkpoint import forge

REPO = "owner/scenes"


def copy(source: Path, tmp_path: Path) -> Path:
    return shutil.copytree(source, tmp_path / "checkpoint")


def test_the_plan_has_the_files_of_ensemble_and_members_with_their_sha256(pair: Path, hub_server: HubServer) -> None:
    plan = plan_push(pair, REPO)
    names = {f"{folder}{name}" for folder in ("", "V1/", "V2/") for name in (WEIGHTS, CONFIG, CARD)}
    assert {file.path for file in plan.files} == names
    printed = subprocess.run(["sha256sum", *sorted(names)], cwd=pair, capture_output=True, text=True, check=True)
    assert {file.path: file.sha256 for file in plan.files} == {
        name: digest for digest, name in (line.split("  ") for line in printed.stdout.splitlines())
    }
    assert plan.size == sum((pair / name).stat().st_size for name in names)
    assert not hub_server.requests


def test_what_is_pushed_can_be_loaded_and_gives_the_same(
    pair: Path, photograph: Path, hub_server: HubServer, token: str, capfd: pytest.CaptureFixture[str]
) -> None:
    pushed = push(plan_push(pair, REPO))
    commit, files = hub_server.pushed[REPO][-1]
    assert str(pushed) == f"hf://{REPO}@{commit}"
    assert set(files) - {".gitattributes"} == {file.path for file in plan_push(pair, REPO).files}
    expected = avscene.load(pair).classify(photograph)
    for reference in (f"hf://{REPO}", f"hf://{REPO}@main", str(pushed)):
        found = avscene.load(reference).classify(photograph)
        np.testing.assert_array_equal(found.probabilities, expected.probabilities)
        assert found.system == str(pushed)
    assert not [name for name in hub_server.requests if name.startswith("GET README")]
    assert set(hub_server.tokens) == {f"Bearer {token}"}
    assert tuple(capfd.readouterr()) == ("", "")


def test_progress_counts_the_bytes_of_all_files(small: Path, hub_server: HubServer, token: str) -> None:
    calls: list[tuple[int, int]] = []
    plan = plan_push(small, REPO)
    push(plan, progress=lambda _: lambda done, total: calls.append((done, total)))
    assert calls[-1] == (plan.size, plan.size)
    assert [done for done, _ in calls] == np.cumsum([file.size for file in plan.files]).tolist()


def test_a_later_push_is_a_new_commit_and_the_first_stays(
    small: Path, photograph: Path, tmp_path: Path, hub_server: HubServer, token: str
) -> None:
    first = push(plan_push(small, REPO))
    assert push(plan_push(small, REPO)) == first  # nothing changed
    changed = copy(small, tmp_path)
    card = changed / CARD
    card.write_text(card.read_text() + "\nRecorded in caves.\n")
    second = push(plan_push(changed, REPO))
    assert second != first
    systems = [avscene.load(str(reference)) for reference in (first, second)]
    assert systems[0].fingerprint != systems[1].fingerprint
    assert len({tuple(system.classify(photograph).probabilities) for system in systems}) == 1


def test_private(small: Path, hub_server: HubServer, token: str) -> None:
    push(plan_push(small, REPO), private=True)
    assert REPO in hub_server.private
    push(plan_push(small, REPO), private=True)
    hub_server.private.clear()
    with pytest.raises(UsageError, match=f"{REPO}: exists and is public"):
        push(plan_push(small, REPO), private=True)


def test_tables_name_recordings_and_stay(small: Path, tmp_path: Path) -> None:
    directory = copy(small, tmp_path)
    (directory / "validation.tsv").write_text("filename\tscene_label\n")
    (directory / "out_of_fold").mkdir()
    (directory / "out_of_fold" / "fused.tsv").write_text("filename\tscene_label\n")
    (directory / "held_out").mkdir()
    (directory / "held_out" / "fused.tsv").write_text("filename\tscene_label\n")
    plan = plan_push(directory, REPO)
    assert plan.left_out == ("held_out/fused.tsv", "out_of_fold/fused.tsv", "validation.tsv")
    assert {file.path for file in plan.files} == {WEIGHTS, CONFIG, CARD}


# --- refused before anything is sent ---


def _pickled(directory: Path) -> None:
    (directory / WEIGHTS).write_bytes(b"\x80\x04\x95pickle")
    forge(directory, dict)


def _flip(directory: Path) -> None:
    content = bytearray((directory / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (directory / WEIGHTS).write_bytes(content)


def _many(directory: Path) -> None:
    for number in range(5):
        (directory / f"{number}.bin").write_bytes(b"")


def _outside(directory: Path) -> None:
    (directory / "folder").symlink_to("/etc", target_is_directory=True)


def _named_like_a_table(directory: Path) -> None:
    (directory / "my_recordings.tsv").write_text("")


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pickle": (
        lambda path: (path / "model.pkl").write_bytes(b""),
        "files that are not of the checkpoint: 'model.pkl'",
    ),
    "many": (_many, "'0.bin', '1.bin', '2.bin' and 2 more; only model.safetensors, config.json and README.md"),
    "a hidden file": (lambda path: (path / ".env").write_text("HF_TOKEN=x"), "'.env'"),
    "a link to a folder": (_outside, "'folder'"),
    "another table": (_named_like_a_table, "'my_recordings.tsv'"),
    "no weights": (lambda path: (path / WEIGHTS).unlink(), f"{WEIGHTS}: is missing"),
    "no card": (lambda path: (path / CARD).unlink(), f"{CARD}: is missing"),
    "no configuration": (lambda path: (path / CONFIG).unlink(), f"{CONFIG}: cannot be read"),
    "changed weights": (_flip, f"{WEIGHTS}: was changed"),
    "pickled weights": (_pickled, f"{WEIGHTS}: is not a safetensors file"),
    "wrong metadata": (lambda path: (path / CARD).write_text("---\n- a\n---\n"), "its metadata are not valid"),
    "no licence": (lambda path: (path / CARD).write_text("---\ntags: [x]\n---\n"), "have no licence; try: --license"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_directory_that_is_not_exactly_a_checkpoint_is_refused(small: Path, tmp_path: Path, case: str) -> None:
    directory = copy(small, tmp_path)
    change, reason = REFUSED[case]
    change(directory)
    with pytest.raises(CheckpointError) as caught:
        plan_push(directory, REPO)
    assert reason in str(caught.value)
    assert str(caught.value).startswith(str(directory))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["scenes", "a/b/c", "owner/", "../scenes", "owner/..", "owner/a b", "owner/a.git"])
def test_a_name_that_is_none_is_refused(small: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is not the name of a repository; write it as USER/REPO"):
        plan_push(small, name)


def test_a_directory_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such directory"):
        plan_push(tmp_path / "none", REPO)


# --- refused by the repository or the hub ---


def test_a_repository_with_other_files_is_not_touched(small: Path, hub_server: HubServer, token: str) -> None:
    hub_server.pushed[REPO] = [("0" * 40, {"pytorch_model.bin": b"", "config.json": b"{}"})]
    with pytest.raises(UsageError, match=f"{REPO}: has other files \\('pytorch_model.bin'\\); name another"):
        push(plan_push(small, REPO))
    assert len(hub_server.pushed[REPO]) == 1
    assert not hub_server.large


def test_without_a_token_nothing_is_asked(small: Path, hub_server: HubServer) -> None:
    with pytest.raises(UsageError, match="set HF_TOKEN to one that may write, or run: hf auth login"):
        push(plan_push(small, REPO))
    assert not hub_server.requests


def failure(plan_of: Path, repository: str, kind: type[AvsceneError] = StorageError) -> str:
    with pytest.raises(kind) as caught:
        push(plan_push(plan_of, repository))
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_a_token_without_access_is_never_printed(
    small: Path, hub_server: HubServer, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    assert "has no write access" in failure(small, "somebody/scenes")
    for wrong in ("hf_wrongToken", "hf_wröngToken", "hf wrong Token"):
        monkeypatch.setenv("HF_TOKEN", wrong)
        assert wrong not in failure(small, REPO)
    assert not hub_server.pushed


def test_a_hub_that_fails_or_is_gone(small: Path, hub_server: HubServer, token: str) -> None:
    hub_server.fault = "http-500"
    assert "HTTP 500" in failure(small, REPO)
    hub_server.fault = None
    hub_server.stop()
    assert "cannot be reached" in failure(small, REPO)


def test_what_arrives_is_compared(small: Path, hub_server: HubServer, token: str) -> None:
    other = hashlib.sha256(b"other").hexdigest()
    size = (small / WEIGHTS).stat().st_size
    hub_server.stated[WEIGHTS] = {"lfs": {"sha256": other, "size": size, "pointerSize": 130}}
    assert f"{WEIGHTS} did not arrive as it was sent" in failure(small, REPO)
    hub_server.stated = {CONFIG: {"blobId": "0" * 40}}
    assert f"{CONFIG} did not arrive as it was sent" in failure(small, REPO)


def test_references() -> None:
    commit = "0123456789abcdef" * 2 + "01234567"
    for text, expected in {
        "hf://user/repo": HubReference("user/repo"),
        "hf://user/repo@v1.0": HubReference("user/repo", "v1.0"),
        "hf://user/repo@refs/pr/1": HubReference("user/repo", "refs/pr/1"),
        f"hf://user/repo@{commit}": HubReference("user/repo", commit),
    }.items():
        found = HubReference.parse(text)
        assert found == expected
        assert HubReference.parse(str(found)) == found
        assert found.is_commit == (commit in text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "hf://",
            "hf://user",
            "hf://user/repo@",
            "hf://user/repo@../../x",
            "hf://user/repo@a//b",
            "hf://user/repo@/x",
        ),
        *("hf://user/repo@a b", "hf://user/../repo", "hf://user/repo/config.json", "hf://us\ner/repo", "user/repo"),
    ],
)
def test_malformed_references_are_usage_errors(text: str) -> None:
    with pytest.raises(UsageError):
        HubReference.parse(text)

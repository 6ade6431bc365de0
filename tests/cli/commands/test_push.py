"""Test `push`, and `classify` and `predict` with a system on a hub on loopback."""

import hashlib
import json
from pathlib import Path

import pytest

from avscene.models.checkpoint import CARD, CONFIG, WEIGHTS
from tests.support.command_line import Command, Run, run
from tests.support.hub_server import TOKEN, HubServer
from tests.support.scene_data import write_scene
from tests.support.small_checkpoint import LABELS, save_small


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    def run_here(*arguments: object) -> Run:
        return run(capfd, *arguments)

    return run_here


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    directory = save_small(tmp_path / "V1")
    (directory / "validation.tsv").write_text("filename\tscene_label\n")
    return directory


def test_a_dry_run_shows_files_sizes_and_sha256_and_asks_nobody(
    command: Command, checkpoint: Path, hub_server: HubServer
) -> None:
    shown = command("push", checkpoint, "owner/scenes", "--dry-run")
    assert (shown.code, shown.err) == (0, "")
    *lines, total, left_out, ending = shown.out.splitlines()
    names = {line.split()[-1]: line.split() for line in lines}
    assert names.keys() == {WEIGHTS, CONFIG, CARD}
    for name, (digest, size, unit, _) in names.items():
        content = (checkpoint / name).read_bytes()
        assert (digest, size, unit) == (hashlib.sha256(content).hexdigest(), f"{len(content):,}", "bytes")
    assert total == f"3 files, {sum((checkpoint / name).stat().st_size for name in names):,} bytes"
    assert left_out == "not uploaded: validation.tsv, a table that names recordings"
    assert ending == "dry run: nothing was uploaded to owner/scenes"
    assert not hub_server.requests


def test_push_then_classify_and_predict_by_reference(
    command: Command, checkpoint: Path, tmp_path: Path, hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    pushed = command("push", checkpoint, "owner/scenes", "--private", "--license", "cc-by-nc-4.0")
    assert (pushed.code, pushed.err) == (0, "")
    assert TOKEN not in pushed.out
    commit, files = hub_server.pushed["owner/scenes"][-1]
    pinned = f"hf://owner/scenes@{commit}"
    assert pushed.out.splitlines()[-1] == f"{pinned}: written; next: avscene classify VIDEO --system {pinned}"
    assert b"\nlicense: cc-by-nc-4.0\n" in files[CARD]
    assert "owner/scenes" in hub_server.private

    photograph = write_scene(tmp_path / "data" / LABELS[0] / "cave.png", "cave", 1)
    systems = {str(checkpoint): "V1", "hf://owner/scenes": pinned, pinned: pinned}
    results = {system: command("classify", photograph, "--system", system, "--format", "json") for system in systems}
    assert all(found.code == 0 for found in results.values()), results
    found = {system: json.loads(result.out) for system, result in results.items()}
    assert {system: values["system"] for system, values in found.items()} == systems
    assert len({json.dumps(values["scores"]) for values in found.values()}) == 1

    table = tmp_path / "table.tsv"
    predicted = command("predict", "--system", "hf://owner/scenes", "--data", tmp_path / "data", "--output", table)
    assert predicted.code == 0, predicted.err
    header = table.read_text(encoding="utf-8").splitlines()[0].split("\t")
    assert set(LABELS) <= set(header)

    # The detector of a checkpoint on the hub is found by its reference; this one was trained on video alone.
    no_detector = command("mismatch", table, table, "--detector", "hf://owner/scenes", "--output", tmp_path / "m.tsv")
    assert f"{pinned}: has no mismatch detector" in no_detector.error()


def test_errors_are_one_line_with_an_exit_code(
    command: Command, checkpoint: Path, tmp_path: Path, hub_server: HubServer
) -> None:
    assert "set HF_TOKEN" in command("push", checkpoint, "owner/scenes").messages[0]
    (checkpoint / "weights.bin").write_bytes(b"")
    assert "'weights.bin'" in command("push", checkpoint, "owner/scenes", "--dry-run").error()
    assert "write it as USER/REPO" in command("push", checkpoint, "scenes", "--dry-run").error()
    photograph = write_scene(tmp_path / "cave.png", "cave", 1)
    absent = command("classify", photograph, "--system", "hf://owner/nothing")
    assert "hf://owner/nothing@main: was not fetched: " in absent.error(4)
    offline = command("classify", photograph, "--system", "hf://owner/scenes", "--offline")
    assert "run once without" in offline.error(4)
    assert "is not hf://USER/REPO" in command("classify", photograph, "--system", "hf://owner/x@").error()

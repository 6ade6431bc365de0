"""Test that `classify` and `predict` with --ray give what they give without it, whatever ends meanwhile."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from avscene.inference.journal import FileState, open_journal
from avscene.inference.journal.database import NewRecord
from avscene.inference.ledger.parts import write_part
from avscene.inference.runs.remote import RemoteRecord
from tests.support.clusters import NODE, ray_cluster
from tests.support.media_files import write_media

pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with ray_cluster(1, 1) as running:
        yield running


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of 1 to 3 s, damaged and empty files, an audio file, a file given twice, and one that is missing."""
    folder = tmp_path_factory.mktemp("archive")
    paths = [write_media(folder / f"{number:02}.mp4", 1.0 + 0.1 * number) for number in range(12)]
    (folder / "truncated.mp4").write_bytes(paths[3].read_bytes()[:-4000])
    (folder / "empty.mp4").touch()
    (folder / "noise.mkv").write_bytes(os.urandom(5000))
    names = sorted(path.name for path in folder.iterdir())
    names[5:5] = ["missing.mp4", "02.mp4"]
    (folder / "list.txt").write_text("\n".join(names))
    return folder


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "avscene", *map(str, arguments)]


def classify(folder: Path, output: Path, *options: object) -> tuple[int, str]:
    arguments = ("classify", "list.txt", "--system", "conse", "--format", "jsonl", "--output", output, *options)
    done = subprocess.run(command(*arguments), check=False, cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def alone(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What one machine writes."""
    output = tmp_path_factory.mktemp("alone") / "scenes.jsonl"
    assert classify(archive, output)[0] == 3
    return output.read_bytes()


def test_a_cluster_writes_what_one_machine_writes(cluster: Any, archive: Path, alone: bytes, tmp_path: Path) -> None:
    output = tmp_path / "scenes.jsonl"
    code, messages = classify(archive, output, "--ray", cluster.address)
    assert code == 3, messages
    assert output.read_bytes() == alone
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scenes.jsonl", "scenes.jsonl.journal"]
    again, messages = classify(archive, output, "--ray", cluster.address)
    assert again == 3
    assert "16 known from the journal" in messages  # all but the missing one
    assert output.read_bytes() == alone


def test_a_driver_that_is_killed_goes_on(cluster: Any, archive: Path, alone: bytes, tmp_path: Path) -> None:
    output = tmp_path / "scenes.jsonl"
    arguments = ("classify", "list.txt", "--system", "conse", "--format", "jsonl", "--output", output)
    process = subprocess.Popen(command(*arguments, "--ray", cluster.address), cwd=archive, stderr=-1)
    ends = time.monotonic() + 60
    while not list(tmp_path.glob("*.ledger/*/part-*")) and not (output.exists() and output.stat().st_size):
        assert time.monotonic() < ends
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    code, messages = classify(archive, output, "--ray", cluster.address)
    assert code == 3, messages
    assert output.read_bytes() == alone


def test_parts_that_a_killed_driver_left_are_taken_in(
    cluster: Any, archive: Path, alone: bytes, tmp_path: Path
) -> None:
    output = tmp_path / "scenes.jsonl"
    assert classify(archive, output, "--ray", cluster.address)[0] == 3
    with open_journal(tmp_path / "scenes.jsonl.journal", "none") as journal:
        connection = journal._connection
        query = "SELECT system, source, sizes, mtimes, outcome FROM records WHERE sizes != ''"
        rows = connection.execute(query).fetchall()
        connection.execute("DELETE FROM records")
        journal.commit()
    ledger = tmp_path / "scenes.jsonl.ledger" / f"system={rows[0][0][:16]}"
    ledger.mkdir(parents=True)
    write_part(ledger, [RemoteRecord(NewRecord(row[1], FileState(row[2], row[3]), row[4])) for row in rows])
    (ledger / "part-torn.parquet").write_bytes(b"PAR1")
    code, messages = classify(archive, output, "--ray", cluster.address)
    assert code == 3
    assert "known from the journal" in messages
    assert "part-torn.parquet: is not a file of outcomes" in messages
    assert output.read_bytes() == alone


def test_a_node_that_is_killed_loses_nothing(cluster: Any, archive: Path, alone: bytes, tmp_path: Path) -> None:
    output = tmp_path / "scenes.jsonl"
    extra = cluster.add_node(num_cpus=1, **NODE)
    arguments = ("classify", "list.txt", "--system", "conse", "--format", "jsonl", "--output", output)
    with subprocess.Popen(command(*arguments, "--ray", cluster.address), cwd=archive, stderr=-1) as process:
        while process.poll() is None and not (output.exists() and output.stat().st_size):
            time.sleep(0.05)
        cluster.remove_node(extra, allow_graceful=False)
        process.communicate()
    assert process.returncode == 3
    assert output.read_bytes() == alone


def test_predict_writes_the_same_table(cluster: Any, archive: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for number, scene in enumerate(["kitchen", "street", "kitchen", "street"]):
        (data / scene).mkdir(parents=True, exist_ok=True)
        shutil.copy(archive / f"{number:02}.mp4", data / scene)
    tables = []
    for options in ((), ("--ray", cluster.address)):
        table = tmp_path / f"table{len(options)}.tsv"
        arguments = ("predict", "--system", "conse", "--data", data, "--output", table, *options)
        done = subprocess.run(command(*arguments), check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        tables.append(table.read_bytes())
    assert tables[0] == tables[1]


def test_no_file_for_the_results_is_an_error(archive: Path) -> None:
    message = "avscene: --ray needs --output FILE, in a folder that all nodes see; try: avscene classify --help\n"
    done = subprocess.run(
        command("classify", archive / "00.mp4", "--system", "conse", "--ray", "local"),
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (2, message)


def test_without_ray_the_message_says_how_to_install_it(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ImportError")
    arguments = ("classify", archive / "00.mp4", "--system", "conse", "--ray", "local", "--output", tmp_path / "a.json")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command(*arguments, "--format", "json"),
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 4
    assert "pip install 'avscene[ray]'" in done.stderr

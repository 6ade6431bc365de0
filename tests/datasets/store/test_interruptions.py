"""Kills, Ctrl-C and full disks lose at most the recordings in progress, and the next run continues."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from avscene.datasets.layout import read_dataset
from avscene.datasets.store import decoding, writer
from avscene.datasets.store.manifest import StoreSpec
from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.writer import prepare
from avscene.errors import DataError
from avscene.training.embed import embed_store
from tests.support.media_files import write_media
from tests.support.processes import ROOT
from tests.support.simple_encoder import SimpleEncoder
from tests.support.stored_media import SPEC, all_rows, table_files, write_recording, write_table

PREPARE = """
import sys
from pathlib import Path
from avscene.datasets.layout import read_dataset
from avscene.datasets.store import decoding, writer
from avscene.datasets.store.manifest import StoreSpec
from avscene.errors import AvsceneError

writer.ROWS_PER_COMMIT, decoding.AHEAD = 4, 2
spec = StoreSpec(sample_rate=8000, frame_size=32)


def report(done, total):
    print(done, flush=True)
    if done >= int(sys.argv[3]):
        sys.stdin.read()  # until it is killed


try:
    writer.prepare(read_dataset(sys.argv[1]), Path(sys.argv[2]), spec, report)
except AvsceneError as error:
    sys.exit(str(error))
"""
TAU_SPEC = StoreSpec(sample_rate=8000, frame_size=32)
PLACES = 48  # recordings of two seconds; many, so that a process is killed before the last


@pytest.fixture(scope="module")
def tau(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in the layout of TAU: a WAV file and a video without audio for each recording."""
    root = tmp_path_factory.mktemp("tau")
    (root / "audio").mkdir()
    (root / "video").mkdir()
    lines = ["filename_audio\tfilename_video\tscene_label"]
    for location in range(PLACES):
        scene = ("bus", "park", "tram")[location % 3]
        names = (f"audio/{scene}-lyon-{location}-1.wav", f"video/{scene}-lyon-{location}-1.mp4")
        write_media(root / names[0], 2.0)
        write_media(root / names[1], 2.0, audio=False, fps=5)
        lines.append("\t".join([*names, scene]))
    (root / "meta.csv").write_text("\n".join(lines))
    return root


@pytest.fixture(scope="module")
def whole(tau: Path, tmp_path_factory: pytest.TempPathFactory) -> SegmentStore:
    """A store that was prepared without interruption."""
    return prepare(read_dataset(tau), tmp_path_factory.mktemp("stores") / "whole", TAU_SPEC).store


def python(script: str, *arguments: object) -> "subprocess.Popen[str]":
    """Start `script` with a pipe to its standard input, which stays open."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=ROOT)


def kill_when_printed(process: "subprocess.Popen[str]", count: int) -> int:
    """Kill `process` once it has printed a number of at least `count`; return that number."""
    assert process.stdout is not None
    printed = next((int(line) for line in process.stdout if int(line) >= count), None)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert printed is not None, errors
    return printed


@pytest.mark.parametrize("stop", ["running", "waiting"])
def test_prepare_survives_kills(tau: Path, whole: SegmentStore, tmp_path: Path, stop: str) -> None:
    kept: list[int] = []
    for count in (3, 7, 12):
        kill_when_printed(python(PREPARE, tau, tmp_path / "store", count if stop == "waiting" else PLACES), count)
        partial = SegmentStore.open(tmp_path / "store")
        assert not partial.complete
        assert "only partly prepared" in partial.notes[0]
        kept.append(len(partial))
        assert len(partial) % 2 == 0  # recordings are complete
    assert 0 < kept[0] <= kept[1] <= kept[2] < len(whole)
    finished = prepare(read_dataset(tau), tmp_path / "store", TAU_SPEC)
    assert finished.decoded == (len(whole) - kept[2]) / 2
    assert all_rows(finished.store) == all_rows(whole)
    assert finished.store.complete
    assert not list((tmp_path / "store").rglob("*.arrow"))
    referenced = {Path(file.path).name for f in finished.store._dataset().get_fragments() for file in f.data_files()}
    assert set(table_files(tmp_path / "store")) == referenced  # no rest of an interrupted write


def test_ctrl_c_keeps_finished_recordings(tau: Path, whole: SegmentStore, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(read_dataset(tau), tmp_path / "store", TAU_SPEC, interrupt)
    assert len(SegmentStore.open(tmp_path / "store").data.examples) == 5
    assert prepare(read_dataset(tau), tmp_path / "store", TAU_SPEC).decoded == PLACES - 5


def test_an_interrupted_update_is_not_complete(store: SegmentStore, data: Path) -> None:
    write_recording(data, "bus/without_video.wav", seconds=5.0)

    def interrupt(done: int, total: int) -> None:
        if done == total - 1:
            raise KeyboardInterrupt

    dataset = read_dataset(data)
    for _ in range(2):  # first the paths are new, then only the content of a file
        with pytest.raises(KeyboardInterrupt):
            prepare(dataset, store.directory, SPEC, interrupt)
        assert not SegmentStore.open(store.directory).complete
        assert prepare(dataset, store.directory, SPEC).store.complete
        write_recording(data, "bus/without_video.wav", seconds=6.0)


def test_prepare_continues_after_an_interruption_before_the_first_row(media: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / ".store.json.1.part").write_text("{")
    (tmp_path / "store" / "segments.lance" / "_versions").mkdir(parents=True)
    with pytest.raises(DataError, match="is not a segment store and not empty"):
        prepare(read_dataset(media), tmp_path / "store", SPEC)
    (tmp_path / "store" / "segments.lance" / "_versions").rmdir()
    (tmp_path / "store" / "segments.lance").rmdir()
    assert prepare(read_dataset(media), tmp_path / "store", SPEC).decoded == 6
    shutil.rmtree(tmp_path / "store" / "segments.lance")
    (tmp_path / "store" / "segments.lance" / "_versions").mkdir(parents=True)
    assert prepare(read_dataset(media), tmp_path / "store", SPEC).decoded == 6


def write_four_recordings(root: Path) -> Path:
    """Write recordings of 2 s, 2 s, 20 s and 2 s, and their table."""
    for name, seconds in (("a.mp4", 2.0), ("b.mp4", 2.0), ("c.mp4", 20.0), ("d.mp4", 2.0)):
        write_recording(root, f"tram/{name}", seconds)
    return write_table(root, [(f"tram/{name}.mp4", "tram", name, "train") for name in "abcd"])


def test_a_full_disk_is_reported_and_finished_recordings_are_kept(
    tmp_path: Path, small_disk: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "ROWS_PER_COMMIT", 4)
    monkeypatch.setattr(decoding, "AHEAD", 0)  # one recording after the other
    data = read_dataset(write_four_recordings(tmp_path / "data"))
    store = small_disk(400_000) / "store"
    with pytest.raises(DataError, match=r"store: cannot be written \(no space left on device; .*run the same command"):
        prepare(data, store, TAU_SPEC)
    partial = SegmentStore.open(store)
    assert [example.name for example in partial.data.examples] == ["tram/a.mp4", "tram/b.mp4"]
    assert not partial.complete
    moved = shutil.copytree(store, tmp_path / "store")
    assert prepare(data, moved, TAU_SPEC).decoded == 2


# No file of the process may grow beyond so many bytes.
LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n" + PREPARE


def test_a_file_size_limit_is_reported_and_finished_recordings_are_kept(tmp_path: Path) -> None:
    write_four_recordings(tmp_path)
    process = python(LIMITED, tmp_path, tmp_path / "store", PLACES)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert errors.startswith(f"{tmp_path}/store: cannot be written (")
    assert errors.count("\n") == 1
    partial = SegmentStore.open(tmp_path / "store")
    assert [example.name for example in partial.data.examples] == ["tram/a.mp4", "tram/b.mp4"]
    assert not partial.complete
    assert prepare(read_dataset(tmp_path), tmp_path / "store", TAU_SPEC).decoded == 2


EMBED = """
import sys
from avscene.datasets.store.reader import SegmentStore
from avscene.training import embed
from tests.support.simple_encoder import SimpleEncoder

embed.BATCH = 2


def report(done, total):
    print(done, flush=True)
    if done >= int(sys.argv[2]):
        sys.stdin.read()  # until it is killed


embed.embed_store(SegmentStore.open(sys.argv[1]), "simple", SimpleEncoder(), report)
"""


def test_embed_survives_a_kill(whole: SegmentStore, tmp_path: Path) -> None:
    store = SegmentStore.open(shutil.copytree(whole.directory, tmp_path / "store"))
    reached = kill_when_printed(python(EMBED, store.directory, len(store) // 2), len(store) // 2)
    assert SegmentStore.open(store.directory).encoders == ()
    encoder, counts = SimpleEncoder(), []
    finished = embed_store(store, "simple", encoder, lambda *pair: counts.append(pair[0]))
    assert len(encoder.embedded) <= len(store) - reached
    assert counts[0] > reached  # it continues where the killed process was
    expected = SimpleEncoder().embed(store.segments(range(len(store))))
    np.testing.assert_array_equal(finished.embeddings("simple"), expected)

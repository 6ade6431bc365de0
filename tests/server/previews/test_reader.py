"""Test that previews are computed once, one after the other, and kept, also where the decoder crashes or hangs."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from avscene.errors import StorageError
from avscene.media.limits import DEFAULT_LIMITS, Limits
from avscene.media.workers import process
from avscene.server.previews import Preview, PreviewReader, decoding, reader
from avscene.server.previews.decoding import CancelledError, PreviewDecoding
from tests.support import faulty_worker
from tests.support.media_files import write_media


@pytest.fixture
def previews() -> Iterator[PreviewReader]:
    made = PreviewReader()
    yield made
    made.close()


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Decode with workers that crash or hang on files of certain names."""
    process._idle.close()
    monkeypatch.setattr(process, "COMMAND", (sys.executable, "-P", faulty_worker.__file__))
    yield
    process._idle.close()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Collect the files that are decoded."""
    decoded: list[Path] = []
    run = PreviewDecoding.run

    def observed(self: PreviewDecoding) -> tuple[Preview, bytes | None]:
        decoded.append(self._path)
        return run(self)

    monkeypatch.setattr(PreviewDecoding, "run", observed)
    return decoded


def eventually(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_preview_is_computed_once_and_kept(previews: PreviewReader, tmp_path: Path, runs: list[Path]) -> None:
    path, kept = write_media(tmp_path / "a.mp4", 2.0), folder(tmp_path / "kept")
    assert previews.request(path, DEFAULT_LIMITS, kept) is None
    eventually(lambda: previews.request(path, DEFAULT_LIMITS, kept))
    path.unlink()
    preview = previews.preview(path, DEFAULT_LIMITS, kept)
    assert runs == [path]
    assert preview == PreviewReader().request(path, DEFAULT_LIMITS, kept)
    assert json.loads((kept / "preview.json").read_bytes()) == json.loads(json.dumps(preview.to_dict()))
    assert sorted(file.name for file in kept.iterdir()) == ["preview.json", "thumbnails.jpg"]


def test_several_that_wait_for_one_preview_get_the_same(
    previews: PreviewReader, tmp_path: Path, runs: list[Path]
) -> None:
    path, kept = write_media(tmp_path / "a.mp4", 2.0), folder(tmp_path / "kept")
    found: list[Preview] = []
    threads = [
        threading.Thread(target=lambda: found.append(previews.preview(path, DEFAULT_LIMITS, kept))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [found[0]] * 4
    assert runs == [path]


@pytest.mark.usefixtures("faulty")
@pytest.mark.parametrize("name", ["crash-a.mp4", "kill-later.mp4"])
def test_a_file_that_crashes_the_decoder_is_not_tried_again(
    previews: PreviewReader, tmp_path: Path, runs: list[Path], name: str
) -> None:
    path, kept = write_media(tmp_path / name, 2.0), folder(tmp_path / "kept")
    preview = previews.preview(path, DEFAULT_LIMITS, kept)
    assert (preview.peaks, preview.thumbnails) == (None, None)
    assert preview.error is not None
    assert preview.error.startswith("the decoder ")
    assert previews.preview(path, DEFAULT_LIMITS, kept) == preview
    assert runs == [path]


@pytest.mark.usefixtures("faulty")
def test_a_decoder_that_hangs_is_stopped(previews: PreviewReader, tmp_path: Path) -> None:
    path, kept = write_media(tmp_path / "hang-a.mp4", 2.0), folder(tmp_path / "kept")
    preview = previews.preview(path, Limits(stall=0.5), kept)
    assert "made no progress" in str(preview.error)


@pytest.mark.usefixtures("faulty")
def test_cancelling_ends_at_once_and_lets_others_through(
    previews: PreviewReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = threading.Event()
    segments = PreviewDecoding._segments
    monkeypatch.setattr(PreviewDecoding, "_segments", lambda *a: [opened.set(), segments(*a)][1])
    hanging, waiting, good = (write_media(tmp_path / name, 1.0) for name in ("hang-a.mp4", "b.mp4", "c.mp4"))
    folders = [folder(tmp_path / name) for name in ("1", "2", "3")]
    for path, kept in zip((hanging, waiting, good), folders, strict=True):
        assert previews.request(path, DEFAULT_LIMITS, kept) is None
    assert opened.wait(20)
    started = time.monotonic()
    previews.cancel(folders[1])
    previews.cancel(folders[0])
    assert previews.preview(good, DEFAULT_LIMITS, folders[2]).peaks is not None
    assert time.monotonic() - started < 30  # not the minute of a decoder that hangs
    assert [list(kept.iterdir()) for kept in folders[:2]] == [[], []]


@pytest.mark.usefixtures("faulty")
def test_closing_ends_what_is_computed(tmp_path: Path) -> None:
    previews, kept = PreviewReader(), folder(tmp_path / "kept")
    path = write_media(tmp_path / "hang-a.mp4", 1.0)
    assert previews.request(path, DEFAULT_LIMITS, kept) is None
    started = time.monotonic()
    previews.close()
    assert time.monotonic() - started < 20
    assert not list(kept.iterdir())
    with pytest.raises(CancelledError):
        previews.preview(path, DEFAULT_LIMITS, kept)


def test_a_directory_that_was_removed_does_not_come_back(previews: PreviewReader, tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.wav", 1.0)
    with pytest.raises(StorageError, match="cannot be written"):
        previews.preview(path, DEFAULT_LIMITS, tmp_path / "removed")
    assert not (tmp_path / "removed").exists()


def test_a_failure_to_write_is_raised_once_and_then_tried_again(previews: PreviewReader, tmp_path: Path) -> None:
    path, kept = write_media(tmp_path / "a.wav", 1.0), tmp_path / "kept"
    assert previews.request(path, DEFAULT_LIMITS, kept) is None
    eventually(previews._pending[kept][1].done)
    with pytest.raises(StorageError):
        previews.request(path, DEFAULT_LIMITS, kept)
    kept.mkdir()
    assert previews.preview(path, DEFAULT_LIMITS, kept).duration == 1.0


def test_a_damaged_file_of_a_preview_is_computed_again(previews: PreviewReader, tmp_path: Path) -> None:
    path, kept = write_media(tmp_path / "a.mp4", 1.0), folder(tmp_path / "kept")
    preview = previews.preview(path, DEFAULT_LIMITS, kept)
    for damage in ("{", "[]", '{"duration": 1}'):
        (kept / "preview.json").write_text(damage)
        assert previews.preview(path, DEFAULT_LIMITS, kept) == preview
    (kept / "thumbnails.jpg").unlink()
    assert previews.preview(path, DEFAULT_LIMITS, kept) == preview
    assert (kept / "thumbnails.jpg").exists()


def test_only_so_many_wait(previews: PreviewReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_WAITING", 1)
    release = threading.Event()
    monkeypatch.setattr(
        decoding.PreviewDecoding, "run", lambda _: (release.wait(20), (Preview(0.0, None, None, "none"), None))[1]
    )
    first, second = folder(tmp_path / "1"), folder(tmp_path / "2")
    assert previews.request(tmp_path / "a", DEFAULT_LIMITS, first) is None
    assert previews.request(tmp_path / "b", DEFAULT_LIMITS, second) is None
    with pytest.raises(CancelledError, match="other previews wait"):
        previews.preview(tmp_path / "b", DEFAULT_LIMITS, second)
    release.set()
    eventually(lambda: previews.request(tmp_path / "a", DEFAULT_LIMITS, first))
    assert previews.preview(tmp_path / "b", DEFAULT_LIMITS, second).error == "none"

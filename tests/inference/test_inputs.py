"""Test what recordings are given as: bytes, open files, iterables of them, and what is refused."""

import io
import queue
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import avscene
from avscene.errors import MediaError, UsageError
from avscene.inference import Source
from avscene.inference.reading import WINDOW
from avscene.media.limits import Limits
from avscene.records import Failure
from tests.inference.test_system import AudioModel, VideoModel, seconds, system
from tests.support.media_files import write_media


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_media(tmp_path_factory.mktemp("inputs") / "recording.mp4", 2.0)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_contents_are_classified_like_files_and_leave_nothing(recording: Path, temporary: Path) -> None:
    both = system(VideoModel(), AudioModel())
    wanted = both.classify(recording).to_dict()
    content = recording.read_bytes()
    opened = recording.open("rb")
    after = io.BytesIO(b"12345" + content)
    after.seek(5)
    given = {"<bytes>": content, str(recording): opened, "<BytesIO>": after}
    for source, item in given.items():
        assert both.classify(item).to_dict() == wanted | {"source": source}
    for item in (bytearray(content), memoryview(content)):
        assert both.classify(item).to_dict() == wanted | {"source": "<bytes>"}
    assert not opened.closed
    opened.close()
    assert list(temporary.iterdir()) == []


def test_audio_in_memory(tmp_path: Path) -> None:
    video = write_media(tmp_path / "v.mp4", 2.0, audio=False)
    audio = write_media(tmp_path / "a.wav", 2.0)
    both = system(VideoModel(), AudioModel())
    wanted = both.classify(video, audio=audio).to_dict()
    assert both.classify(video, audio=audio.read_bytes()).to_dict() == wanted
    assert [outcome.to_dict() for outcome in both.classify_many([(video, io.BytesIO(audio.read_bytes()))])] == [wanted]


class Faulty(io.RawIOBase):
    def read(self, n: int = -1) -> Any:  # noqa: ARG002
        raise OSError("the tape is torn")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (b"", "^<bytes>: is empty"),
        (b"not a video", "^<bytes>: is not a media file"),
        (io.BytesIO(b"not a video"), "^<BytesIO>: is not a media file"),
        (Faulty(), r"^<Faulty>: cannot be read \(the tape is torn\)"),
    ],
)
def test_contents_that_cannot_be_read(given: Any, message: str, temporary: Path) -> None:
    with pytest.raises(MediaError, match=message) as caught:
        system(VideoModel()).classify(given)
    assert str(temporary) not in str(caught.value)
    assert list(temporary.iterdir()) == []


def test_contents_are_bounded(recording: Path, temporary: Path) -> None:
    class Endless(io.RawIOBase):
        n_read = 0

        def read(self, n: int = -1) -> bytes:
            self.n_read += n
            return bytes(n)

    endless = Endless()
    limits = Limits(download=5 / 1024)  # 5 MiB
    with pytest.raises(MediaError, match=r"^<Endless>: is larger than the 0.00488 GiB that are read; to allow more"):
        system(VideoModel()).classify(endless, limits=limits)
    assert endless.n_read == 6 * 2**20
    assert list(temporary.iterdir()) == []


def test_many_are_classified_in_order_with_failures_as_values(recording: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing.mp4"
    both = system(VideoModel(), AudioModel())
    given = [recording, str(missing), recording.read_bytes(), Source(recording)]
    for items in (given, tuple(given), iter(given), (item for item in given), dict.fromkeys(given)):
        outcomes = list(both.classify_many(items))
        assert [type(outcome) for outcome in outcomes] == [
            avscene.Prediction, Failure, avscene.Prediction, avscene.Prediction,
        ]  # fmt: skip
        assert [outcome.source for outcome in outcomes] == [str(recording), str(missing), "<bytes>", str(recording)]
        assert isinstance(outcomes[1], Failure)
        assert str(outcomes[1].error) == f"{missing}: not found"
        assert isinstance(outcomes[0], avscene.Prediction)
        assert seconds(outcomes[0]) == ["second 0", "second 1"]
    assert list(both.classify_many([])) == []


def test_an_endless_iterator_is_read_shortly_ahead(recording: Path) -> None:
    taken: list[int] = []

    def endless() -> Iterator[Path]:
        while True:
            taken.append(len(taken))
            yield recording

    outcomes = system(VideoModel()).classify_many(endless(), workers=2)
    assert [type(next(outcomes)) for _ in range(10)] == [avscene.Prediction] * 10
    outcomes.close()  # type: ignore[attr-defined]
    assert len(taken) <= 10 + 3 * WINDOW * 2


def test_outcomes_do_not_wait_for_later_items(recording: Path) -> None:
    """A program may put the next recording into a queue only once it has the outcome of the one before it."""
    items: queue.Queue[Path] = queue.Queue()
    outcomes = system(VideoModel()).classify_many(iter(items.get, None), workers=2)
    for _ in range(3):
        items.put(recording)
        assert isinstance(next(outcomes), avscene.Prediction)
    closing = threading.Thread(target=outcomes.close, daemon=True)  # type: ignore[attr-defined]
    closing.start()  # while the iterator waits
    closing.join(20)
    assert not closing.is_alive()
    items.put(recording)


def test_an_error_of_the_iterator_is_raised(recording: Path) -> None:
    def broken() -> Iterator[Path]:
        yield recording
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        list(system(VideoModel()).classify_many(broken()))


PATHS = "accepted: a path, a URL, bytes, or a file that is open in binary mode"
FILE = Path("a.mp4")
SINGLE = "try: System.classify for a single recording"


@pytest.mark.parametrize(
    ("name", "given", "options", "message"),
    [
        ("classify", ["a.mp4"], {}, f"path is a list of 1; {PATHS}; try: System.classify_many for several recordings"),
        ("classify", None, {}, f"path is None; {PATHS}$"),
        ("classify", 5, {}, f"path is the int 5; {PATHS}$"),
        ("classify", "", {}, f"path is the str ''; {PATHS}$"),
        ("classify", np.zeros(3), {}, r"path is an ndarray of shape \(3,\); .*; try: System.classify_arrays"),
        ("classify", io.StringIO("a"), {}, r"open as text; open it in binary mode: open\(path, 'rb'\)"),
        ("classify", FILE, {"audio": 3}, f"audio is the int 3; {PATHS}"),
        ("classify", FILE, {"hop": "1"}, "hop is the str '1'; accepted: a number of seconds"),
        ("classify", FILE, {"program": "1"}, "program is the str '1'; accepted: the number of a programme"),
        ("classify", FILE, {"limits": {"hours": 3}}, r"limits is a dict of 1; accepted: avscene.media.limits.Limits"),
        ("classify_many", "a.mp4", {}, f"recordings is the str 'a.mp4'; .*; {SINGLE}"),
        ("classify_many", FILE, {}, f"recordings is a PosixPath; .*; {SINGLE}"),
        ("classify_many", io.BytesIO(), {}, f"recordings is a BytesIO; .*; {SINGLE}"),
        ("classify_many", 7, {}, "recordings is the int 7; accepted: a list or another iterable"),
        ("classify_many", [FILE, 7], {}, f"path is the int 7; {PATHS}"),
        ("classify_many", iter([FILE, 7]), {}, f"path is the int 7; {PATHS}"),
        ("classify_many", [FILE], {"workers": 0}, "workers is the int 0; accepted: an integer of 1 or more"),
        ("classify_all", ["a.mp4"], {}, r"source 0 is the str 'a.mp4'; accepted: a Source; try: System.classify_many"),
    ],
)
def test_wrong_types_are_one_clear_error(name: str, given: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        list(getattr(system(VideoModel()), name)(given, **options))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (5, {}, "system is the int 5; accepted: a name of"),
        ("conse", {"labels": 5}, "labels is the int 5; accepted: a list of scene names"),
        ("conse", {"labels": ["a", 1]}, "a scene name is the int 1; accepted: a str"),
        ("conse", {"prompts": "a {}"}, "prompts is the str 'a {}'; accepted: a list of texts"),
        ("conse", {"prior": "0.1"}, r"prior is the str '0.1'; accepted: a number"),
    ],
)
def test_wrong_types_of_load(given: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        avscene.load(given, **options)


def test_wrong_types_of_label_sets() -> None:
    with pytest.raises(UsageError, match="names is the str 'ab'; accepted: a tuple of scene names"):
        avscene.LabelSet("ab")  # type: ignore[arg-type]
    assert avscene.LabelSet(["a", "b"]) == avscene.LabelSet(("a", "b"))  # type: ignore[arg-type]

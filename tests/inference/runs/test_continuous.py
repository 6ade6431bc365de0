"""Test runs over recordings that come one by one: their outcomes are those of the files by themselves."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import avscene
from avscene.inference.runs.computing import Settings
from avscene.inference.runs.continuous import ContinuousRun
from avscene.inference.sources import Source
from avscene.media.limits import Limits
from avscene.records import Failure, Prediction
from tests.support.media_files import write_media

WAIT = 60.0  # seconds, at most, for what takes a second


class Recorder:
    """Keeps what a run reports."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Prediction | Failure] = {}
        self.reported: dict[str, list[tuple[float, float | None]]] = {}
        self.order: list[str] = []
        self._changed = threading.Condition()

    def reached(self, key: str, seconds: float, stated: float | None) -> None:
        with self._changed:
            self.reported.setdefault(key, []).append((seconds, stated))
            self._changed.notify_all()

    def finished(self, key: str, outcome: Prediction | Failure) -> None:
        with self._changed:
            assert key not in self.outcomes
            self.outcomes[key] = outcome
            self.order.append(key)
            self._changed.notify_all()

    def wait_for(self, *keys: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: set(keys) <= set(self.outcomes), WAIT), self.outcomes.keys()

    def wait_for_progress(self, key: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: key in self.reported, WAIT)


@pytest.fixture(scope="module")
def system() -> avscene.System:
    return avscene.load("conse", labels=["kitchen", "street", "forest"])


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def run(system: avscene.System, recorder: Recorder) -> Iterator[ContinuousRun]:
    made = ContinuousRun(system, Settings(workers=2), recorder)
    yield made
    made.cancel("long")
    made.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("continuous")
    write_media(directory / "short.mp4", seconds=3)
    write_media(directory / "long.mp4", seconds=900, audio=False, fps=2, gop=2)
    (directory / "broken.mp4").write_text("no recording")
    return directory


def test_outcomes_are_those_of_the_files_by_themselves(
    system: avscene.System, run: ContinuousRun, recorder: Recorder, files: Path
) -> None:
    for key, name in (("a", "short.mp4"), ("b", "broken.mp4"), ("c", "short.mp4")):
        run.submit(key, Source(files / name))
    recorder.wait_for("a", "b", "c")
    expected = system.classify(files / "short.mp4").to_dict()
    for key in ("a", "c"):
        outcome = recorder.outcomes[key]
        assert isinstance(outcome, Prediction)
        assert outcome.to_dict() == expected
        assert recorder.reported[key][-1][0] == pytest.approx(3.0, abs=0.05)
    failure = recorder.outcomes["b"]
    assert isinstance(failure, Failure)
    assert str(failure.error).startswith(f"{files / 'broken.mp4'}: is not a media file")


def test_short_recordings_do_not_wait_for_a_long_one(run: ContinuousRun, recorder: Recorder, files: Path) -> None:
    run.submit("long", Source(files / "long.mp4"))
    recorder.wait_for_progress("long")
    reached, stated = recorder.reported["long"][0]
    assert 0 < reached < 60
    assert stated == pytest.approx(900.0)
    for number in range(12):  # more than a run in order would read ahead
        run.submit(str(number), Source(files / "short.mp4"))
    recorder.wait_for(*map(str, range(12)))
    assert "long" not in recorder.outcomes
    run.cancel("long")
    recorder.wait_for("long")
    assert isinstance(recorder.outcomes["long"], Failure)


def test_a_recording_is_cancelled_before_and_while_it_is_read(
    run: ContinuousRun, recorder: Recorder, files: Path
) -> None:
    for number in range(4):
        run.submit(str(number), Source(files / "long.mp4"))
    run.cancel("3")  # not begun
    recorder.wait_for_progress("0")
    start = time.monotonic()
    for number in range(3):
        run.cancel(str(number))
    run.submit("after", Source(files / "short.mp4"))
    recorder.wait_for("0", "1", "2", "3", "after")
    assert time.monotonic() - start < WAIT / 2
    for number in range(4):
        outcome = recorder.outcomes[str(number)]
        assert isinstance(outcome, Failure)
        assert "cancelled" in str(outcome.error) or "stopped" in str(outcome.error)
    assert isinstance(recorder.outcomes["after"], Prediction)
    run.cancel("after")  # too late, without effect
    run.cancel("never")


def test_close_waits_for_what_was_submitted(system: avscene.System, recorder: Recorder, files: Path) -> None:
    run = ContinuousRun(system, Settings(workers=1), recorder)
    for number in range(3):
        run.submit(str(number), Source(files / "short.mp4"))
    run.close()
    assert {key: type(outcome) for key, outcome in recorder.outcomes.items()} == dict.fromkeys("012", Prediction)
    run.submit("late", Source(files / "short.mp4"))
    late = recorder.outcomes["late"]
    assert isinstance(late, Failure)
    assert "has ended" in str(late.error)


def test_a_limit_costs_its_recording_alone(
    system: avscene.System, recorder: Recorder, files: Path, tmp_path: Path
) -> None:
    run = ContinuousRun(system, Settings(workers=2, limits=Limits(hours=0.1)), recorder)
    run.submit("long", Source(files / "long.mp4"))
    gone = tmp_path / "gone.mp4"
    shutil.copy(files / "short.mp4", gone)
    gone.unlink()
    run.submit("gone", Source(gone))
    run.submit("short", Source(files / "short.mp4"))
    run.close()
    kinds = {key: type(outcome) for key, outcome in recorder.outcomes.items()}
    assert kinds == {"long": Failure, "gone": Failure, "short": Prediction}


def test_an_error_of_a_model_fails_its_recordings_and_ends_the_run(
    system: avscene.System, recorder: Recorder, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("in a model")

    monkeypatch.setattr(type(system.models[0]), "score", lambda _self, segments: fail(segments))
    run = ContinuousRun(system, Settings(workers=1), recorder)
    run.submit("a", Source(files / "short.mp4"))
    recorder.wait_for("a")
    outcome = recorder.outcomes["a"]
    assert isinstance(outcome, Failure)
    assert "ZeroDivisionError: in a model" in str(outcome.error)
    assert not run.is_running
    run.close()

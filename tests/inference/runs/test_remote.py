"""Test that lines which other machines made are those that this machine would write."""

import json
import runpy
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

import avscene
from avscene.errors import MediaError
from avscene.inference.journal import FileState, open_journal
from avscene.inference.journal.content import key_of
from avscene.inference.journal.database import NewRecord
from avscene.inference.journal.outcomes import pack, unpack
from avscene.inference.runs import resumable
from avscene.inference.runs.computing import Settings
from avscene.inference.runs.remote import ReadyLine, RemoteRecord
from avscene.inference.runs.resumable import ResumableRun
from avscene.inference.sources import Source
from avscene.records import Failure, Prediction, json_line
from avscene.reports.recordings.counts import OutcomeSummary
from tests.support.media_files import write_media

MADE = runpy.run_path(str(Path(__file__).parents[2] / "golden" / "regenerate_formats.py"))["PREDICTIONS"]


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_a_ready_line_is_that_of_the_outcome_in_the_journal(make: Callable[[], Prediction]) -> None:
    prediction = make()
    line = ReadyLine.of(prediction)
    assert json.loads(line.text()) == prediction.to_dict()
    found = unpack(pack(prediction), prediction.source, prediction.system, prediction.labels)
    assert line.text() == json_line(found)
    assert line.summary.seconds == prediction.duration


class Backwards:
    """Computes recordings of one second, the last first; those named "bad" fail."""

    def __init__(self, system: avscene.System, video: Path) -> None:
        self._system = system
        self._prediction = system.classify(video)

    def records(self, missing: Iterator[tuple[int, Source]]) -> Generator[list[tuple[int, RemoteRecord]], None, None]:
        for position, source in list(missing)[::-1]:
            name, found = str(source.path), self._prediction
            made = Prediction(
                name, found.duration, found.system, found.labels, found.modalities, found.probabilities, ()
            )
            bad = Failure(name, MediaError(f"{name}: is damaged")) if "bad" in name else None
            record = NewRecord(key_of(source), FileState("1", "1"), pack(bad or made), "conditions" if bad else None)
            yield [(position, RemoteRecord(record, None if bad else ReadyLine.of(made)))]


@pytest.mark.parametrize("kept", [0, 2**20])
def test_lines_wait_for_their_turn_or_are_made_again(
    kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumable, "MAX_LINE_BYTES", kept)
    system = avscene.load("conse", labels=["kitchen", "street", "forest"])
    names = ["a.mp4", "bad.mp4", "c.mp4", "a.mp4", "e.mp4"]
    with open_journal(tmp_path / "a.journal", Settings().fingerprint(system)) as journal:
        remote = Backwards(system, write_media(tmp_path / "video.mp4", 1.0))
        run = ResumableRun(system, [Source(name) for name in names], Settings(), journal, remote=remote)
        found = list(run.outcomes())
        texts = [json_line(one.outcome) if one.line is None else one.line.text() for one in found]
        assert texts == [json_line(one.outcome) for one in found]
        assert [json.loads(text)["source"] for text in texts] == names
        assert [one.failure is not None for one in found] == [False, True, False, False, False]
        assert [one.summary for one in found] == [OutcomeSummary.of(one.outcome) for one in found]
    assert [one.line is not None for one in found] == [bool(kept), False, bool(kept), False, bool(kept)]

"""Test runs with a journal from Python: what is recorded, and that outcomes are the same when they are read again."""

import os
import runpy
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import avscene
from avscene.errors import MediaError, ModalityError
from avscene.inference.journal import open_journal
from avscene.inference.journal.outcomes import Outcome, pack, unpack
from avscene.inference.runs.computing import Settings
from avscene.inference.runs.resumable import Classified, ResumableRun
from avscene.inference.sources import Source
from avscene.labels import LabelSet
from avscene.records import Failure, Prediction
from tests.support.media_files import write_media

MADE = runpy.run_path(str(Path(__file__).parents[2] / "golden" / "regenerate_formats.py"))["PREDICTIONS"]


@pytest.fixture(scope="module")
def system() -> avscene.System:
    return avscene.load("conse", labels=["kitchen", "street", "forest"])


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    return [Source(write_media(tmp_path / f"{number}.mp4", 1.0 + 0.2 * number)) for number in range(4)]


def classify(
    system: avscene.System,
    sources: list[Source],
    journal_path: Path,
    progress: Callable[[int, float], None] | None = None,
    stop: threading.Event | None = None,
) -> list[Classified]:
    settings = Settings()
    with open_journal(journal_path, settings.fingerprint(system)) as journal:
        return list(ResumableRun(system, sources, settings, journal, stop=stop).outcomes(progress))


def values(outcome: Outcome) -> dict[str, object]:
    return outcome.to_dict()


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_a_packed_prediction_keeps_every_digit(make: Callable[[], Prediction]) -> None:
    prediction = make()
    found = unpack(pack(prediction), prediction.source, prediction.system, prediction.labels)
    assert isinstance(found, Prediction)
    assert found.to_dict() == prediction.to_dict()
    assert np.array_equal(found.probabilities, prediction.probabilities)
    for mine, theirs in zip(found.segments, prediction.segments, strict=True):
        assert (mine.start, mine.end) == (theirs.start, theirs.end)
        assert np.array_equal(mine.probabilities, theirs.probabilities)
        assert {name: row.tolist() for name, row in mine.by_model.items()} == {
            name: row.tolist() for name, row in theirs.by_model.items()
        }


def test_a_packed_failure_names_the_file_as_it_is_called_now() -> None:
    odd = os.fsdecode(b"\xff\n.mp4")
    failure = Failure("a: b.mp4", ModalityError("a: b.mp4: has audio only"))
    found = unpack(pack(failure), odd, "any", LabelSet(("a", "b")))
    assert isinstance(found, Failure)
    assert (found.source, type(found.error), str(found.error)) == (odd, ModalityError, f"{odd}: has audio only")
    other = unpack(pack(Failure("a.mp4", MediaError("no decoder"))), "b.mp4", "any", LabelSet(("a", "b")))
    assert isinstance(other, Failure)
    assert str(other.error) == "no decoder"


@pytest.mark.parametrize("content", [b"", b"other", pack(Failure("a", MediaError("b")))[:-3]])
def test_damaged_bytes_are_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match="not an outcome"):
        unpack(content, "a", "any", LabelSet(("a", "b")))


def test_a_second_run_reads_what_the_first_computed(
    system: avscene.System, sources: list[Source], tmp_path: Path
) -> None:
    gone = Source(tmp_path / "gone.mp4")
    named = [*sources, gone, sources[0], gone]
    first = classify(system, named, tmp_path / "journal")
    second = classify(system, named, tmp_path / "journal")
    assert [values(one.outcome) for one in first] == [values(one.outcome) for one in second]
    assert [one.reused for one in first] == [False] * 7
    assert [one.reused for one in second] == [True] * 4 + [False, True, False]
    assert [one.to_dict() for one in map(system.classify, (str(source.path) for source in sources))] == [
        values(one.outcome) for one in first[:4]
    ]
    assert values(first[5].outcome) == values(first[0].outcome)


def test_a_file_that_changes_while_it_is_read_is_a_failure_that_is_not_kept(
    system: avscene.System, sources: list[Source], tmp_path: Path
) -> None:
    growing = Path(sources[1].path)

    def append(position: int, _: float) -> None:
        if position == 1:
            with growing.open("ab") as file:
                file.write(bytes(10))

    found = classify(system, sources, tmp_path / "journal", append)
    assert [type(one.outcome) for one in found] == [Prediction, Failure, Prediction, Prediction]
    failure = found[1].outcome
    assert isinstance(failure, Failure)
    assert str(failure.error) == f"{growing}: changed while it was read; try: run the same command again"
    again = classify(system, sources, tmp_path / "journal")
    assert [type(one.outcome) for one in again] == [Prediction] * 4
    assert [one.reused for one in again] == [True, False, True, True]


def test_a_stopped_run_keeps_what_it_finished(system: avscene.System, sources: list[Source], tmp_path: Path) -> None:
    stop = threading.Event()
    many = sources + [Source(write_media(tmp_path / f"more-{number}.mp4", 1.0)) for number in range(60)]
    found = classify(system, many, tmp_path / "journal", lambda *_: stop.set(), stop)
    assert 1 <= len(found) < len(many)
    again = classify(system, many, tmp_path / "journal")
    assert len(again) == len(many)
    assert [one.reused for one in again] == [number < len(found) for number in range(len(many))]


def test_a_file_without_permission_is_tried_again(
    system: avscene.System, sources: list[Source], tmp_path: Path
) -> None:
    """A change of permissions changes neither size nor modification time."""
    closed = Path(sources[2].path)
    closed.chmod(0)
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    first = classify(system, sources, tmp_path / "journal")
    closed.chmod(0o644)
    second = classify(system, sources, tmp_path / "journal")
    assert isinstance(first[2].outcome, Failure)
    assert isinstance(second[2].outcome, Prediction)


def test_a_fingerprint_is_of_all_that_decides_the_probabilities(system: avscene.System) -> None:
    plain = Settings().fingerprint(system)
    assert plain == Settings(hop=1.0).fingerprint(system)
    assert plain == Settings(workers=3, decoder="cuda").fingerprint(system)
    assert plain == Settings().fingerprint(avscene.load("conse", labels="kitchen,street,forest"))
    others = {
        Settings(hop=0.5).fingerprint(system),
        Settings(keyframes=True).fingerprint(system),
        Settings(program=1).fingerprint(system),
        Settings(program=2).fingerprint(system),
        Settings().fingerprint(avscene.load("conse", labels="kitchen,forest,street")),
        *(
            Settings().fingerprint(avscene.load("conse", labels="kitchen,street,forest", precision=precision))
            for precision in ("float32", "bfloat16")
        ),
    }
    assert plain in others  # the default precision is one of the two
    assert len(others) == 7


def test_a_fingerprint_is_of_the_version_of_avscene(system: avscene.System, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Settings().fingerprint(system)
    monkeypatch.setattr(avscene, "__version__", "99.0")
    assert Settings().fingerprint(system) != before


def install(folder: Path, package: str, version: str) -> None:
    """Write the metadata of an installed package."""
    metadata = folder / f"{package.replace('-', '_')}-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")


@pytest.mark.parametrize("package", ["av", "pillow", "pillow-heif"])
def test_failures_are_tried_again_with_another_version_of_a_decoding_package(
    system: avscene.System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    sources = [Source(write_media(tmp_path / "a.mp4", 1.0)), Source(tmp_path / "b.mp4")]
    (tmp_path / "b.mp4").write_text("this is no recording\n" * 100)
    classify(system, sources, tmp_path / "journal")
    assert [one.reused for one in classify(system, sources, tmp_path / "journal")] == [True, True]
    install(tmp_path, package, "99.0")
    monkeypatch.syspath_prepend(tmp_path)
    assert [one.reused for one in classify(system, sources, tmp_path / "journal")] == [True, False]
    assert [one.reused for one in classify(system, sources, tmp_path / "journal")] == [True, True]

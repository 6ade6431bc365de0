"""Files that an earlier version wrote are read as before and give the same numbers."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "golden"))

from command_comparison import differences
from written_before_answers import ANSWERS, EXPECTED, WRITTEN, answers_in, unpack

from avscene.training.prepare import ensure_store

# Nothing is trained here: processors differ in the order of float32 sums alone.
TOLERANCE = 1e-3


@pytest.mark.parametrize("name", ANSWERS)
def test_gives_the_same_numbers(name: str, tmp_path: Path) -> None:
    answers = answers_in(tmp_path / "work", name)
    recorded = {path.name: path.read_text(encoding="utf-8") for path in sorted((EXPECTED / name).iterdir())}
    assert sorted(answers) == sorted(recorded)
    found = [line for file in recorded for line in differences(Path(file), recorded[file], answers[file], TOLERANCE)]
    assert not found, "\n".join(found)


def test_all_of_it_is_small() -> None:
    assert sum(path.stat().st_size for path in WRITTEN.rglob("*") if path.is_file()) < 1_500_000


def test_training_from_a_store_with_loss_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store, failures = ensure_store(unpack("store", tmp_path / "store"), tmp_path, 1.0, lambda _: lambda *_: None)
    (note,) = store.notes
    assert "JPEG frames and 16-bit audio" in note
    assert [record.message for record in caplog.records] == [note]
    assert not failures  # nothing is missing

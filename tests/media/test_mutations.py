"""Test that damaged files cost one record each: no crash, no hang, no traceback, and nothing is left behind."""

from pathlib import Path

import pytest

from tests.support.mutation_run import run
from tests.support.mutations import mutations
from tests.support.processes import ROOT

SHARED = ROOT.parent / "shared"


@pytest.mark.parametrize(
    ("count", "seed", "shared"),
    [
        pytest.param(160, 0, None, id="sample"),
        pytest.param(10_000, 1, SHARED if SHARED.is_dir() else None, id="all", marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(7200)
def test_each_damaged_file_gives_a_record_and_nothing_is_left(
    tmp_path: Path, count: int, seed: int, shared: Path | None
) -> None:
    outcome = run(count, seed, shared, tmp_path)
    assert outcome.exit_code == 3
    assert outcome.predictions > count / 10
    assert outcome.predictions + sum(outcome.errors.values()) == outcome.files == count
    assert (outcome.missing, outcome.bad_messages) == ([], [])
    assert "Traceback" not in outcome.stderr
    assert "internal error" not in outcome.stderr
    assert (outcome.left_processes, outcome.left_files) == ([], [])
    assert outcome.most_descriptors <= 64  # of the parent: a few for each worker, however many files there are


def test_mutations_are_the_same_for_a_seed() -> None:
    seeds = [("a.png", bytes(range(256)) * 4), ("b.mp4", b"\0\0\0\x10ftypisom\0\0\0\0" * 20)]
    first, second = (list(mutations(seeds, 20, 5)) for _ in range(2))
    assert first == second
    assert list(mutations(seeds, 7, 5)) == first[:7]
    assert list(mutations(seeds, 20, 6)) != first

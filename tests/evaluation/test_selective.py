"""A threshold that keeps a risk: its bound, its choice, and `classify --max-risk`."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import avscene
from avscene.errors import CheckpointError, UsageError
from avscene.evaluation.selective import COVERAGES, DELTA, SelectiveThresholds, thresholds
from avscene.labels import LabelSet
from avscene.tables.prediction_table import write_table
from avscene.tables.score_table import ScoreTable
from tests.support.command_line import call, run
from tests.training.heads.test_frozen_encoders import SCENES, train_on, write_data, write_scene

LABELS = LabelSet(tuple(SCENES))


def table(confidence: np.ndarray, wrong: np.ndarray, groups: np.ndarray) -> ScoreTable:
    """Recordings of one row each whose answer, the first scene, has that probability."""
    rest = (1 - confidence) / 2
    truth = tuple(LABELS.names[1 if miss else 0] for miss in wrong)
    return ScoreTable(
        LABELS,
        tuple(f"{row}.mp4" for row in range(len(confidence))),
        np.stack([confidence, rest, rest], axis=1),
        groups=tuple(f"g{group}" for group in groups),
        truth=truth,
    )


def drawn(random: np.random.Generator, groups: int, per_group: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Calibrated rows; those of one group are right or wrong together."""
    confidence = random.uniform(0.5, 1, groups)
    wrong = random.random(groups) > confidence
    return confidence.repeat(per_group), wrong.repeat(per_group), np.arange(groups).repeat(per_group)


@pytest.mark.parametrize("per_group", [1, 5])
def test_the_risk_is_kept(per_group: int) -> None:
    """Of rows as sure as `t` or more, drawn calibrated from [t, 1], the share (1 - t) / 2 is wrong."""
    random = np.random.default_rng(0)
    broken, named = 0, []
    for _ in range(200):
        tried, bounds = thresholds(*drawn(random, 300, per_group))
        kept = np.flatnonzero(bounds <= 0.2)
        if kept.size:
            named.append(COVERAGES[kept[0]])
            broken += (1 - tried[kept[0]]) / 2 > 0.2
    assert broken <= 200 * DELTA
    assert np.mean(named) > 0.3
    assert len(named) > 150


def test_what_is_never_wrong_is_always_accepted_and_bounded_by_the_number_of_groups() -> None:
    confidence = np.linspace(0.5, 1, 400)
    tried, bounds = thresholds(confidence, np.zeros(400, bool), np.arange(400))
    assert tried[0] == 0.5
    assert bounds[0] == pytest.approx(1 - (DELTA / len(COVERAGES)) ** (1 / 400))
    _, of_few = thresholds(confidence, np.zeros(400, bool), np.arange(400) % 20)
    assert of_few[0] == pytest.approx(1 - (DELTA / len(COVERAGES)) ** (1 / 20))
    assert SelectiveThresholds.of(
        table(confidence, np.zeros(400, bool), np.arange(400)), 0.05
    ).segment == pytest.approx(0.5)


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 40), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_rows_in_another_order_or_twice_over_change_nothing(groups: int, per_group: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    confidence, wrong, group = drawn(random, groups, per_group)
    tried, bounds = thresholds(confidence, wrong, group)
    rows = random.permutation(len(confidence))
    again = thresholds(confidence[rows], wrong[rows], group[rows])
    np.testing.assert_allclose(again, (tried, bounds), atol=1e-12)
    twice = thresholds(confidence.repeat(2), wrong.repeat(2), group.repeat(2))
    np.testing.assert_allclose(twice, (tried, bounds), atol=1e-9)  # the same places, seen twice, are no more places
    assert ((bounds > 0) & (bounds <= 1)).all()


def test_the_largest_coverage_is_taken() -> None:
    confidence = np.linspace(0.5, 1, 2000)
    wrong = confidence < 0.6  # the lowest fifth
    found = SelectiveThresholds.of(table(confidence, wrong, np.arange(2000)), 0.01)
    assert found.segment == found.recording
    assert 0.6 <= found.segment <= 0.625
    assert SelectiveThresholds.of(table(confidence, wrong, np.arange(2000)), 0.25).segment == pytest.approx(0.5)


def test_a_risk_that_cannot_be_kept_is_answered_with_the_least_that_can() -> None:
    right = table(np.linspace(0.5, 1, 60), np.zeros(60, bool), np.arange(60) % 12)
    with pytest.raises(UsageError, match=r"risk of segments at 0.05 with 95% confidence; 0.394 .* from its 12 groups"):
        SelectiveThresholds.of(right, 0.05)
    SelectiveThresholds.of(right, 0.394)
    for risk in (0, 1, -0.1, float("nan")):
        with pytest.raises(UsageError, match="not between 0 and 1"):
            SelectiveThresholds.of(right, risk)


# A system


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("media") / "data")


@pytest.fixture(scope="module")
def system(data: Path) -> Path:
    return train_on(data, data.parent / "system").directory


@pytest.fixture(scope="module")
def sure_only(system: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, if it had been wrong wherever it was less than all but certain."""
    directory = tmp_path_factory.mktemp("runs") / "system"
    shutil.copytree(system, directory)
    confidence = np.where(np.arange(600) % 2 == 0, 1 - 1e-14, 0.9)  # surer than two models are together
    write_table(directory / "out_of_fold" / "fused.tsv", table(confidence, confidence < 0.95, np.arange(600)))
    return directory


def test_a_trained_system_tells_whose_sound_is_another_ones(system: Path, data: Path, tmp_path: Path) -> None:
    loaded = avscene.load(system, device="cpu", precision="float32")
    film, other = data / "cave" / "cave-0.mp4", data / "meadow" / "meadow-0.mp4"
    own, dubbed = (loaded.classify(film, audio=audio).to_dict() for audio in (None, other))
    assert own["mismatch"]["verdict"] is False
    assert dubbed["mismatch"]["verdict"] is True
    assert own["mismatch"]["score"] < 0.5 < dubbed["mismatch"]["score"]
    assert [segment["mismatch"]["verdict"] for segment in dubbed["segments"]] == [True, True]
    silent = loaded.classify(write_scene(tmp_path / "silent.mp4", "cave", 5, audio=False)).to_dict()
    assert silent["mismatch"] is None
    assert [segment["mismatch"] for segment in silent["segments"]] == [None, None]


def test_scenes_that_are_not_sure_enough_stay_unnamed_at_every_door(
    sure_only: Path, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    film = data / "cave" / "cave-0.mp4"
    arguments = ("classify", film, "--system", sure_only, "--precision", "float32", "--device", "cpu")
    assert call(*arguments, "--max-risk", "0.05", "--format", "json", "--output", tmp_path / "told.json") == 0
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["scene"] is None
    assert told["score"] == max(told["scores"].values()) == told["scores"]["cave"]
    assert [segment["scene"] for segment in told["segments"]] == [None, None]
    loaded = avscene.load(sure_only, max_risk=0.05, device="cpu", precision="float32")
    assert loaded.classify(film).to_dict() == told
    shown = run(capfd, *arguments, "--max-risk", "0.05")
    assert "  unknown  (fast" in shown.out
    assert run(capfd, *arguments, "--max-risk", "0.6", "--format", "json").out.count('"scene": "cave"') == 3


def test_risks_that_cannot_be_told(
    system: Path, sure_only: Path, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    film = data / "cave" / "cave-0.mp4"
    refused = run(capfd, "classify", film, "--system", system, "--max-risk", "0.05").refused()
    assert "is the least that can be had from its 12 groups" in refused
    assert "fused.tsv: no threshold keeps the risk of segments at 0.05" in refused
    refused = run(capfd, "classify", film, "--system", "conse", "--max-risk", "0.05").refused()
    assert "was not trained" in refused
    refused = run(capfd, "classify", film, "--system", sure_only, "--max-risk", "0.05", "--hop", "0.5").refused()
    assert "known of segments of 1 s only" in refused
    shutil.copytree(sure_only, tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare" / "out_of_fold")
    with pytest.raises(CheckpointError, match=r"has neither out_of_fold/fused.tsv nor validation.tsv"):
        avscene.load(tmp_path / "bare", max_risk=0.05)
    assert avscene.load(tmp_path / "bare").acceptance is None


def test_a_checkpoint_from_before_there_were_detectors_is_loaded(system: Path, tmp_path: Path) -> None:
    from avscene.models.checkpoint import CONFIG, _digest

    shutil.copytree(system, tmp_path / "old")
    path = tmp_path / "old" / CONFIG
    content = json.loads(path.read_text())
    assert set(content.pop("mismatch")["fitted_on"]) == {f"{scene}{take}" for scene in SCENES for take in range(4)}
    content["config_sha256"] = _digest(json.dumps(content))
    path.write_text(json.dumps(content))
    assert avscene.load(tmp_path / "old").mismatch is None

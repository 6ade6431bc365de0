"""Selective prediction: the bound of the risk, the choice of thresholds, and `classify --max-risk`."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import avscene
from avscene.errors import CheckpointError, UsageError
from avscene.evaluation.selective import COVERAGES, DELTA, SelectiveThresholds, risk_bounds
from avscene.labels import LabelSet
from avscene.tables.prediction_table import write_table
from avscene.tables.score_table import ScoreTable
from avscene.training.train import Trained
from tests.support.command_line import call, run
from tests.support.scene_data import SCENES, write_scene

LABELS = LabelSet(tuple(SCENES))


def table(confidence: np.ndarray, wrong: np.ndarray, groups: np.ndarray) -> ScoreTable:
    """Recordings of one row each whose predicted scene, the first, has that probability."""
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
    """Calibrated rows; those of one group are all right or all wrong."""
    confidence = random.uniform(0.5, 1, groups)
    wrong = random.random(groups) > confidence
    return confidence.repeat(per_group), wrong.repeat(per_group), np.arange(groups).repeat(per_group)


@pytest.mark.parametrize("per_group", [1, 5])
def test_the_risk_is_bounded(per_group: int) -> None:
    """Of calibrated rows with confidence uniform in [t, 1], the share (1 - t) / 2 is wrong."""
    random = np.random.default_rng(0)
    exceeded, coverages = 0, []
    for _ in range(200):
        tried, bounds = risk_bounds(*drawn(random, 300, per_group))
        kept = np.flatnonzero(bounds <= 0.2)
        if kept.size:
            coverages.append(COVERAGES[kept[0]])
            exceeded += (1 - tried[kept[0]]) / 2 > 0.2
    assert exceeded <= 200 * DELTA
    assert np.mean(coverages) > 0.3
    assert len(coverages) > 150


def test_rows_without_errors_are_all_accepted_with_a_bound_by_the_number_of_groups() -> None:
    confidence = np.linspace(0.5, 1, 400)
    tried, bounds = risk_bounds(confidence, np.zeros(400, bool), np.arange(400))
    assert tried[0] == 0.5
    assert bounds[0] == pytest.approx(1 - (DELTA / len(COVERAGES)) ** (1 / 400))
    _, few_groups = risk_bounds(confidence, np.zeros(400, bool), np.arange(400) % 20)
    assert few_groups[0] == pytest.approx(1 - (DELTA / len(COVERAGES)) ** (1 / 20))
    assert SelectiveThresholds.fit(
        table(confidence, np.zeros(400, bool), np.arange(400)), 0.05
    ).segment == pytest.approx(0.5)


@settings(max_examples=50)
@given(st.integers(2, 40), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_the_order_and_repetition_of_rows_do_not_matter(groups: int, per_group: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    confidence, wrong, group = drawn(random, groups, per_group)
    tried, bounds = risk_bounds(confidence, wrong, group)
    rows = random.permutation(len(confidence))
    again = risk_bounds(confidence[rows], wrong[rows], group[rows])
    np.testing.assert_allclose(again, (tried, bounds), atol=1e-12)
    twice = risk_bounds(confidence.repeat(2), wrong.repeat(2), group.repeat(2))
    np.testing.assert_allclose(twice, (tried, bounds), atol=1e-9)  # repeated rows add no groups
    assert ((bounds > 0) & (bounds <= 1)).all()


def test_the_largest_coverage_within_the_risk_is_taken() -> None:
    confidence = np.linspace(0.5, 1, 2000)
    wrong = confidence < 0.6  # the lowest fifth
    found = SelectiveThresholds.fit(table(confidence, wrong, np.arange(2000)), 0.01)
    assert found.segment == found.recording
    assert 0.6 <= found.segment <= 0.625
    assert SelectiveThresholds.fit(table(confidence, wrong, np.arange(2000)), 0.25).segment == pytest.approx(0.5)


def test_the_message_for_an_unattainable_risk_has_the_lowest_attainable_risk() -> None:
    right = table(np.linspace(0.5, 1, 60), np.zeros(60, bool), np.arange(60) % 12)
    with pytest.raises(
        UsageError, match=r"risk of segments at 0\.05 with 95% confidence; .* with its 12 groups is 0\.394"
    ):
        SelectiveThresholds.fit(right, 0.05)
    SelectiveThresholds.fit(right, 0.394)
    for risk in (0, 1, -0.1, float("nan")):
        with pytest.raises(UsageError, match="not between 0 and 1"):
            SelectiveThresholds.fit(right, risk)


# A system


@pytest.fixture
def data(scene_data: Path) -> Path:
    return scene_data


@pytest.fixture
def system(scene_system: Trained) -> Path:
    return scene_system.directory


@pytest.fixture
def accepting_certain_only(system: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the system whose validation table is wrong except in almost certain rows."""
    directory = tmp_path_factory.mktemp("runs") / "system"
    shutil.copytree(system, directory)
    confidence = np.where(np.arange(600) % 2 == 0, 1 - 1e-14, 0.9)  # above the confidence that the fused models reach
    write_table(directory / "out_of_fold" / "fused.tsv", table(confidence, confidence < 0.95, np.arange(600)))
    return directory


def test_a_trained_system_detects_swapped_audio(system: Path, data: Path, tmp_path: Path) -> None:
    loaded = avscene.load(system, prior=0.5, device="cpu", precision="float32")
    recording, other = data / "cave" / "cave-0.mp4", data / "meadow" / "meadow-0.mp4"
    own, swapped = (loaded.classify(recording, audio=audio).to_dict() for audio in (None, other))
    assert own["mismatch"]["verdict"] is False
    assert swapped["mismatch"]["verdict"] is True
    assert own["mismatch"]["score"] < 0.5 < swapped["mismatch"]["score"]
    assert own["mismatch"]["spans"] == []
    assert [(span["start"], span["end"]) for span in swapped["mismatch"]["spans"]] == [(0.0, 2.0)]
    assert [segment["mismatch"]["verdict"] for segment in swapped["segments"]] == [True, True]
    without_audio = loaded.classify(write_scene(tmp_path / "without_audio.mp4", "cave", 5, audio=False)).to_dict()
    assert without_audio["mismatch"] is None
    assert [segment["mismatch"] for segment in without_audio["segments"]] == [None, None]


def test_scenes_below_the_threshold_are_unknown_on_the_command_line_and_in_python(
    accepting_certain_only: Path, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recording = data / "cave" / "cave-0.mp4"
    arguments = ("classify", recording, "--system", accepting_certain_only, "--precision", "float32", "--device", "cpu")
    assert call(*arguments, "--max-risk", "0.05", "--format", "json", "--output", tmp_path / "scores.json") == 0
    written = json.loads((tmp_path / "scores.json").read_text())
    assert written["scene"] is None
    assert written["score"] == max(written["scores"].values()) == written["scores"]["cave"]
    assert [segment["scene"] for segment in written["segments"]] == [None, None]
    loaded = avscene.load(accepting_certain_only, max_risk=0.05, device="cpu", precision="float32")
    assert loaded.classify(recording).to_dict() == written
    shown = run(capfd, *arguments, "--max-risk", "0.05")
    assert "  unknown  (fast" in shown.out
    assert run(capfd, *arguments, "--max-risk", "0.6", "--format", "json").out.count('"scene": "cave"') == 3


def test_max_risk_is_refused_without_suitable_validation_rows(
    system: Path, accepting_certain_only: Path, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recording = data / "cave" / "cave-0.mp4"
    refused = run(capfd, "classify", recording, "--system", system, "--max-risk", "0.05").error()
    assert "the lowest attainable risk with its 12 groups is" in refused
    assert "fused.tsv: no threshold keeps the risk of segments at 0.05" in refused
    refused = run(capfd, "classify", recording, "--system", "conse", "--max-risk", "0.05").error()
    assert "was not trained" in refused
    refused = run(
        capfd, "classify", recording, "--system", accepting_certain_only, "--max-risk", "0.05", "--hop", "0.5"
    ).error()
    assert "measured on segments of 1 s only" in refused
    shutil.copytree(accepting_certain_only, tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare" / "out_of_fold")
    with pytest.raises(CheckpointError, match=r"has neither out_of_fold/fused.tsv nor validation.tsv"):
        avscene.load(tmp_path / "bare", max_risk=0.05)
    assert avscene.load(tmp_path / "bare").acceptance is None


def test_a_checkpoint_without_a_mismatch_detector_is_loaded(system: Path, tmp_path: Path) -> None:
    from avscene.models.checkpoint import CONFIG, config_checksum

    shutil.copytree(system, tmp_path / "old")
    path = tmp_path / "old" / CONFIG
    content = json.loads(path.read_text())
    assert set(content.pop("mismatch")["fitted_on"]) == {f"{scene}{number}" for scene in SCENES for number in range(4)}
    content["config_sha256"] = config_checksum(json.dumps(content))
    path.write_text(json.dumps(content))
    assert avscene.load(tmp_path / "old").mismatch is None

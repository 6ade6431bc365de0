"""Test the values between the stages: valid and invalid probabilities, and the schema of the JSON."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from avscene.errors import (
    AvsceneError,
    CheckpointError,
    DataError,
    MediaError,
    ModalityError,
    UsageError,
    WeightsError,
)
from avscene.labels import LabelSet
from avscene.records import Failure, Frame, Prediction, SceneProbabilities, Segment, SegmentPrediction, read_outcome
from avscene.verdicts import Familiarity, Mismatch, MismatchSpan, RecordingMismatch

LABELS = LabelSet(("park", "tram", "bus"))
MADE = runpy.run_path(str(Path(__file__).parent / "golden" / "regenerate_formats.py"))["PREDICTIONS"]
POSITIVE = arrays(np.float64, st.tuples(st.integers(0, 6), st.just(3)), elements=st.floats(1e-6, 1.0))


def normalised(values: np.ndarray) -> np.ndarray:
    return values / values.sum(axis=1, keepdims=True)


@given(POSITIVE, st.data())
def test_rows_that_sum_to_one_are_accepted_and_columns_go_by_name(values: np.ndarray, data: st.DataObject) -> None:
    rows = normalised(values)
    missing = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))), dtype=bool)
    rows[missing] = np.nan
    probabilities = SceneProbabilities(LABELS, rows)
    np.testing.assert_array_equal(probabilities.scored, ~missing)
    for index, name in enumerate(LABELS):
        np.testing.assert_array_equal(probabilities.column(name), rows[:, index])
    reversed_columns = SceneProbabilities(LabelSet(LABELS.names[::-1]), rows[:, ::-1])
    np.testing.assert_array_equal(reversed_columns.column("park"), probabilities.column("park"))


@given(POSITIVE.filter(len), st.floats(0.001, 10).filter(lambda f: abs(f - 1) > 0.001))
def test_rows_that_do_not_sum_to_one_are_refused(values: np.ndarray, factor: float) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        SceneProbabilities(LABELS, normalised(values) * factor)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0.5, 0.5]], "do not fit 3 scenes"),
        ([0.5, 0.5, 0.0], "do not fit"),
        ([[1.2, -0.2, 0.0]], "not negative"),
        ([[np.inf, 0.0, 0.0]], "finite"),
        ([[np.nan, 0.5, 0.5]], "finite"),
    ],
)
def test_rows_that_are_no_distribution_are_refused(rows: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SceneProbabilities(LABELS, np.array(rows))


def test_a_column_of_an_unknown_scene_is_refused() -> None:
    with pytest.raises(UsageError, match="not one of park, tram, bus"):
        SceneProbabilities(LABELS, np.array([[1.0, 0, 0]])).column("pub")


@pytest.mark.parametrize(("start", "end"), [(-1, 0), (2, 1), (float("nan"), 1)])
def test_a_segment_must_be_a_span_of_time(start: float, end: float) -> None:
    with pytest.raises(ValueError, match="span of time"):
        Segment(start, end, (), None)


def test_modalities_of_a_segment() -> None:
    frame = Frame(0.5, np.zeros((2, 2, 3), np.uint8))
    assert [Segment(0, 1, (frame,), None).has(modality) for modality in ("audio", "video")] == [False, True]
    assert [Segment(0, 1, (), np.zeros(4)).has(modality) for modality in ("audio", "video")] == [True, False]


@given(arrays(np.float64, st.just((2, 3)), elements=st.floats(1e-6, 1.0)), st.floats(0, 86400))
def test_json_of_a_prediction(values: np.ndarray, duration: float) -> None:
    rows = normalised(values)
    segments = (SegmentPrediction(0.0, 1.0, rows[0], {"video": rows[1]}),)
    prediction = Prediction(
        "a.mp4", duration, "E9", LABELS, {"audio": False, "video": True}, rows[0], segments, ("a warning",)
    )
    content = prediction.to_dict()
    # the order of the keys is part of the format
    assert list(content) == [
        *("schema", "source", "duration", "system", "labels", "modalities"),
        *("scene", "score", "scores", "mismatch", "familiarity", "segments", "warnings"),
    ]
    parts = ["start", "end", "scene", "score", "scores", "mismatch", "familiarity", "by_model"]
    assert list(content["segments"][0]) == parts
    assert content["schema"] == "avscene/1"
    assert content["labels"] == list(LABELS) == list(content["scores"])
    assert content["modalities"] == {"audio": False, "video": True}
    assert sum(content["scores"].values()) == pytest.approx(1, abs=1e-5)
    assert content["score"] == max(content["scores"].values()) == content["scores"][content["scene"]]
    assert content["scene"] == prediction.scene
    assert prediction.score == rows[0].max()
    assert prediction.scores == content["scores"]
    assert content["segments"][0]["by_model"]["video"] == pytest.approx(
        dict(zip(LABELS, rows[1], strict=True)), abs=1e-6
    )
    assert content["warnings"] == ["a warning"]
    assert json.loads(json.dumps(content, allow_nan=False)) == content


def test_a_prediction_that_is_not_accepted_has_no_scene_and_keeps_its_scores() -> None:
    row = np.array([0.4, 0.35, 0.25])
    mismatch = Mismatch(0.75, verdict=True)
    segments = (SegmentPrediction(0.0, 1.0, row, mismatch=mismatch), SegmentPrediction(1.0, 2.0, row, accepted=False))
    has = {"audio": True, "video": True}
    whole = RecordingMismatch(0.75, verdict=True, prior=0.01, threshold=0.5, spans=(MismatchSpan(0.0, 1.0, 0.9),))
    prediction = Prediction("a.mp4", 2.0, "E9", LABELS, has, row, segments, mismatch=whole, accepted=False)
    content = prediction.to_dict()
    assert prediction.scene is None
    assert (content["scene"], content["score"], content["scores"]["park"]) == (None, 0.4, 0.4)
    assert [segment["scene"] for segment in content["segments"]] == ["park", None]
    assert content["segments"][0]["mismatch"] == {"score": 0.75, "verdict": True}
    assert content["mismatch"] == {
        "score": 0.75,
        "verdict": True,
        "prior": 0.01,
        "threshold": 0.5,
        "false_alarms": None,
        "spans": [{"start": 0.0, "end": 1.0, "score": 0.9}],
    }
    assert content["segments"][1]["mismatch"] is None


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_a_mismatch_score_must_be_a_probability(score: float) -> None:
    with pytest.raises(ValueError, match="not a probability"):
        Mismatch(score, verdict=True)
    with pytest.raises(ValueError, match="not a probability"):
        RecordingMismatch(score, verdict=True, prior=0.5, threshold=0.5)
    with pytest.raises(ValueError, match="not a share"):
        Familiarity(score)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (MediaError, "media", 1),
        (ModalityError, "modality", 1),
        (DataError, "data", 2),
        (UsageError, "usage", 2),
        (CheckpointError, "checkpoint", 2),
        (WeightsError, "weights", 4),
    ],
)
def test_json_and_exit_codes_of_failures(error: type[AvsceneError], kind: str, code: int) -> None:
    failure = Failure("a.mp4", error("a.mp4: not found"))
    assert failure.to_dict() == {
        "schema": "avscene/1",
        "source": "a.mp4",
        "error": {"type": kind, "message": "a.mp4: not found"},
    }
    assert error.exit_code == code


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_a_prediction_that_is_read_from_its_json_gives_the_same_json(make: Any) -> None:
    content = json.loads(json.dumps(make().to_dict()))
    read = read_outcome(content)
    assert isinstance(read, Prediction)
    assert json.dumps(read.to_dict()) == json.dumps(content)
    assert [segment.scene for segment in read.segments] == [segment["scene"] for segment in content["segments"]]
    np.testing.assert_allclose(read.probabilities, make().probabilities, atol=1e-6)


@given(
    arrays(np.float64, st.just((3, 3)), elements=st.sampled_from([0.3333333, 1 / 3, 0.3333334, 1e-7, 0.9])),
    st.booleans(),
    st.sampled_from([0.0, 0.049999999, 0.05, 0.0500001, 1.0]),
)
def test_rounding_does_not_change_what_is_read(values: np.ndarray, accepted: bool, share: float) -> None:
    rows = normalised(values)
    segments = tuple(
        SegmentPrediction(float(k), k + 1.0, row, {"video": rows[0]}, accepted=accepted, familiarity=Familiarity(share))
        for k, row in enumerate(rows)
    )
    has = {"audio": False, "video": True}
    content = Prediction("a", 3.0, "E9", LABELS, has, rows[0], segments, familiarity=Familiarity(share)).to_dict()
    assert json.dumps(read_outcome(content).to_dict()) == json.dumps(content)


def test_a_failure_is_read_from_its_json() -> None:
    content = Failure("a.mp4", ModalityError("a.mp4: has no audio")).to_dict()
    read = read_outcome(content)
    assert isinstance(read, Failure)
    assert isinstance(read.error, ModalityError)
    assert read.to_dict() == content
    unknown = content | {"error": {"type": "later", "message": "a.mp4: unknown here"}}
    assert str(read_outcome(unknown).error) == "a.mp4: unknown here"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "avscene/2"}, "not a result of schema avscene/1, but of avscene/2"),
        ({"segments": []}, "not a complete result .*no segments"),
        ({"scores": {"park": 1.0}}, "not a complete result .*R&B"),
        ({"labels": "park"}, "not a complete result"),
        ({"scene": "nowhere"}, "not a complete result .*nowhere"),
        ({"scene": "metro_station"}, "not a complete result .*not the most probable"),
        ({"duration": None}, "not a complete result"),
        ({"mismatch": {"score": 2}}, "not a complete result"),
        ({"modalities": None}, "not a complete result"),
        ({"error": "gone"}, "not a complete result"),
    ],
)
def test_other_json_is_no_result(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_outcome(MADE["recording"]().to_dict() | change)


@pytest.mark.parametrize("values", [None, [], "text", 1, {}, {"schema": 1}])
def test_json_of_another_form_is_no_result(values: object) -> None:
    with pytest.raises(DataError, match="not a result of schema"):
        read_outcome(values)

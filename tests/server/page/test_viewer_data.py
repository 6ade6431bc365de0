"""What the viewer computes of predictions: spans, headings and notes as in Python; means, marks, peaks per pixel."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Browser, Page

from avscene.labels import LabelSet
from avscene.records import Needs, Prediction, SegmentPrediction, read_outcome
from avscene.reports.recordings.notes import mismatch_lines, short_time, unfamiliar_lines
from avscene.reports.recordings.spans import headline, is_sure, recording_scenes, scene_spans, used_modalities
from avscene.verdicts import Familiarity, Mismatch, MismatchSpan, RecordingMismatch
from tests.support.browser import open_page
from tests.support.static_page import call, open_static

Floats = npt.NDArray[np.float64]
NAMES = ("metro_station", "tram", "park", "bus", "airport", "a scene, with commas", "Zürich", "8", "i", "j", "k", "l")
NEEDS: dict[str, Needs] = {"heads": "audio", "clip": "video", "fusion": "both"}
SUMMARY = """async ([prediction, models]) => {
  const data = await import("/page/js/viewer/data.js");
  const notes = await import("/page/js/viewer/notes.js");
  const recording = data.readRecording(prediction, models);
  const span = (s) => [s.start, s.end, s.scene, s.score, s.isUnsure, s.isMismatch];
  return {
    spans: data.sceneSpans(recording).map(span),
    mismatchSpans: data.sceneSpans(recording, { byMismatch: true }).map(span),
    scenes: data.recordingScenes(recording),
    headline: data.headline(recording),
    mismatch: notes.mismatchLines(recording),
    unfamiliar: notes.unfamiliarLines(recording),
    modalities: data.usedModalities(prediction, models),
    rows: recording.rows.map((row) => [row.title, [...row.probabilities].slice(0, recording.labels.length)]),
  };
}"""
COLUMNS = """async ([starts, ends, values, k, from, to, count, method]) => {
  const { TimeMeans, sceneRuns } = await import("/page/js/viewer/columns.js");
  const numbers = values.map((value) => value ?? NaN);
  const arrays = [starts, ends, numbers].map((list) => Float64Array.from(list));
  const means = new TimeMeans(...arrays, k)[method](from, to, count);
  return [[...means].map((value) => (Number.isNaN(value) ? null : value)), sceneRuns(means, k)];
}"""


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    with open_page(browser) as (opened, _):
        open_static(opened)
        yield opened


def probabilities(rng: np.random.Generator, k: int, scene: int) -> Floats:
    """Return a row around a scene: sure, hardly sure, or exactly at the limits of being sure."""
    if rng.random() < 0.2:
        row = np.zeros(k)
        row[[scene, (scene + 1) % k]] = [0.5, 0.5] if k == 2 else [0.55, 0.45]
        return row
    row = rng.dirichlet(np.ones(k)) * rng.choice([0.3, 0.6, 0.95])
    row[scene] += 1 - row.sum()
    return row


def random_prediction(seed: int) -> Prediction:
    """Return a prediction with everything that the viewer distinguishes."""
    rng = np.random.default_rng(seed)
    k, n = int(rng.integers(2, len(NAMES) + 1)), int(rng.choice([1, 2, 9, 40, 200]))
    hop = float(rng.choice([0.5, 1, 60]))
    labels = LabelSet(NAMES[:k])
    scene, rows = 0, []
    for _ in range(n):
        scene = int(rng.integers(k)) if rng.random() < 0.2 else scene
        rows.append(probabilities(rng, k, scene))
    score = float(rng.choice([0.125, 0.375, rng.random()]))
    spans = tuple(MismatchSpan(hop * a, hop * (a + 3), float(rng.random())) for a in range(1, n - 4, 12))
    mismatch = RecordingMismatch(score, bool(rng.random() < 0.5), 0.01, 0.545, rng.choice([None, 0.2487, 12.3, 0.5]))
    familiar = rng.random(n) * (0.06 if rng.random() < 0.3 else 1)
    starts = [hop * (i + (i > n // 2)) for i in range(n)]  # one segment is missing
    segments = tuple(
        SegmentPrediction(
            start,
            start + hop,
            row,
            by_model={"heads": row[::-1], "clip": row, "fusion": row} if i % 5 else {"heads": row},
            mismatch=Mismatch(0.3, verdict=False) if i % 3 else None,
            accepted=bool(rng.random() < 0.9),
            familiarity=Familiarity(float(familiar[i])),
        )
        for i, (start, row) in enumerate(zip(starts, rows, strict=True))
    )
    return Prediction(
        "a.mp4",
        segments[-1].end,
        "fast",
        labels,
        {"audio": True, "video": bool(seed % 2)},
        np.mean(rows, axis=0),
        segments,
        mismatch=None if seed % 4 == 0 else RecordingMismatch(**{**fields(mismatch), "spans": spans[: seed % 3]}),
        accepted=bool(seed % 7),
        familiarity=Familiarity(float(np.median(familiar))),
    )


def fields(mismatch: RecordingMismatch) -> dict[str, Any]:
    return {name: getattr(mismatch, name) for name in ("score", "verdict", "prior", "threshold", "false_alarms")}


@pytest.mark.parametrize("seed", range(20))
def test_spans_headings_and_notes_as_in_python(page: Page, seed: int) -> None:
    values = random_prediction(seed).to_dict()
    prediction = read_outcome(values)
    assert isinstance(prediction, Prediction)
    needs = NEEDS if seed % 5 else {"clip": NEEDS["clip"]}
    found = page.evaluate(SUMMARY, [values, needs])
    for name, by_mismatch in (("spans", False), ("mismatchSpans", True)):
        expected = scene_spans(prediction, by_mismatch=by_mismatch)
        assert [[*row[:3], *row[4:]] for row in found[name]] == [
            [span.start, span.end, span.scene, span.is_unsure, span.is_mismatch] for span in expected
        ]
        assert [row[3] for row in found[name]] == pytest.approx([span.score for span in expected])
    assert found["scenes"] == list(recording_scenes(prediction))
    assert found["headline"] == headline(prediction)
    assert found["mismatch"] == [line.strip() for line in mismatch_lines(prediction)]
    assert found["unfamiliar"] == list(unfamiliar_lines(prediction))
    assert found["modalities"] == list(used_modalities(prediction, needs))


def test_rows_are_the_means_of_the_models_of_a_modality(page: Page) -> None:
    row = {"tram": 0.75, "bus": 0.25}
    models = {"a": row, "b": {"tram": 0.25, "bus": 0.75}, "c": {"tram": 1.0, "bus": 0.0}}
    segment = {"start": 0, "end": 1, "scene": "tram", "scores": row, "by_model": models}
    values = {"labels": ["tram", "bus"], "duration": 1, "segments": [segment], "scores": row, "scene": "tram"}
    values |= {"modalities": {"audio": True, "video": True}, "mismatch": None, "familiarity": None, "score": 0.75}
    known = page.evaluate(SUMMARY, [values, {"a": "audio", "b": "audio", "c": "video"}])["rows"]
    assert known == [["From audio", [0.5, 0.5]], ["From video", [1, 0]]]
    unknown = page.evaluate(SUMMARY, [values, {}])["rows"]
    assert unknown == [["a", [0.75, 0.25]], ["b", [0.25, 0.75]], ["c", [1, 0]]]


def each(page: Page, module: str, name: str, values: list[float], *rest: Any) -> list[str]:
    """Return what a function of the page returns for each value."""
    script = "async ([module, name, values, rest]) => { const it = (await import(module))[name];"
    script += " return values.map((value) => it(value, ...rest)); }"
    return list(page.evaluate(script, [f"/page/js/{module}", name, values, list(rest)]))


def test_times_as_in_python(page: Page) -> None:
    seconds = [0, 0.04, 9.95, 0.5, 1.5, 59.96, 61, 599.97, 3599.99, 3600, 7325.25, 36000]
    assert each(page, "format.js", "shortTime", seconds) == [short_time(time) for time in seconds]
    tenths = [short_time(time, tenths=True) for time in seconds]
    assert each(page, "format.js", "shortTime", seconds, {"tenths": True}) == tenths


def test_percentages_as_in_python(page: Page) -> None:
    values = [0, 1, 0.005, 0.015, 0.025, 0.125, 0.375, 0.625, 0.999, 0.29, 0.57]
    assert each(page, "viewer/notes.js", "percent", values) == [f"{value:.0%}" for value in values]


def test_numbers_as_in_python(page: Page) -> None:
    values = [0, 0.01, 0.1, 1e-7, 0.00012345678, 0.5, 12.3456789, 100, 123456.7, 9.99e9, 0.2487]
    assert each(page, "viewer/notes.js", "general", values) == [f"{value:g}" for value in values]
    assert each(page, "viewer/notes.js", "general", values, 2) == [f"{value:.2g}" for value in values]


def test_control_characters_are_shown_as_escapes(page: Page) -> None:
    text = "a\x00b\u202egnp.exe\x85\nä"
    assert call(page, "format.js", "readable", text) == "a\\x00b\\u202egnp.exe\\x85\\x0aä"


def overlap_means(starts: Floats, ends: Floats, values: Floats, edges: Floats) -> Floats:
    """Return means over columns, from the length of the overlap of each segment with each column."""
    ends = np.minimum(ends, np.append(starts[1:], math.inf))
    scored = ~np.isnan(values[:, 0])
    lengths = np.minimum(ends[:, None], edges[1:]) - np.maximum(starts[:, None], edges[:-1])
    lengths = np.where(scored[:, None], np.maximum(lengths, 0), 0)
    with np.errstate(invalid="ignore"):
        return np.asarray((lengths.T @ np.nan_to_num(values)) / lengths.sum(axis=0)[:, None])


@pytest.mark.parametrize("seed", range(6))
def test_columns_are_means_over_time(page: Page, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, k, count = int(rng.integers(1, 300)), 3, int(rng.integers(1, 200))
    starts = np.cumsum(rng.choice([1, 1, 1, 2.5], n)) - 1
    ends = starts + rng.choice([0.7, 1, 1.6], n)
    values = rng.dirichlet(np.ones(k), n)
    values[rng.random(n) < 0.1] = math.nan
    total = ends[-1] + 1.5
    first, last = sorted(rng.random(2) * total) if seed else (0.0, total)
    listed = [None if math.isnan(value) else value for value in values.ravel().tolist()]
    means, runs = page.evaluate(COLUMNS, [starts.tolist(), ends.tolist(), listed, k, first, last, count, "columns"])
    expected = overlap_means(starts, ends, values, np.linspace(first, last, count + 1))
    found = np.array([math.nan if value is None else value for value in means]).reshape(count, k)
    assert found == pytest.approx(expected, abs=1e-4, nan_ok=True)
    drawn = {column: run for run in runs for column in range(run["from"], run["to"])}
    assert drawn.keys() == set(np.flatnonzero(~np.isnan(found[:, 0])).tolist())
    for column, run in drawn.items():
        assert run["scene"] == found[column].argmax()
        assert run["state"] == ("sure" if is_sure(found[column]) else "unsure")


@pytest.mark.parametrize("method", ["samples", "drawn"])
def test_fine_columns_have_the_values_at_their_middles(page: Page, method: str) -> None:
    rng = np.random.default_rng(5)
    starts = np.array([0.0, 1, 2, 4, 5])
    values = rng.dirichlet(np.ones(3), 5)
    count, last = 97, 6.5
    given = [starts.tolist(), (starts + 1).tolist(), values.ravel().tolist(), 3, 0, last, count, method]
    found = page.evaluate(COLUMNS, given)[0]
    middles = (np.arange(count) + 0.5) * last / count
    row = np.searchsorted(starts, middles, "right") - 1
    expected = np.where((middles < starts[row] + 1)[:, None], values[row], math.nan)
    shown = np.array([math.nan if value is None else value for value in found]).reshape(count, 3)
    assert shown == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_unknown_columns_are_runs_of_their_own(page: Page) -> None:
    means = [0.9, 0.1, 0.9, 0.1, 0.2, 0.8]
    runs = call(page, "viewer/columns.js", "sceneRuns", means, 2, [0, 0.6, 0.5])
    assert [(run["scene"], run["state"]) for run in runs] == [(0, "sure"), (-1, "unknown"), (1, "sure")]


def test_short_spans_are_marked_with_one_pixel(page: Page) -> None:
    spans = [
        {"start": 10, "end": 10.001},
        {"start": 50, "end": 60},
        {"start": 99.99, "end": 100},
        {"start": 0, "end": 1},
    ]
    runs = call(page, "viewer/columns.js", "markRuns", spans, 5, 100, 95)
    assert runs == [{"from": 5, "to": 6}, {"from": 45, "to": 55}, {"from": 94, "to": 95}]


@pytest.mark.parametrize(("first", "last", "count"), [(0, 10, 7), (2.5, 4.5, 300), (8, 12, 40)])
def test_peaks_of_a_column_are_the_extremes_within(page: Page, first: float, last: float, count: int) -> None:
    highs = np.random.default_rng(0).random(100).round(2)
    found = call(page, "viewer/columns.js", "peakColumns", [[-high, high] for high in highs], 10, first, last, count)
    edges = np.linspace(first, last, count + 1) * 10
    for peak, start, end in zip(found, edges[:-1], edges[1:], strict=True):
        within = highs[math.floor(start + 1e-9) : max(math.floor(start + 1e-9) + 1, math.ceil(end - 1e-9))]
        assert peak == ([-within.max(), within.max()] if within.size else None)

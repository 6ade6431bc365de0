"""Test lists of an archive: their filters, order and counts against pandas, their fields against the predictions."""

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from avscene.errors import UsageError
from avscene.records import Failure, Prediction
from avscene.reports.recordings.spans import recording_scenes
from avscene.server.archive import ORDERS, Archive, ArchiveQuery
from tests.support.results import LABELS, failure, of_rows, prediction, write_lines

COUNT = 300


def random_outcomes() -> list[Prediction | Failure]:
    """Return predictions of all kinds, of one or several scenes, and failures."""
    generator = np.random.default_rng(5)
    made: list[Prediction | Failure] = []
    for number in range(COUNT):
        source = f"Folder {number % 7}/Video-{generator.integers(10**6):06}-{number}.mp4"
        if number % 23 == 5:
            made.append(failure(source))
            continue
        rows = generator.dirichlet(np.full(len(LABELS), 0.3), 2).repeat(generator.integers(1, 8, 2), axis=0)
        mismatch = (None, True, False, False)[number % 4]
        share = (None, 0.01, 0.5)[number % 3]
        made.append(of_rows(source, rows, mismatch=mismatch, share=share, accepted=number % 11 != 0))
    return made


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Return what lists are to show, computed from the predictions in memory."""
    rows = []
    for outcome in random_outcomes():
        content = outcome.to_dict()
        scenes = recording_scenes(outcome) if isinstance(outcome, Prediction) else ()
        rows.append(
            {
                "source": content["source"],
                "score": content.get("score"),
                "duration": content.get("duration"),
                "mismatch": content["mismatch"]["verdict"] if content.get("mismatch") else None,
                "failed": "error" in content,
                "scenes": scenes or (() if "error" in content else ("unknown",)),
            }
        )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive(write_lines(tmp_path_factory.mktemp("results") / "results.jsonl", random_outcomes()))


def expected(frame: pd.DataFrame, query: ArchiveQuery, *, any_scene: bool = False) -> pd.DataFrame:
    kept = frame[frame.source.str.lower().str.contains(query.search.lower(), regex=False)]
    if query.scene is not None and not any_scene:
        kept = kept[kept.scenes.map(lambda scenes: query.scene in scenes)]
    if query.min_score is not None:
        kept = kept[kept.score >= query.min_score]
    if query.max_score is not None:
        kept = kept[kept.score <= query.max_score]
    if query.mismatch is not None:
        kept = kept[kept.mismatch == query.mismatch]
    if query.failed is not None:
        kept = kept[kept.failed == query.failed]
    return kept


QUERIES = [
    ArchiveQuery(search=search, scene=scene, min_score=low, max_score=high, mismatch=mismatch, failed=failed)
    for search, scene, (low, high), mismatch, failed in itertools.product(
        ("", "VIDEO-1", "folder 3/"),
        (None, "tram", "unknown"),
        ((None, None), (0.4, 0.7)),
        (None, True, False),
        (None, True, False),
    )
]


def test_filters_and_counts_are_those_of_pandas(archive: Archive, frame: pd.DataFrame) -> None:
    for query in QUERIES:
        page = archive.page(query)
        kept = expected(frame, query)
        assert page.total == len(kept), query
        assert {found.entry.source for found in page.recordings} <= set(kept.source)
        counts = expected(frame, query, any_scene=True).scenes.explode().dropna().value_counts()
        assert page.scenes == counts.to_dict(), query
        assert list(page.scenes.values()) == sorted(page.scenes.values(), reverse=True)


@pytest.mark.parametrize("order", ORDERS)
def test_orders_are_those_of_pandas(archive: Archive, frame: pd.DataFrame, order: str) -> None:
    pages = [
        archive.page(ArchiveQuery(order=order, limit=37, offset=offset)).recordings for offset in range(0, COUNT, 37)
    ]
    found = [recording.entry for page in pages for recording in page]
    assert len({entry.source for entry in found}) == len(found) == COUNT
    name, is_reversed = order.lstrip("-"), order.startswith("-")
    if name == "name":
        assert [entry.source for entry in found] == sorted(frame.source, key=str.lower, reverse=is_reversed)
    else:
        values = frame[name].sort_values(ascending=is_reversed, na_position="last")
        np.testing.assert_array_equal([np.nan if getattr(e, name) is None else getattr(e, name) for e in found], values)


def test_fields_are_those_of_the_predictions(tmp_path: Path) -> None:
    mixed = np.eye(4)[[0] * 12 + [2] * 12] * 0.8 + 0.05
    outcomes: list[Prediction | Failure] = [
        of_rows("a.mp4", mixed, mismatch=True, share=0.02),
        prediction("b.mp4", "tram", 0.4, mismatch=False, share=0.9),
        prediction("c.mp4", "tram", 0.9, accepted=False, system="conse"),
        failure("d.mp4", "ends early"),
    ]
    page = Archive(write_lines(tmp_path / "r.jsonl", outcomes)).page(ArchiveQuery())
    a, b, c, d = (found.entry for found in page.recordings)
    assert (a.scenes, a.unsure, a.mismatch, a.unfamiliar, a.duration) == (("park", "bus"), False, True, True, 24)
    assert (b.scene, b.scenes, b.score, b.unsure, b.mismatch, b.unfamiliar) == (
        "tram",
        ("tram",),
        0.4,
        True,
        False,
        False,
    )
    assert (c.scene, c.scenes, c.score, c.mismatch, c.unfamiliar, c.system) == (None, (), 0.9, None, None, "conse")
    assert (d.scene, d.scenes, d.score, d.duration, d.system) == (None, (), None, None, "")
    assert d.error == ("media", "d.mp4: ends early")
    assert page.scenes == {"bus": 1, "park": 1, "tram": 1, "unknown": 1}


def test_results_are_read_without_the_others(archive: Archive) -> None:
    by_source = {outcome.source: outcome.to_dict() for outcome in random_outcomes()}
    for found in archive.page(ArchiveQuery(limit=COUNT)).recordings[::17]:
        content = archive.read(found.number)
        assert json.dumps(content) == json.dumps(by_source[found.entry.source])
    with pytest.raises(KeyError):
        archive.read(10**6)


def test_a_search_is_text_and_not_a_pattern(tmp_path: Path) -> None:
    names = ["50%_a.mp4", "50xxa.mp4", "Straße.mp4", "it's.mp4", "e\u0301te.mp4"]
    archive = Archive(write_lines(tmp_path / "r.jsonl", map(prediction, names)))

    def found(search: str) -> list[str]:
        return [recording.entry.source for recording in archive.page(ArchiveQuery(search=search)).recordings]

    assert found("0%_") == ["50%_a.mp4"]
    assert found("STRASSE") == ["Straße.mp4"]
    assert found("'") == ["it's.mp4"]
    assert found("\u00c9TE") == ["e\u0301te.mp4"]
    assert found('"; DROP TABLE recordings; --') == []


@pytest.mark.parametrize("values", [{"order": "size"}, {"limit": -1}, {"offset": -1}])
def test_a_query_that_makes_no_sense_is_an_error(values: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ArchiveQuery(**values)  # type: ignore[arg-type]

"""Test the page of recordings by Python's HTML parser: escaping, states, timelines, and the memory of writing it."""

import itertools
import re
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from avscene.errors import MediaError
from avscene.labels import LabelSet
from avscene.records import ByteArray, Failure, Prediction, SegmentPrediction
from avscene.reports.recordings.markup import MOST_PARTS, MOST_SPANS, SystemInfo
from avscene.reports.recordings.page import page_texts
from avscene.reports.recordings.spans import Outcome
from avscene.verdicts import Familiarity, MismatchSpan, RecordingMismatch
from tests.support.html_page import Page

HOSTILE = "\"'><img src=x onerror=alert(1)>&amp;\u202e.mp4"
LABELS = LabelSet(("park", "</style><script>alert(2)</script>", "tram"))
SYSTEM = SystemInfo("fast", LABELS, {"audio": "audio", "video": "video"})
FRAME = np.zeros((90, 160, 3), np.uint8)


def prediction(*tops: int, certainty: float = 0.8, source: str = "a.mp4", **others: object) -> Prediction:
    rest = (1 - certainty) / 2
    rows = np.array([np.where(np.arange(3) == top, certainty, rest) for top in tops])
    segments = tuple(SegmentPrediction(float(k), k + 1.0, row, {"video": row}) for k, row in enumerate(rows))
    has = {"audio": True, "video": True}
    return Prediction(source, float(len(tops)), "fast", LABELS, has, rows.mean(axis=0), segments, **others)  # type: ignore[arg-type]


def page_of(*outcomes: Outcome, frame: ByteArray | None = None) -> tuple[str, Page]:
    text = "".join(page_texts([(outcome, frame) for outcome in outcomes], SYSTEM))
    return text, Page(text)


def states(page: Page) -> list[str]:
    return [attributes["data-states"] for attributes in page.attributes("tr") if "data-states" in attributes]


def test_names_are_escaped_everywhere() -> None:
    outcomes = (
        prediction(0, 1, 1, source=HOSTILE, warnings=(HOSTILE,)),
        Failure(HOSTILE, MediaError(f"{HOSTILE}: is truncated")),
    )
    text, page = page_of(*outcomes, frame=FRAME)
    assert len(page.attributes("script")) == 1
    assert len(page.attributes("img")) == 1
    assert all("onerror" not in attributes for _, attributes in page.elements)
    shown = HOSTILE.replace("\u202e", "\\u202e")  # it would reverse the text after it
    assert page.texts["span"].count(shown) == 2
    assert LABELS.names[1] in "".join(page.texts["option"])
    assert "\u202e" not in text


def test_open_answers_have_states() -> None:
    rejected = prediction(0, 0, accepted=False)
    rejected = Prediction(
        *(rejected.source, 2.0, "fast", LABELS, rejected.modalities, rejected.probabilities),
        tuple(SegmentPrediction(s.start, s.end, s.probabilities, accepted=False) for s in rejected.segments),
        accepted=False,
    )
    mismatch = RecordingMismatch(0.4, verdict=False, prior=0.01, threshold=0.5, spans=(MismatchSpan(1.0, 2.0, 0.9),))
    text, page = page_of(
        prediction(0, 0),
        prediction(0, 0, 2, 2),
        prediction(0, 0, certainty=0.4),
        rejected,
        prediction(0, 0, familiarity=Familiarity(0.01)),
        prediction(0, 0, mismatch=mismatch),
        Failure("b.mp4", MediaError("b.mp4: is truncated")),
    )
    assert states(page) == ["", "several", "unsure", "unknown", "unfamiliar", "mismatch", "failed"]
    cells = [cell.strip() for cell in page.texts["td"]]
    assert [cell for cell in cells if "%" in cell or cell in ("park, tram", "unknown")] == [
        *("park 80%", "park, tram", "park 40%, unsure", "unknown", "park 80%", "park 80%")
    ]
    assert any("do not seem to belong together from 0:01 to 0:02 (90%)" in note for note in page.texts["p"])
    assert "is truncated" in page.texts["p"]
    (options,) = (re.findall(r'<option value="(\w+)">', part) for part in re.findall(r'name="state".*?</select>', text))
    assert options == ["several", "unsure", "unknown", "unfamiliar", "mismatch", "failed"]
    (summary,) = (part for part in page.texts["p"] if "classified by" in part)
    assert summary.startswith("6 classified by fast (0.2 minutes), 1 failed, 1 several scenes, 1 unsure, 1 unknown, ")


def test_what_was_used_is_shown() -> None:
    _, page = page_of(prediction(0, 0))
    assert "0:02, from video" in page.texts["span"]  # the recording has audio, too


def test_without_a_script_the_page_is_a_table() -> None:
    _, page = page_of(*[prediction(0, 2, source=f"{number}.mp4") for number in range(5)])
    tags = [tag for tag, _ in page.elements]
    assert tags.count("table") == 1
    assert tags.count("tr") == 6
    assert page.texts["th"][:5] == ["Frame", "Recording", "Scene", "Timeline", "Notes"]
    (form,) = page.attributes("form")
    assert "hidden" in form  # the script shows it
    assert page.texts["li"].count("0:00 - 0:01 park 80%") == 5


def test_long_recordings_have_short_rows() -> None:
    text, page = page_of(prediction(*[0, 2] * 5000))
    assert len(text) < 60_000
    (strip,) = (attributes["style"] for attributes in page.attributes("div") if "strip" in attributes.get("class", ""))
    assert strip.count("var(--c") <= MOST_PARTS
    spans = [item for item in page.texts["li"] if " - " in item]
    assert len(spans) == MOST_SPANS
    assert f"and {10_000 - MOST_SPANS:,} more" in page.texts["li"]


def test_the_strip_shows_the_scenes_in_proportion() -> None:
    _, page = page_of(prediction(0, 0, 0, 2))
    (strip,) = (attributes["style"] for attributes in page.attributes("div") if "strip" in attributes.get("class", ""))
    assert strip == "background:linear-gradient(90deg,var(--c0) 0.00% 75.00%,var(--c2) 75.00% 100.00%)"


def test_memory_does_not_grow_with_the_number_of_recordings() -> None:
    one = prediction(0, 0, 2)

    def peak(count: int) -> int:
        outcomes: Iterator[tuple[Outcome, ByteArray | None]] = itertools.repeat((one, FRAME), count)
        tracemalloc.start()
        try:
            size = sum(map(len, page_texts(outcomes, SYSTEM)))
            assert size > count * 1000
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)
    assert peak(2000) < peak(1000) + 2**18


@pytest.mark.parametrize("name", ["\udcff.mp4", "a\nb.mp4", "\x1b[2J.mp4"])
def test_names_that_are_no_text_are_shown_as_escapes(name: str) -> None:
    text, page = page_of(prediction(0, 0, source=name))
    text.encode()  # raises for a lone surrogate
    (shown,) = (part for part in page.texts["span"] if part.endswith(".mp4"))
    assert shown.isprintable()

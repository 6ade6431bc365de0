"""Test the timeline of a recording: gaps, overlaps, thumbnails, photographs."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from avscene.reports.timeline import timeline_html
from tests.support.html_page import Page
from tests.support.report_data import build_timeline


def render(**changes) -> Page:
    return Page(timeline_html(build_timeline(**changes)))


def test_segments_and_frames_are_placed_in_time():
    page = render(starts=np.array([0.0, 1, 5, 6]), ends=np.array([1.5, 2, 6, 8]))
    (heat_map,) = page.figures[0]["data"]
    assert heat_map["x"] == [0, 1, 2, 5, 6, 8]
    assert heat_map["z"][0] == [0.7, None, None, 0.1, 0.6]
    lefts = [float(re.search(r"left:([\d.]+)%", image["style"])[1]) for image in page.attributes("img")]
    assert lefts == pytest.approx([9.375, 18.75, 68.75, 87.5], abs=0.01)
    assert "park (0.47). True scene: park" in "".join(page.texts["figcaption"])


def test_thumbnails_are_small_jpegs_of_their_segments():
    many = 40
    page = render(
        starts=np.arange(many) * 1.0,
        ends=np.arange(many) + 1.0,
        probabilities=np.full((many, 3), 1 / 3),
        frames=[np.full((480, 640, 3), (6 * index, 90, 30), np.uint8) for index in range(many)],
    )
    images = page.attributes("img")
    assert len(images) == 12
    for attributes in images:
        image = Image.open(io.BytesIO(base64.b64decode(attributes["src"].partition(",")[2])))
        assert image.format == "JPEG"
        assert max(image.size) == 240
        second = float(re.match(r"Frame between (\d+)", attributes["alt"])[1])
        assert image.getpixel((5, 5))[0] == pytest.approx(6 * second, abs=4)


def test_photograph_without_scores_and_frames():
    page = render(starts=np.zeros(1), ends=np.zeros(1), probabilities=np.full((1, 3), np.nan), frames=(), truth=None)
    assert page.figures[0]["data"][0]["x"] == [0, 1]
    assert not page.attributes("img")
    assert "No segment was scored" in "".join(page.texts["figcaption"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ends": np.ones(3)}, "4 starts, 3 ends"),
        ({"probabilities": np.ones((4, 2))}, "do not fit 3 scenes"),
        ({"starts": np.zeros(0), "ends": np.zeros(0)}, "0 starts"),
        ({"frames": [np.zeros((2, 2, 3), np.uint8)]}, "1 frames do not fit 4 segments"),
        ({"starts": np.array([0.0, 2, 1, 3])}, "follow each other"),
        ({"ends": np.array([1.0, 0.5, 3, 4])}, "follow each other"),
    ],
)
def test_malformed_timeline_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build_timeline(**changes)

"""Test the frame at the middle of a recording: each second of the test media has a color of its own."""

from pathlib import Path

import pytest

from avscene.media.workers import MiddleFrameReader
from tests.support.media_files import corner_frame, frame_second, write_media, write_photograph


@pytest.mark.parametrize(("seconds", "second"), [(1.0, 0), (5.0, 2), (7.0, 3)])
def test_the_frame_is_that_of_the_middle(tmp_path: Path, seconds: float, second: int) -> None:
    path = write_media(tmp_path / "a.mp4", seconds)
    pixels = MiddleFrameReader(24).read(str(path), seconds)
    assert pixels is not None
    assert min(pixels.shape[:2]) == 24
    assert frame_second(pixels) == second


def test_a_photograph_is_its_own_thumbnail(tmp_path: Path) -> None:
    write_photograph(tmp_path / "a.png", corner_frame())
    assert MiddleFrameReader(24).read(str(tmp_path / "a.png"), 0.0) is not None


def test_what_has_no_frame_is_none(tmp_path: Path) -> None:
    write_media(tmp_path / "a.wav", 2.0)
    (tmp_path / "text.mp4").write_text("this is no recording\n" * 100)
    reader = MiddleFrameReader(24)
    assert [reader.read(str(tmp_path / name), 2.0) for name in ("a.wav", "text.mp4", "none.mp4")] == [None] * 3
    path = write_media(tmp_path / "a.mp4", 1.0)
    reader.close()
    assert reader.read(str(path), 1.0) is None

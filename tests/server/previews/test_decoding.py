"""Test previews of media of every kind: thumbnails against the frames that ffmpeg decodes, and what has none."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avscene.media.limits import DEFAULT_LIMITS, Limits
from avscene.server.previews import Preview, Thumbnails
from avscene.server.previews.decoding import PreviewDecoding
from tests.support.ffmpeg_program import ffmpeg, ffmpeg_frames
from tests.support.media_files import corner_colours, corner_frame, frame_second, write_media, write_photograph


def preview_of(path: Path, limits: Limits = DEFAULT_LIMITS) -> tuple[Preview, list[Image.Image]]:
    """Return the preview of a file, and its tiles."""
    preview, sprite = PreviewDecoding(path, limits).run()
    assert (sprite is None) == (preview.thumbnails is None)
    if sprite is None or preview.thumbnails is None:
        return preview, []
    return preview, tiles_of(preview.thumbnails, Image.open(io.BytesIO(sprite)))


def tiles_of(thumbnails: Thumbnails, image: Image.Image) -> list[Image.Image]:
    """Cut the image of thumbnails into its tiles, as a page does."""
    width, height, columns = thumbnails.width, thumbnails.height, thumbnails.columns
    assert image.format == "JPEG"
    assert image.size == (columns * width, -(-len(thumbnails.times) // columns) * height)
    corners = [(k % columns * width, k // columns * height) for k in range(len(thumbnails.times))]
    return [image.crop((x, y, x + width, y + height)) for x, y in corners]


def second_of(tile: Image.Image) -> int:
    return frame_second(np.asarray(tile))


def test_thumbnails_are_the_frames_of_their_times(tmp_path: Path) -> None:
    path = tmp_path / "pattern.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=4", "-pix_fmt", "yuv420p", path)
    preview, tiles = preview_of(path)
    assert preview.thumbnails is not None
    assert (preview.thumbnails.width, preview.thumbnails.height) == (160, 90)
    assert preview.thumbnails.times == pytest.approx([0.25 + 0.5 * k for k in range(8)], abs=0.041)
    frames = ffmpeg_frames(path, 320, 180)
    for time, tile in zip(preview.thumbnails.times, tiles, strict=True):
        differences = []
        for number in (round(time * 25), (round(time * 25) + 12) % 100):
            frame = Image.fromarray(frames[number]).resize((160, 90), Image.Resampling.LANCZOS)
            differences.append(np.abs(np.asarray(frame, int) - np.asarray(tile, int)).mean())
        assert differences[0] < 0.5 * differences[1]  # JPEG, and other resampling


def test_thumbnails_of_a_long_video_are_keyframes_throughout(tmp_path: Path) -> None:
    preview, tiles = preview_of(write_media(tmp_path / "long.mp4", 130.0, fps=5, gop=5))
    assert preview.duration == pytest.approx(130, abs=0.1)
    assert preview.thumbnails is not None
    times = preview.thumbnails.times
    assert len(times) == 60
    assert list(times) == pytest.approx([float(round(time)) for time in times], abs=0.01)  # each second has a keyframe
    assert list(times) == pytest.approx([(k + 0.5) * 130 / 60 for k in range(60)], abs=1.0)
    assert [second_of(tile) for tile in tiles] == [round(time) % 8 for time in times]
    assert preview.peaks is not None
    assert preview.peaks[100] == pytest.approx((-0.5, 0.5), abs=0.03)


def test_rare_keyframes_are_shown_once_each(tmp_path: Path) -> None:
    preview, _ = preview_of(write_media(tmp_path / "rare.mp4", 40.0, fps=5, gop=100, audio=False))
    assert preview.peaks is None
    assert preview.thumbnails is not None
    assert preview.thumbnails.times == pytest.approx([0.0, 20.0], abs=0.01)


def test_audio_alone_has_peaks_alone(tmp_path: Path) -> None:
    preview, _ = preview_of(write_media(tmp_path / "a.wav", 2.0))
    assert (preview.duration, preview.thumbnails, preview.error) == (2.0, None, None)
    assert preview.peaks is not None
    assert len(preview.peaks) == 2000


def test_audio_that_begins_late_is_silent_before(tmp_path: Path) -> None:
    preview, _ = preview_of(write_media(tmp_path / "late.mp4", 3.0, audio_start=1.5))
    assert preview.peaks is not None
    assert set(preview.peaks[:1400]) == {(0.0, 0.0)}
    assert all(high > 0.3 for _, high in preview.peaks[1700:2900])


@pytest.mark.parametrize("name", ["photo.png", "photo.jpg"])
def test_a_photograph_has_one_thumbnail(tmp_path: Path, name: str) -> None:
    preview, tiles = preview_of(write_photograph(tmp_path / name, corner_frame((400, 300))))
    assert preview == Preview(0.0, None, Thumbnails(120, 90, 1, (0.0,)))
    assert corner_colours(np.asarray(tiles[0])) == "rgwb"


@pytest.mark.parametrize(("size", "tile"), [((90, 160), (51, 90)), ((16, 16), (90, 90)), ((960, 96), (240, 24))])
def test_tiles_keep_their_shape(tmp_path: Path, size: tuple[int, int], tile: tuple[int, int]) -> None:
    preview, _ = preview_of(write_photograph(tmp_path / "photo.png", corner_frame(size)))
    assert preview.thumbnails is not None
    assert (preview.thumbnails.width, preview.thumbnails.height) == tile


def test_what_is_no_media_has_an_empty_preview_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("this is no recording\n" * 100)
    preview, tiles = preview_of(path)
    assert (preview.duration, preview.peaks, preview.thumbnails, tiles) == (0.0, None, None, [])
    assert preview.error is not None
    assert str(tmp_path) not in preview.error


def test_limits_are_those_of_the_job(tmp_path: Path) -> None:
    path = write_media(tmp_path / "long.wav", 20.0)
    preview, _ = preview_of(path, Limits(hours=10 / 3600))
    assert preview.peaks is None
    assert "is longer than" in str(preview.error)


def test_video_whose_audio_cannot_be_decoded_has_thumbnails(tmp_path: Path) -> None:
    path = tmp_path / "damaged.mkv"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=5:duration=40", "-f", "lavfi", "-i", "sine=duration=40"),
        *("-c:a", "ac3", "-g", "5", "-bsf:a", "noise=amount=1", path),
    )
    preview, tiles = preview_of(path)
    assert preview.duration == pytest.approx(40, abs=0.3)
    assert len(tiles) >= 40

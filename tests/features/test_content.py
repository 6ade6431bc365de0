"""Test what counts as silence and as a frame of a single colour."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avscene.features.content import DEFAULT_CONTENT, ContentSpec, audio_level, frame_spread, has_content, with_content
from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
from avscene.records import Frame, Segment
from tests.support.ffmpeg_program import ffmpeg, ffmpeg_frames
from tests.support.processes import ROOT

SHARED = ROOT.parent / "shared"
NOISE = np.random.default_rng(0).normal(0, 1, 48000).astype(np.float32)
NOISE /= NOISE.std()


def with_audio(waveform: np.ndarray) -> bool:
    return with_content(Segment(0, 1, (), waveform), DEFAULT_CONTENT).has("audio")


@pytest.mark.parametrize(("level", "kept"), [(-69.9, True), (-70.1, False), (-20, True), (-90, False)])
def test_audio_below_70_dbfs_is_silent(level: float, kept: bool) -> None:
    waveform = NOISE * np.float32(10 ** (level / 20))
    assert audio_level(waveform) == pytest.approx(level, abs=1e-3)
    assert with_audio(waveform) is kept


@given(gain=st.floats(-60, 0), offset=st.floats(-0.5, 0.5))
def test_a_gain_adds_to_the_level_and_an_offset_does_not(gain: float, offset: float) -> None:
    changed = NOISE * np.float32(0.1 * 10 ** (gain / 20)) + np.float32(offset)
    assert audio_level(changed) == pytest.approx(gain - 20, abs=0.01)


@pytest.mark.parametrize("offset", [0.0, -1 / 128, 0.3])
def test_a_constant_is_silent(offset: float) -> None:
    assert audio_level(np.full(16000, offset, np.float32)) == float("-inf")
    assert not with_audio(np.full(16000, offset, np.float32))


def test_rounding_to_16_bits_with_dither_is_silent() -> None:
    random = np.random.default_rng(1)
    dither = np.rint(random.uniform(-0.5, 0.5, (2, 48000)).sum(axis=0)) / 32768
    assert not with_audio(dither.astype(np.float32))


@given(
    colour=st.tuples(*[st.integers(0, 255)] * 3),
    deviation=st.floats(0, 6),
    size=st.sampled_from([(288, 512), (256, 256), (180, 101)]),
)
def test_a_single_colour_with_noise_has_no_content(
    colour: tuple[int, int, int], deviation: float, size: tuple[int, int]
) -> None:
    noise = np.random.default_rng(2).normal(0, deviation, (*size, 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    assert not has_content(pixels, DEFAULT_CONTENT)


@pytest.mark.parametrize("codec", [("libx264", "-crf", "35"), ("mpeg4", "-q:v", "8"), ("mjpeg", "-q:v", "20")])
@pytest.mark.parametrize("colour", ["black", "gray", "0x2040c0"])
def test_an_encoded_black_frame_has_no_content(tmp_path: Path, codec: tuple[str, ...], colour: str) -> None:
    """A camera with a lens cap: noise of its sensor, and of the codec."""
    source = ("-f", "lavfi", "-i", f"color={colour}:s=1280x720:r=5:d=1,noise=all_strength=8:all_flags=t,format=yuv420p")
    ffmpeg(*source, "-c:v", *codec, tmp_path / "a.mkv")
    frames = ffmpeg_frames(tmp_path / "a.mkv", 512, 288, "-s", "512x288")
    assert len(frames) == 5
    assert not any(has_content(frame, DEFAULT_CONTENT) for frame in frames)


def test_a_few_lights_at_night_are_content() -> None:
    pixels = np.random.default_rng(3).normal(4, 2, (288, 512, 3)).clip(0, 255).astype(np.uint8)
    assert not has_content(pixels, DEFAULT_CONTENT)
    for row, column in ((60, 90), (100, 300), (90, 420), (200, 250)):
        pixels[row : row + 6, column : column + 6] = 220
    assert has_content(pixels, DEFAULT_CONTENT)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (7, 9), (16, 16), (300, 2)])
def test_frames_of_any_size_are_measured(size: tuple[int, int]) -> None:
    assert frame_spread(np.full((*size, 3), 77, np.uint8)) == 0
    if min(size) > 1:
        halves = np.zeros((*size, 3), np.uint8)
        halves[:, size[1] // 2 :] = 255
        assert frame_spread(halves) > 30


def test_frames_of_a_segment_are_judged_one_by_one() -> None:
    black = Frame(0.0, np.zeros((32, 32, 3), np.uint8))
    other = Frame(0.5, np.random.default_rng(4).integers(0, 256, (32, 32, 3), np.uint8))
    segment = Segment(0, 1, (black, other, black), NOISE * np.float32(0.1))
    assert with_content(segment, DEFAULT_CONTENT).frames == (other,)
    assert with_content(segment, DEFAULT_CONTENT).waveform is segment.waveform
    every = ContentSpec(min_level=-1000, min_spread=0)
    assert with_content(segment, every) is segment


def everyday_frames() -> Iterator[Frame]:
    for path in sorted(SHARED.glob("everyday/*/*-5-*A.mp4")):
        with Recording(path) as recording:
            for segment in recording.segments(Sampling(frame_size=288)):
                yield from segment.frames


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "everyday").is_dir(), reason="no ../shared with real media beside the repository")
def test_real_frames_have_content() -> None:
    assert min(frame_spread(frame.pixels) for frame in everyday_frames()) > 5 * DEFAULT_CONTENT.min_spread

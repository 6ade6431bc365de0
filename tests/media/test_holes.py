"""Test holes in the middle of audio and video: their segments lack the modality, and pauses that are meant stay."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from avscene.media.assembly import Assembler
from avscene.media.decoded import DecodedAudio, DecodedFrame, SkippedSpan, StreamEnd
from avscene.media.packets.clock import FileClock
from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
from avscene.records import Segment
from tests.support.ffmpeg_program import ffmpeg

SOURCE = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=12", "-f", "lavfi", "-i", "anoisesrc=d=12:a=0.2:r=16000")
CODECS = ("-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-c:a", "aac", "-ar", "16000")
PADDED = "was padded"  # in the warning of a short last segment
BEGIN, END = 3.1, 7.6  # seconds of the hole


def read(path: Path, sampling: Sampling) -> tuple[list[Segment], tuple[str, ...]]:
    with Recording(path) as recording:
        return list(recording.segments(sampling)), recording.warnings


def lacking(segments: Sequence[Segment], modality: str) -> list[float]:
    return [s.start for s in segments if (s.waveform is None if modality == "audio" else not s.frames)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "mov"])
def test_packets_that_are_missing_leave_no_frozen_frame_and_no_silence(tmp_path: Path, suffix: str) -> None:
    whole, path = tmp_path / f"whole.{suffix}", tmp_path / f"a.{suffix}"
    ffmpeg(*SOURCE, *CODECS, whole)
    lost = f"noise=amount=0:drop='gte(pts*tb,{BEGIN})*lt(pts*tb,{END})'"
    ffmpeg("-i", whole, "-c", "copy", "-bsf:v", lost, "-bsf:a", lost, path)
    segments, warnings = read(path, Sampling(sample_rate=16000, frame_size=48))
    assert len(segments) == 12
    # Video: what is left of the group of pictures from 6 s on may have no reference until 8 s.
    assert lacking(segments, "video") in ([3, 4, 5, 6], [3, 4, 5, 6, 7])
    assert lacking(segments, "audio") == [3, 4, 5, 6, 7]
    assert any(w.startswith("the audio is missing from 3.") for w in warnings)
    assert any(w.startswith("the video is missing from 3.") for w in warnings)
    assert read(whole, Sampling(sample_rate=16000, frame_size=48))[1] == ()
    every, _ = read(path, Sampling(frame_size=48, frames_per_segment=3))
    assert {len(s.frames) for s in every} == {0, 3}
    assert lacking(every, "video") == lacking(segments, "video")


@pytest.mark.parametrize("codec", ["mpeg2video", "mpeg4"])
@pytest.mark.parametrize(("key", "begin", "end"), [("pts", 5.4, 10.4), ("pts", 2.01, 5.01), ("dts", 2.21, 7.21)])
def test_b_frames_around_a_hole_keep_their_times(
    tmp_path: Path, codec: str, key: str, begin: float, end: float
) -> None:
    """Matroska states when frames are shown; libavformat makes up when they are decoded, wrongly around a hole."""
    whole, path = tmp_path / "whole.mkv", tmp_path / "a.mkv"
    ffmpeg(*SOURCE[:4], "-c:v", codec, "-bf", "2", "-g", "15", whole)
    ffmpeg("-i", whole, "-c", "copy", "-bsf:v", f"noise=amount=0:drop='gte({key}*tb,{begin})*lt({key}*tb,{end})'", path)
    with av.open(path) as container:
        stated = [packet.pts for packet in container.demux(video=0) if packet.size]
    with av.open(path) as container:
        clock = FileClock(container.streams.get(video=0), may_restart=False)
        corrected = clock.correct(packet for packet in container.demux(video=0) if packet.size)
        assert [packet.pts for packet in corrected] == stated
    assert (clock.n_jumps, clock.n_wrong) == (0, 0)
    _, warnings = read(path, Sampling(frame_size=48))
    assert [warning for warning in warnings if "timestamp" in warning] == []


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("hop", [1.0, 0.5, 2.5])
def test_a_recording_that_was_paused_has_no_frames_in_the_pause(tmp_path: Path, suffix: str, hop: float) -> None:
    path = tmp_path / f"a.{suffix}"
    select = ("-vf", f"select='lt(t,{BEGIN})+gte(t,{END})'", "-fps_mode", "vfr")
    ffmpeg(*SOURCE, *CODECS, *select, path)
    segments, warnings = read(path, Sampling(hop, frame_size=48))
    for s in segments:
        assert bool(s.frames) is not (BEGIN <= s.start + hop / 2 < END)
        assert all(s.start - 0.1 <= f.time <= s.end for f in s.frames)
    (warning,) = (warning for warning in warnings if "missing" in warning)
    assert warning in {f"the video is missing from 3.{tenth} to 7.{end} s" for tenth in "12" for end in "67"}


def test_many_holes_are_counted_in_the_warning() -> None:
    frames = [DecodedFrame(t, t + 0.1, 0) for k in range(6) for t in np.arange(10) / 10 + 4 * k]
    sampling = Sampling(1, None, 8)
    assembler = Assembler(sampling, ["video"], lambda _: np.zeros((2, 2, 3), np.uint8))
    for item in (*frames, StreamEnd("video")):
        assembler.add(item)
    segments = list(assembler.finish())
    assert [bool(s.frames) for s in segments] == [k % 4 == 0 for k in range(21)]
    spans = "from 1.0 to 4.0 s, from 5.0 to 8.0 s, from 9.0 to 12.0 s"
    assert assembler.warnings == [f"the video is missing {spans}, in 2 more places"]


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "gif", "apng", "webp"])
def test_slides_are_held(tmp_path: Path, suffix: str) -> None:
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=0.2:d=60", "-pix_fmt", "rgb24" if suffix == "apng" else "yuv420p",
           *(("-c:v", "libx264") if suffix in ("mkv", "mp4") else ()), tmp_path / f"a.{suffix}")  # fmt: skip
    segments, warnings = read(tmp_path / f"a.{suffix}", Sampling(frame_size=48))
    assert len(segments) >= 55
    assert lacking(segments, "video") == []
    assert warnings == ()


def test_a_gif_of_quick_frames_and_one_that_is_held_is_shown(tmp_path: Path) -> None:
    from PIL import Image

    images = [Image.fromarray(np.full((48, 64, 3), 12 * k, np.uint8)) for k in range(20)]
    path = tmp_path / "a.gif"
    images[0].save(path, save_all=True, append_images=images[1:], duration=[100] * 12 + [9000] + [100] * 7)
    segments, warnings = read(path, Sampling(frame_size=48))
    assert len(segments) == 11
    assert lacking(segments, "video") == []
    assert [warning for warning in warnings if PADDED not in warning] == []


def test_keyframes_mode_shows_the_nearest_keyframe_in_a_hole(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    select = ("-vf", f"select='lt(t,{BEGIN})+gte(t,{END})'", "-fps_mode", "vfr")
    ffmpeg(*SOURCE, *CODECS, *select, path)
    segments, _ = read(path, Sampling(frame_size=48, keyframes_only=True))
    assert lacking(segments, "video") == []


def assembled(items: Sequence[DecodedFrame | DecodedAudio | SkippedSpan], sampling: Sampling) -> list[Segment]:
    assembler = Assembler(sampling, sampling.modalities, lambda image: np.full((2, 2, 3), image % 256, np.uint8))
    segments = []
    for item in items:
        assembler.add(item)
        segments += assembler.ready()
    return [*segments, *assembler.finish()]


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.floats(0.02, 1.9), min_size=5, max_size=60), per_segment=st.sampled_from([1, 3]))
def test_a_variable_frame_rate_leaves_no_segment_without_frames(steps: list[float], per_segment: int) -> None:
    times = np.cumsum([0.0, *steps])
    frames = [DecodedFrame(a, b, k) for k, (a, b) in enumerate(pairwise(times))]
    assert all(len(s.frames) == per_segment for s in assembled(frames, Sampling(1, None, 8, per_segment)))


@settings(max_examples=100, deadline=None)
@given(
    fps=st.sampled_from([5, 12, 25, 30]),
    begin=st.integers(20, 200),
    missing=st.floats(2.1, 20),
    hop=st.floats(0.2, 3),
    per_segment=st.sampled_from([1, 3]),
    decoded=st.sampled_from([1, 3]),
)
def test_frames_come_from_their_own_segment_around_a_hole(
    fps: int, begin: int, missing: float, hop: float, per_segment: int, decoded: int
) -> None:
    """Of `decoded` frames, one is decoded; the others are skipped, and announced before it."""
    n_missing = round(missing * fps)
    assume(n_missing / fps > max(2, 20 / fps))
    numbers = [*range(begin), *range(begin + n_missing, begin + n_missing + 100)]
    items: list[DecodedFrame | SkippedSpan] = []
    for first in range(0, len(numbers), decoded):
        shown, *skipped = numbers[first : first + decoded]
        items += [SkippedSpan(k / fps, (k + 1) / fps, "video") for k in skipped]
        items.append(DecodedFrame(shown / fps, (shown + 1) / fps, shown))
    assume(begin % decoded == 0)  # the frame after a hole is decoded
    begins, ends = begin / fps, (begin + n_missing) / fps
    for s in assembled(items, Sampling(hop, None, 8, per_segment)):
        assert len(s.frames) in (0, per_segment)
        middle = s.start + hop / 2
        if min(abs(middle - begins), abs(middle - ends)) > 1e-4:
            assert bool(s.frames) is not (begins < middle < ends)
        for frame in s.frames:
            assert not frame.time + 3 / fps + 1e-4 < s.start


@settings(max_examples=60, deadline=None)
@given(
    spans=st.lists(st.floats(0.1, 3), min_size=1, max_size=8),
    hop=st.floats(0.2, 3),
    rate=st.sampled_from([4000, 8000, 11025]),
)
def test_segments_have_audio_if_it_covers_half_of_them(spans: list[float], hop: float, rate: int) -> None:
    edges = np.round(np.cumsum([0.0, *spans]) * 8000) / 8000
    parts = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    items = [DecodedAudio(a, b, 8000, np.full(round((b - a) * 8000), 0.1, np.float32)) for a, b in parts]
    for s in assembled(items, Sampling(hop, rate)):
        covered = sum(max(min(b, s.end) - max(a, s.start), 0) for a, b in parts)
        if abs(covered - (s.end - s.start) / 2) > 0.003 * len(parts) and all(b - a > 0.06 for a, b in parts):
            assert (s.waveform is not None) == (covered > (s.end - s.start) / 2)

"""Files in which streams begin late, timestamps are unusual, or frames are shown for long."""

from pathlib import Path

from tests.media_conformance.case import (
    FPS,
    GOP,
    Case,
    Expected,
    Played,
    Recipe,
    frame_times,
    nearest_to_middles,
    shown_at_middles,
)
from tests.media_conformance.recipes.ordinary import plain, seconds_of_frames, seconds_of_keys
from tests.media_conformance.recipes.transport_stream import start_at
from tests.media_conformance.source import AAC, H264, Arguments, clip, copy, encode, frames, sound

MP2 = ("-c:a", "mp2")
PTS_WRAP = 2**33 / 90000  # seconds after which the clock of MPEG-TS begins again
# H.264 whose timestamps need no negative ones and no edit list: no B-frames.
H264_IN_ORDER = (*H264, "-bf", 0)


def _late_audio(name: str, delay: float) -> Recipe:
    """Audio begins `delay` seconds after the video, with the tone of the second in which it is."""

    def recipe(where: Path) -> Path:
        inputs = (*frames(), "-itsoffset", delay, *sound(delay))
        return encode(where / name, inputs, *H264, *AAC, "-t", 8)

    return recipe


def _late_video(name: str, delay: float) -> Recipe:
    def recipe(where: Path) -> Path:
        inputs = ("-itsoffset", delay, *frames(round(delay * FPS)), *sound())
        return encode(where / name, inputs, *H264, *AAC, "-t", 8)

    return recipe


def _copied(name: str, *options: str | float, video: Arguments = H264, before: Arguments = ()) -> Recipe:
    """Copy a clip, which was encoded to an mp4, with options."""

    def recipe(where: Path) -> Path:
        return copy(clip("whole.mp4", video=video)(where), where / name, *options, before=before)

    return recipe


def _late_video_case(name: str, file: str, delay: float) -> Case:
    """Video that begins late: segments that end before it have no frames."""
    first = int(delay)
    times = frame_times(8 - delay, round(delay * FPS), delay)
    shown = (None,) * first + shown_at_middles(times, 8)[first:]
    keys = nearest_to_middles(frame_times(8 - delay, round(delay * FPS), delay, gop=GOP), 8)
    return Case(name, _late_video(file, delay), Expected(8, shown, (None,) * first + keys[first:], tuple(range(8))))


def _late_audio_case(name: str, file: str, delay: float, fast: bool = False) -> Case:
    """Audio that begins late, in the second half of a segment: there is none in that segment and before."""
    first = int(delay) + 1
    tones: tuple[Played, ...] = (None,) * first + tuple(range(first, 8))
    expected = Expected(8, seconds_of_frames(8), seconds_of_keys(8), tones)
    return Case(name, _late_audio(file, delay), expected, fast)


def _sparse(name: str) -> Recipe:
    """One frame each 5 s for 20 s, all of them key frames."""

    def recipe(where: Path) -> Path:
        return encode(where / name, (*frames(fps="0.2", seconds=20), *sound(0, 20)), *H264, "-g", 1, *AAC)

    return recipe


def _variable_rate(where: Path) -> Path:
    """Keep 2 s of frames at full rate, then one of 5, then again all."""
    select = "select='lt(t,2)+gte(t,6)+not(mod(n,5))'"
    return encode(where / "a.mp4", (*frames(), *sound()), "-vf", select, "-fps_mode", "vfr", *H264, "-g", 1, *AAC)


def _wrapping(where: Path) -> Path:
    clip("whole.ts", "-output_ts_offset", PTS_WRAP - 4, "-muxdelay", 0, audio=MP2)(where)
    return where / "whole.ts"


def _resolution_change(where: Path) -> Path:
    """Join H.264 of 128 x 96 with H.264 of 64 x 48 that goes on at 4 s."""
    encode(where / "1.ts", (*frames(0, 4), *sound(0, 4)), *H264_IN_ORDER, *MP2)
    later = ("-output_ts_offset", 4)
    encode(where / "2.ts", (*frames(4 * FPS, 4), *sound(4, 4)), "-vf", "scale=64:48", *H264_IN_ORDER, *MP2, *later)
    path = where / "a.ts"
    path.write_bytes((where / "1.ts").read_bytes() + (where / "2.ts").read_bytes())
    return path


def _mid_gop(where: Path) -> Path:
    """Begin a transport stream at frame 5, 3 s before its next key frame."""
    path = clip("a.ts", video=(*H264_IN_ORDER, "-g", 20, "-keyint_min", 20), audio=MP2, seconds=12)(where)
    start_at(path, FPS)
    return path


SPARSE = tuple(k // 5 for k in range(20))
SPARSE_KEYS = nearest_to_middles([(0.0, 0), (5.0, 1), (10.0, 2), (15.0, 3)], 20)
VARIABLE = [(k / FPS, k) for k in range(40) if k < 10 or k >= 30 or k % 5 == 0]
# A copy from 3 s on begins at the key frame of 2.4 s; the edit list hides what lies before 3 s.
CUT_TIMES = [(k / FPS - 3, k) for k in range(15, 40)]

CASES = (
    _late_audio_case("audio_late_by_0.8_s_mp4", "a.mp4", 0.8, fast=True),
    _late_audio_case("audio_late_by_1.8_s_mp4", "a.mp4", 1.8),
    _late_audio_case("audio_late_by_0.8_s_mkv", "a.mkv", 0.8),
    _late_audio_case("audio_late_by_1.8_s_ts", "a.ts", 1.8),
    _late_video_case("video_late_by_1.8_s_mp4", "a.mp4", 1.8),
    _late_video_case("video_late_by_3_s_mkv", "a.mkv", 3.0),
    Case(
        "seeking_copy_with_edit_list",
        _copied("a.mp4", before=("-ss", 3)),
        Expected(5, shown_at_middles(CUT_TIMES, 5), nearest_to_middles(CUT_TIMES[1::GOP], 5), (3, 4, 5, 6, 7)),
    ),
    plain("timestamps_from_3_hours_mkv", _copied("a.mkv", "-output_ts_offset", 3 * 3600)),
    plain("timestamps_from_20_hours_ts", _copied("a.ts", "-output_ts_offset", 20 * 3600), fast=True),
    plain("negative_timestamps_ts", _copied("a.ts", "-output_ts_offset", -5, "-avoid_negative_ts", "disabled")),
    Case(
        "edit_list_hides_5_s_mov",
        _copied("a.mov", "-output_ts_offset", -5, "-avoid_negative_ts", "disabled"),
        Expected(3, (27, 32, 37), (28, 32, 36), (5, 6, 7)),
    ),
    plain("wrapping_timestamps_ts", _wrapping, fast=True),
    Case(
        "one_frame_per_5_s_mp4",
        _sparse("a.mp4"),
        Expected(20, SPARSE, SPARSE_KEYS, tuple(range(20))),
        fast=True,
    ),
    Case("one_frame_per_5_s_mkv", _sparse("a.mkv"), Expected(20, SPARSE, SPARSE_KEYS, tuple(range(20)))),
    Case("one_frame_per_5_s_ts", _sparse("a.ts"), Expected(20, SPARSE, SPARSE_KEYS, tuple(range(20)))),
    Case(
        "variable_frame_rate",
        _variable_rate,
        Expected(8, shown_at_middles(VARIABLE, 8), nearest_to_middles(VARIABLE, 8), tuple(range(8))),
    ),
    Case(
        "resolution_change_ts",
        _resolution_change,
        Expected(8, seconds_of_frames(8), seconds_of_keys(8), tuple(range(8)), shape=None),
    ),
    Case(
        "mid_gop_start_ts",
        _mid_gop,
        Expected(
            11,
            (None,) * 3 + tuple(22 + 5 * k for k in range(8)),
            nearest_to_middles([(3, 20), (7, 40)], 11),  # video without a key frame has the nearest one too
            tuple(range(1, 12)),
            tolerance=0.3,
            purity=0.7,
        ),
        fast=True,
    ),
)

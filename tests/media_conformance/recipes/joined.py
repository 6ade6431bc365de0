"""Transport streams that were joined, restarted or damaged, and streams of several programmes."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.media_conformance.case import FPS, GOP, Case, Expected, Played, Recipe, Shown, nearest_to_middles
from tests.media_conformance.recipes.ordinary import seconds_of_frames, seconds_of_keys
from tests.media_conformance.recipes.transport_stream import AUDIO_PID, shift
from tests.media_conformance.source import H264, MPEG2, Arguments, clip, encode, frames, sound

MP2 = ("-c:a", "mp2")
IN_ORDER = (*H264, "-bf", 0)
JUMP = ("timestamps jump",)
PROGRAMMES = ("has programmes 1 (a), 2 (b); read 1; another: --program 2",)
WRONG = ("wrong timestamp",)
SECONDS = tuple(range(8))


def _join(where: Path, parts: Sequence[Path], name: str = "joined.ts") -> Path:
    path = where / name
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def _part(
    where: Path, begin: int, video_s: float, audio_s: float, *options: str | float, video: Arguments = H264
) -> Path:
    """Encode a clip of the frames and tones from second `begin` on."""
    inputs = (*frames(begin * FPS, video_s), *sound(begin, audio_s))
    return encode(where / f"{begin}.ts", inputs, *video, *MP2, *options)


def _six_clips(video: Arguments) -> Recipe:
    """Join six clips with 5 s of video and 4 s of audio, each with a clock that begins again."""

    def recipe(where: Path) -> Path:
        return _join(where, [_part(where, 5 * k, 5, 4, video=video) for k in range(6)])

    return recipe


def _halves(*second: str | float, video: Arguments = H264, first: Arguments = ()) -> Recipe:
    """Join the halves of a clip of 8 s, the second one encoded with options, such as another clock."""

    def recipe(where: Path) -> Path:
        return _join(where, [_part(where, 0, 4, 4, *first, video=video), _part(where, 4, 4, 4, *second, video=video)])

    return recipe


def _shifted(seconds: float, packets: slice, *, audio: bool = False, video: Arguments = H264) -> Recipe:
    """Add `seconds` to the timestamps of some packets of one stream."""

    def recipe(where: Path) -> Path:
        path = clip("a.ts", video=video, audio=MP2)(where)
        shift(path, seconds, packets, AUDIO_PID if audio else 0x100)
        return path

    return recipe


def _changed(first: Recipe, change: Callable[[bytearray], None]) -> Recipe:
    def recipe(where: Path) -> Path:
        path = first(where)
        content = bytearray(path.read_bytes())
        change(content)
        path.write_bytes(content)
        return path

    return recipe


def _zero_in_the_middle(content: bytearray) -> None:
    middle = len(content) // 2
    content[middle : middle + 4000] = bytes(4000)


def _video_hole(name: str) -> Recipe:
    """Leave out the frames from 2 s to 15 s, while the audio goes on."""

    def recipe(where: Path) -> Path:
        select = ("-vf", "select='lt(t,1.99)+gte(t,14.99)'", "-fps_mode", "vfr")
        return encode(where / name, (*frames(seconds=20), *sound(0, 20)), *select, *H264, "-g", 1, *MP2)

    return recipe


def _audio_gap(name: str) -> Recipe:
    """Leave out the audio from 2 s to 15 s."""

    def recipe(where: Path) -> Path:
        select = ("-af", "aselect='lt(t,2)+gte(t,15)'")
        return encode(where / name, (*frames(seconds=20), *sound(0, 20)), *select, *H264, *MP2)

    return recipe


def _programmes(where: Path) -> Path:
    """Write two programmes: the larger video belongs to the first one, the audio with more bits to the second."""
    inputs = (*frames(0), *sound(0), *frames(100), *sound(20))
    maps = [argument for index in range(4) for argument in ("-map", f"{index}:0")]
    programmes = ("-program", "title=a:st=0:st=1", "-program", "title=b:st=2:st=3")
    return encode(
        where / "a.ts", inputs, *maps, "-filter:v:1", "scale=64:48", "-b:a:1", "384k", *H264, *MP2, *programmes
    )


def _joined(name: str, recipe: Recipe, warnings: tuple[str, ...] | None = JUMP, *, fast: bool = False) -> Case:
    """Return a case that is read like the whole clip of 8 s."""
    return Case(name, recipe, Expected(8, seconds_of_frames(8), seconds_of_keys(8), SECONDS, warnings=warnings), fast)


def _six(name: str, video: Arguments, keys_s: float = GOP / FPS, *, fast: bool = False) -> Case:
    """Return the case of six clips; each of them has a key frame every `keys_s` seconds."""
    tones: tuple[Played, ...] = tuple(k if k % 5 < 4 else None for k in range(30))
    times = [5 * part + key * keys_s for part in range(6) for key in range(round(5 / keys_s + 0.49))]
    keys = nearest_to_middles([(time, int(time * FPS + 1e-6)) for time in times], 30)
    warnings = (*JUMP, "the audio is missing from 4.")
    expected = Expected(30, seconds_of_frames(30), keys, tones, warnings=warnings, tolerance=0.3)
    return Case(name, _six_clips(video), expected, fast)


SHOWN_TIMES = [(k / FPS, k) for k in range(100) if k < 10 or k >= 75]
HOLE: tuple[Shown, ...] = tuple(5 * k + 2 if k < 2 or k >= 15 else None for k in range(20))
GAP: tuple[Played, ...] = tuple(k if k < 2 or k >= 15 else None for k in range(20))
AUDIO_HOLE = ("the audio is missing from 2.",)

CASES = (
    _six("six_clips_joined", H264, fast=True),
    _six("six_clips_joined_in_order", IN_ORDER),
    _six("six_clips_joined_mpeg2", (*MPEG2, "-r", 25), GOP / 25),
    _joined("restart_at_0", _halves()),
    _joined("restart_at_0_in_order", _halves(video=IN_ORDER)),
    _joined("restart_from_20_h_at_0", _halves(first=("-output_ts_offset", 72000))),
    _joined("backwards_by_2_s", _halves("-output_ts_offset", 2, video=IN_ORDER)),
    _joined("jump_by_12_s", _halves("-output_ts_offset", 16, video=IN_ORDER)),
    _joined("jump_by_40_s", _halves("-output_ts_offset", 44), fast=True),
    _joined("jump_by_500_s", _halves("-output_ts_offset", 504)),
    _joined("jump_by_5000_s", _halves("-output_ts_offset", 5004)),
    _joined("video_packet_wrong_by_2_s", _shifted(2, slice(20, 21), video=IN_ORDER), WRONG, fast=True),
    _joined("video_packet_wrong_by_100_s", _shifted(100, slice(20, 21), video=IN_ORDER), WRONG),
    _joined("video_packet_wrong_by_-3_s", _shifted(-3, slice(23, 24), video=IN_ORDER), WRONG),
    _joined("video_packet_wrong_b_frames_2_s", _shifted(2, slice(20, 21)), WRONG),
    _joined("video_packet_wrong_b_frames_100_s", _shifted(100, slice(21, 22)), WRONG),
    _joined("audio_packet_wrong_by_2_s", _shifted(2, slice(100, 101), audio=True), WRONG),
    _joined("audio_packet_wrong_by_100_s", _shifted(100, slice(100, 101), audio=True), WRONG),
    _joined("last_video_packet_wrong_by_100_s", _shifted(100, slice(39, 40), video=IN_ORDER), WRONG),
    Case(
        "zeroed_bytes_b_frames",
        _changed(clip("a.ts", video=(*H264, "-qp", 4), audio=MP2), _zero_in_the_middle),
        Expected(
            8,
            (2, 7, 12, ..., ..., 27, 32, 37),
            (4, 8, 12, ..., ..., 28, 32, 36),
            SECONDS,
            warnings=("damaged packets",),
            warnings_of_audio=True,
        ),
    ),
    Case(
        "video_hole_of_13_s_ts",
        _video_hole("a.ts"),
        Expected(20, HOLE, nearest_to_middles(SHOWN_TIMES, 20), tuple(range(20)), warnings=None),
    ),
    Case(
        "video_hole_of_13_s_mkv",
        _video_hole("a.mkv"),
        Expected(20, HOLE, nearest_to_middles(SHOWN_TIMES, 20), tuple(range(20)), warnings=None),
    ),
    Case(
        "audio_gap_of_13_s_ts",
        _audio_gap("a.ts"),
        Expected(20, seconds_of_frames(20), seconds_of_keys(20), GAP, warnings=AUDIO_HOLE),
    ),
    Case(
        "audio_gap_of_13_s_mkv",
        _audio_gap("a.mkv"),
        Expected(20, seconds_of_frames(20), seconds_of_keys(20), GAP, warnings=AUDIO_HOLE),
    ),
    _joined("changing_pids", _halves("-output_ts_offset", 4, "-mpegts_start_pid", 0x200, video=IN_ORDER), None),
    _joined("changing_pids_and_clock", _halves("-mpegts_start_pid", 0x200), None, fast=True),
    Case(
        "two_programmes",
        _programmes,
        Expected(8, seconds_of_frames(8), seconds_of_keys(8), SECONDS, warnings=PROGRAMMES),
        fast=True,
    ),
)

"""Files without any peculiarity: every common container and codec."""

from tests.media_conformance.case import (
    FPS,
    GOP,
    Case,
    Expected,
    Played,
    Recipe,
    Shown,
    frame_times,
    nearest_to_middles,
    shown_at_middles,
)
from tests.media_conformance.source import AAC, H264, KEYS, MPEG2, PCM, Arguments, clip

OPUS = ("-c:a", "libopus", "-b:a", "64k")
VP9 = ("-c:v", "libvpx-vp9", "-b:v", "200k", "-deadline", "realtime", "-cpu-used", 8, *KEYS[:4])
AV1 = ("-c:v", "libsvtav1", "-preset", 10, "-crf", 30, *KEYS[:2])
INTERLACED = ("-vf", "setfield=tff", "-flags", "+ildct+ilme")
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-x265-params")
X265_KEYS = f"keyint={GOP}:min-keyint={GOP}:scenecut=0:log-level=none"
FRAGMENTS = ("-movflags", "dash+delay_moov", "-frag_duration", 1_000_000)

# As the ffmpeg program shows them: the encoder puts key frames where two B-frames end.
MPEG4_KEYS = [(number / FPS, number) for number in (0, *range(6, 40, 3))]


def seconds_of_frames(seconds: int, fps: float = FPS) -> tuple[Shown, ...]:
    """Return the frames at the middles of the segments of a video that begins with frame 0 at time 0."""
    return shown_at_middles(frame_times(seconds, fps=fps), seconds)


def seconds_of_keys(seconds: int, gop: int = GOP, fps: float = FPS) -> tuple[Shown, ...]:
    """Return the key frames nearest to the middles, if every `gop`-th frame is one."""
    return nearest_to_middles(frame_times(seconds, fps=fps, gop=gop), seconds)


def plain(
    name: str, recipe: Recipe, *, seconds: int = 8, gop: int | None = GOP, audio: bool = True, fast: bool = False
) -> Case:
    """Return a case in which each second shows its frames and plays its tone."""
    keys = None if gop is None else seconds_of_keys(seconds, gop)
    tones: tuple[Played, ...] = tuple(range(seconds)) if audio else ()
    return Case(name, recipe, Expected(seconds, seconds_of_frames(seconds), keys, tones), fast)


def _clip(name: str, video: Arguments = H264, audio: Arguments | None = AAC, *options: str | float) -> Recipe:
    return clip(name, *options, video=video, audio=audio)


CASES = (
    plain("mp4", _clip("a.mp4"), fast=True),
    plain("mkv", _clip("a.mkv")),
    plain("mov", _clip("a.mov", H264, PCM)),
    plain("mpegts", _clip("a.ts"), fast=True),
    plain("m2ts", _clip("a.m2ts")),
    plain("flv", _clip("a.flv")),
    plain("avi_mpeg4", _clip("a.avi", ("-c:v", "mpeg4", "-q:v", 3, "-g", GOP), PCM)),
    Case(
        "mkv_mpeg4_b_frames",
        _clip("a.mkv", ("-c:v", "mpeg4", "-q:v", 3, "-g", GOP, "-bf", 2)),
        Expected(8, seconds_of_frames(8), nearest_to_middles(MPEG4_KEYS, 8), tuple(range(8))),
    ),
    plain("mjpeg_avi", _clip("a.avi", ("-c:v", "mjpeg", "-q:v", 3), PCM), gop=None),
    plain("webm_vp9", _clip("a.webm", VP9, OPUS), fast=True),
    plain("webm_vp8", _clip("a.webm", ("-c:v", "libvpx", "-b:v", "300k", "-deadline", "realtime", *KEYS[:4]), OPUS)),
    plain("mp4_av1", _clip("a.mp4", AV1, AAC)),
    plain("mkv_hevc", _clip("a.mkv", (*X265, f"{X265_KEYS}:open-gop=0"))),
    plain("mp4_hevc_open_gop", _clip("a.mp4", (*X265, f"{X265_KEYS}:open-gop=1:bframes=2"))),
    plain("mpeg_ps", _clip("a.mpg", (*MPEG2, "-r", 25), ("-c:a", "mp2")), gop=None),  # five frames show each number
    plain("asf_wmv2", _clip("a.wmv", ("-c:v", "wmv2", "-q:v", 3, "-g", GOP), ("-c:a", "wmav2"))),
    plain("ogv_theora", _clip("a.ogv", ("-c:v", "libtheora", "-q:v", 8, "-g", GOP), ("-c:a", "libvorbis"))),
    plain("nut_ffv1", _clip("a.nut", ("-c:v", "ffv1", "-pix_fmt", "yuv420p", "-g", 1), ("-c:a", "flac")), gop=None),
    plain("mov_prores", _clip("a.mov", ("-c:v", "prores_ks"), PCM), gop=None),
    plain("mkv_h264_without_b_frames", _clip("a.mkv", (*H264, "-bf", 0))),
    plain("mp4_h264_cavlc_sliced", _clip("a.mp4", (*H264, "-x264-params", "cabac=0:slices=4"))),
    plain("mp4_h264_b_pyramid", _clip("a.mp4", (*H264, "-bf", 3, "-x264-params", "b-pyramid=normal:ref=4"))),
    plain("mp4_h264_high10", _clip("a.mp4", (*H264, "-pix_fmt", "yuv420p10le"))),
    plain("mp4_h264_444", _clip("a.mp4", (*H264, "-pix_fmt", "yuv444p"))),
    plain("mp4_fragmented", _clip("a.mp4", H264, AAC, "-movflags", "frag_keyframe+delay_moov"), fast=True),
    plain("mp4_fragmented_dash", _clip("a.mp4", H264, AAC, *FRAGMENTS)),
    plain("mp4_faststart", _clip("a.mp4", H264, AAC, "-movflags", "+faststart")),
    plain("mp4_without_edit_list", _clip("a.mp4", (*H264, "-bf", 0), AAC, "-use_editlist", 0)),
    plain("mp4_without_audio", clip("a.mp4", audio=None), audio=False),
    plain("film_grain_av1", _clip("a.mkv", (*AV1, "-svtav1-params", "film-grain=20"), OPUS)),
    plain("interlaced_mpeg2", _clip("a.ts", (*MPEG2, *INTERLACED, "-r", 25), ("-c:a", "mp2")), gop=None),
    plain("interlaced_h264", _clip("a.ts", (*H264, *INTERLACED))),
    plain("h264_open_gop_ts", _clip("a.ts", (*H264, "-x264-params", "open-gop=1:bframes=2")), fast=True),
    plain("h264_open_gop_mp4", _clip("a.mp4", (*H264, "-x264-params", "open-gop=1:bframes=2"))),
    plain("raw_h264", clip("a.h264", video=(*H264, "-x264-params", "aud=1"), audio=None), audio=False, fast=True),
    plain("raw_h264_open_gop", clip("a.h264", video=(*H264, "-x264-params", "open-gop=1"), audio=None), audio=False),
    plain(
        "raw_hevc",
        clip("a.hevc", video=(*X265, X265_KEYS), audio=None),
        audio=False,
    ),
    plain("raw_mpeg2", clip("a.m2v", video=(*MPEG2, "-r", 25), audio=None), gop=None, audio=False),
    plain("ivf_vp9", clip("a.ivf", video=VP9, audio=None), audio=False),
    plain("y4m", clip("a.y4m", video=("-pix_fmt", "yuv420p"), audio=None), gop=None, audio=False),
    plain("ogg_in_mkv_flac_audio", _clip("a.mkv", H264, ("-c:a", "flac"))),
    plain("mkv_ac3", _clip("a.mkv", H264, ("-c:a", "ac3"))),
    plain("mkv_opus", _clip("a.mkv", H264, OPUS)),
    plain("mp4_mp3", _clip("a.mp4", H264, ("-c:a", "libmp3lame"))),
    Case(
        "3gp_h263",
        _clip("a.3gp", ("-c:v", "h263", "-q:v", 3, "-g", GOP), AAC),
        # Its pixels are 12:11 (ITU-T H.263, 4.1).
        Expected(8, seconds_of_frames(8), seconds_of_keys(8), tuple(range(8)), shape=(96, 140)),
    ),
)

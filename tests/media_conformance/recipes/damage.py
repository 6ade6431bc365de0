"""Make files that end early or are damaged."""

from pathlib import Path

from tests.media_conformance.case import Case, Expected, Recipe, Shown
from tests.media_conformance.recipes.ordinary import VP9
from tests.media_conformance.source import AAC, H264, MPEG2, PCM, Arguments, clip

LOSSLESS = ("-c:v", "ffv1", "-g", 1, "-pix_fmt", "yuv420p")
MJPEG = ("-c:v", "mjpeg", "-q:v", 3)
OPUS = ("-c:a", "libopus")


def _cut(recipe: Recipe, share: float) -> Recipe:
    """Keep the first part of a file."""

    def cut(where: Path) -> Path:
        path = recipe(where)
        content = path.read_bytes()
        path.write_bytes(content[: round(share * len(content))])
        return path

    return cut


def _half(
    name: str,
    file: str,
    video: Arguments | None,
    audio: Arguments | None,
    *options: str | float,
    share: float = 0.5,
    warnings: tuple[str, ...] | None = ("ends at",),
    fast: bool = False,
) -> Case:
    """Return a case of the first half of a recording, `share` of the file's bytes.

    `warnings` are those of a file whose header states how long the whole was.
    """
    recipe = _cut(clip(file, *options, video=video, audio=audio), share)
    shown: tuple[Shown, ...] = () if video is None else (2, 7, 12, ...)
    tones = () if audio is None else (0, 1, 2, ...)
    expected = Expected(4, shown, (...,) * len(shown), tones, warnings=warnings, tolerance=0.45)
    return Case(name, recipe, expected, fast)


def wav_of_hours(hours: int) -> Recipe:
    """Return the recipe of a WAV file of zeros, 8 bits at 8 kHz, which take no room on the disk."""

    def recipe(where: Path) -> Path:
        path = clip("a.wav", "-ar", 8000, video=None, audio=("-c:a", "pcm_u8"), seconds=1)(where)
        content = bytearray(path.read_bytes())
        data = content.index(b"data") + 4
        n_bytes = hours * 3600 * 8000
        content[data : data + 4] = n_bytes.to_bytes(4, "little")
        content[4:8] = (n_bytes + data - 4).to_bytes(4, "little")
        path.write_bytes(content)
        with path.open("r+b") as file:
            file.truncate(data + 4 + n_bytes)
        return path

    return recipe


CASES = (
    Case(
        "wav_ends_early",
        _cut(clip("a.wav", video=None, audio=PCM), 4.1 / 8),
        Expected(4.1, tones=(0, 1, 2, 3), warnings=("ends at 4.1 s of the 8.0 s",)),
        fast=True,
    ),
    _half("half_mkv", "a.mkv", LOSSLESS, PCM, fast=True),
    _half("half_avi", "a.avi", MJPEG, PCM),
    _half("half_webm", "a.webm", VP9, OPUS),
    _half("half_mov_faststart", "a.mov", MJPEG, PCM, "-movflags", "+faststart"),
    _half(
        "half_mp4_fragmented", "a.mp4", H264, AAC, "-movflags", "frag_keyframe+delay_moov", warnings=None, share=0.42
    ),
    _half("half_ts", "a.ts", H264, ("-c:a", "mp2"), warnings=None),
    _half("half_mpg", "a.mpg", (*MPEG2, "-r", 25), ("-c:a", "mp2"), warnings=None, share=0.42),
    _half("half_flv", "a.flv", H264, AAC, warnings=None),
    _half("half_flac", "a.flac", None, ("-c:a", "flac"), warnings=("ends at", "damaged packet")),
    _half("half_ogg", "a.ogg", None, ("-c:a", "libvorbis"), warnings=None, share=0.62),
    _half("half_mp3", "a.mp3", None, ("-c:a", "libmp3lame", "-b:a", "64k"), warnings=None),
    _half("half_aac", "a.aac", None, AAC, warnings=None),
    Case("mp4_without_index", _cut(clip("a.mp4"), 0.5), Expected(error="truncated: its index (moov) is missing")),
    Case("empty_file", _cut(clip("a.wav", video=None, audio=PCM), 0), Expected(error="is empty (0 bytes)")),
    Case(
        "wav_of_25_hours", wav_of_hours(25), Expected(error="is longer than 24 h; to allow more: --limit hours=NUMBER")
    ),
)

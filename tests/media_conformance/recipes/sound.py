"""Make audio in every format, with unusual channels, values and names, and with images and texts beside it."""

from pathlib import Path

import numpy as np
from scipy.io import wavfile

from tests.media_conformance import tones
from tests.media_conformance.case import Case, Expected, Played, Recipe
from tests.media_conformance.recipes.ordinary import OPUS, plain, seconds_of_frames, seconds_of_keys
from tests.media_conformance.source import AAC, H264, Arguments, clip, encode, frames, run, sound

SECONDS = tuple(range(8))
JUMP = ("timestamps jump",)
LEVEL = tones.AMPLITUDE / np.sqrt(2)  # root mean square of a tone
NAMES = (
    "with space.wav",
    "ünï çödé 音.wav",
    "-dash.wav",
    "%03d.wav",
    "quote'\".wav",
    "a#b?c&d.wav",
    "[1].wav",
    "concat:a|b.wav",
    "UPPER.WAV",
    "without_suffix",
    "wrong_suffix.mp4",
    "x" * 200 + ".wav",
)
# Name -> file name and options of the output.
FORMATS: dict[str, tuple[str, Arguments]] = {
    "wav_16_bit": ("a.wav", ("-c:a", "pcm_s16le")),
    "wav_8_bit": ("a.wav", ("-c:a", "pcm_u8")),
    "wav_24_bit": ("a.wav", ("-c:a", "pcm_s24le")),
    "wav_32_bit": ("a.wav", ("-c:a", "pcm_s32le")),
    "wav_float": ("a.wav", ("-c:a", "pcm_f32le")),
    "wav_64_bit_float": ("a.wav", ("-c:a", "pcm_f64le")),
    "wav_mu_law": ("a.wav", ("-c:a", "pcm_mulaw")),
    "wav_a_law": ("a.wav", ("-c:a", "pcm_alaw", "-ar", 8000)),
    "wav_adpcm_ima": ("a.wav", ("-c:a", "adpcm_ima_wav")),
    "wav_adpcm_ms": ("a.wav", ("-c:a", "adpcm_ms")),
    "wav_rf64": ("a.wav", ("-c:a", "pcm_s16le", "-rf64", "always")),
    "wav_bext": ("a.wav", ("-c:a", "pcm_s24le", "-write_bext", 1, "-metadata", "description=text")),
    "w64": ("a.w64", ("-c:a", "pcm_s16le")),
    "wav_192_khz": ("a.wav", ("-c:a", "pcm_s16le", "-ar", 192000)),
    "wav_11025_hz": ("a.wav", ("-c:a", "pcm_s16le", "-ar", 11025)),
    "aiff": ("a.aiff", ("-c:a", "pcm_s16be")),
    "au": ("a.au", ("-c:a", "pcm_s16be")),
    "caf_alac": ("a.caf", ("-c:a", "alac")),
    "flac": ("a.flac", ("-c:a", "flac")),
    "mp3": ("a.mp3", ("-c:a", "libmp3lame")),
    "mp2": ("a.mp2", ("-c:a", "mp2")),
    "m4a_aac": ("a.m4a", AAC),
    "adts_aac": ("a.aac", AAC),
    "ogg_vorbis": ("a.ogg", ("-c:a", "libvorbis")),
    "ogg_opus": ("a.opus", OPUS),
    "ogg_flac": ("a.oga", ("-c:a", "flac")),
    "ac3": ("a.ac3", ("-c:a", "ac3")),
    "eac3": ("a.eac3", ("-c:a", "eac3")),
    "dts": ("a.dts", ("-c:a", "dca", "-strict", -2)),
    "wavpack": ("a.wv", ("-c:a", "wavpack")),
    "tta": ("a.tta", ("-c:a", "tta")),
    "wma": ("a.wma", ("-c:a", "wmav2")),
    "amr": ("a.amr", ("-c:a", "libopencore_amrnb", "-ar", 8000, "-ac", 1)),
    "amr_dtx": ("a.amr", ("-c:a", "libopencore_amrnb", "-ar", 8000, "-ac", 1, "-dtx", 1)),
    "voc": ("a.voc", ("-c:a", "pcm_u8")),
}


def _audio(name: str, options: Arguments, recipe: Recipe | None = None, *, fast: bool = False) -> Case:
    """Return a case of 8 s of audio alone."""
    file, *_ = FORMATS.get(name, ("a.wav", ()))
    return Case(name, recipe or clip(file, *options, video=None, audio=()), Expected(8, tones=SECONDS), fast)


def _panned(name: str, layout: str, level: float, codec: str = "pcm_s16le") -> Case:
    recipe = clip("a.wav", "-af", f"pan={layout}", "-c:a", codec, video=None, audio=())
    return Case(name, recipe, Expected(8, tones=SECONDS, level=level))


def _joined(name: str, file: str, options: Arguments, warnings: tuple[str, ...] = ()) -> Case:
    """Join two files of 4 s."""

    def recipe(where: Path) -> Path:
        parts = [encode(where / f"{k}{Path(file).suffix}", sound(4 * k, 4), *options) for k in range(2)]
        (where / file).write_bytes(b"".join(part.read_bytes() for part in parts))
        return where / file

    return Case(name, recipe, Expected(8, tones=SECONDS, warnings=warnings, tolerance=0.2), fast=name == "mp3_joined")


def _float_wav(channels: np.ndarray) -> Recipe:
    def recipe(where: Path) -> Path:
        wavfile.write(where / "a.wav", tones.RATE, channels.astype(np.float32))
        return where / "a.wav"

    return recipe


def _named(name: str) -> Recipe:
    def recipe(where: Path) -> Path:
        made = clip("made.wav", "-c:a", "pcm_s16le", video=None, audio=())(where)
        return made.rename(where / name)

    return recipe


def _silent_first_track(where: Path) -> Path:
    """Write two tracks: one of silence, which is the default, and one of tones."""
    inputs = (*frames(), "-f", "lavfi", "-t", 8, "-i", "anullsrc=r=48000:cl=mono", *sound())
    maps = ("-map", "0:0", "-map", "1:0", "-map", "2:0")
    return encode(where / "a.mkv", inputs, *maps, *H264, *AAC, "-disposition:a:0", "default")


def _pauses(name: str, *codec: str | float) -> Recipe:
    """Leave seconds 2 to 4 silent, in a codec that stores hardly anything for silence."""

    def recipe(where: Path) -> Path:
        silence = ("-af", "volume=0:enable='between(t,2,4.999)'")
        return encode(where / name, sound(), *silence, *codec, "-dtx", 1)

    return recipe


def _with_cover(name: str, options: Arguments) -> Recipe:
    def recipe(where: Path) -> Path:
        run(*frames(900, 0.2), "-frames:v", 1, where / "cover.jpg")
        maps = ("-map", "0:0", "-map", "1:0", "-c:v", "copy", "-disposition:v:0", "attached_pic")
        return encode(where / name, (*sound(), "-i", where / "cover.jpg"), *maps, *options)

    return recipe


def _with_subtitles(name: str, codec: str) -> Recipe:
    def recipe(where: Path) -> Path:
        text = where / "a.srt"
        text.write_text("1\n00:00:01,000 --> 00:00:02,000\nhello\n\n2\n00:00:20,000 --> 00:00:30,000\nlate\n")
        inputs = (*frames(), *sound(), "-i", text)
        maps = ("-map", "0:0", "-map", "1:0", "-map", "2:0", "-c:s", codec)
        return encode(where / name, inputs, *maps, *H264, *AAC)

    return recipe


_TONES = tones.samples(8)
# The first track is the one that a player takes, too.
SILENT = Expected(8, seconds_of_frames(8), seconds_of_keys(8), (None,) * 8, warnings=("2 audio streams: took #1",))
_PAUSED: tuple[Played, ...] = (0, 1, None, None, None, 5, 6, 7)

CASES = (
    *(_audio(name, options, fast=name in ("wav_16_bit", "mp3")) for name, (_, options) in FORMATS.items()),
    _panned("stereo_one_side", "stereo|c0=c0", LEVEL / 2),
    _panned("surround_5.1_all", "5.1|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0", LEVEL),
    _panned("surround_5.1_back_only", "5.1|c4=c0|c5=c0", LEVEL / 3),
    _panned("surround_7.1_one", "7.1|c6=c0", LEVEL / 8, "pcm_s24le"),
    Case("silent_first_of_two_tracks", _silent_first_track, SILENT),
    _joined("mp3_joined", "a.mp3", ("-c:a", "libmp3lame"), ("damaged packet",)),  # the tags of the second file
    _joined("aac_joined", "a.aac", AAC),
    _joined("ogg_vorbis_chained", "a.ogg", ("-c:a", "libvorbis"), JUMP),
    _joined("ogg_opus_chained", "a.opus", OPUS, JUMP),
    Case(
        "amr_dtx_pauses",
        _pauses("a.amr", "-c:a", "libopencore_amrnb", "-ar", 8000, "-ac", 1),
        Expected(8, tones=_PAUSED, purity=0.7, warnings=None),
    ),
    Case("opus_dtx_pauses", _pauses("a.opus", *OPUS), Expected(8, tones=_PAUSED)),
    Case("opus_dtx_pauses_mkv", _pauses("a.mka", *OPUS), Expected(8, tones=_PAUSED)),
    Case(
        "nan_in_one_channel",
        _float_wav(np.stack([_TONES, np.full(len(_TONES), np.nan)], 1)),
        Expected(8, tones=SECONDS),
    ),
    Case(
        "float_thousands_too_loud",
        _float_wav(_TONES * 5000),
        Expected(8, tones=SECONDS, warnings=("full scale",), purity=0.9, level=...),
        fast=True,
    ),
    *(_audio(f"name_{n}", (), _named(name)) for n, name in enumerate(NAMES)),
    Case("cover_art_mp3", _with_cover("a.mp3", ("-c:a", "libmp3lame")), Expected(8, tones=SECONDS), fast=True),
    Case("cover_art_m4a", _with_cover("a.m4a", AAC), Expected(8, tones=SECONDS)),
    Case("cover_art_flac", _with_cover("a.flac", ("-c:a", "flac")), Expected(8, tones=SECONDS)),
    plain("subtitles_mp4", _with_subtitles("a.mp4", "mov_text")),
    plain("subtitles_mkv", _with_subtitles("a.mkv", "subrip")),
)

"""Test that exact mode gives the frames and the audio of real files that the ffmpeg program decodes."""

import hashlib
import re
from bisect import bisect_right
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from avscene.errors import MediaError
from avscene.media.decode import MediaFile
from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
from avscene.records import Segment
from tests.support.ffmpeg_program import ffmpeg, ffmpeg_messages
from tests.support.processes import ROOT

MEDIA = ROOT.parent / "shared" / "media"
FILES = sorted(path for path in MEDIA.rglob("*") if path.is_file() and path.suffix not in ("", ".md", ".csv"))
HOP = 0.25  # seconds
FULL_SIZE = 10**6  # pixels: frames are not scaled
MAX_PRIMING = 0.2  # seconds before time 0 that are cut off
MAX_ROUNDING = 0.05  # seconds; timestamps of audio are rounded, and a longer gap is one

# Video of high definition that does not state its matrix: BT.709, as players take it (the program takes BT.601).
HD = "scale=in_color_matrix=bt709"
# 4:2:0 that does not state where its chroma samples lie: to the left (H.264, E.2.1; the program takes the centre).
LEFT = "scale=in_chroma_loc=left"
FILTERS = {
    "corrupted.mp4": HD,
    "sample.video.mp4": HD,
    "sample.flv": HD,
    "bbb_2500ms.ts": HD,
    "sample_h265_rps_pred.ts": HD,
    "testsrc2.mp4": HD,
    "h264_10bits.mp4": LEFT,
    "h265_10bits.mp4": LEFT,
    **{path.name: HD for path in MEDIA.glob("exoplayer/media/mkv/sample*.mkv")},
    **{f"sample{part}.mp4": HD for part in ("", "_av1", "_mdat_too_long", "_partially_fragmented")},
    **{f"sample_fragmented{part}.mp4": HD for part in ("", "_large_bitrates", "_seekable", "_sei")},
    "sample_with_increasing_timestamps.mp4": HD,
}
# Their tones are mapped to the standard range, which the program does not do; of these, the times are compared alone.
HIGH_DYNAMIC_RANGE = (
    "dolbyVision-hdr.MOV",
    "hdr10-video-with-sdr-container.mp4",
    "sample_with_color_info.mp4",
    "sample_with_colr_mdcv_and_clli.mp4",
)
# Time of the first damaged frame: FFmpeg conceals it from frames that avscene need not decode, and others refer to it.
DAMAGED_FROM = {"corrupted.mp4": 3.1}
FRAGMENTS = ("sample_eac3.mp4", "sample_eac3_fragmented.mp4")  # FFmpeg decodes 5 of each 32 ms


def frames_of_program(path: Path, stream: int) -> tuple[list[float], list[str]]:
    """Return the time in seconds and the MD5 of the RGB of every frame."""
    filters = FILTERS.get(path.name, "null")
    options = ("-fps_mode", "passthrough", "-enc_time_base", "demux", "-pix_fmt", "rgb24", "-f", "framemd5", "-")
    one_thread = ("-threads", "1")  # what FFmpeg shows in place of damaged frames depends on their number
    text = ffmpeg(
        "-copyts", *one_thread, "-i", path, "-map", f"0:{stream}", "-vf", filters, *options, check=False
    ).decode()
    base = re.search(r"#tb 0: (\S+)", text)
    rows = [line.split(",") for line in text.splitlines() if line and line[0] != "#"]
    times = [float(int(row[2]) * Fraction(base[1])) for row in rows] if base else []
    return times, [row[5].strip() for row in rows]


def audio_of_program(path: Path, stream: int, rate: int) -> tuple[float, npt.NDArray[np.float32]]:
    """Return the time in seconds of the first sample, and the mean of the channels, with zeros in gaps."""
    options = ("-copyts", "-i", path, "-map", f"0:{stream}", "-af", "ashowinfo", "-f", "f32le", "-")
    samples = np.frombuffer(ffmpeg(*options, check=False), np.float32)
    blocks = re.findall(r"pts_time:(\S+) .*?channels:(\d+) .*?nb_samples:(\d+)", ffmpeg_messages(*options))
    mono = samples.reshape(-1, int(blocks[0][1])).mean(axis=1) if blocks else samples
    start = 0.0 if not blocks or blocks[0][0] == "NOPTS" else float(blocks[0][0])
    parts: list[npt.NDArray[np.float32]] = []
    position = n_written = 0
    for time, _, count in blocks:
        gap = 0 if time == "NOPTS" else round((float(time) - start) * rate) - n_written
        parts += [np.zeros(gap if gap > MAX_ROUNDING * rate else 0, np.float32), mono[position : position + int(count)]]
        position += int(count)
        n_written += len(parts[-2]) + len(parts[-1])
    return start, np.concatenate(parts) if parts else mono


def check_frames(path: Path, segments: list[Segment], times: list[float], sums: list[str]) -> None:
    for segment in (s for s in segments if s.frames):
        (frame,) = segment.frames
        shown = max(bisect_right(times, segment.start + HOP / 2 + 1e-6) - 1, 0)
        assert frame.time == pytest.approx(max(times[shown], 0), abs=1.1e-3)
        is_whole = frame.time < DAMAGED_FROM.get(path.name, 1e9) - 1e-3
        if path.name not in HIGH_DYNAMIC_RANGE and is_whole:
            assert hashlib.md5(frame.pixels.tobytes()).hexdigest() == sums[shown], (path, segment.start)


def check_audio(segments: list[Segment], start: float, rate: int, expected: npt.NDArray[np.float32]) -> None:
    whole = np.concatenate([np.zeros(round(HOP * rate)) if s.waveform is None else s.waveform for s in segments])
    first = round(start * rate)
    expected = np.pad(expected, (max(first, 0), 0))[max(-first, 0) :]
    # The program leaves out the padding at the end of some files.
    count = min(len(whole), len(expected))
    np.testing.assert_allclose(whole[:count], np.clip(expected[:count], -1, 1), rtol=0, atol=1e-6)
    assert len(expected) - count < HOP * rate  # a rest that is shorter than half a segment is dropped


@pytest.mark.slow
@pytest.mark.skipif(not FILES, reason="needs ../shared/media")
@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in FILES])
def test_frames_and_audio_are_those_of_the_ffmpeg_program(path: Path) -> None:
    try:
        with Recording(path) as recording:
            file = recording._files[0]
            if not isinstance(file, MediaFile):
                pytest.skip("a photograph, which Pillow decodes")
            streams = {modality: stream.index for modality, stream in file.streams.items()}
            rate = file.streams["audio"].codec_context.sample_rate if "audio" in streams else None
            segments = list(recording.segments(Sampling(HOP, rate, FULL_SIZE)))
    except MediaError as error:
        pytest.skip(str(error).removeprefix(f"{path}: "))
    times, sums = frames_of_program(path, streams["video"]) if "video" in streams else ([], [])
    start, expected = audio_of_program(path, streams["audio"], rate) if rate else (0.0, np.zeros(0))
    origin = min([*times[:1], *([start] if len(expected) else [])])
    origin = 0.0 if -MAX_PRIMING <= origin < 0 else origin
    if times:
        check_frames(path, segments, [time - origin for time in times], sums)
    if path.name in FRAGMENTS:
        assert all(segment.waveform is None for segment in segments)
    elif rate is not None:
        check_audio(segments, start - origin, rate, expected)

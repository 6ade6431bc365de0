"""Test that files which end before their header states it are read with a warning, and others without one."""

import struct

import pytest

from avscene.errors import MediaError
from avscene.media.limits import Limits
from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
from tests.support.ffmpeg_program import ffmpeg

BOTH = Sampling(sample_rate=16000, frame_size=48)
VIDEO = ["-f", "lavfi", "-i", "testsrc2=size=128x96:rate=25:duration=8"]
AUDIO = ["-f", "lavfi", "-i", "anoisesrc=sample_rate=48000:duration=8"]
WITH_HEADER = {
    "mkv": [*VIDEO, *AUDIO, "-c:v", "mpeg4", "-c:a", "aac"],
    "webm": [*VIDEO, *AUDIO, "-c:v", "libvpx", "-c:a", "libopus"],
    "avi": [*VIDEO, *AUDIO, "-c:v", "mpeg4", "-c:a", "libmp3lame"],
    "mp4": [*VIDEO, *AUDIO, "-c:v", "mpeg4", "-c:a", "aac", "-movflags", "faststart"],
    "flv": [*VIDEO, *AUDIO, "-c:v", "flv", "-c:a", "aac"],
    "wav": [*AUDIO],
    "rf64.wav": [*AUDIO, "-rf64", "always"],
    "w64": [*AUDIO],
    "aiff": [*AUDIO],
    "caf": [*AUDIO],
    "flac": [*AUDIO],
    "mp3": [*AUDIO, "-q:a", "2"],
}
WITHOUT_HEADER = {  # ffmpeg estimates their durations from the last timestamps, or from the bit rate
    "ts": [*VIDEO, *AUDIO, "-c:v", "mpeg2video", "-c:a", "mp2"],
    "vob": [*VIDEO, *AUDIO, "-c:v", "mpeg2video", "-c:a", "mp2"],
    "aac": [*AUDIO],
    "ac3": [*AUDIO],
    "mp3": [*AUDIO, "-write_xing", "0", "-q:a", "2"],
    "ogg": [*AUDIO, "-c:a", "libvorbis"],
}


def read(path, **arguments):
    with Recording(path, **arguments) as recording:
        segments = list(recording.segments(BOTH))
    return recording, segments


def early_ends(recording):
    return [warning for warning in recording.warnings if "its header states" in warning]


def halve(path):
    half = path.with_name(f"half_{path.name}")
    half.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return half


@pytest.mark.parametrize("suffix", WITH_HEADER)
def test_a_file_that_ends_before_its_header_states_it_is_read_with_a_warning(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    ffmpeg(*WITH_HEADER[suffix], path)
    whole, segments = read(path)
    assert len(segments) == 8
    assert not early_ends(whole)
    half, segments = read(halve(path))
    assert 3 <= len(segments) <= 6
    (warning,) = early_ends(half)
    assert warning.startswith(f"ends at {half.duration:.1f} s of the 8.")


@pytest.mark.parametrize("suffix", WITHOUT_HEADER)
def test_an_estimated_duration_gives_no_warning(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    ffmpeg(*WITHOUT_HEADER[suffix], path)
    for file in (path, halve(path)):
        assert not early_ends(read(file)[0])


@pytest.mark.parametrize("form", ["wav", "flac", "matroska", "flv"])
def test_a_file_written_to_a_pipe_states_no_duration(tmp_path, form):
    codec = ["-c:v", "flv"] if form == "flv" else ["-c:v", "mpeg4"]
    streams = AUDIO if form in ("wav", "flac") else [*VIDEO, *AUDIO, *codec, "-c:a", "aac"]
    path = tmp_path / "a"
    path.write_bytes(ffmpeg(*streams, "-f", form, "-"))
    for file in (path, halve(path)):
        assert not early_ends(read(file)[0])


def test_streams_of_different_lengths_and_late_starts_are_no_early_end(tmp_path):
    subtitles = tmp_path / "a.srt"
    subtitles.write_text("1\n00:00:01,000 --> 00:01:30,000\nwords\n")
    short = ["-f", "lavfi", "-i", "sine=duration=3"]
    for name, arguments in {
        "audio.mp4": [*VIDEO, *short, "-c:v", "mpeg4", "-c:a", "aac"],
        "subtitles.mkv": [*VIDEO, *short, "-i", subtitles, "-c:v", "mpeg4", "-c:a", "aac", "-c:s", "srt"],
        "late.mkv": [*VIDEO, "-c:v", "mpeg4", "-output_ts_offset", "20"],
        "late.mp4": ["-itsoffset", "5", *VIDEO, *short, "-c:v", "mpeg4", "-c:a", "aac"],
    }.items():
        ffmpeg(*arguments, tmp_path / name)
        assert not early_ends(read(tmp_path / name)[0]), name


def test_a_separate_audio_file_that_ends_early_is_named_by_a_warning(tmp_path):
    ffmpeg(*VIDEO, "-c:v", "mpeg4", tmp_path / "a.mp4")
    ffmpeg(*AUDIO, tmp_path / "a.wav")
    recording, segments = read(tmp_path / "a.mp4", audio=halve(tmp_path / "a.wav"))
    assert len(segments) == 8
    assert early_ends(recording) == ["ends at 4.0 s of the 8.0 s its header states"]


def test_a_recording_that_is_too_long_by_its_header_is_refused_before_it_is_decoded(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "sine=sample_rate=8000:duration=8", "-c:a", "pcm_u8", tmp_path / "a.wav")
    with (
        Recording(tmp_path / "a.wav", limits=Limits(hours=5 / 3600)) as recording,
        pytest.raises(MediaError, match=r"a.wav: is longer than 0.00138889 h; to allow more: --limit hours=NUMBER"),
    ):
        next(recording.segments(BOTH))


def test_a_header_that_states_more_than_the_file_can_hold_does_not_refuse_it(tmp_path):
    path = tmp_path / "a.mkv"
    ffmpeg(*VIDEO, "-c:v", "mpeg4", "-map_metadata", "-1", path)
    content = path.read_bytes()
    mark = content.index(b"\x44\x89\x88")  # Matroska: Duration, a number of 8 bytes, in milliseconds
    path.write_bytes(
        content[: mark + 3] + struct.pack(">d", 1e15) + content[mark + 11 :].replace(b"DURATION", b"duratioN")
    )
    recording, segments = read(path)
    assert len(segments) == 8
    assert early_ends(recording)

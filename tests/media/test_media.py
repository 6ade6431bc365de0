"""Test that generated and real media files decode to segments or raise one clear error."""

import csv
import os
import subprocess
import sys
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from avscene.errors import MediaError
from avscene.media import decode
from avscene.media.audio.downmix import to_mono
from avscene.media.audio.samples import channel_samples
from avscene.media.decoded import DecodedFrame
from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
from tests.media_conformance.recipes.damage import wav_of_hours
from tests.support import media_files as make

BOTH = Sampling(sample_rate=16000, frame_size=48)
SHARED = Path(__file__).parents[3] / "shared"


def read(path, sampling=BOTH, audio=None):
    with Recording(path, audio) as recording:
        segments = list(recording.segments(sampling))
    return recording, segments


def frame_seconds(segments):
    return [[make.frame_second(f.pixels) for f in s.frames] for s in segments]


def audio_seconds(segments, rate=16000):
    return [None if s.waveform is None else make.audio_second(s.waveform, rate) for s in segments]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".mov", ".webm"])
def test_each_second_has_its_own_frame_and_audio(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    if suffix == ".webm":
        times = [k / 25 for k in range(100)]
        writer = make.Writer(path).video([make.plain_frame(int(t)) for t in times], times, codec="libvpx")
        writer.audio(make.tone_samples(4), codec="libopus").save()
    else:
        make.write_media(path, 4)
    recording, segments = read(path)
    assert frame_seconds(segments) == [[0], [1], [2], [3]]
    assert audio_seconds(segments) == [0, 1, 2, 3]
    assert (recording.has_audio, recording.has_video) == (True, True)
    assert recording.duration == pytest.approx(4, abs=0.13)  # audio codecs pad to whole frames
    assert [s.frames[0].time for s in segments] == pytest.approx([0.5, 1.5, 2.5, 3.5], abs=0.045)
    assert not [w for w in recording.warnings if "padded" not in w]


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 48000])
def test_audio_has_the_requested_rate_and_amplitude(tmp_path, rate):
    _, segments = read(make.write_media(tmp_path / "a.wav", 3), Sampling(sample_rate=rate))
    assert audio_seconds(segments, rate) == [0, 1, 2]
    assert all(s.waveform.shape == (rate,) and s.waveform.dtype == np.float32 for s in segments)
    assert [np.abs(s.waveform).max() for s in segments] == pytest.approx([0.5] * 3, abs=0.02)
    assert all(s.frames == () for s in segments)


@pytest.mark.parametrize(
    ("form", "layout"),
    [("u8", "mono"), ("s16", "stereo"), ("s16p", "stereo"), ("s32", "5.1"), ("dblp", "mono")],
)
def test_mono_is_the_mean_of_the_channels(form, layout):
    channels = av.AudioLayout(layout).nb_channels
    full = {"u8": 127, "s16": 2**15 - 1, "s32": 2**31 - 1, "dbl": 1}[form.rstrip("p")]
    values = np.zeros((channels, 100))
    values[0] = np.linspace(-1, 1, 100)
    values = (values * full + (128 if form == "u8" else 0)).astype(
        {"u8": np.uint8, "s16": np.int16, "s32": np.int32, "dbl": np.float64}[form.rstrip("p")]
    )
    data = values if form.endswith("p") else values.T.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(data), format=form, layout=layout)
    assert to_mono(channel_samples(frame)) == pytest.approx(np.linspace(-1, 1, 100) / channels, abs=0.02)


# PyAV 18.1 takes the length of the planes for a ninth plane, which ends the process; FLAC has 16 bits and one plane.
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "aac"), ("a.mka", "libopus"), ("a.flac", "flac")])
def test_audio_of_eight_channels_is_read(tmp_path, name, codec):
    samples = np.zeros((1, 8 * 2 * 48000), np.int16)
    samples[0, ::8] = 16000 * np.sin(2 * np.pi * 1000 * np.arange(2 * 48000) / 48000)  # the front left channel
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=48000, layout="7.1")
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="7.1")
        frame.sample_rate, frame.pts = 48000, 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    script = (
        "import sys; from avscene.media.segments import Recording, Sampling\n"
        "with Recording(sys.argv[1]) as recording:\n"
        "    for segment in recording.segments(Sampling(sample_rate=48000)):\n"
        "        print(abs(segment.waveform[4800:-4800]).max())\n"
    )
    run = subprocess.run([sys.executable, "-c", script, tmp_path / name], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert [float(line) for line in run.stdout.split()] == pytest.approx([16000 / 32768 / 8] * 2, rel=0.05)


def test_only_the_requested_modalities_are_decoded(tmp_path):
    path = make.write_media(tmp_path / "a.mp4", 3)
    recording, segments = read(path, Sampling(sample_rate=16000))
    assert audio_seconds(segments) == [0, 1, 2]
    assert frame_seconds(segments) == [[], [], []]
    assert recording.has_video
    _, segments = read(path, Sampling(frame_size=48))
    assert frame_seconds(segments) == [[0], [1], [2]]
    assert audio_seconds(segments) == [None] * 3


@pytest.mark.parametrize("sampling", [BOTH, Sampling(sample_rate=16000), Sampling(frame_size=48)])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_audio_that_starts_late_stays_late_for_all_requests(tmp_path, suffix, sampling):
    recording, segments = read(make.write_media(tmp_path / f"a{suffix}", 4, audio_start=1.4), sampling)
    assert recording.duration == pytest.approx(4, abs=0.08)
    if sampling.sample_rate:
        assert [s.waveform is None for s in segments] == [True, False, False, False]
        assert audio_seconds(segments)[2:] == [2, 3]
        assert np.abs(segments[1].waveform[:5400]).max() < 0.1
        assert np.abs(segments[1].waveform[7400:]).max() > 0.4
    if sampling.frame_size:
        assert frame_seconds(segments) == [[0], [1], [2], [3]]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_video_that_starts_late_stays_late(tmp_path, suffix):
    _, segments = read(make.write_media(tmp_path / f"a{suffix}", 4, video_start=1.8))
    assert frame_seconds(segments) == [[], [1], [2], [3]]
    assert audio_seconds(segments) == [0, 1, 2, 3]


def test_a_clock_that_starts_at_hours_begins_at_zero(tmp_path):
    path = tmp_path / "a.ts"
    times = [k / 25 for k in range(75)]
    writer = make.Writer(path, options={"output_ts_offset": "20000"})
    writer.video([make.plain_frame(int(t)) for t in times], times).audio(make.tone_samples(3)).save()
    recording, segments = read(path)
    assert (frame_seconds(segments), audio_seconds(segments)) == ([[0], [1], [2]], [0, 1, 2])
    assert recording.duration == pytest.approx(3, abs=0.1)


def test_a_separate_audio_file_replaces_the_audio_of_the_video(tmp_path):
    video = make.Writer(tmp_path / "a.mp4")
    times = [k / 25 for k in range(100)]
    video.video([make.plain_frame(int(t)) for t in times], times).audio(np.zeros(64000, np.float32))
    audio = make.write_media(tmp_path / "a.wav", 4)
    recording, segments = read(video.save(), audio=audio)
    assert (frame_seconds(segments), audio_seconds(segments)) == ([[0], [1], [2], [3]], [0, 1, 2, 3])
    assert recording.duration == pytest.approx(4)
    without_audio = make.write_media(tmp_path / "b.mp4", 2, audio=False)
    with pytest.raises(MediaError, match=r"b\.mp4: has no audio"):
        Recording(video.path, audio=without_audio)
    with pytest.raises(MediaError, match=r"c\.wav: not found"):
        Recording(video.path, audio=tmp_path / "c.wav")


def test_ntsc_rates_do_not_drift(tmp_path):
    path = make.write_media(tmp_path / "a.mp4", 8, fps=Fraction(30000, 1001))
    _, segments = read(path)
    assert frame_seconds(segments) == [[k] for k in range(8)]
    assert all(s.frames[0].time <= s.start + 0.5 < s.frames[0].time + 0.034 for s in segments)


def test_with_a_variable_frame_rate_the_last_frame_is_held(tmp_path):
    times = [0.0, 0.04, 0.2, 2.4, 2.44, 4.0]
    writer = make.Writer(tmp_path / "a.mkv").video([make.plain_frame(k) for k in range(6)], times)
    _, segments = read(writer.audio(make.tone_samples(5)).save(), Sampling(hop=1, frame_size=48))
    assert frame_seconds(segments)[:4] == [[2], [2], [4], [4]]
    assert segments[1].frames[0].time == pytest.approx(0.2, abs=0.001)


def test_several_frames_per_segment_are_evenly_spaced(tmp_path):
    path = make.write_media(tmp_path / "a.mp4", 4, audio=False)
    _, segments = read(path, Sampling(hop=2, frame_size=48, frames_per_segment=4))
    assert frame_seconds(segments) == [[0, 0, 1, 1], [2, 2, 3, 3]]
    assert [f.time for f in segments[1].frames] == pytest.approx([2.25, 2.75, 3.25, 3.75], abs=0.04)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_keyframes_only(tmp_path, suffix):
    path = make.write_media(tmp_path / f"a{suffix}", 6, gop=25)
    recording, segments = read(path, Sampling(sample_rate=16000, frame_size=48, keyframes_only=True))
    assert all(abs(make.frame_second(s.frames[0].pixels) - k) <= 1 for k, s in enumerate(segments))
    assert all(abs(f.time - round(f.time)) < 0.07 for s in segments for f in s.frames)
    assert audio_seconds(segments) == [0, 1, 2, 3, 4, 5]
    assert recording.duration == pytest.approx(6, abs=0.1)


@pytest.mark.parametrize(("size", "frame_size", "expected"), [((320, 180), 90, (90, 160)), ((64, 48), 90, (48, 64))])
def test_frames_are_scaled_down_and_never_up(tmp_path, size, frame_size, expected):
    path = make.write_media(tmp_path / "a.mp4", 1, size=size)
    _, segments = read(path, Sampling(frame_size=frame_size))
    frame = segments[0].frames[0]
    assert frame.pixels.shape == (*expected, 3)
    assert frame.pixels.dtype == np.uint8
    assert frame.pixels.reshape(-1, 3).mean(axis=0) == pytest.approx(make.second_colour(0), abs=6)


@pytest.mark.parametrize(("rotation", "corners"), [(0, "rgwb"), (90, "gwbr"), (-90, "brgw"), (180, "wbrg")])
def test_a_rotated_video_is_turned_upright(tmp_path, rotation, corners):
    times = [k / 25 for k in range(25)]
    writer = make.Writer(tmp_path / "a.mp4").video([make.corner_frame()] * 25, times, rotation=rotation)
    _, segments = read(writer.save())
    pixels = segments[0].frames[0].pixels
    assert pixels.shape == ((48, 64, 3) if rotation in (0, 180) else (64, 48, 3))
    assert make.corner_colours(pixels) == corners


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_photograph_is_one_segment_without_duration(tmp_path, suffix):
    path = make.write_photograph(tmp_path / f"%03d{suffix}", make.corner_frame((640, 480)))
    recording, segments = read(path)
    assert [(s.start, s.end, s.waveform, s.padded) for s in segments] == [(0.0, 0.0, None, False)]
    assert segments[0].frames[0].pixels.shape == (48, 64, 3)
    assert make.corner_colours(segments[0].frames[0].pixels) == "rgwb"
    assert (recording.duration, recording.warnings) == (0.0, ())
    assert (recording.has_audio, recording.has_video) == (False, True)


def test_cover_art_is_not_video(tmp_path):
    path = make.Writer(tmp_path / "a.mp3").audio(make.tone_samples(2), codec="libmp3lame")
    recording, segments = read(path.cover(make.plain_frame(3)).save())
    assert not recording.has_video
    assert all(not s.frames for s in segments)
    assert audio_seconds(segments)[:2] == [0, 1]


def test_of_two_audio_streams_the_default_is_taken_with_a_warning(tmp_path):
    writer = make.Writer(tmp_path / "a.mkv").audio(np.zeros(48000, np.float32), default=False)
    recording, segments = read(writer.audio(make.tone_samples(3)).save())
    assert audio_seconds(segments)[:3] == [0, 1, 2]
    assert recording.warnings[0].startswith("2 audio streams: took #1")


def test_a_last_part_is_padded_with_a_warning(tmp_path):
    recording, segments = read(make.write_media(tmp_path / "a.wav", 2.75))
    assert [s.padded for s in segments] == [False, False, True]
    assert segments[-1].end == recording.duration == pytest.approx(2.75)
    assert not segments[-1].waveform[12000:].any()
    assert "padded" in recording.warnings[0]


def test_damaged_packets_are_skipped_and_counted(tmp_path):
    path = make.write_media(tmp_path / "a.mp4", 8, gop=5, size=(320, 180))
    n_damaged = make.damage(path, every=9)
    recording, segments = read(path)
    assert n_damaged == 22
    assert "damaged packets skipped" in recording.warnings[0]
    assert audio_seconds(segments) == list(range(8))
    assert sum(shown == [k] for k, shown in enumerate(frame_seconds(segments))) >= 6
    file = decode.MediaFile(path, single_threaded=True)
    frames = [p for p in file.decode({"video": "all"}) if isinstance(p, DecodedFrame)]
    file.close()
    assert (
        len(frames) >= 200 - 3 * n_damaged
    )  # a damaged keyframe costs its GOP of 5 frames; one `except` around all would leave 5


def test_damaged_audio_keeps_the_rest_in_place(tmp_path):
    path = make.write_media(tmp_path / "a.mp4", 4)
    make.damage(path, every=20, kind="audio")
    _, segments = read(path)
    assert audio_seconds(segments) == [0, 1, 2, 3]


def test_a_truncated_file_gives_the_segments_that_it_has(tmp_path):
    path = make.write_media(tmp_path / "a.mkv", 8)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    recording, segments = read(path)
    assert 2 <= len(segments) <= 6
    assert audio_seconds(segments)[:2] == [0, 1]
    assert recording.duration < 7


def test_all_video_stored_before_all_audio(tmp_path):
    times = [k / 25 for k in range(150)]
    writer = make.Writer(tmp_path / "a.ts", by_time=False, options={"max_interleave_delta": "1"})
    writer.video([make.plain_frame(int(t)) for t in times], times).audio(make.tone_samples(6), codec="mp2")
    _, segments = read(writer.save())
    assert (frame_seconds(segments)[:6], audio_seconds(segments)[:6]) == ([[k] for k in range(6)], list(range(6)))


def broken_files(folder):
    whole = make.write_media(folder / "whole.mp4", 2)
    content = whole.read_bytes()
    (folder / "directory.mp4").mkdir()
    files = {
        "empty.mp4": b"",
        "text.mp4": b"This is not a video.\n" * 100,
        "truncated.mp4": content[: content.index(b"moov") - 4],
        "noise.mp4": np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes(),
        "subtitles.mp4": b"1\n00:00:01,000 --> 00:00:02,000\nHello\n\n" * 50,
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty.mp4", r"is empty \(0 bytes\)"),
        ("text.mp4", "is not a media file"),
        ("noise.mp4", "is not a media file"),
        ("subtitles.mp4", "is not a media file"),
        ("truncated.mp4", "is truncated"),
        ("directory.mp4", "is a directory"),
        ("absent.mp4", "not found"),
        ("absent\0.mp4", "cannot be opened"),
        ("x" * 300 + ".mp4", "cannot be opened"),
    ],
)
def test_a_file_that_cannot_be_opened_is_explained(tmp_path, name, message):
    broken_files(tmp_path)
    with pytest.raises(MediaError, match=message) as caught:
        Recording(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission_is_refused(tmp_path):
    path = make.write_media(tmp_path / "a.wav", 1)
    path.chmod(0)
    with pytest.raises(MediaError, match="no permission"):
        Recording(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(MediaError, match="not a file"):
        Recording(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.m3u8", "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{0}\n#EXT-X-ENDLIST\n"),
        ("a.mp4", "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfd:\n#EXT-X-ENDLIST\n"),
        ("a.ffconcat", "ffconcat version 1.0\nfile '{0}'\n"),
        ("b.mp4", "ffconcat version 1.0\nfile 'file:{0}'\n"),
        ("a.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"),
        (
            "a.mpd",
            "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><Period>{0}</Period></MPD>",
        ),
    ],
)
def test_playlists_are_not_followed(tmp_path, name, content):
    target = make.write_media(tmp_path / "target.ts", 2)
    (tmp_path / name).write_text(content.format(target.name))
    with pytest.raises(MediaError, match=r"playlist|not a media file"):
        Recording(tmp_path / name)


@pytest.mark.parametrize("name", ["http:evil.mp4", "concat:a|b", "%03d.jpg", "-x.mp4", "fd:", "pipe:0", "a b'ü"])
def test_names_that_look_like_urls_or_options_are_plain_files(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    make.write_media(tmp_path / "target.mp4", 2).rename(name)
    _, segments = read(name)
    assert (frame_seconds(segments), audio_seconds(segments)) == ([[0], [1]], [0, 1])


def test_an_image_with_a_huge_size_in_its_header_is_refused(tmp_path):
    path = make.write_photograph(tmp_path / "a.png", make.plain_frame(1))
    content = bytearray(path.read_bytes())
    content[16:24] = (60000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(MediaError):
        read(path)


def test_undecodable_video_is_an_error_alone_and_a_warning_beside_audio(tmp_path):
    path = make.write_media(tmp_path / "a.mp4", 2, size=(320, 180))
    make.damage(path, every=1, first=0)
    recording, segments = read(path)
    assert audio_seconds(segments) == [0, 1]
    assert (recording.has_audio, recording.has_video) == (True, False)
    assert any("video cannot be decoded" in w for w in recording.warnings)
    with pytest.raises(MediaError, match=r"a\.mp4: its video cannot be decoded: .. damaged packets"):
        read(path, Sampling(frame_size=48))


def test_segments_are_read_once(tmp_path):
    with Recording(make.write_media(tmp_path / "a.wav", 1)) as recording:
        assert len(list(recording.segments(BOTH))) == 1
        with pytest.raises(RuntimeError, match="once"):
            recording.segments(BOTH)


def test_ffmpeg_prints_nothing(tmp_path, capfd):
    path = make.write_media(tmp_path / "a.mp4", 4, gop=5, size=(320, 180))
    make.damage(path, every=5)
    read(path)
    assert capfd.readouterr() == ("", "")


def manifest_rows():
    rows = []
    for table in sorted([*SHARED.glob("media/*/MANIFEST.csv"), *SHARED.glob("openl3_regression/MANIFEST.csv")]):
        with table.open(newline="") as file:
            rows.extend((table.parent / row["path"], row) for row in csv.DictReader(file))
    return rows


def read_or_error(path):
    try:
        return *read(path, Sampling(sample_rate=16000, frame_size=128)), None
    except MediaError as error:
        return None, [], str(error)


# Files whose container states another duration than can be decoded, and why.
WRONG_DURATIONS = {
    "sample-with-key-frame-index.flv": "metadata counts two frames more than the 71 in the file",
    "sample_with_null_terminated_srt.mkv": "subtitles are longer than audio and video",
    "sample_with_null_terminated_ssa_subtitles.mkv": "subtitles are longer than audio and video",
    "sample_with_null_terminated_vtt_subtitles.mkv": "subtitles are longer than audio and video",
    "sample_with_srt.mkv": "subtitles are longer than audio and video",
    "sample_with_ssa_subtitles.mkv": "subtitles are longer than audio and video",
    "sample_with_vtt_subtitles.mkv": "subtitles are longer than audio and video",
    "sample_scte35.ts": "a data stream starts 0.7 s before audio and video",
}
FRAGMENTS = {"sample_eac3.mp4", "sample_eac3_fragmented.mp4"}  # FFmpeg decodes 5 of each 32 ms


@pytest.mark.skipif(not manifest_rows(), reason="no ../shared with real media beside the repository")
@pytest.mark.parametrize(("path", "row"), [pytest.param(p, r, id=p.name) for p, r in manifest_rows()])
def test_real_files_give_segments_or_one_clear_error(path, row):
    recording, segments, error = read_or_error(path)
    if error is not None:
        assert row["status"] != "ok", error
        assert error.startswith(f"{path}: ")
        assert "\n" not in error
        return
    assert any(s.frames or s.waveform is not None for s in segments) or path.name in FRAGMENTS
    if row["status"] != "ok" or path.name in WRONG_DURATIONS:
        return
    stated = [float(row[column]) for column in ("dur", "adur") if row[column]]
    assert min((abs(recording.duration - c) for c in stated), default=recording.duration) <= 0.05
    if row["nv"] != "0" and row["attached"] != "True":
        assert recording.has_video


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "everyday").exists(), reason="no ../shared with real media")
@pytest.mark.timeout(3600)
def test_everyday_recordings_have_audio_and_video_in_each_second():
    for path in sorted(SHARED.glob("everyday/*/*.mp4")):
        _, segments = read(path, Sampling(sample_rate=16000, frame_size=128))
        assert all(s.frames and s.waveform is not None for s in segments), path


PEAK = """
import resource, sys
from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
with Recording(sys.argv[1]) as recording:
    count = sum(1 for _ in recording.segments(Sampling(sample_rate=16000, frame_size=256)))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_memory_does_not_grow_with_the_length(tmp_path):
    def peak(minutes):
        path = tmp_path / f"{minutes}.mp4"
        times = [k / 10 for k in range(600)]
        minute = [make.plain_frame(int(t), (640, 360)) for t in times]
        if not path.exists():
            write_minutes(path, minute, minutes)
        done = subprocess.run(
            [sys.executable, "-c", PEAK, path],
            capture_output=True,
            text=True,
            check=True,
        )
        count, kilobytes = map(int, done.stdout.split())
        assert count == minutes * 60
        return kilobytes / 1024

    short, long = peak(1), peak(60)
    assert long - short <= 100, (short, long)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_audio_of_12_hours_is_read_in_little_memory(tmp_path):
    def peak(hours):
        path = wav_of_hours(hours)(tmp_path)
        done = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True)
        count, kilobytes = map(int, done.stdout.split())
        assert count == hours * 3600
        return kilobytes / 1024

    short, long = peak(1), peak(12)
    assert long - short <= 50, (short, long)


def write_minutes(path, minute, minutes):
    """Write a video of `minutes` with audio, ten frames per second, encoded as it is written."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 640, 360, "yuv420p"
        video.options = {"preset": "ultrafast"}
        audio = container.add_stream("aac", rate=16000, layout="mono")
        tones = make.tone_samples(1)
        frames = [av.VideoFrame.from_ndarray(p, format="rgb24").reformat(format="yuv420p") for p in minute]
        for second in range(minutes * 60):
            for k in range(10):
                frame = frames[(second * 10 + k) % len(frames)]
                frame.pts, frame.time_base = second * 10 + k, Fraction(1, 10)
                container.mux(video.encode(frame))
            block = av.AudioFrame.from_ndarray(tones[None], format="fltp", layout="mono")
            block.sample_rate, block.time_base, block.pts = 16000, Fraction(1, 16000), second * 16000
            container.mux(audio.encode(block))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def test_a_closed_recording_yields_no_further_segments(tmp_path: Path) -> None:
    video = make.write_media(tmp_path / "video.mp4", 4)
    recording = Recording(video)
    segments = recording.segments(Sampling(sample_rate=16_000, frame_size=32))
    assert next(segments).start == 0
    recording.close()
    assert list(segments) == []

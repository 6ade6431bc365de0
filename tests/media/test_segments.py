"""Test the assembly of segments from decoded items, for any duration, hop and sample rate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avscene.errors import MediaError
from avscene.media import assembly
from avscene.media.assembly import Assembler
from avscene.media.audio.track import AudioTrack
from avscene.media.decoded import DecodedAudio, DecodedFrame, SkippedSpan, StreamEnd
from avscene.media.frame_sampler import FrameSampler
from avscene.media.packets.frame_times import FrameTimes
from avscene.media.sampling import Sampling
from avscene.media.segments import interleave


def pixel(value):
    return np.full((2, 2, 3), value % 256, np.uint8)


def video_items(start, end, fps=10):
    """Return frames whose image is their number."""
    count = max(round((end - start) * fps), 1)
    return [DecodedFrame(start + k / fps, min(start + (k + 1) / fps, end), k) for k in range(count)]


def audio_items(start, end, rate=8000, chunk=700):
    """Return audio whose samples are their time / 100."""
    times = np.arange(round(start * rate), round(end * rate)) / rate
    values = (times / 100).astype(np.float32)
    return [
        DecodedAudio(t[0], t[0] + len(t) / rate, rate, v)
        for t, v in ((times[i : i + chunk], values[i : i + chunk]) for i in range(0, len(times), chunk))
    ]


def assemble(sampling, *tracks, expected=("audio", "video"), photograph=False):
    assembler = Assembler(sampling, expected, pixel)
    segments = []
    for item in interleave([iter(track) for track in tracks]):
        assembler.add(item)
        segments.extend(assembler.ready())
    segments.extend(assembler.finish(photograph))
    return segments, assembler


durations = st.floats(0.02, 9, allow_nan=False)
hops = st.floats(0.1, 3, allow_nan=False)


@settings(max_examples=100)
@given(
    audio=st.tuples(durations, durations),
    video=st.tuples(durations, durations),
    have=st.sampled_from([("audio",), ("video",), ("audio", "video")]),
    hop=hops,
    rate=st.sampled_from([100, 999, 8000, 16000]),
    per_segment=st.integers(1, 4),
    keyframes=st.booleans(),
    separate=st.booleans(),
)
def test_segments_tile_the_recording(audio, video, have, hop, rate, per_segment, keyframes, separate):
    tracks = []
    if "audio" in have:
        tracks.append([*audio_items(*sorted(audio)), StreamEnd("audio")])
    if "video" in have:
        tracks.append([*video_items(*sorted(video)), StreamEnd("video")])
    if not any(len(track) > 1 for track in tracks):
        return
    if not separate:
        tracks = [[item for track in tracks for item in track]]
    sampling = Sampling(hop, rate, 8, per_segment, keyframes)
    segments, assembler = assemble(sampling, *tracks, expected=have)

    assert segments
    assert [s.start for s in segments] == [k * hop for k in range(len(segments))]
    assert [s.end for s in segments[:-1]] == [s.start for s in segments[1:]]
    rest = assembler.duration - segments[-1].end
    assert -assembly.HOP_TOLERANCE - 1e-9 <= rest < hop / 2  # sums of times round
    assert rest <= assembly.HOP_TOLERANCE + 1e-9 or not segments[-1].padded
    assert [s.padded for s in segments[:-1]] == [False] * (len(segments) - 1)
    for s in segments:
        assert s.waveform is None or (s.waveform.shape == (round(hop * rate),) and s.waveform.dtype == np.float32)
        assert len(s.frames) in (0, per_segment)
        assert "video" in have or not s.frames
        assert "audio" in have or s.waveform is None
        assert [f.time for f in s.frames] == sorted(f.time for f in s.frames)
    if separate or len(have) == 1:
        assert any(s.has(m) for s in segments for m in have) or max(audio[0], video[0]) > segments[-1].end - hop / 2


@settings(max_examples=40)
@given(
    end=st.floats(1, 6),
    hop=st.floats(0.2, 2),
    chunk=st.integers(150, 3000),
    rate=st.sampled_from([4000, 8000, 11025]),
)
def test_each_sample_is_at_its_time(end, hop, chunk, rate):
    segments, assembler = assemble(
        Sampling(hop, rate), [*audio_items(0, end, chunk=chunk), StreamEnd("audio")], expected=["audio"]
    )
    for s in segments:
        times = s.start + np.arange(len(s.waveform)) / rate
        inside = (times > 0.1) & (times < assembler.duration - 0.1)  # the resampler rings at the edges
        assert s.waveform[inside] == pytest.approx(times[inside] / 100, abs=0.7 / rate / 100 + 1e-4)
        assert not s.waveform[times > assembler.duration + 1 / rate].any()


@pytest.mark.parametrize(
    ("end", "ends", "padded"),
    [
        (3.0, [1, 2, 3], False),
        (2.9995, [1, 2, 3], False),  # containers round to milliseconds
        (3.4, [1, 2, 3], False),
        (3.5, [1, 2, 3, 3.5], True),
        (0.1, [0.1], True),
    ],
)
def test_a_last_part_is_padded_or_dropped(end, ends, padded):
    segments, assembler = assemble(Sampling(1, 8000), [*audio_items(0, end), StreamEnd("audio")], expected=["audio"])
    assert [s.end for s in segments] == pytest.approx(ends)
    assert segments[-1].padded is padded
    assert bool(assembler.warnings) is padded
    assert len(segments[-1].waveform) == 8000


def test_segments_before_and_after_the_audio_have_no_waveform():
    segments, _ = assemble(
        Sampling(1, 8000, 8),
        [*audio_items(1.25, 2.5), StreamEnd("audio")],
        [*video_items(0, 5), StreamEnd("video")],
    )
    assert [s.waveform is not None for s in segments] == [False, True, True, False, False]
    assert not segments[1].waveform[:1990].any()
    assert segments[1].waveform[2010:].all()
    assert not segments[2].waveform[4010:].any()


def test_an_overlap_of_the_audio_is_dropped():
    segments, _ = assemble(
        Sampling(1, 8000), [*audio_items(0, 2), *audio_items(1.5, 3), StreamEnd("audio")], expected=["audio"]
    )
    assert len(segments) == 3
    assert np.concatenate([s.waveform for s in segments])[1:] == pytest.approx(np.arange(1, 24000) / 8e5, abs=1e-6)


def test_small_timestamp_errors_do_not_change_the_audio():
    jittered = [
        DecodedAudio(s.time + 0.001 * (i % 3), s.end, s.rate, s.samples) for i, s in enumerate(audio_items(0, 2))
    ]
    segments, _ = assemble(Sampling(1, 8000), [*jittered, StreamEnd("audio")], expected=["audio"])
    assert np.concatenate([s.waveform for s in segments])[1:] == pytest.approx(np.arange(1, 16000) / 8e5, abs=1e-6)


@pytest.mark.parametrize(("source", "rate"), [(44100, 16000), (8000, 32000), (22050, 44100), (48000, 48000)])
def test_resampling_keeps_the_duration(source, rate):
    track = AudioTrack(rate)
    count = sum(
        len(samples)
        for s in audio_items(0, 3.21, rate=source, chunk=1021)
        for _, samples in track.add(s.time, s.rate, s.samples)
    )
    count += sum(len(samples) for _, samples in track.finish())
    assert count == round(len(audio_items(0, 3.21, rate=source, chunk=10**6)[0].samples) * rate / source)


def test_a_change_of_sample_rate_keeps_the_time():
    segments, _ = assemble(
        Sampling(1, 8000),
        [*audio_items(0, 1.5, rate=16000), *audio_items(1.5, 3, rate=8000), StreamEnd("audio")],
        expected=["audio"],
    )
    whole = np.concatenate([s.waveform for s in segments])
    assert whole[12500:23000] == pytest.approx(np.arange(12500, 23000) / 8e5, abs=1e-4)


def test_a_change_of_sample_rate_with_a_small_timestamp_error_leaves_no_gap():
    shifted = [DecodedAudio(s.time + 0.03, s.end + 0.03, s.rate, s.samples) for s in audio_items(1.5, 3, rate=8000)]
    early = audio_items(0, 1.5, rate=16000)
    segments, _ = assemble(Sampling(1, 8000), [*early, *shifted, StreamEnd("audio")], expected=["audio"])
    whole = np.concatenate([s.waveform for s in segments])
    assert whole[12500:23000] == pytest.approx(np.arange(12500, 23000) / 8e5, abs=1e-4)


def test_keyframes_do_not_make_a_recording_longer():
    items = [
        DecodedFrame(0, 0.1, 0),
        *(SkippedSpan(k / 10, k / 10 + 0.1, "video") for k in range(10)),
        DecodedFrame(0.96, 1, 1),
    ]
    sampling = Sampling(1.5, None, 8, keyframes_only=True)
    segments, _ = assemble(sampling, [*items, StreamEnd("video")], expected=["video"])
    assert [(s.start, s.end, s.padded) for s in segments] == [(0, 1, True)]


def frame_numbers(segments):
    return [[int(f.pixels[0, 0, 0]) for f in s.frames] for s in segments]


def test_the_frame_at_a_target_is_the_last_that_started():
    shown = [DecodedFrame(0.0, 0.1, 0), DecodedFrame(0.5, 0.6, 1), DecodedFrame(0.6, 3.4, 2), DecodedFrame(3.4, 3.6, 3)]
    segments, _ = assemble(Sampling(1, None, 8), [*shown, StreamEnd("video")], expected=["video"])
    assert frame_numbers(segments) == [[1], [2], [2], [3]]
    segments, _ = assemble(Sampling(2, None, 8, 4), [*shown, StreamEnd("video")], expected=["video"])
    assert frame_numbers(segments) == [[0, 2, 2, 2], [2, 2, 2, 3]]


def test_a_target_without_a_frame_gets_the_nearest_of_its_segment_or_none():
    segments, _ = assemble(
        Sampling(1, 8000, 8),
        [*audio_items(0, 6), StreamEnd("audio")],
        [DecodedFrame(1.9, 2.0, 7), DecodedFrame(2.0, 2.1, 8), DecodedFrame(4.1, 4.2, 9), StreamEnd("video")],
    )
    assert frame_numbers(segments) == [[], [7], [8], [8], [9], []]


def test_each_target_gets_the_nearest_keyframe():
    skipped = [SkippedSpan(k / 10, k / 10 + 0.1, "video") for k in range(100)]
    track = sorted(
        [*skipped, DecodedFrame(0, 0.1, 0), DecodedFrame(4, 4.1, 4), DecodedFrame(8, 8.1, 8)], key=lambda p: p.time
    )
    sampling = Sampling(1, None, 8, keyframes_only=True)
    segments, assembler = assemble(sampling, [*track, StreamEnd("video")], expected=["video"])
    assert frame_numbers(segments) == [[0], [0], [4], [4], [4], [4], [8], [8], [8], [8]]
    assert assembler.duration == pytest.approx(10)


def test_a_single_keyframe_does_not_delay_all_segments():
    sampler = FrameSampler(1.0, 1, pixel, nearest=True)
    sampler.add(0.0, 0)
    for tenth in range(1000):
        sampler.skip_to(tenth / 10)
    assert sampler.complete_until >= 85


def test_segments_come_as_soon_as_they_are_complete():
    assembler = Assembler(Sampling(1, 8000, 8), ["audio", "video"], pixel)
    lag = 0.0
    for item in interleave([iter(audio_items(0, 60)), iter(video_items(0, 60))]):
        assembler.add(item)
        for segment in assembler.ready():
            lag = max(lag, item.time - segment.end)
    assert lag < 0.5
    assert assembler._next_segment == 59


def test_pending_segments_are_bounded(monkeypatch):
    monkeypatch.setattr(assembly, "MAX_PENDING_BYTES", 10 * 8000 * 4)
    track = [*audio_items(0, 60), *video_items(0, 60), StreamEnd("audio"), StreamEnd("video")]
    segments, assembler = assemble(Sampling(1, 8000, 8), track)
    assert len(segments) == 60
    assert all(s.waveform is not None for s in segments)
    assert not segments[0].frames
    assert segments[-1].frames
    assert any("apart" in warning for warning in assembler.warnings)


def test_all_audio_stored_after_all_video():
    segments, assembler = assemble(
        Sampling(1, 8000, 8), [*video_items(0, 9), *audio_items(0, 9), StreamEnd("audio"), StreamEnd("video")]
    )
    assert all(s.frames and s.waveform is not None for s in segments)
    assert not assembler.warnings


def test_two_files_are_read_in_parallel():
    lead, times = 0.0, {DecodedAudio: 0.0, DecodedFrame: 0.0}
    for item in interleave([iter(audio_items(0, 60)), iter(video_items(0, 60))]):
        times[type(item)] = item.time
        lead = max(lead, abs(times[DecodedAudio] - times[DecodedFrame]))
    assert lead < 0.3


def test_the_times_of_frames_never_decrease():
    times = FrameTimes()
    assert times.next(5.0, 1.0) == (5.0, 6.0)
    assert times.next(None, 1.0) == (6.0, 7.0)  # without a timestamp, it follows the previous one
    assert times.next(4.5, 0.0) == (6.0, 7.0)  # the duration is the median step
    assert times.next(9.0, 1000.0) == (9.0, 11.0)  # as is one that is not plausible


def test_a_recording_longer_than_a_day_is_refused():
    assembler = Assembler(Sampling(1, None, 8), ["video"], pixel)
    with pytest.raises(MediaError, match="longer than 24 h"):
        assembler.add(DecodedFrame(90000, 90001, 0))


@pytest.mark.parametrize("arguments", [{"hop": 0}, {"hop": -1}, {"frame_size": -2}, {"hop": 1e-5, "sample_rate": 8000}])
def test_invalid_samplings_are_refused(arguments):
    with pytest.raises(ValueError, match=r"positive|shorter"):
        Sampling(**arguments)

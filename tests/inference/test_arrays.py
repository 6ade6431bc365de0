"""Test arrays and streams of decoded frames and audio: what is refused, and what segments are made of them."""

import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import avscene
from avscene.errors import AvsceneError, ModalityError, UsageError
from avscene.fusion.steps import Smoothing
from avscene.fusion.tree import Fusion
from avscene.inference import System
from tests.inference.test_system import SECONDS, AudioModel, VideoModel, system
from tests.support.media_files import RATE, plain_frame, tone_samples

SIZE = (64, 48)


def frames_of(seconds: float, fps: int = 5) -> dict[str, Any]:
    times = np.arange(round(seconds * fps)) / fps
    return {"frames": np.stack([plain_frame(int(t + 1e-6) % 8) for t in times]), "frame_times": times}


def audio_of(seconds: float) -> dict[str, Any]:
    return {"waveform": tone_samples(seconds), "sample_rate": RATE}


def top(segments: Any) -> list[str | None]:
    return [segment.scene for segment in segments]


def test_frames_and_audio_of_a_recording() -> None:
    video_model, audio_model = VideoModel(), AudioModel()
    both = system(video_model, audio_model)
    prediction = both.classify_arrays(**frames_of(3), **audio_of(3), name="mine")
    assert (prediction.source, prediction.duration) == ("mine", 3.0)
    assert prediction.modalities == {"audio": True, "video": True}
    assert top(prediction.segments) == ["second 0", "second 1", "second 2"]
    assert {s.frames[0].pixels.shape for s in video_model.scored} == {(32, 43, 3)}
    assert all(set(segment.by_model) == {"video", "audio"} for segment in prediction.segments)
    assert prediction.warnings == ()


def test_one_modality_and_a_photograph() -> None:
    both = system(VideoModel(), AudioModel())
    assert both.classify_arrays(**audio_of(2)).warnings == ("no video track: model `video` was skipped",)
    photograph = both.classify_arrays(frames=plain_frame(6)[None])
    assert (photograph.duration, photograph.scene) == (0.0, "second 6")
    assert [(s.start, s.end) for s in photograph.segments] == [(0.0, 0.0)]
    with pytest.raises(ModalityError, match=r"^<arrays>: has video only; system both needs audio$"):
        system(AudioModel()).classify_arrays(**frames_of(2))


def test_the_duration_and_the_hop() -> None:
    sparse = {"frames": [plain_frame(0), plain_frame(1), plain_frame(2)], "frame_times": [0.5, 1.5, 2.5]}
    video = system(VideoModel())
    assert len(video.classify_arrays(**sparse).segments) == 4  # the last frame is shown for a second
    prediction = video.classify_arrays(**sparse, duration=3)
    assert (prediction.duration, top(prediction.segments)) == (3.0, ["second 0", "second 1", "second 2"])
    assert len(video.classify_arrays(**frames_of(3), hop=0.5).segments) == 6


GOOD = {**frames_of(2), **audio_of(2)}
PIXELS = frames_of(1)["frames"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "there are neither frames nor a waveform"),
        ({"frames": PIXELS}, "frame_times is None; accepted: a number of seconds for each frame"),
        ({"frames": "video.mp4"}, "frames is the str 'video.mp4'; accepted: an array or tensor"),
        ({"frames": PIXELS[0], "frame_times": [0]}, r"ndarray of shape \(48, 64, 3\).*try: frames\[None\] for one"),
        ({"frames": PIXELS[..., :2], "frame_times": range(5)}, r"a frame is an ndarray of shape \(48, 64, 2\)"),
        ({"frames": PIXELS.astype(float), "frame_times": range(5)}, "values from .* to .*; .*; try: frames / 255"),
        ({"frames": PIXELS.astype(np.int64), "frame_times": range(5)}, "frames are of type int64"),
        ({"frames": PIXELS[:0], "frame_times": []}, "frames are empty"),
        ({"frames": PIXELS, "frame_times": [0, 1]}, r"frame_times of shape \(2,\) do not fit 5 frames"),
        ({"frames": PIXELS, "frame_times": [0, 1, 3, 2, 4]}, r"frame_times\[3\] is before frame_times\[2\]"),
        ({"frames": PIXELS, "frame_times": [0, 1, np.nan, 2, 4]}, r"frame_times\[2\] is nan"),
        ({"frames": PIXELS, "frame_times": "abc"}, "frame_times is the str 'abc'"),
        ({"frames": PIXELS, "frame_times": np.arange(5) * 1e5}, "has at most 24 h; frame_times are seconds"),
        ({"frame_times": [0.0], "waveform": np.zeros(9), "sample_rate": 9000}, "frame_times are given without frames"),
        ({"waveform": np.zeros(9)}, "sample_rate is None; accepted: the samples per second"),
        ({"waveform": np.zeros(9), "sample_rate": 0.5}, "sample_rate is the float 0.5"),
        ({"waveform": np.zeros(9), "sample_rate": "44100"}, "sample_rate is the str '44100'"),
        ({"waveform": np.zeros((16000, 2)), "sample_rate": 16000}, r"\(16000, 2\); accepted: .*; try: waveform.T"),
        ({"waveform": np.full(9, 3e4), "sample_rate": 9000}, "samples up to 30000; .*; try: waveform / 32768"),
        ({"waveform": np.array([0, np.nan]), "sample_rate": 9000}, "samples up to nan"),
        ({"waveform": np.zeros(9, np.uint8), "sample_rate": 9000}, "waveform is of type uint8"),
        ({"waveform": object(), "sample_rate": 9000}, "waveform"),
        ({"waveform": [], "sample_rate": 9000}, "waveform is empty"),
        ({"sample_rate": 16000, "frames": PIXELS, "frame_times": range(5)}, "sample_rate is given without a waveform"),
        (GOOD | {"duration": 1}, "duration is 1 s, but frames or audio go on until 2 s"),
        (GOOD | {"duration": "2"}, "duration is the str '2'; accepted: a number of seconds"),
        (GOOD | {"hop": "1"}, "hop is the str '1'; accepted: a number of seconds"),
        (GOOD | {"hop": True}, "hop is the bool True; accepted: a number of seconds"),
        (GOOD | {"name": 3}, "name is the int 3; accepted: a str"),
    ],
)
def test_wrong_arrays_are_one_clear_error(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        system(VideoModel(), AudioModel()).classify_arrays(**arguments)
    assert "\n" not in str(caught.value)


# --- streams ---


def chunk(second: int, *, video: bool = True, audio: bool = True) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if video:
        given |= {"frames": [plain_frame(second % 8)] * 4, "frame_times": second + np.arange(4) / 4}
    if audio:
        given |= {"waveform": tone_samples(second + 1, start=second), "sample_rate": RATE, "waveform_time": second}
    return given


def test_segments_come_as_soon_as_they_are_complete() -> None:
    taken = []

    def chunks() -> Iterator[Any]:
        for second in range(5):
            taken.append(second)
            yield chunk(second)

    segments = system(VideoModel(), AudioModel()).classify_stream(chunks())
    for second in range(4):
        segment = next(segments)
        assert (segment.start, segment.end, segment.scene) == (second, second + 1, f"second {second}")
        assert set(segment.by_model) == {"video", "audio"}
        assert len(taken) == second + 2  # the frame at the end of the segment is in the next chunk
    assert top(segments) == ["second 4"]


def test_a_modality_that_stops_is_waited_for_until_the_lag() -> None:
    chunks = [chunk(second, audio=second < 2) for second in range(8)]
    segments = list(system(VideoModel(), AudioModel()).classify_stream(chunks, max_lag=2))
    assert [len(segment.by_model) for segment in segments] == [2, 2, 1, 1, 1, 1, 1, 1]
    assert top(segments) == [f"second {k}" for k in range(8)]
    taken = []
    endless = (taken.append(second) or chunk(second, audio=second < 2) for second in range(10**9))
    lagging = system(VideoModel(), AudioModel()).classify_stream(endless, max_lag=2)
    assert [next(lagging).start for _ in range(6)] == [0, 1, 2, 3, 4, 5]
    assert len(taken) <= 6 + 2 + 2


def test_a_modality_that_begins_later_must_be_announced() -> None:
    chunks = [chunk(second, audio=second > 1) for second in range(4)]
    both = system(VideoModel(), AudioModel())
    with pytest.raises(UsageError, match=r"began without; try: modalities=\('audio', 'video'\)"):
        list(both.classify_stream(chunks))
    segments = list(both.classify_stream(chunks, modalities=("audio", "video")))
    assert [len(segment.by_model) for segment in segments] == [1, 1, 2, 2]
    with pytest.raises(ModalityError, match="the stream has video only; system both needs audio"):
        list(system(AudioModel()).classify_stream([chunk(0, audio=False)]))


def test_smoothing_waits_for_the_neighbours_and_no_longer() -> None:
    model = VideoModel()
    fusion = Fusion(name="video", members=("video",), steps=(Smoothing(),))
    smooth = System("smooth", SECONDS, (model,), fusion)
    whole = smooth.classify_arrays(**frames_of(20))
    taken = []
    chunks = (taken.append(second) or chunk(second, audio=False) for second in range(20))
    segments = smooth.classify_stream(chunks)
    found = [next(segments) for _ in range(10)]
    assert len(taken) <= 10 + 2
    found += segments
    assert len(found) == len(whole.segments) == 20
    for one, other in zip(found, whole.segments, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-9)


def test_the_memory_of_a_stream_does_not_grow() -> None:
    model = VideoModel()
    model.score = lambda segments: VideoModel().score(segments)  # type: ignore[method-assign]  # keeps nothing
    segments = system(model, AudioModelThatForgets()).classify_stream(chunk(second) for second in range(10**9))
    for _ in range(50):
        next(segments)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(300):
        next(segments)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 300_000  # bytes; 300 s of frames and audio are 30 million


class AudioModelThatForgets(AudioModel):
    def score(self, segments: Any) -> Any:
        return AudioModel().score(segments)


@pytest.mark.parametrize(
    ("chunks", "options", "message"),
    [
        (5, {}, "chunks is the int 5; accepted: an iterable of dicts"),
        (chunk(0), {}, "chunks is a dict of 5; accepted: an iterable of dicts"),
        ([PIXELS], {}, "a chunk is an ndarray of shape"),
        ([{}], {}, "the first chunk has neither frames nor a waveform"),
        ([chunk(0) | {"rate": 3}], {}, "a chunk is a dict of 6; accepted: a dict with keys of frames, frame_times"),
        ([chunk(1), chunk(0)], {}, "frame_times go back from 1.75 to 0 s"),
        ([chunk(0) | {"waveform_time": "0"}], {}, "waveform_time is the str '0'"),
        ([chunk(0)], {"modalities": "audio"}, "modalities is the str 'audio'"),
        ([chunk(0)], {"max_lag": None}, "max_lag is None; accepted: a number"),
    ],
)
def test_wrong_streams_are_one_clear_error(chunks: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AvsceneError, match=message):
        list(system(VideoModel(), AudioModel()).classify_stream(chunks, **options))


def test_a_stream_without_chunks_has_no_segments() -> None:
    assert list(system(VideoModel()).classify_stream([])) == []
    assert isinstance(system(VideoModel()), avscene.System)

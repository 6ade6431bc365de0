"""Test systems: what the models get, and how predictions are made from their probabilities.

Each model here recognises, from its frames or waveforms, the second of the recording that they come from.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import avscene
from avscene.errors import CheckpointError, MediaError, ModalityError, UsageError, WeightsError
from avscene.fusion.rules import LogPool
from avscene.fusion.tree import Fusion
from avscene.inference import BATCH_SIZE, Source, System, batched, prefetch
from avscene.inference.reading import WINDOW
from avscene.inference.scoring.batches import MAX_SEGMENTS
from avscene.labels import TAU_SCENES, LabelSet
from avscene.media.workers import IsolatedRecording
from avscene.models import SceneModel
from avscene.records import Modality, Prediction, SceneProbabilities, Segment
from tests.support.media_files import (
    RATE,
    Writer,
    audio_second,
    corner_frame,
    frame_second,
    plain_frame,
    tone_samples,
    write_media,
)
from tests.support.media_files import write_photograph as photograph

SECONDS = LabelSet(tuple(f"second {k}" for k in range(8)))
TOP_PROBABILITY = 0.79  # probability of the recognised second; the other seven have 0.03 each


def probabilities_of(second: int) -> np.ndarray:
    return np.where(np.arange(8) == second, TOP_PROBABILITY, (1 - TOP_PROBABILITY) / 7)


class VideoModel:
    """A video model that recognises the second of a segment by its first frame."""

    name = "video"
    labels = SECONDS
    needs: Modality = "video"
    sample_rate: int | None = None
    frame_size: int | None = 32

    def __init__(self) -> None:
        self.scored: list[Segment] = []
        self.batches: list[int] = []

    def score(self, segments: Sequence[Segment]) -> SceneProbabilities:
        self.batches.append(len(segments))
        self.scored += segments
        rows = [
            probabilities_of(frame_second(s.frames[0].pixels)) if s.frames else np.full(8, np.nan) for s in segments
        ]
        return SceneProbabilities(SECONDS, np.array(rows))


class AudioModel:
    """An audio model that recognises the second of a segment by its tone."""

    labels = SECONDS
    needs: Modality = "audio"
    frame_size: int | None = None

    def __init__(self, rate: int = RATE, name: str = "audio") -> None:
        self.name = name
        self.sample_rate: int | None = rate
        self.scored: list[Segment] = []

    def score(self, segments: Sequence[Segment]) -> SceneProbabilities:
        self.scored += segments
        rows = [
            np.full(8, np.nan)
            if s.waveform is None
            else probabilities_of(audio_second(s.waveform, self.sample_rate or 0))
            for s in segments
        ]
        return SceneProbabilities(SECONDS, np.array(rows))


def system(*models: SceneModel, exponents: Sequence[float] | None = None, hop: float = 1.0) -> System:
    return System("both", SECONDS, models, pool(models, exponents or [1.0] * len(models)), hop)


def pool(models: Sequence[SceneModel], exponents: Sequence[float]) -> Fusion:
    names = tuple(model.name for model in models)
    rule = LogPool(exponents=dict(zip(names, exponents, strict=True))) if len(names) > 1 else None
    return Fusion(name="both", members=names, rule=rule)


def seconds(prediction: Prediction) -> list[str]:
    return [prediction.labels.names[int(s.probabilities.argmax())] for s in prediction.segments]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_media(tmp_path_factory.mktemp("recording") / "recording.mp4", 4.0)


# --- inputs of the models ---


def test_each_model_gets_the_frames_and_audio_of_each_segment(recording: Path) -> None:
    video_model, audio_model = VideoModel(), AudioModel()
    reported: list[float] = []
    prediction = system(video_model, audio_model).classify(recording, progress=reported.append)
    assert seconds(prediction) == [f"second {k}" for k in range(4)]
    assert [(s.start, s.end) for s in prediction.segments] == [(k, k + 1) for k in range(4)]
    for k, segment in enumerate(prediction.segments):
        assert set(segment.by_model) == {"video", "audio"}
        for values in segment.by_model.values():
            np.testing.assert_allclose(values, probabilities_of(k))
    assert prediction.modalities == {"audio": True, "video": True}
    assert prediction.duration == pytest.approx(4, abs=0.1)
    assert prediction.warnings == ()
    assert prediction.source == str(recording)
    assert reported == [4.0]
    assert {s.waveform.shape for s in audio_model.scored if s.waveform is not None} == {(RATE,)}
    assert {s.frames[0].pixels.shape for s in video_model.scored} == {(32, 43, 3)}  # the shorter side is the frame size
    np.testing.assert_allclose(
        prediction.probabilities, np.mean([s.probabilities for s in prediction.segments], axis=0)
    )


@pytest.mark.parametrize(("hop", "expected"), [(0.5, [0, 0, 1, 1, 2, 2, 3, 3]), (2.0, [1, 3])])
def test_other_hops(recording: Path, hop: float, expected: list[int]) -> None:
    video_model = VideoModel()
    prediction = system(video_model).classify(recording, hop=hop)
    assert seconds(prediction) == [f"second {k}" for k in expected]  # by the middle frame
    assert [s.start for s in prediction.segments] == [k * hop for k in range(len(expected))]
    assert prediction.segments[-1].end == 4.0
    by_default = system(VideoModel(), hop=hop).classify(recording)
    assert by_default.to_dict() == prediction.to_dict()
    by_audio = system(AudioModel()).classify(recording, hop=hop)
    assert len(by_audio.segments) == len(expected)


@pytest.mark.parametrize("hop", [0.0, -1.0, float("nan"), float("inf"), 61.0])
def test_invalid_hops_are_refused(recording: Path, hop: float) -> None:
    message = "a segment has at most 60 s" if hop > 0 else r"is not a number of seconds of 0\.02 or more"
    with pytest.raises(UsageError, match=message):
        system(VideoModel()).classify(recording, hop=hop)


def test_keyframes_only(tmp_path: Path) -> None:
    recording = write_media(tmp_path / "k.mp4", 4.0, gop=100)  # one key frame, at 0
    exact, fast = (system(VideoModel()).classify(recording, keyframes=keyframes) for keyframes in (False, True))
    assert seconds(exact) == [f"second {k}" for k in range(4)]
    assert seconds(fast) == ["second 0"] * 4
    assert fast.duration == pytest.approx(exact.duration, abs=0.1)


def test_segments_come_in_batches(tmp_path: Path) -> None:
    long = write_media(tmp_path / "long.mp4", BATCH_SIZE + 4.0, fps=5, audio=False)
    video_model = VideoModel()
    reported: list[float] = []
    prediction = system(video_model).classify(long, progress=reported.append)
    assert sorted(video_model.batches) == [4, BATCH_SIZE]  # two threads score them
    assert reported in ([BATCH_SIZE, BATCH_SIZE + 4.0], [BATCH_SIZE + 4.0] * 2)
    assert seconds(prediction) == [f"second {k % 8}" for k in range(BATCH_SIZE + 4)]


def test_audio_from_another_file(tmp_path: Path) -> None:
    video_only = write_media(tmp_path / "v.mp4", 3.0, audio=False)
    audio = write_media(tmp_path / "a.wav", 3.0)
    prediction = system(VideoModel(), AudioModel()).classify(video_only, audio=audio)
    assert seconds(prediction) == ["second 0", "second 1", "second 2"]
    assert prediction.modalities == {"audio": True, "video": True}
    assert all(set(s.by_model) == {"video", "audio"} for s in prediction.segments)


# --- missing modalities ---


def test_audio_that_begins_late(tmp_path: Path) -> None:
    late = write_media(tmp_path / "late.mkv", 4.0, audio_start=2.0)
    prediction = system(VideoModel(), AudioModel()).classify(late)
    assert [set(s.by_model) for s in prediction.segments] == [
        {"video"},
        {"video"},
        {"video", "audio"},
        {"video", "audio"},
    ]
    assert seconds(prediction) == [f"second {k}" for k in range(4)]
    by_video_alone = prediction.segments[0].probabilities
    np.testing.assert_allclose(by_video_alone, probabilities_of(0), atol=1e-9)
    assert prediction.segments[2].probabilities.max() > TOP_PROBABILITY  # two agree
    assert prediction.warnings == ("2 of 4 segments have no audio: model `audio` was skipped there",)


@pytest.mark.parametrize(
    ("name", "has", "alone", "warning"),
    [
        ("without_audio.mp4", {"audio": False, "video": True}, "video", "no audio track: model `audio` was skipped"),
        ("without_video.wav", {"audio": True, "video": False}, "audio", "no video track: model `video` was skipped"),
    ],
)
def test_one_modality_alone(tmp_path: Path, name: str, has: dict[Modality, bool], alone: str, warning: str) -> None:
    path = write_media(tmp_path / name, 3.0, video=has["video"], audio=has["audio"])
    prediction = system(VideoModel(), AudioModel(), exponents=[0.3, 0.2]).classify(path)
    assert prediction.modalities == has
    assert prediction.warnings == (warning,)
    for k, segment in enumerate(prediction.segments):
        assert list(segment.by_model) == [alone]
        np.testing.assert_allclose(segment.probabilities, probabilities_of(k), atol=1e-9)  # no pooling of one model


def test_segments_that_no_model_scores_are_omitted_with_a_warning(tmp_path: Path) -> None:
    late = write_media(tmp_path / "late.mkv", 4.0, audio_start=2.0)
    prediction = system(AudioModel()).classify(late)
    assert [s.start for s in prediction.segments] == [2.0, 3.0]
    assert prediction.warnings == ("2 of 4 segments were not scored: they have no audio",)
    assert not np.isnan(prediction.probabilities).any()


@pytest.mark.parametrize(
    ("name", "model", "message"),
    [
        ("without_audio.mp4", AudioModel(), "has video only; system both needs audio"),
        ("without_video.wav", VideoModel(), "has audio only; system both needs video"),
    ],
)
def test_a_missing_modality_is_an_error(tmp_path: Path, name: str, model: SceneModel, message: str) -> None:
    path = write_media(tmp_path / name, 2.0, video=name == "without_audio.mp4", audio=name == "without_video.wav")
    with pytest.raises(ModalityError) as caught:
        system(model).classify(path)
    assert str(caught.value) == f"{path}: {message}"


def test_a_photograph(tmp_path: Path) -> None:
    path = photograph(tmp_path / "p.png", plain_frame(5))
    prediction = system(VideoModel(), AudioModel()).classify(path)
    assert prediction.duration == 0
    assert [(s.start, s.end) for s in prediction.segments] == [(0, 0)]
    assert prediction.scene == "second 5"
    assert prediction.modalities == {"audio": False, "video": True}
    assert prediction.warnings == ("no audio track: model `audio` was skipped",)


def test_warnings_of_the_file_come_first(tmp_path: Path) -> None:
    path = Writer(tmp_path / "two.mkv").audio(tone_samples(2.0)).audio(tone_samples(2.0), default=False).save()
    prediction = system(VideoModel(), AudioModel()).classify(path)
    assert prediction.warnings == ("2 audio streams: took #0 (1 channels)", "no video track: model `video` was skipped")


def test_models_with_different_sample_rates_are_refused(recording: Path) -> None:
    with pytest.raises(UsageError, match=r"different sample rates: 8000, 16000 Hz$"):
        system(AudioModel(), AudioModel(8000, "other")).classify(recording)


def test_the_largest_frame_is_decoded(recording: Path) -> None:
    small, large = VideoModel(), VideoModel()
    large.name, large.frame_size = "larger", 48
    system(small, large).classify(recording)
    assert {min(s.frames[0].pixels.shape[:2]) for s in small.scored} == {48}


# --- fusion ---


def test_two_models_are_pooled_by_their_exponents() -> None:
    first, second = np.array([[0.8, 0.1, 0.1]]), np.array([[0.2, 0.7, 0.1]])
    both = (VideoModel(), AudioModel())
    two = System("two", LabelSet(("a", "b", "c")), both, pool(both, [0.5, 2.0]))
    pooled = first**0.5 * second**2
    np.testing.assert_allclose(two.fuse(np.stack([first, second])), pooled / pooled.sum())


@given(st.lists(st.lists(st.floats(0.001, 1), min_size=3, max_size=3), min_size=1, max_size=5), st.data())
def test_missing_models_are_dropped_from_each_row(rows: list[list[float]], data: st.DataObject) -> None:
    one = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
    other = one[:, ::-1].copy()
    flags = st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))
    gone, lost = np.array(data.draw(flags)), np.array(data.draw(flags))
    scores = np.stack([np.where(gone[:, None], np.nan, one), np.where(lost[:, None], np.nan, other)])
    both = (VideoModel(), AudioModel())
    fused = System("two", LabelSet(("a", "b", "c")), both, pool(both, [0.7, 0.4])).fuse(scores)
    np.testing.assert_array_equal(np.isnan(fused).all(axis=1), gone & lost)
    np.testing.assert_allclose(fused[~(gone & lost)].sum(axis=1), 1)
    np.testing.assert_allclose(fused[lost & ~gone], one[lost & ~gone], atol=1e-9)
    np.testing.assert_allclose(fused[gone & ~lost], other[gone & ~lost], atol=1e-9)


# --- prefetching ---


@given(st.lists(st.integers(), max_size=50), st.integers(1, 7))
def test_prefetch_and_batched_keep_all_items(items: list[int], size: int) -> None:
    assert list(prefetch(items)) == items
    batches = list(batched(items, size))
    assert [item for batch in batches for item in batch] == items
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(1 <= len(batch) <= size for batch in batches)


def test_the_next_item_is_computed_while_one_is_in_use() -> None:
    """The next item is made while this one is in use: otherwise the wait below would time out."""
    made = [threading.Event() for _ in range(3)]

    def source() -> Iterator[int]:
        for k, event in enumerate(made):
            event.set()
            yield k

    for k in prefetch(source()):
        if k + 1 < len(made):
            assert made[k + 1].wait(5)


def test_prefetch_raises_errors_and_ends_its_thread() -> None:
    before = threading.active_count()

    def broken() -> Iterator[int]:
        yield 1
        raise MediaError("gone")

    items = prefetch(broken())
    assert next(items) == 1
    with pytest.raises(MediaError, match="gone"):
        next(items)
    assert threading.active_count() == before


def test_prefetch_ends_its_thread_when_it_is_closed() -> None:
    before = threading.active_count()
    closed = []

    def source() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.append(True)

    items = prefetch(source())
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    del items
    assert closed


def test_a_model_that_raises_leaves_no_thread_and_no_open_file(recording: Path) -> None:
    class Broken(VideoModel):
        def score(self, segments: Sequence[Segment]) -> SceneProbabilities:
            raise UsageError(f"cannot score {len(segments)}")

    system(VideoModel()).classify(recording)  # starts a worker process, which stays
    before = threading.active_count()
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(UsageError, match="cannot score 4"):
        system(Broken()).classify(recording)
    while threading.active_count() > before or len(list(Path("/proc/self/fd").iterdir())) > open_files:
        time.sleep(0.02)  # ffmpeg's own threads take a moment to end
    assert threading.active_count() == before
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files


def test_probabilities_by_model(recording: Path) -> None:
    video_model, audio_model = VideoModel(), AudioModel()
    both = system(video_model, audio_model)
    with IsolatedRecording(recording) as opened:
        segments = list(opened.segments(both.sampling(1.0)))
    scores = both.score_by_model(segments)
    assert scores.shape == (2, len(segments), 8) == (2, 4, 8)
    np.testing.assert_allclose(scores[0], [probabilities_of(k) for k in range(4)])


# --- many recordings ---


def test_segments_that_share_a_frame_are_scored_together(tmp_path: Path) -> None:
    long = write_media(tmp_path / "long.mp4", MAX_SEGMENTS + 6.0, fps=2, gop=20, audio=False)
    video_model = VideoModel()
    system(video_model).classify(long, keyframes=True)
    assert sorted(video_model.batches) == [6, MAX_SEGMENTS]


def test_an_outcome_does_not_depend_on_other_recordings(tmp_path: Path, recording: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    audio = write_media(tmp_path / "a.wav", 2.0)
    video_only = write_media(tmp_path / "v.mp4", 3.0, audio=False)
    video_model = VideoModel()
    reported: list[tuple[int, float]] = []
    sources = [Source(recording), Source(broken), Source(audio), Source(video_only, audio), *[Source(recording)] * 3]
    outcomes = list(system(video_model).classify_all(sources, progress=lambda at, end: reported.append((at, end))))
    assert sorted(video_model.batches) == [2, 3, 4, 4, 4, 4]  # a batch for each recording that can be decoded
    assert sorted(reported) == [(0, 4.0), (2, 2.0), (3, 3.0), (4, 4.0), (5, 4.0), (6, 4.0)]
    assert [type(outcome) for outcome in outcomes] == [Prediction, MediaError, ModalityError, *[Prediction] * 4]
    for source, outcome in zip(sources, outcomes, strict=True):
        if isinstance(outcome, Prediction):
            alone = system(VideoModel()).classify(source.path, audio=source.audio)
            assert outcome.to_dict() == alone.to_dict()
        else:
            assert str(outcome).startswith(str(source.path))


def test_recordings_are_begun_shortly_before_they_are_needed(tmp_path: Path) -> None:
    asked: list[int] = []

    class Gone(Sequence[Source]):
        def __len__(self) -> int:
            return 1000

        def __getitem__(self, index: int) -> Source:  # type: ignore[override]
            asked.append(index)
            return Source(tmp_path / f"{index}.mp4")

    outcomes = system(VideoModel()).classify_all(Gone(), workers=2)
    assert isinstance(next(outcomes), MediaError)
    outcomes.close()
    # While the first error is handed over, recordings that fail at once go on: some more than the window are begun.
    assert max(asked) < 10 * WINDOW


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_no_recording_is_begun_after_a_stop(recording: Path, workers: int) -> None:
    stop = threading.Event()
    outcomes = system(VideoModel()).classify_all([Source(recording)] * 50, workers=workers, stop=stop)
    first = next(outcomes)
    stop.set()
    rest = list(outcomes)
    assert all(isinstance(outcome, Prediction) for outcome in [first, *rest])
    assert len(rest) <= (WINDOW + 1) * workers


# --- load ---


def test_load_takes_names_and_label_sets(tmp_path: Path) -> None:
    labels = ["kitchen", "wood"]
    loaded = avscene.load("conse", labels=labels)
    assert (loaded.name, loaded.labels, loaded.hop) == ("conse", LabelSet(("kitchen", "wood")), 1.0)
    path = photograph(tmp_path / "p.png", corner_frame())
    prediction = loaded.classify(path)
    assert prediction.labels == loaded.labels
    assert prediction.probabilities.sum() == pytest.approx(1)
    turned = avscene.load("conse", labels=LabelSet(("wood", "kitchen"))).classify(path)
    assert turned.scores == pytest.approx(prediction.scores, abs=1e-6)
    assert avscene.load("conse").labels == TAU_SCENES
    assert avscene.load("embedded").name == "conse"  # its former name


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"system": "embeded"}, UsageError, "did you mean embedded"),
        ({"system": "c03x"}, UsageError, "did you mean C03"),
        ({"system": "zzz"}, UsageError, "neither a system nor a checkpoint directory"),
        ({"system": "conse", "labels": ["a"]}, UsageError, "at least two"),
        ({"system": "conse", "labels": ["a", "a"]}, UsageError, "given twice"),
        ({"system": "conse", "prompts": ["{}"]}, UsageError, "takes no prompts"),
        ({"system": "conse", "device": "tpu"}, UsageError, "auto, cpu, cuda"),
        ({"system": "conse", "precision": "int8"}, UsageError, "auto, float32, bfloat16"),
        ({"system": "folder"}, CheckpointError, "a directory but not a checkpoint"),
    ],
)
def test_load_refuses_invalid_arguments(
    arguments: dict[str, object],
    error: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(error, match=message):
        avscene.load(**arguments)  # type: ignore[arg-type]


def test_absent_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="run once without --offline"):
        avscene.load("C03", offline=True)

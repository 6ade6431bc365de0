"""Test that silence, black frames and fragments are not scored, wherever segments are read, and what users get."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from avscene.datasets.layout import read_dataset
from avscene.datasets.store.writer import prepare
from avscene.errors import ModalityError
from avscene.features.content import ContentSpec, frame_spread
from avscene.inference import Source, System, load
from avscene.inference.reading import BatchReader
from avscene.media.sampling import Sampling
from avscene.models.checkpoint import read_config
from avscene.models.efficientnet_lite import FRAMES
from avscene.models.linear_heads import VideoEncoder
from avscene.training.embed import embed_dataset, embed_store
from avscene.training.fine_tuning.readers import FrameReader
from avscene.training.fine_tuning.rows import usable_rows
from avscene.training.fine_tuning.schedule import MicroBatch
from tests.support import small_store
from tests.support.command_line import run
from tests.support.ffmpeg_program import ffmpeg
from tests.support.scene_data import CPU, train_on, write_data

NOISE, SILENCE = "anoisesrc=r=44100:a=0.1:s=1", "anullsrc=r=44100:cl=mono"
PICTURE, BLACK = "testsrc2=s=96x64:r=5", "color=black:s=96x64:r=5,noise=all_strength=6:all_flags=t"


def write(path: Path, video: Sequence[str] = (), audio: Sequence[str] = (), *options: str) -> Path:
    """Write a recording of parts of 2 s, each from a source of ffmpeg."""
    inputs, graph = [], []
    for kind, sources in (("v", video), ("a", audio)):
        first = len(inputs)
        inputs += sources
        labels = "".join(f"[{first + k}:{kind}]" for k in range(len(sources)))
        if sources:
            is_video = int(kind == "v")
            graph.append(f"{labels}concat=n={len(sources)}:v={is_video}:a={1 - is_video}[{kind}]")
    maps = [item for kind, sources in (("v", video), ("a", audio)) if sources for item in ("-map", f"[{kind}]")]
    arguments = [item for source in inputs for item in ("-f", "lavfi", "-t", "2", "-i", source)]
    ffmpeg(*arguments, "-filter_complex", ";".join(graph), *maps, "-pix_fmt", "yuv420p", *options, path)
    return path


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fast")
    train_on(write_data(root / "data"), root / "system")
    return root / "system"


@pytest.fixture(scope="module")
def system(fast: Path) -> System:
    return load(fast, device="cpu", precision="float32")


def test_the_thresholds_are_in_the_configuration_of_the_system(fast: Path, system: System) -> None:
    values = json.loads((fast / "config.json").read_text())
    assert values["content"] == {"min_level": -70.0, "min_spread": 1.5}
    assert system.content == read_config(fast).content == ContentSpec()


@pytest.mark.parametrize("blank", ["audio", "video"])
def test_a_blank_modality_gives_the_answer_of_the_recording_without_it(
    tmp_path: Path, system: System, blank: str
) -> None:
    audio = [SILENCE if blank == "audio" else NOISE]
    video = [BLACK if blank == "video" else PICTURE]
    both = write(tmp_path / "both.mkv", video, audio, "-c:a", "pcm_s16le")
    kept = ("-an",) if blank == "audio" else ("-vn",)
    ffmpeg("-i", both, "-c", "copy", *kept, tmp_path / "without.mkv")
    prediction, without = system.classify(both), system.classify(tmp_path / "without.mkv")
    np.testing.assert_array_equal(prediction.probabilities, without.probabilities)
    assert prediction.modalities == without.modalities == {"audio": blank != "audio", "video": blank != "video"}
    reason = {"audio": "the audio is silent", "video": "the video is of a single colour"}[blank]
    assert prediction.warnings == (f"{reason}: model `{blank}` was skipped",)


def test_warnings_count_the_segments(tmp_path: Path, system: System) -> None:
    path = write(tmp_path / "a.mkv", [PICTURE, PICTURE, BLACK], [NOISE, SILENCE, SILENCE], "-c:a", "pcm_s16le")
    prediction = system.classify(path)
    assert [sorted(s.by_model) for s in prediction.segments] == [["audio", "video"]] * 2 + [["video"]] * 2
    assert prediction.modalities == {"audio": True, "video": True}
    assert prediction.warnings == (
        "2 of 6 segments have silent audio: model `audio` was skipped there",
        "2 of 6 segments were not scored: they have silent audio and frames of a single colour",
    )


@pytest.mark.parametrize("seconds", ["0.016", "0.45"])
def test_a_fragment_of_audio_is_not_scored(tmp_path: Path, system: System, seconds: str) -> None:
    path = write(tmp_path / "a.mkv", [PICTURE], [f"{NOISE}:d=1.{seconds[2:]}"], "-c:a", "pcm_s16le")
    without = ffmpeg("-i", path, "-an", "-c", "copy", "-f", "matroska", "-")
    (tmp_path / "without.mkv").write_bytes(without)
    second = system.classify(path).segments[1]
    assert sorted(second.by_model) == ["video"]
    np.testing.assert_array_equal(
        second.probabilities, system.classify(tmp_path / "without.mkv").segments[1].probabilities
    )


@pytest.mark.parametrize(
    ("name", "video", "audio", "message"),
    [
        ("a.wav", [], [SILENCE], "the audio is silent; system fast needs audio or video"),
        ("a.mp4", [BLACK], [], "the video is of a single colour; system fast needs audio or video"),
        (
            "a.mkv",
            [BLACK],
            [SILENCE],
            "the audio is silent and the video is of a single colour; system fast needs audio or video",
        ),
    ],
)
def test_a_recording_without_content_is_one_without_a_modality(
    tmp_path: Path, system: System, name: str, video: list[str], audio: list[str], message: str
) -> None:
    path = write(tmp_path / name, video, audio)
    with pytest.raises(ModalityError) as raised:
        system.classify(path)
    assert str(raised.value) == f"{path}: {message}"


def test_the_command_line_says_why_a_recording_is_not_classified(
    tmp_path: Path, fast: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.wav", [], [SILENCE])
    answer = run(capsys, "classify", path, "--system", fast)
    assert answer.error(1) == f"{path}: the audio is silent; system fast needs audio or video"
    black = write(tmp_path / "a.mp4", [BLACK], [NOISE])
    answer = run(capsys, "classify", black, "--system", "conse")
    assert answer.error(1) == f"{black}: the video is of a single colour; system conse needs video"
    half = write(tmp_path / "b.mp4", [PICTURE, BLACK], [NOISE, NOISE])
    answer = run(capsys, "classify", half, "--system", "conse", "--format", "json")
    assert json.loads(answer.out)["warnings"] == [
        "2 of 4 segments were not scored: they have frames of a single colour"
    ]


def test_predict_and_classify_score_the_same_segments(
    tmp_path: Path, fast: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    (data / "cave").mkdir(parents=True)
    write(data / "cave" / "a.mkv", [PICTURE, BLACK], [SILENCE, NOISE], "-c:a", "pcm_s16le")
    (data / "meta.csv").write_text("path,label\ncave/a.mkv,cave\n")
    answer = run(capsys, "predict", "--system", fast, "--data", data, "--output", tmp_path / "t.tsv", "--by-model")
    assert answer.code == 0, answer.err
    starts = {
        name: [line.split("\t")[1] for line in (tmp_path / f"t.{name}.tsv").read_text().splitlines()[1:]]
        for name in ("audio", "video")
    }
    assert starts == {"audio": ["2", "3"], "video": ["0", "1"]}


def test_training_and_embedding_leave_out_what_holds_no_content(tmp_path: Path) -> None:
    data = tmp_path / "data"
    small_store.write_data(data)
    blank = sorted(data.glob("*-2.mp4"))
    for path in blank:
        write(path, [PICTURE, BLACK], [SILENCE, NOISE], "-ar", "16000")
    found = read_dataset(data)
    encoder = VideoEncoder(FRAMES, CPU)
    embedded = embed_dataset(found, {"video": encoder}, Sampling(sample_rate=16000, frame_size=48))
    names = np.array([example.path for example in embedded.examples])
    is_blank = np.isin(names, blank) & (embedded.starts >= 2)
    np.testing.assert_array_equal(np.isnan(embedded.by_encoder["video"][:, 0]), is_blank)

    store = prepare(found, tmp_path / "store", small_store.SPEC).store
    is_changed = np.array([example.path in blank for example in store.examples])
    stored = embed_store(store, "lite0", encoder).embeddings("lite0")
    np.testing.assert_array_equal(np.isnan(stored[:, 0]), is_changed & (store.starts >= 2))
    train, valid = small_store.train_and_validation_rows(store)
    for kind, kept in (("audio", store.starts >= 2), ("video", store.starts < 2)):
        rows, _ = usable_rows(store, train, valid, small_store.plan(kind))
        assert rows == [row for row in train if not is_changed[row] or kept[row]]
    every = [segment for segment in store.segments(range(len(store))) if segment.has("video")]
    assert len(every) == len(store)  # a store keeps what was decoded


def test_training_draws_no_black_frame_of_a_segment(tmp_path: Path) -> None:
    """In each second, the first of three frames is black; frames are drawn at random."""
    black = "lt(mod(t,1),0.3)"
    for k in range(4):
        path = tmp_path / "data" / "ab"[k % 2] / f"{k}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, [f"testsrc2=s=96x64:r=6,drawbox=c=black:t=fill:enable='{black}'"], ["sine=300"], "-ar", "16000")
    found = read_dataset(tmp_path / "data")
    store = prepare(found, tmp_path / "store", small_store.SPEC).store
    segments = store.segments(range(len(store)), every_frame=True)
    assert all(frame_spread(s.frames[0].pixels) < 1 < 20 < frame_spread(s.frames[1].pixels) for s in segments)
    frames = {**small_store.CLEAN["frames"], "random_frame": True}
    reader = FrameReader(store, small_store.plan("video", **{**small_store.CLEAN, "frames": frames}), FRAMES)
    drawn = [reader.augmented(MicroBatch(epoch, 0, 0, (0, 1, 2))) for epoch in range(6)]
    assert min(float(image.std()) for images in drawn for image in images) > 0.3


def test_the_thresholds_are_those_of_the_system(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", [BLACK], [SILENCE], "-c:a", "pcm_s16le")
    sampling = Sampling(sample_rate=16000, frame_size=48)
    for content, is_kept in ((ContentSpec(), False), (ContentSpec(float("-inf"), 0.0), True)):
        (batch,) = BatchReader([Source(path)], sampling, content=content)
        assert [s.has(m) for s in batch.segments for m in ("audio", "video")] == [is_kept] * 4


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        (("-ar", "8000"), "a sample rate of 8000 Hz (the system was trained on 16000 Hz)"),
        (
            ("-ar", "8000", "-c:a", "pcm_mulaw"),
            "a sample rate of 8000 Hz (the system was trained on 16000 Hz) and 8 bits per sample",
        ),
        (("-ar", "48000", "-c:a", "pcm_u8"), "8 bits per sample"),
        (("-ar", "11025"), "a sample rate of 11025 Hz (the system was trained on 16000 Hz)"),
        (("-ar", "16000"), None),
        (("-ar", "48000", "-c:a", "pcm_s24le"), None),
    ],
)
def test_audio_of_low_bandwidth_or_depth_gives_one_warning(
    tmp_path: Path, system: System, options: tuple[str, ...], warning: str | None
) -> None:
    path = write(tmp_path / "a.wav", [], [NOISE], *options)
    expected = [] if warning is None else [f"the audio has {warning}: predictions from it are less reliable"]
    skipped = ["no video track: model `video` was skipped"]
    assert list(system.classify(path).warnings) == [*expected, *skipped]


def test_a_system_of_video_does_not_warn_of_the_audio(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", [PICTURE], [NOISE], "-ar", "8000", "-c:a", "pcm_mulaw")
    assert load("conse").classify(path).warnings == ()

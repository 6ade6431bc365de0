"""Test toytown on one-second recordings: layout, content, determinism, resuming and refused directories."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest

from avscene.datasets.toytown import build
from avscene.datasets.toytown.build import build_toytown, write_recording
from avscene.datasets.toytown.plan import (
    AUDIO_PAIRS,
    CITIES,
    VIDEO_PAIRS,
    PlannedRecording,
    Settings,
    neighbour,
    plan_recordings,
    seeded_generator,
)
from avscene.errors import DataError
from avscene.labels import TAU_SCENES
from tests.support.media_files import decode_audio, decode_video

SMALL = {"locations_per_scene": 2, "recordings_per_location": 1, "seconds": 1}
MEDIA = ["filename_audio", "filename_video"]
COLUMNS = {
    "meta.csv": [*MEDIA, "scene_label", "identifier"],
    "evaluation_setup/fold1_train.csv": [*MEDIA, "scene_label"],
    "evaluation_setup/fold1_evaluate.csv": [*MEDIA, "scene_label"],
    "evaluation_setup/fold1_test.csv": MEDIA,
}


def rows(path: Path) -> list[dict[str, str]]:
    header, *lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return [dict(zip(header, line, strict=True)) for line in lines]


def media_of(root: Path, suffix: str) -> list[Path]:
    return sorted(root.glob(f"*/*.{suffix}"), key=lambda path: int(path.stem.split("-")[3]))


@pytest.fixture(scope="module")
def toytown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("toytown") / "data"
    build_toytown(root, **SMALL, seed=3)
    return root


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("twin")  # exists and is empty: that is allowed
    build_toytown(root, **SMALL, seed=3)
    return root


@pytest.mark.parametrize(("table", "columns"), COLUMNS.items())
def test_tables_have_the_columns_of_tau(toytown: Path, table: str, columns: list[str]) -> None:
    assert (toytown / table).read_text(encoding="utf-8").splitlines()[0] == "\t".join(columns)
    assert rows(toytown / table)


def test_every_recording_is_in_the_tables_and_on_disk(toytown: Path) -> None:
    meta = rows(toytown / "meta.csv")
    assert len(meta) == 20
    for suffix, column in (("wav", "filename_audio"), ("mp4", "filename_video")):
        found = {path.relative_to(toytown).as_posix() for path in media_of(toytown, suffix)}
        assert found == {row[column] for row in meta}
    assert "synthetic" in (toytown / "README.md").read_text(encoding="utf-8")
    assert not list(toytown.rglob("*.part"))


def test_file_names_have_scene_city_location_and_segment(toytown: Path) -> None:
    segments = set()
    for row in rows(toytown / "meta.csv"):
        scene, city, location, segment = Path(row["filename_audio"]).stem.split("-")
        assert Path(row["filename_video"]).stem == Path(row["filename_audio"]).stem
        assert scene == row["scene_label"]
        assert scene in TAU_SCENES
        assert city in CITIES
        assert row["identifier"] == f"{city}-{int(location)}"
        segments.add(int(segment))
    assert len(segments) == 20


def test_split_shares_no_location_and_has_every_scene(toytown: Path) -> None:
    train, evaluate, test = (
        rows(toytown / f"evaluation_setup/fold1_{part}.csv") for part in ("train", "evaluate", "test")
    )
    locations = [{row["filename_audio"].split("-")[2] for row in part} for part in (train, evaluate)]
    assert not locations[0] & locations[1]
    assert len(locations[0] | locations[1]) == 20
    assert [{row[name] for name in MEDIA} for row in test] == [{r[name] for name in MEDIA} for r in evaluate]
    for part in (train, evaluate):
        assert {row["scene_label"] for row in part} == set(TAU_SCENES)


def test_default_plan_has_four_locations_to_train_on_and_two_to_test_on() -> None:
    plan = plan_recordings(Settings(6, 4, 5, 0))
    assert len(plan) == 240
    assert len({recording.location for recording in plan}) == 60
    assert {recording.city for recording in plan} == set(CITIES)
    for scene in TAU_SCENES:
        sides = {r.location: r.test for r in plan if r.scene == scene}
        assert sorted(sides.values()) == [False] * 4 + [True] * 2


def test_audio_and_video_pair_every_scene_with_different_neighbours() -> None:
    for scene in TAU_SCENES:
        by_audio, by_video = (neighbour(scene, pairs) for pairs in (AUDIO_PAIRS, VIDEO_PAIRS))
        assert scene not in (by_audio, by_video)
        assert by_audio != by_video


def test_media_files_have_the_requested_length(toytown: Path) -> None:
    for path in media_of(toytown, "wav"):
        with av.open(str(path)) as container:
            assert container.streams.audio[0].rate == 48_000
        assert decode_audio(path).shape == (48_000,)
        assert decode_audio(path).std() > 100  # of 32767: not silence
    for path in media_of(toytown, "mp4"):
        with av.open(str(path)) as container:
            assert not container.streams.audio
            assert container.streams.video[0].average_rate == 12
        assert decode_video(path).shape == (12, 144, 176, 3)
        assert decode_video(path).std() > 10


def test_same_seed_gives_the_same_content(toytown: Path, twin: Path) -> None:
    for one, other in zip(media_of(toytown, "wav"), media_of(twin, "wav"), strict=True):
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes()
    for one, other in zip(media_of(toytown, "mp4"), media_of(twin, "mp4"), strict=True):
        assert np.array_equal(decode_video(one), decode_video(other))
    for table in COLUMNS:
        assert (toytown / table).read_bytes() == (twin / table).read_bytes()


def test_another_seed_gives_other_content() -> None:
    drawn = []
    for seed in (3, 4):
        recording = plan_recordings(Settings(2, 1, 1, seed))[0]
        assert recording.audio == "audio/airport-barcelona-1-1.wav"
        drawn.append((recording.audio_share, seeded_generator(seed, "ear", recording.location).random()))
    assert drawn[0][0] != drawn[1][0]
    assert drawn[0][1] != drawn[1][1]


def test_locations_of_a_scene_differ_in_level_and_light(toytown: Path) -> None:
    levels = [20 * np.log10(decode_audio(path).std()) for path in media_of(toytown, "wav")]
    colours = [decode_video(path).mean(axis=(0, 1, 2)) for path in media_of(toytown, "mp4")]
    pairs = [(2 * scene, 2 * scene + 1) for scene in range(10)]  # two locations each
    assert np.mean([abs(levels[a] - levels[b]) for a, b in pairs]) > 1  # dB
    assert np.mean([np.abs(colours[a] - colours[b]).max() for a, b in pairs]) > 10  # of 255


def test_a_finished_build_is_not_changed(toytown: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in toytown.rglob("*")}
    calls: list[tuple[int, int]] = []
    build_toytown(toytown, **SMALL, seed=3, progress=lambda done, total: calls.append((done, total)))
    assert {path: path.stat().st_mtime_ns for path in toytown.rglob("*")} == before
    assert calls == [(done, 20) for done in range(1, 21)]


def test_a_build_writes_only_missing_files(toytown: Path, twin: Path) -> None:
    wav, mp4, table = media_of(twin, "wav")[4], media_of(twin, "mp4")[7], twin / "meta.csv"
    for path in (wav, mp4, table):
        path.unlink()
    kept = media_of(twin, "wav")[0].stat().st_mtime_ns
    build_toytown(twin, **SMALL, seed=3)
    assert wav.read_bytes() == (toytown / wav.relative_to(twin)).read_bytes()
    assert np.array_equal(decode_video(mp4), decode_video(toytown / mp4.relative_to(twin)))
    assert table.read_bytes() == (toytown / "meta.csv").read_bytes()
    assert media_of(twin, "wav")[0].stat().st_mtime_ns == kept


def test_a_directory_with_other_content_is_refused(tmp_path: Path, toytown: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="not a toytown and not empty"):
        build_toytown(tmp_path, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(DataError, match="not a toytown and not empty"):
        build_toytown(tmp_path / "thesis.txt", **SMALL)
    with pytest.raises(DataError, match="other settings"):
        build_toytown(toytown, **SMALL, seed=4)


@pytest.mark.parametrize("wrong", [{"locations_per_scene": 1}, {"seconds": 0}, {"seed": -1}])
def test_settings_out_of_range_are_refused_before_anything_is_written(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(DataError, match="toytown needs at least"):
        build_toytown(tmp_path / "new", **(SMALL | wrong))
    assert not (tmp_path / "new").exists()


def test_an_error_in_one_recording_ends_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n_threads, started, cancelled = 3, [], threading.Event()

    def fail_first(root: Path, recording: PlannedRecording, settings: Settings) -> None:
        started.append(recording)
        if len(started) == 1:
            raise DataError("disk full")
        cancelled.wait()

    class Pool(ThreadPoolExecutor):
        def __init__(self, _: int | None) -> None:
            super().__init__(n_threads)

        def shutdown(self, *, cancel_futures: bool) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            cancelled.set()
            super().shutdown()

    monkeypatch.setattr(build, "_write_media", fail_first)
    monkeypatch.setattr(build, "ThreadPoolExecutor", Pool)
    with pytest.raises(DataError, match="disk full"):
        build_toytown(tmp_path / "new", locations_per_scene=50, seconds=1)
    assert len(started) <= 1 + n_threads  # of 10 x 50 x 4 recordings
    assert not (tmp_path / "new" / "meta.csv").exists()


def test_recording_with_other_audio(tmp_path: Path) -> None:
    write_recording(tmp_path / "park.mp4", ("park", "park"), seconds=1)
    write_recording(tmp_path / "dubbed.mp4", ("park", "bus"), seconds=1, audio_scenes=("park", "park"))
    np.testing.assert_array_equal(decode_audio(tmp_path / "dubbed.mp4"), decode_audio(tmp_path / "park.mp4"))
    park, dubbed = decode_video(tmp_path / "park.mp4"), decode_video(tmp_path / "dubbed.mp4")
    half = len(park) // 2
    assert np.abs(park[half + 1 :].mean((1, 2)) - dubbed[half + 1 :].mean((1, 2))).max() > 20  # levels of 256

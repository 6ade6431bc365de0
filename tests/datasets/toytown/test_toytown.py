"""Toytown: layout, content, determinism, resuming and refusal, on a build of one-second recordings."""

import time
from pathlib import Path

import av
import numpy as np
import pytest

from avscene.datasets.toytown import build as toytown
from avscene.datasets.toytown.build import CITIES, PICTURE_ALIKE, SOUND_ALIKE, build_toytown
from avscene.errors import DataError
from avscene.labels import TAU_SCENES
from avscene.media.encode import write_mp4, write_wav

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


def sound(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def picture(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def media_of(root: Path, suffix: str) -> list[Path]:
    return sorted(root.glob(f"*/*.{suffix}"), key=lambda path: int(path.stem.split("-")[3]))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("town") / "data"
    build_toytown(root, **SMALL, seed=3)
    return root


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("twin")  # exists and is empty: that is allowed
    build_toytown(root, **SMALL, seed=3)
    return root


@pytest.mark.parametrize(("table", "columns"), COLUMNS.items())
def test_tables_have_the_columns_of_tau(town: Path, table: str, columns: list[str]) -> None:
    assert (town / table).read_text(encoding="utf-8").splitlines()[0] == "\t".join(columns)
    assert rows(town / table)


def test_every_recording_is_in_the_tables_and_on_disk(town: Path) -> None:
    meta = rows(town / "meta.csv")
    assert len(meta) == 20
    for suffix, column in (("wav", "filename_audio"), ("mp4", "filename_video")):
        found = {path.relative_to(town).as_posix() for path in media_of(town, suffix)}
        assert found == {row[column] for row in meta}
    assert "synthetic" in (town / "README.md").read_text(encoding="utf-8")
    assert not list(town.rglob("*.part"))


def test_names_say_scene_city_location_and_segment(town: Path) -> None:
    segments = set()
    for row in rows(town / "meta.csv"):
        scene, city, location, segment = Path(row["filename_audio"]).stem.split("-")
        assert Path(row["filename_video"]).stem == Path(row["filename_audio"]).stem
        assert scene == row["scene_label"]
        assert scene in TAU_SCENES
        assert city in CITIES
        assert row["identifier"] == f"{city}-{int(location)}"
        segments.add(int(segment))
    assert len(segments) == 20


def test_split_shares_no_location_and_has_every_scene(town: Path) -> None:
    train, evaluate, test = (
        rows(town / f"evaluation_setup/fold1_{part}.csv") for part in ("train", "evaluate", "test")
    )
    locations = [{row["filename_audio"].split("-")[2] for row in part} for part in (train, evaluate)]
    assert not locations[0] & locations[1]
    assert len(locations[0] | locations[1]) == 20
    assert [{row[name] for name in MEDIA} for row in test] == [{r[name] for name in MEDIA} for r in evaluate]
    for part in (train, evaluate):
        assert {row["scene_label"] for row in part} == set(TAU_SCENES)


def test_default_plan_has_four_locations_to_train_on_and_two_to_test_on() -> None:
    plan = toytown._plan(toytown._Settings(6, 4, 5, 0))
    assert len(plan) == 240
    assert len({recording.location for recording in plan}) == 60
    assert {recording.city for recording in plan} == set(CITIES)
    for scene in TAU_SCENES:
        sides = {r.location: r.test for r in plan if r.scene == scene}
        assert sorted(sides.values()) == [False] * 4 + [True] * 2


def test_sound_and_picture_pair_every_scene_with_different_neighbours() -> None:
    for scene in TAU_SCENES:
        by_sound, by_picture = (toytown._neighbour(scene, pairs) for pairs in (SOUND_ALIKE, PICTURE_ALIKE))
        assert scene not in (by_sound, by_picture)
        assert by_sound != by_picture


def test_media_decode_to_the_length_asked_for(town: Path) -> None:
    for path in media_of(town, "wav"):
        with av.open(str(path)) as container:
            assert container.streams.audio[0].rate == 48_000
        assert sound(path).shape == (48_000,)
        assert sound(path).std() > 100  # of 32767: not silence
    for path in media_of(town, "mp4"):
        with av.open(str(path)) as container:
            assert not container.streams.audio
            assert container.streams.video[0].average_rate == 12
        assert picture(path).shape == (12, 144, 176, 3)
        assert picture(path).std() > 10


def test_same_seed_gives_the_same_content(town: Path, twin: Path) -> None:
    for one, other in zip(media_of(town, "wav"), media_of(twin, "wav"), strict=True):
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes()
    for one, other in zip(media_of(town, "mp4"), media_of(twin, "mp4"), strict=True):
        assert np.array_equal(picture(one), picture(other))
    for table in COLUMNS:
        assert (town / table).read_bytes() == (twin / table).read_bytes()


def test_other_seed_gives_other_content() -> None:
    files = []
    for seed in (3, 4):
        recording = toytown._plan(toytown._Settings(2, 1, 1, seed))[0]
        assert recording.audio == "audio/airport-barcelona-1-1.wav"
        files.append((recording.sound_lean, toytown._random(seed, "ear", recording.location).random()))
    assert files[0][0] != files[1][0]
    assert files[0][1] != files[1][1]


def test_locations_of_a_scene_differ_in_level_and_light(town: Path) -> None:
    loud = [20 * np.log10(sound(path).std()) for path in media_of(town, "wav")]
    light = [picture(path).mean(axis=(0, 1, 2)) for path in media_of(town, "mp4")]
    pairs = [(2 * scene, 2 * scene + 1) for scene in range(10)]  # two locations each
    assert np.mean([abs(loud[a] - loud[b]) for a, b in pairs]) > 1  # dB
    assert np.mean([np.abs(light[a] - light[b]).max() for a, b in pairs]) > 10  # of 255


def test_a_finished_build_is_left_as_it_is(town: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in town.rglob("*")}
    calls: list[tuple[int, int]] = []
    build_toytown(town, **SMALL, seed=3, progress=lambda done, total: calls.append((done, total)))
    assert {path: path.stat().st_mtime_ns for path in town.rglob("*")} == before
    assert calls == [(done, 20) for done in range(1, 21)]


def test_a_build_resumes_where_files_are_missing(town: Path, twin: Path) -> None:
    wav, mp4, table = media_of(twin, "wav")[4], media_of(twin, "mp4")[7], twin / "meta.csv"
    for path in (wav, mp4, table):
        path.unlink()
    kept = media_of(twin, "wav")[0].stat().st_mtime_ns
    build_toytown(twin, **SMALL, seed=3)
    assert wav.read_bytes() == (town / wav.relative_to(twin)).read_bytes()
    assert np.array_equal(picture(mp4), picture(town / mp4.relative_to(twin)))
    assert table.read_bytes() == (town / "meta.csv").read_bytes()
    assert media_of(twin, "wav")[0].stat().st_mtime_ns == kept


def test_other_content_is_refused(tmp_path: Path, town: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="not a toytown and not empty"):
        build_toytown(tmp_path, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(DataError, match="not a toytown and not empty"):
        build_toytown(tmp_path / "thesis.txt", **SMALL)
    with pytest.raises(DataError, match="other settings"):
        build_toytown(town, **SMALL, seed=4)


@pytest.mark.parametrize("wrong", [{"locations_per_scene": 1}, {"seconds": 0}, {"seed": -1}])
def test_settings_out_of_range_are_refused_before_anything_is_written(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(DataError, match="toytown needs at least"):
        build_toytown(tmp_path / "new", **(SMALL | wrong))
    assert not (tmp_path / "new").exists()


def test_an_error_in_one_recording_ends_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def fail(root: Path, recording: toytown._Recording, settings: toytown._Settings) -> None:
        written.append(recording)
        time.sleep(0.005)  # time enough for the first error to stop the rest
        raise DataError("disk full")

    monkeypatch.setattr(toytown, "_write_media", fail)
    with pytest.raises(DataError, match="disk full"):
        build_toytown(tmp_path / "new", locations_per_scene=50, seconds=1)
    assert len(written) < 2000  # of 10 x 50 x 4: what was waiting is not begun
    assert not (tmp_path / "new" / "meta.csv").exists()


@pytest.mark.parametrize(("bits", "scale"), [(16, 2**15), (24, 2**31)])
def test_wav_keeps_its_channels_and_values(tmp_path: Path, bits: int, scale: int) -> None:
    wave = np.linspace(-1, 1, 2000, dtype=np.float32)
    write_wav(tmp_path / "a.wav", np.stack([wave, -wave], axis=1), 8000, bits=bits)
    with av.open(str(tmp_path / "a.wav")) as container:
        heard = np.concatenate([frame.to_ndarray().reshape(-1, 2) for frame in container.decode(audio=0)])
        assert container.streams.audio[0].rate == 8000
    assert np.allclose(heard[:, 0] / scale, wave, atol=2 / 2 ** (bits - 1))
    assert np.allclose(heard[:, 1] / scale, -wave, atol=2 / 2 ** (bits - 1))


def test_mp4_carries_picture_and_sound(tmp_path: Path) -> None:
    frames = np.full((30, 48, 64, 3), (200, 40, 90), dtype=np.uint8)
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    write_mp4(tmp_path / "a.mp4", frames, 30, wave, 16_000)
    assert picture(tmp_path / "a.mp4").shape == frames.shape
    assert np.abs(picture(tmp_path / "a.mp4").mean(axis=(0, 1, 2)) - (200, 40, 90)).max() < 8
    heard = sound(tmp_path / "a.mp4")
    assert abs(len(heard) / 16_000 - 1) < 0.2  # aac pads its frames
    assert abs(np.abs(np.fft.rfft(heard)).argmax() * 16_000 / len(heard) - 440) < 3


def broken(frames: np.ndarray) -> object:
    yield from frames
    raise ValueError("camera fell")


@pytest.mark.parametrize(
    ("frames", "error", "match"),
    [
        ([], DataError, r"a\.mp4: no frames"),
        ([np.zeros((48, 63, 3), np.uint8)], DataError, r"a\.mp4: frame 0 .* even size"),
        ([np.zeros((48, 64, 3))], DataError, r"a\.mp4: frame 0 is float64"),
        (broken(np.zeros((100, 48, 64, 3), np.uint8)), ValueError, "camera fell"),  # some are in the file
    ],
)
def test_nothing_is_left_of_an_mp4_that_failed(
    tmp_path: Path, frames: object, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        write_mp4(tmp_path / "a.mp4", frames, 12)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wave", [np.zeros((4, 4, 4)), np.zeros(0), np.array([0.0, np.nan])])
def test_a_waveform_that_is_none_is_refused(tmp_path: Path, wave: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"cannot write .*a\.wav"):
        write_wav(tmp_path / "a.wav", wave, 8000)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot write .*nowhere.*a\.wav"):
        write_wav(tmp_path / "nowhere" / "a.wav", np.zeros(10), 8000)

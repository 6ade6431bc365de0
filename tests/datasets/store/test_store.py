"""The segment store: what it holds of real media, and that nothing short of a broken disk harms it."""

import csv
import json
import multiprocessing
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from avscene.datasets.dataset import DataSet
from avscene.datasets.layout import read_dataset
from avscene.datasets.store.columns import add_embeddings
from avscene.datasets.store.manifest import StoreSpec, is_store
from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.rows import from_pcm, to_pcm
from avscene.datasets.store.table import write_lock
from avscene.datasets.store.writer import Prepared, prepare
from avscene.errors import DataError, MediaError
from avscene.media.segments import Recording
from avscene.records import Example, FloatArray, Modality, Segment
from avscene.training.embed import embed_store, embeddings_state
from tests.support.command_line import Run, run
from tests.support.media_files import RATE, Writer, plain_frame, tone_samples, write_media, write_photograph

SPEC = StoreSpec(sample_rate=RATE, frame_size=48)
# Name, label, group, split; the name says what is in it.
RECORDINGS = (
    ("tram/both.mp4", "tram", "t1", "train"),
    ("tram/uneven.mp4", "tram", "t2", "test"),  # 2.7 s: the last segment is padded
    ("park/silent.mp4", "park", "p1", "train"),
    ("park/photo.png", "park", "p2", "test"),
    ("bus/sound.wav", "bus", "b1", "train"),
    ("bus/short.mp4", "bus", "b2", "test"),  # the sound ends after 1 s, the picture after 3
)


def write_recording(root: Path, name: str, seconds: float = 3.0) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        return write_photograph(path, plain_frame(1))
    if path.stem == "short":
        images = [plain_frame(int(k / 5)) for k in range(15)]
        return Writer(path).video(images, [k / 5 for k in range(15)], fps=5).audio(tone_samples(1.0)).save()
    seconds = 2.7 if path.stem == "uneven" else seconds
    return write_media(path, seconds, fps=10, audio=path.stem != "silent")


def write_table(root: Path, rows: Sequence[tuple[str, str, str, str]] = RECORDINGS) -> Path:
    with (root / "meta.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "group", "split"), *rows])
    return root


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("media")
    for name, *_ in RECORDINGS:
        write_recording(root, name)
    return write_table(root)


@pytest.fixture(scope="module")
def prepared(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(read_dataset(media), tmp_path_factory.mktemp("stores") / "store", SPEC)


@pytest.fixture
def data(media: Path, tmp_path: Path) -> Path:
    """The recordings, free to change."""
    return shutil.copytree(media, tmp_path / "data")


@pytest.fixture
def store(prepared: Prepared, tmp_path: Path) -> SegmentStore:
    """The store, free to change."""
    return SegmentStore.open(shutil.copytree(prepared.store.directory, tmp_path / "store"))


def held(store: SegmentStore) -> list[tuple[object, ...]]:
    """Everything that the rows hold."""
    found = store.raw(range(len(store)))
    return [
        (
            example,
            row.start,
            row.end,
            row.padded,
            row.frames,
            row.times,
            None if row.waveform is None else bytes(row.waveform),
        )
        for example, row in zip(store.examples, found, strict=True)
    ]


def files(directory: Path) -> dict[str, tuple[int, int]]:
    """Size and time of each file with rows."""
    return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in directory.rglob("data/*.lance")}


class Stand:
    """An encoder that is quick and exact: mean colours, or the loudness and the rate of the sound."""

    embedding_size = 3

    def __init__(self, needs: Modality = "video", rate: int | None = None, key: str = "stand/1") -> None:
        self.needs: Modality = needs
        self.sample_rate = rate
        self.frame_size = 48 if needs == "video" else None
        self.key = key
        self.seen: list[Segment] = []

    def embed(self, segments: Sequence[Segment]) -> FloatArray:
        self.seen += segments
        return np.stack([self._embedding(segment) for segment in segments]).astype(np.float32)

    def _embedding(self, segment: Segment) -> FloatArray:
        if not segment.has(self.needs):
            return np.full(3, np.nan)
        if self.needs == "audio":
            assert segment.waveform is not None
            return np.array([len(segment.waveform), np.abs(segment.waveform).mean(), segment.start])
        return segment.frames[0].pixels.mean(axis=(0, 1))


# what is in it


def test_rows_are_the_segments_of_the_recordings(prepared: Prepared) -> None:
    store, row = prepared.store, 0
    for example in store.data.examples:
        with Recording(example.path, example.audio) as recording:
            expected = list(recording.segments(SPEC.sampling()))
        found = store.segments(range(row, row + len(expected)), every_frame=True)
        row += len(expected)
        for theirs, ours in zip(expected, found, strict=True):
            assert (ours.start, ours.end, ours.padded) == (theirs.start, theirs.end, theirs.padded)
            assert [frame.time for frame in ours.frames] == [frame.time for frame in theirs.frames]
            for mine, frame in zip(ours.frames, theirs.frames, strict=True):
                assert mine.pixels.shape == frame.pixels.shape
                assert np.abs(mine.pixels.astype(float) - frame.pixels).mean() < 2
            assert (ours.waveform is None) == (theirs.waveform is None)
            if ours.waveform is not None and theirs.waveform is not None:
                assert ours.waveform.dtype == np.float32
                assert np.abs(ours.waveform - theirs.waveform).max() <= 1 / 32768
    assert row == len(store)


def test_rows_are_sorted_by_name_and_time(prepared: Prepared) -> None:
    store = prepared.store
    places = [(example.name, start) for example, start in zip(store.examples, store.starts, strict=True)]
    assert places == sorted(places)
    assert len(set(places)) == len(store) == 3 + 3 + 3 + 1 + 3 + 3


def test_examples_are_those_of_the_data_set(prepared: Prepared, media: Path) -> None:
    expected = sorted(read_dataset(media).examples, key=lambda example: example.name)
    assert list(prepared.store.data.examples) == expected
    assert prepared.store.labels.names == ("bus", "park", "tram")


def test_rows_by_condition(prepared: Prepared) -> None:
    store = prepared.store
    rows = store.rows("split=test")
    assert {store.examples[row].name for row in rows} == {"tram/uneven.mp4", "park/photo.png", "bus/short.mp4"}
    assert len(rows) == 7
    with pytest.raises(DataError, match="no recording has split=valid; split is one of test, train"):
        store.rows("split=valid")


def test_truth_is_the_position_of_the_scene(prepared: Prepared) -> None:
    names = ("tram", "bus", "park")
    assert [names[index] for index in prepared.store.truth(names)] == [e.label for e in prepared.store.examples]
    with pytest.raises(DataError, match=r"scene 'park' \(park/photo.png\) is not one of tram, bus"):
        prepared.store.truth(names[:2])


def test_the_middle_frame_alone_unless_all_are_asked_for(prepared: Prepared) -> None:
    row = [example.name for example in prepared.store.examples].index("tram/both.mp4")
    (alone,), (every,) = (prepared.store.segments([row], every_frame=each) for each in (False, True))
    assert len(every.frames) == 3
    assert [frame.time for frame in alone.frames] == [every.frames[1].time]
    assert alone.frames[0].pixels.flags.writeable


def test_rows_come_in_the_order_asked_for(prepared: Prepared) -> None:
    rows = [5, 0, 5, len(prepared.store) - 1]
    everything = held(prepared.store)
    found = prepared.store.raw(rows)
    assert [(row.start, row.frames) for row in found] == [(everything[row][1], everything[row][4]) for row in rows]
    assert prepared.store.raw([]) == []
    with pytest.raises(IndexError, match="has rows 0 to 15"):
        prepared.store.raw([16])


def test_one_modality_can_be_read_alone(prepared: Prepared) -> None:
    row = [example.name for example in prepared.store.examples].index("tram/both.mp4")
    (heard,), (seen,) = prepared.store.raw([row], ["audio"]), prepared.store.raw([row], ["video"])
    assert heard.frames == ()
    assert heard.waveform is not None
    assert len(seen.frames) == 3
    assert seen.waveform is None


def test_what_is_missing_is_told(prepared: Prepared, media: Path) -> None:
    told = "\n".join(prepared.notes)
    assert f"{media}/park/silent.mp4: has no audio\n" in told
    assert f"{media}/bus/sound.wav: has no video" in told
    assert f"{media}/bus/short.mp4: has no audio in 1 of 3 segments" in told
    assert prepared.failures == ()
    assert (prepared.store.complete, prepared.store.notes) == (True, ())


@given(arrays.arrays(np.float32, 64, elements=st.floats(-1, 1, width=32)))
def test_sound_is_kept_to_one_part_in_32768(waveform: FloatArray) -> None:
    off = np.abs(from_pcm(to_pcm(waveform)) - waveform)
    assert off.max() <= 1 / 32768
    assert off[waveform < 1 - 1 / 32768].max(initial=0) <= 0.5 / 32768


@given(arrays.arrays(np.int16, 64))
def test_sound_of_16_bits_is_kept_exactly(samples: np.ndarray) -> None:
    assert np.array_equal(to_pcm(from_pcm(samples)), samples)


# a second run


def test_a_second_run_does_nothing(store: SegmentStore, media: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in store.directory.rglob("*") if path.is_file()}
    again = prepare(read_dataset(media), store.directory, SPEC)
    after = {path: path.stat().st_mtime_ns for path in store.directory.rglob("*") if path.is_file()}
    del before[store.directory / ".lock"], after[store.directory / ".lock"]
    assert (again.decoded, again.removed) == (0, 0)
    assert before == after


def test_a_recording_that_changed_is_decoded_again(store: SegmentStore, data: Path) -> None:
    prepare(read_dataset(data), store.directory, SPEC)
    write_recording(data, "tram/both.mp4", seconds=5.0)
    again = prepare(read_dataset(data), store.directory, SPEC)
    fresh = prepare(read_dataset(data), data.parent / "fresh", SPEC)
    assert (again.decoded, again.removed) == (1, 0)
    assert held(again.store) == held(fresh.store)
    assert again.store.content_key == fresh.store.content_key != store.content_key


def test_labels_groups_and_columns_follow_without_decoding(store: SegmentStore, data: Path) -> None:
    write_table(data, [(name, label.upper(), group + "x", "train") for name, label, group, _ in RECORDINGS])
    before = files(store.directory)
    again = prepare(read_dataset(data), store.directory, SPEC)
    assert again.decoded == 0
    assert files(store.directory) == before
    assert again.store.labels.names == ("BUS", "PARK", "TRAM")
    assert {example.columns["split"] for example in again.store.examples} == {"train"}
    assert again.store.examples[0].group == "b2x"
    assert again.store.complete


def test_what_left_the_data_set_leaves_the_store(store: SegmentStore, data: Path) -> None:
    write_table(data, RECORDINGS[:3])
    again = prepare(read_dataset(data), store.directory, SPEC)
    assert (again.decoded, again.removed) == (0, 3)
    assert {example.name for example in again.store.examples} == {name for name, *_ in RECORDINGS[:3]}


def test_another_data_set_does_not_empty_the_store(store: SegmentStore, media: Path) -> None:
    other = DataSet(Path("other"), (Example("a.mp4", media / "tram/both.mp4", "tram", "g"),))
    before = held(store)
    with pytest.raises(
        DataError, match=r"holds another data set: none of its 6 recordings \(bus/short.mp4 ...\) is in"
    ):
        prepare(other, store.directory, SPEC)
    assert held(SegmentStore.open(store.directory)) == before


# bad input


def test_what_cannot_be_read_is_left_out(data: Path, tmp_path: Path) -> None:
    (data / "tram/both.mp4").write_bytes(b"no film")
    (data / "park/photo.png").unlink()
    examples = tuple(Example(name, data / name, label, group) for name, label, group, _ in RECORDINGS)
    made = prepare(DataSet(data, examples), tmp_path / "store", SPEC)
    assert sorted(failure.partition(":")[0] for failure in made.failures) == [
        str(data / "park/photo.png"),
        str(data / "tram/both.mp4"),
    ]
    assert len(made.store.data.examples) == 4
    assert made.store.notes == (f"{tmp_path / 'store'}: 2 recordings of the data set could not be read",)


def test_a_recording_that_got_damaged_is_no_longer_held(store: SegmentStore, data: Path) -> None:
    (data / "tram/both.mp4").write_bytes(b"no film")
    again = prepare(read_dataset(data), store.directory, SPEC)
    assert len(again.failures) == 1
    assert "tram/both.mp4" not in {example.name for example in again.store.examples}
    write_recording(data, "tram/both.mp4")
    mended = prepare(read_dataset(data), store.directory, SPEC)
    assert (mended.decoded, mended.failures) == (1, ())


def test_a_recording_that_is_out_of_reach_stays(store: SegmentStore, data: Path) -> None:
    dataset = read_dataset(data)
    (data / "tram/both.mp4").rename(data / "elsewhere.mp4")
    again = prepare(dataset, store.directory, SPEC)
    assert again.failures == (f"{data}/tram/both.mp4: cannot be read (No such file or directory)",)
    assert "tram/both.mp4" in {example.name for example in again.store.examples}


def test_nothing_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    data = DataSet(tmp_path, (Example("a.mp4", tmp_path / "a.mp4", "tram", "g"),))
    with pytest.raises(MediaError, match=r"none of its 1 recordings can be read; first: .*a.mp4: is empty"):
        prepare(data, tmp_path / "store", SPEC)
    with pytest.raises(DataError, match="holds no segments yet; finish it: avscene prepare DATA --output"):
        SegmentStore.open(tmp_path / "store")


def test_two_recordings_of_one_name(media: Path, tmp_path: Path) -> None:
    example = Example("a", media / "tram/both.mp4", "tram", "g")
    with pytest.raises(DataError, match="two recordings are called 'a'"):
        prepare(DataSet(media, (example, example)), tmp_path / "store", SPEC)


def test_other_settings_are_named(store: SegmentStore, media: Path) -> None:
    asked = StoreSpec(hop=0.5, sample_rate=RATE, frame_size=64)
    with pytest.raises(DataError, match=r"was prepared with hop 1.0 \(not 0.5\), frame_size 48 \(not 64\); use its"):
        prepare(read_dataset(media), store.directory, asked)


@pytest.mark.parametrize("attempt", [SegmentStore.open, lambda path: prepare(DataSet(path, _one()), path, SPEC)])
def test_a_store_of_another_version(store: SegmentStore, attempt: Callable[[Path], object]) -> None:
    text = (store.directory / "store.json").read_text()
    content = {**json.loads(text), "format": "avscene-store/9", "made_by": "avscene 7.0", "new": []}
    (store.directory / "store.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"format 'avscene-store/9', made by avscene 7.0; avscene .* reads .*prepare"):
        attempt(store.directory)


def _one() -> tuple[Example, ...]:
    return (Example("a", Path("a"), "tram", "g"),)


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"{}", b'{"format": "avscene-store/1"}', b"\xff"])
def test_a_damaged_description(store: SegmentStore, content: bytes) -> None:
    (store.directory / "store.json").write_bytes(content)
    with pytest.raises(DataError, match=r"store.json: is damaged \(.*make a new one: avscene prepare"):
        SegmentStore.open(store.directory)


def test_damaged_tables(store: SegmentStore) -> None:
    for path in store.directory.rglob("data/*.lance"):
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot be read"):
        held(SegmentStore.open(store.directory))
    shutil.rmtree(store.directory / "segments.lance")
    with pytest.raises(DataError, match="cannot be read"):
        SegmentStore.open(store.directory)


def test_a_directory_that_is_no_store(media: Path, tmp_path: Path) -> None:
    assert not is_store(media)
    with pytest.raises(DataError, match="is not a segment store; to make one: avscene prepare DATA --output STORE"):
        SegmentStore.open(media)
    for path in (media, media / "meta.csv"):
        with pytest.raises(DataError, match="is not a segment store and not empty; choose another directory"):
            prepare(read_dataset(media), path, SPEC)


def test_an_interruption_before_the_first_word(media: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / ".store.json.1.part").write_text("{")
    (tmp_path / "store" / "segments.lance" / "_versions").mkdir(parents=True)
    with pytest.raises(DataError, match="is not a segment store and not empty"):
        prepare(read_dataset(media), tmp_path / "store", SPEC)
    (tmp_path / "store" / "segments.lance" / "_versions").rmdir()
    (tmp_path / "store" / "segments.lance").rmdir()
    assert prepare(read_dataset(media), tmp_path / "store", SPEC).decoded == 6
    shutil.rmtree(tmp_path / "store" / "segments.lance")
    (tmp_path / "store" / "segments.lance" / "_versions").mkdir(parents=True)
    assert prepare(read_dataset(media), tmp_path / "store", SPEC).decoded == 6


def test_one_writer_at_a_time(store: SegmentStore, media: Path) -> None:
    with write_lock(store.directory):
        with pytest.raises(DataError, match="another avscene is writing to it"):
            prepare(read_dataset(media), store.directory, SPEC)
        with pytest.raises(DataError, match="another avscene is writing to it"):
            add_embeddings(store, "x", "k", 1, [np.zeros((len(store), 1))])
        assert len(held(store)) == len(store)
    assert prepare(read_dataset(media), store.directory, SPEC).decoded == 0


# interruptions


def python(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )


PREPARE = """
import sys
from pathlib import Path
from avscene.datasets.layout import read_dataset
from avscene.datasets.store import writer
from avscene.datasets.store.manifest import StoreSpec
from avscene.errors import AvsceneError

writer.ROWS_PER_COMMIT, writer.AHEAD = 4, 2
spec = StoreSpec(sample_rate=8000, frame_size=32)
try:
    writer.prepare(read_dataset(sys.argv[1]), Path(sys.argv[2]), spec, lambda done, total: print(done, flush=True))
except AvsceneError as error:
    sys.exit(str(error))
"""
TOWN = StoreSpec(sample_rate=8000, frame_size=32)
PLACES = 48  # of the town below, with a recording of two seconds each; many, so that a kill comes before the last


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in TAU's layout: a wav beside each silent film."""
    root = tmp_path_factory.mktemp("town")
    (root / "audio").mkdir()
    (root / "video").mkdir()
    lines = ["filename_audio\tfilename_video\tscene_label"]
    for place in range(PLACES):
        scene = ("bus", "park", "tram")[place % 3]
        names = (f"audio/{scene}-lyon-{place}-1.wav", f"video/{scene}-lyon-{place}-1.mp4")
        write_media(root / names[0], 2.0)
        write_media(root / names[1], 2.0, audio=False, fps=5)
        lines.append("\t".join([*names, scene]))
    (root / "meta.csv").write_text("\n".join(lines))
    return root


@pytest.fixture(scope="module")
def whole(town: Path, tmp_path_factory: pytest.TempPathFactory) -> SegmentStore:
    """What nothing disturbed."""
    return prepare(read_dataset(town), tmp_path_factory.mktemp("stores") / "whole", TOWN).store


def test_prepare_survives_kills(town: Path, whole: SegmentStore, tmp_path: Path) -> None:
    random = np.random.default_rng()
    kept: list[int] = []
    for moment in (3, 7, 12):
        process = python(PREPARE, town, tmp_path / "store")
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= moment:
                break
        time.sleep(random.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        partial = SegmentStore.open(tmp_path / "store")
        assert not partial.complete
        assert "only partly prepared" in partial.notes[0]
        kept.append(len(partial))
        assert len(partial) % 2 == 0  # recordings are whole
    assert 0 < kept[0] <= kept[1] <= kept[2] < len(whole)
    finished = prepare(read_dataset(town), tmp_path / "store", TOWN)
    assert finished.decoded == (len(whole) - kept[2]) / 2
    assert held(finished.store) == held(whole)
    assert finished.store.complete
    assert not list((tmp_path / "store").rglob("*.arrow"))
    referenced = {Path(file.path).name for f in finished.store._dataset().get_fragments() for file in f.data_files()}
    assert set(files(tmp_path / "store")) == referenced  # no rests of what was being written


def test_ctrl_c_keeps_what_was_finished(town: Path, whole: SegmentStore, tmp_path: Path) -> None:
    def press(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(read_dataset(town), tmp_path / "store", TOWN, press)
    assert len(SegmentStore.open(tmp_path / "store").data.examples) == 5
    assert prepare(read_dataset(town), tmp_path / "store", TOWN).decoded == PLACES - 5


def test_an_interrupted_update_is_no_longer_complete(store: SegmentStore, data: Path) -> None:
    write_recording(data, "bus/sound.wav", seconds=5.0)

    def press(done: int, total: int) -> None:
        if done == total - 1:
            raise KeyboardInterrupt

    dataset = read_dataset(data)
    for _ in range(2):  # the paths are new, then nothing but a file's content is
        with pytest.raises(KeyboardInterrupt):
            prepare(dataset, store.directory, SPEC, press)
        assert not SegmentStore.open(store.directory).complete
        assert prepare(dataset, store.directory, SPEC).store.complete
        write_recording(data, "bus/sound.wav", seconds=6.0)


# From then on the system lets no file grow beyond so many bytes; no test can fill a disk.
LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n" + PREPARE


def test_a_disk_that_takes_no_more_is_told_and_what_was_finished_stays(tmp_path: Path) -> None:
    for name, seconds in (("a.mp4", 2.0), ("b.mp4", 2.0), ("c.mp4", 20.0), ("d.mp4", 2.0)):
        write_recording(tmp_path, f"tram/{name}", seconds)
    write_table(tmp_path, [(f"tram/{name}.mp4", "tram", name, "train") for name in "abcd"])
    process = python(LIMITED, tmp_path, tmp_path / "store")
    _, told = process.communicate()
    assert process.returncode == 1
    assert told.startswith(f"{tmp_path}/store: cannot be written (")
    assert told.count("\n") == 1
    partial = SegmentStore.open(tmp_path / "store")
    assert [example.name for example in partial.data.examples] == ["tram/a.mp4", "tram/b.mp4"]
    assert not partial.complete
    assert prepare(read_dataset(tmp_path), tmp_path / "store", TOWN).decoded == 2


# embeddings


def test_embeddings_of_every_row(store: SegmentStore) -> None:
    before, encoder = held(store), Stand()
    tables = files(store.directory)
    told: list[tuple[int, int]] = []
    embedded = embed_store(store, "stand", encoder, lambda done, total: told.append((done, total)))
    expected = Stand().embed(store.segments(range(len(store))))
    np.testing.assert_array_equal(embedded.embeddings("stand"), expected)
    assert np.isnan(expected).any()
    assert all(len(segment.frames) <= 1 and segment.waveform is None for segment in encoder.seen)
    assert embedded.encoders == ("stand",)
    assert embedded.embedding_key("stand").startswith("stand/1 ")
    assert told[-1] == (len(store), len(store))
    assert held(embedded) == before
    assert tables.items() < files(store.directory).items()  # not a byte of them was written again


def test_embedding_twice_computes_once(store: SegmentStore) -> None:
    store = embed_store(store, "stand", Stand())
    assert embeddings_state(store, "stand", Stand()) == "current"
    again = Stand()
    np.testing.assert_array_equal(embed_store(store, "stand", again).embeddings("stand"), store.embeddings("stand"))
    assert again.seen == []


def test_encoders_stand_beside_one_another(store: SegmentStore) -> None:
    store = embed_store(embed_store(store, "a", Stand()), "b-2", Stand("audio", RATE))
    assert store.encoders == ("a", "b-2")
    assert np.nanmax(store.embeddings("b-2")[:, 0]) == RATE
    assert np.nanmax(store.embeddings("a")) <= 255


def test_an_encoder_with_other_weights_replaces_its_column(store: SegmentStore) -> None:
    store = embed_store(store, "stand", Stand())
    changed = Stand("audio", RATE, key="stand/2")
    assert embeddings_state(store, "stand", changed) == "outdated"
    replaced = embed_store(store, "stand", changed)
    assert replaced.embedding_key("stand").startswith("stand/2 ")
    assert np.nanmax(replaced.embeddings("stand")[:, 0]) == RATE
    assert len(changed.seen) == len(store)


def test_recordings_that_come_later_are_embedded_alone(store: SegmentStore, data: Path) -> None:
    embed_store(store, "stand", Stand())
    write_recording(data, "park/another.mp4")
    write_recording(data, "tram/both.mp4", seconds=5.0)
    write_table(data, [*RECORDINGS, ("park/another.mp4", "park", "p3", "test")])
    grown = prepare(read_dataset(data), store.directory, SPEC).store
    assert embeddings_state(grown, "stand", Stand()) == "partial"
    with pytest.raises(DataError, match="8 of 21 segments have no embeddings of stand yet; run: avscene embed"):
        grown.embeddings("stand")
    encoder = Stand()
    embedded = embed_store(grown, "stand", encoder)
    assert len(encoder.seen) == 8
    np.testing.assert_array_equal(embedded.embeddings("stand"), Stand().embed(grown.segments(range(len(grown)))))


def test_absent_embeddings_say_what_to_run(store: SegmentStore) -> None:
    with pytest.raises(
        DataError, match=r"has no embeddings of clip-x; it has none; run: avscene embed .*store --encoder"
    ):
        store.embeddings("clip-x")
    with pytest.raises(DataError, match="it has stand; run"):
        embed_store(store, "stand", Stand()).embeddings("clip-x")


def test_sound_is_resampled_down_and_never_up(store: SegmentStore) -> None:
    low = embed_store(store, "low", Stand("audio", 7999)).embeddings("low")
    same = embed_store(store, "same", Stand("audio", RATE)).embeddings("same")
    heard = ~np.isnan(same[:, 0])
    assert np.array_equal(heard, ~np.isnan(low[:, 0]))
    assert (low[heard, 0] == 7999).all()
    np.testing.assert_allclose(low[heard, 1], same[heard, 1], rtol=0.02, atol=1e-5)
    with pytest.raises(DataError, match="holds sound at 16000 Hz, encoder high takes 48000 Hz; run: avscene prepare"):
        embed_store(store, "high", Stand("audio", 48_000))


def test_an_interruption_between_two_columns_loses_nothing(
    store: SegmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = embed_store(store, "stand", Stand())
    changed = Stand(key="stand/2")
    with monkeypatch.context() as patch:
        patch.setattr("lance.LanceDataset.add_columns", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            embed_store(store, "stand", changed)
    assert SegmentStore.open(store.directory).encoders == ()
    again = Stand(key="stand/2")
    assert not np.isnan(embed_store(store, "stand", again).embeddings("stand")).all()
    assert again.seen == []
    assert not list(store.directory.rglob("*.f32"))


def test_half_a_row_is_no_row(store: SegmentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avscene.training.embed.BATCH_SIZE", 4)

    def press(done: int, total: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_store(store, "stand", Stand(), press)
    (begun,) = store.directory.rglob("*.f32")
    begun.write_bytes(begun.read_bytes() + b"half")
    encoder = Stand()
    np.testing.assert_array_equal(
        embed_store(store, "stand", encoder).embeddings("stand"), Stand().embed(store.segments(range(len(store))))
    )
    assert len(encoder.seen) == len(store) - 8


def test_what_was_begun_for_other_rows_is_not_used(store: SegmentStore, data: Path) -> None:
    def press(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_store(store, "stand", Stand(), press)
    write_recording(data, "bus/sound.wav", seconds=5.0)
    store = prepare(read_dataset(data), store.directory, SPEC).store
    embedded = embed_store(store, "stand", Stand("audio", RATE))
    expected = Stand("audio", RATE).embed(store.segments(range(len(store))))
    np.testing.assert_array_equal(embedded.embeddings("stand"), expected)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


EMBED = """
import sys, time
from avscene.datasets.store.reader import SegmentStore
from avscene.training import embed
from tests.datasets.store.test_store import Stand

class Slow(Stand):
    def embed(self, segments):
        time.sleep(0.05)
        return super().embed(segments)

embed.BATCH_SIZE = 2
embed.embed_store(SegmentStore.open(sys.argv[1]), "stand", Slow(), lambda done, total: print(done, flush=True))
"""


def test_embed_survives_a_kill(whole: SegmentStore, tmp_path: Path) -> None:
    store = SegmentStore.open(shutil.copytree(whole.directory, tmp_path / "store"))
    moment, reached = np.random.default_rng().integers(2, len(store) - 4), 0
    process = python(EMBED, store.directory)
    assert process.stdout is not None
    for line in process.stdout:
        reached = int(line)
        if reached >= moment:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert SegmentStore.open(store.directory).encoders == ()
    encoder, told = Stand(), []
    finished = embed_store(store, "stand", encoder, lambda *counts: told.append(counts[0]))
    assert len(encoder.seen) <= len(store) - reached
    assert told[0] > reached  # it goes on where the other one was
    np.testing.assert_array_equal(finished.embeddings("stand"), Stand().embed(store.segments(range(len(store)))))


@settings(max_examples=15, deadline=None)
@given(values=st.data())
def test_embeddings_come_back_as_they_were_given(values: st.DataObject, shuffled: SegmentStore) -> None:
    size = values.draw(st.integers(1, 5))
    elements = st.floats(width=32, allow_nan=True)
    given_ = values.draw(arrays.arrays(np.float32, (len(shuffled), size), elements=elements))
    cut = values.draw(st.integers(0, len(shuffled)))
    store = add_embeddings(SegmentStore.open(shuffled.directory), "any", "key", size, [given_[:cut], given_[cut:]])
    np.testing.assert_array_equal(store.embeddings("any"), given_)
    assert store.embedding_key("any") == "key"


@pytest.fixture(scope="module")
def shuffled(media: Path, tmp_path_factory: pytest.TempPathFactory) -> SegmentStore:
    """A store whose table lies in another order than its rows, with holes of what was replaced."""
    root = tmp_path_factory.mktemp("shuffled")
    write_recording(root, "tram/both.mp4", seconds=1.0)
    examples = read_dataset(media).examples
    first = [
        Example(e.name, root / e.name if e.name == "tram/both.mp4" else e.path, e.label, e.group) for e in examples
    ]
    prepare(DataSet(root, tuple(first[::-1])), root / "store", SPEC)
    return prepare(DataSet(root, examples), root / "store", SPEC).store


def test_the_history_of_a_store_does_not_show(shuffled: SegmentStore, prepared: Prepared) -> None:
    assert held(shuffled) == held(prepared.store)
    assert shuffled.content_key == prepared.store.content_key


def test_embeddings_must_be_one_for_each_row(store: SegmentStore) -> None:
    with pytest.raises(ValueError, match="15 embeddings for the 16 segments"):
        add_embeddings(store, "x", "k", 2, [np.zeros((15, 2))])
    with pytest.raises(ValueError, match="cannot be the name"):
        add_embeddings(store, "a.b", "k", 2, [np.zeros((16, 2))])
    stale = store
    add_embeddings(store, "x", "k", 2, [np.zeros((16, 2))])
    with pytest.raises(DataError, match="was changed meanwhile"):
        add_embeddings(stale, "y", "k", 2, [np.zeros((16, 2))])


# other processes


def test_a_store_is_read_in_other_processes(store: SegmentStore) -> None:
    copy = pickle.loads(pickle.dumps(store))
    assert held(copy) == held(store)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        there, here = pool.submit(store.raw, [5, 1]).result(), store.raw([5, 1])
    assert [(row.start, row.frames) for row in there] == [(row.start, row.frames) for row in here]


def test_a_reader_stays_at_its_version(store: SegmentStore, data: Path) -> None:
    copy = pickle.dumps(store)
    before = held(store)
    write_recording(data, "tram/both.mp4", seconds=5.0)
    prepare(read_dataset(data), store.directory, SPEC)
    assert held(pickle.loads(copy)) == held(store) == before


# the command line


@pytest.fixture
def avscene(capfd: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    return lambda *arguments: run(capfd, *arguments)


SMALL = ("--sample-rate", 8000, "--frame-size", 48)


def test_prepare_on_the_command_line(avscene: Callable[..., Run], media: Path, tmp_path: Path) -> None:
    first = avscene("prepare", media, "--output", tmp_path / "store", *SMALL, "--frames-per-second", 4, "--hop", 0.5)
    assert first.code == 0
    assert f"{media}/park/silent.mp4: has no audio" in first.told
    assert first.out == (
        f"{tmp_path}/store: 31 segments of 6 recordings, 6 of them decoded now; "
        f"next: avscene embed {tmp_path}/store --encoder NAME\n"
    )
    assert SegmentStore.open(tmp_path / "store").spec == StoreSpec(
        hop=0.5, sample_rate=8000, frame_size=48, frames_per_segment=3
    )
    other = avscene("prepare", media, "--output", tmp_path / "store", *SMALL)
    assert "was prepared with hop 0.5 (not 1.0); use its settings, or another --output for yours" in other.refused()


def test_prepare_ends_with_3_where_recordings_fail(avscene: Callable[..., Run], data: Path, tmp_path: Path) -> None:
    (data / "tram/both.mp4").write_bytes(b"no film")
    made = avscene("prepare", data, "--output", tmp_path / "store", *SMALL)
    assert made.code == 3
    assert any(line.startswith(f"left out: {data}/tram/both.mp4: ") for line in made.told)
    assert "of 5 recordings, 5 of them decoded now" in made.out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--hop", "0"), "hop 0 is not a number of seconds of 0.02 or more"),
        (("--hop", "nan"), "hop nan is not a number of seconds"),
        (("--frames-per-second", "0"), "--frames-per-second 0 is not a number from 0 to 1000"),
        (("--sample-rate", "0"), "sample-rate 0: Input should be greater than 0"),
        (("--frame-size", "-1"), "frame-size -1: Input should be greater than 0"),
    ],
)
def test_settings_that_make_no_sense(
    avscene: Callable[..., Run], media: Path, tmp_path: Path, options: tuple[str, str], told: str
) -> None:
    assert told in avscene("prepare", media, "--output", tmp_path / "store", *options).refused()
    assert not (tmp_path / "store").exists()


def test_embed_on_the_command_line(avscene: Callable[..., Run], store: SegmentStore) -> None:
    arguments = ("embed", store.directory, "--encoder", "efficientnet-lite0")
    first = avscene(*arguments)
    assert (first.code, first.out) == (
        0,
        f"{store.directory}: 16 embeddings of efficientnet-lite0, 1984 numbers each: written\n",
    )
    assert "efficientnet-lite0 takes frames of 224 pixels" in first.told[0]
    assert avscene(*arguments).out.endswith("already exist\n")


def test_embed_refuses(avscene: Callable[..., Run], store: SegmentStore, media: Path) -> None:
    assert "no encoder 'clip'; there are clip-rn101" in avscene("embed", store.directory, "--encoder", "clip").refused()
    assert "is not a segment store" in avscene("embed", media, "--encoder", "efficientnet-lite0").refused()


def test_embed_says_that_weights_changed(avscene: Callable[..., Run], store: SegmentStore) -> None:
    add_embeddings(store, "efficientnet-lite0", "older weights", 2, [np.zeros((16, 2))])
    embedded = avscene("embed", store.directory, "--encoder", "efficientnet-lite0")
    assert embedded.code == 0
    assert any("were made by other weights or settings; computing them again" in line for line in embedded.told)

"""A second run updates a store; unreadable recordings and wrong data sets are reported."""

import json
from pathlib import Path

import numpy as np
import pytest

from avscene.datasets.dataset import DataSet
from avscene.datasets.layout import read_dataset
from avscene.datasets.store.columns import add_embeddings
from avscene.datasets.store.manifest import StoreSpec
from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.table import write_lock
from avscene.datasets.store.writer import Prepared, prepare
from avscene.errors import DataError, MediaError
from avscene.records import Example
from tests.support.media_files import RATE
from tests.support.stored_media import RECORDINGS, SPEC, all_rows, table_files, write_recording, write_table


def test_missing_modalities_are_reported(prepared: Prepared, media: Path) -> None:
    notes = "\n".join(prepared.notes)
    assert f"{media}/park/without_audio.mp4: has no audio\n" in notes
    assert f"{media}/bus/without_video.wav: has no video" in notes
    assert f"{media}/bus/short.mp4: has no audio in 2 of 3 segments" in notes
    assert prepared.failures == ()
    assert (prepared.store.complete, prepared.store.notes) == (True, ())


def test_a_second_run_does_nothing(store: SegmentStore, media: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in store.directory.rglob("*") if path.is_file()}
    again = prepare(read_dataset(media), store.directory, SPEC)
    after = {path: path.stat().st_mtime_ns for path in store.directory.rglob("*") if path.is_file()}
    del before[store.directory / ".lock"], after[store.directory / ".lock"]
    assert (again.decoded, again.removed) == (0, 0)
    assert before == after


def test_recordings_of_another_version_are_kept_with_a_note(store: SegmentStore, media: Path) -> None:
    manifest = store.directory / "store.json"
    made_by = json.loads(manifest.read_text())["made_by"]
    manifest.write_text(manifest.read_text().replace(made_by, "avscene 0.0.1"))
    again = prepare(read_dataset(media), store.directory, SPEC)
    assert again.decoded == 0
    (note,) = again.notes
    kept = f"was made by avscene 0.0.1; its {len(RECORDINGS)} recordings are kept"
    assert note == f"{store.directory}: {kept}; to decode them with {made_by}, use another --output"


def test_a_changed_recording_is_decoded_again(store: SegmentStore, data: Path) -> None:
    prepare(read_dataset(data), store.directory, SPEC)
    write_recording(data, "tram/both.mp4", seconds=5.0)
    again = prepare(read_dataset(data), store.directory, SPEC)
    fresh = prepare(read_dataset(data), data.parent / "fresh", SPEC)
    assert (again.decoded, again.removed) == (1, 0)
    assert all_rows(again.store) == all_rows(fresh.store)
    assert again.store.content_key == fresh.store.content_key != store.content_key


def test_labels_groups_and_columns_are_updated_without_decoding(store: SegmentStore, data: Path) -> None:
    write_table(data, [(name, label.upper(), group + "x", "train") for name, label, group, _ in RECORDINGS])
    before = table_files(store.directory)
    again = prepare(read_dataset(data), store.directory, SPEC)
    assert again.decoded == 0
    assert table_files(store.directory) == before
    assert again.store.labels.names == ("BUS", "PARK", "TRAM")
    assert {example.columns["split"] for example in again.store.examples} == {"train"}
    assert again.store.examples[0].group == "b2x"
    assert again.store.complete


def test_recordings_no_longer_in_the_data_set_are_removed(store: SegmentStore, data: Path) -> None:
    write_table(data, RECORDINGS[:3])
    again = prepare(read_dataset(data), store.directory, SPEC)
    assert (again.decoded, again.removed) == (0, 3)
    assert {example.name for example in again.store.examples} == {name for name, *_ in RECORDINGS[:3]}


def test_another_data_set_is_refused(store: SegmentStore, media: Path) -> None:
    other = DataSet(Path("other"), (Example("a.mp4", media / "tram/both.mp4", "tram", "g"),))
    before = all_rows(store)
    with pytest.raises(
        DataError, match=r"holds another data set: none of its 6 recordings \(bus/short.mp4 ...\) is in"
    ):
        prepare(other, store.directory, SPEC)
    assert all_rows(SegmentStore.open(store.directory)) == before


def test_unreadable_recordings_are_left_out_and_reported(data: Path, tmp_path: Path) -> None:
    (data / "tram/both.mp4").write_bytes(b"not a video")
    (data / "park/photo.png").unlink()
    examples = tuple(Example(name, data / name, label, group) for name, label, group, _ in RECORDINGS)
    made = prepare(DataSet(data, examples), tmp_path / "store", SPEC)
    assert sorted(failure.partition(":")[0] for failure in made.failures) == [
        str(data / "park/photo.png"),
        str(data / "tram/both.mp4"),
    ]
    assert len(made.store.data.examples) == 4
    assert made.store.notes == (f"{tmp_path / 'store'}: 2 recordings of the data set could not be read",)


def test_a_recording_that_became_damaged_is_removed(store: SegmentStore, data: Path) -> None:
    (data / "tram/both.mp4").write_bytes(b"not a video")
    again = prepare(read_dataset(data), store.directory, SPEC)
    assert len(again.failures) == 1
    assert "tram/both.mp4" not in {example.name for example in again.store.examples}
    write_recording(data, "tram/both.mp4")
    repaired = prepare(read_dataset(data), store.directory, SPEC)
    assert (repaired.decoded, repaired.failures) == (1, ())


def test_a_recording_that_cannot_be_opened_is_kept(store: SegmentStore, data: Path) -> None:
    dataset = read_dataset(data)
    (data / "tram/both.mp4").rename(data / "elsewhere.mp4")
    again = prepare(dataset, store.directory, SPEC)
    assert again.failures == (f"{data}/tram/both.mp4: cannot be read (No such file or directory)",)
    assert "tram/both.mp4" in {example.name for example in again.store.examples}


def test_a_data_set_without_readable_recordings_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    data = DataSet(tmp_path, (Example("a.mp4", tmp_path / "a.mp4", "tram", "g"),))
    with pytest.raises(MediaError, match=r"none of its 1 recordings can be read; first: .*a.mp4: is empty"):
        prepare(data, tmp_path / "store", SPEC)
    with pytest.raises(DataError, match="holds no segments yet; finish it: avscene prepare DATA --output"):
        SegmentStore.open(tmp_path / "store")


def test_two_recordings_with_one_name_are_an_error(media: Path, tmp_path: Path) -> None:
    example = Example("a", media / "tram/both.mp4", "tram", "g")
    with pytest.raises(DataError, match="two recordings are called 'a'"):
        prepare(DataSet(media, (example, example)), tmp_path / "store", SPEC)


def test_other_settings_are_refused_and_named(store: SegmentStore, media: Path) -> None:
    asked = StoreSpec(hop=0.5, sample_rate=RATE, frame_size=64)
    with pytest.raises(DataError, match=r"was prepared with hop 1.0 \(not 0.5\), frame_size 48 \(not 64\); use its"):
        prepare(read_dataset(media), store.directory, asked)


def test_one_writer_at_a_time(store: SegmentStore, media: Path) -> None:
    with write_lock(store.directory):
        with pytest.raises(DataError, match="another avscene is writing to it"):
            prepare(read_dataset(media), store.directory, SPEC)
        with pytest.raises(DataError, match="another avscene is writing to it"):
            add_embeddings(store, "x", "k", 1, [np.zeros((len(store), 1))])
        assert len(all_rows(store)) == len(store)
    assert prepare(read_dataset(media), store.directory, SPEC).decoded == 0

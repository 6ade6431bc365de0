"""Rows of a store are the segments of the recordings, in a fixed order, also in other processes."""

import multiprocessing
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from avscene.datasets.layout import read_dataset
from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.writer import Prepared, prepare
from avscene.errors import DataError
from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
from tests.support.stored_media import SPEC, all_rows, write_recording


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
                assert np.array_equal(mine.pixels, frame.pixels)
            assert (ours.waveform is None) == (theirs.waveform is None)
            if ours.waveform is not None:
                assert np.array_equal(ours.waveform, theirs.waveform)
    assert row == len(store)


def test_the_middle_frame_is_the_one_that_a_system_decodes(prepared: Prepared) -> None:
    found = iter(prepared.store.segments(range(len(prepared.store)), modalities=("video",)))
    for example in prepared.store.data.examples:
        with Recording(example.path, example.audio) as recording:
            for segment in recording.segments(Sampling(SPEC.hop, frame_size=SPEC.frame_size)):
                frames = next(found).frames
                assert [frame.time for frame in frames] == [frame.time for frame in segment.frames]
                for ours, theirs in zip(frames, segment.frames, strict=True):
                    assert np.array_equal(ours.pixels, theirs.pixels)


def test_rows_are_sorted_by_name_and_time(prepared: Prepared) -> None:
    store = prepared.store
    positions = [(example.name, start) for example, start in zip(store.examples, store.starts, strict=True)]
    assert positions == sorted(positions)
    assert len(set(positions)) == len(store) == 3 + 3 + 3 + 1 + 3 + 3


def test_rows_do_not_depend_on_the_order_of_writing(shuffled: SegmentStore, prepared: Prepared) -> None:
    assert all_rows(shuffled) == all_rows(prepared.store)
    assert shuffled.content_key == prepared.store.content_key


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


def test_only_the_middle_frame_by_default(prepared: Prepared) -> None:
    row = [example.name for example in prepared.store.examples].index("tram/both.mp4")
    (alone,), (every,) = (prepared.store.segments([row], every_frame=each) for each in (False, True))
    assert len(every.frames) == 3
    assert [frame.time for frame in alone.frames] == [every.frames[1].time]
    assert alone.frames[0].pixels.flags.writeable


def test_rows_are_read_in_the_requested_order(prepared: Prepared) -> None:
    rows = [5, 0, 5, len(prepared.store) - 1]
    everything = all_rows(prepared.store)
    found = prepared.store.raw(rows)
    assert [(row.start, row.frames) for row in found] == [(everything[row][1], everything[row][4]) for row in rows]
    assert prepared.store.raw([]) == []
    with pytest.raises(IndexError, match="has rows 0 to 15"):
        prepared.store.raw([16])


def test_read_one_modality(prepared: Prepared) -> None:
    row = [example.name for example in prepared.store.examples].index("tram/both.mp4")
    (audio,), (video,) = prepared.store.raw([row], ["audio"]), prepared.store.raw([row], ["video"])
    assert audio.frames == ()
    assert audio.waveform is not None
    assert len(video.frames) == 3
    assert video.waveform is None


def test_read_a_store_in_other_processes(store: SegmentStore) -> None:
    copy = pickle.loads(pickle.dumps(store))
    assert all_rows(copy) == all_rows(store)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        there, here = pool.submit(store.raw, [5, 1]).result(), store.raw([5, 1])
    assert [(row.start, row.frames) for row in there] == [(row.start, row.frames) for row in here]


def test_a_reader_keeps_its_version(store: SegmentStore, data: Path) -> None:
    copy = pickle.dumps(store)
    before = all_rows(store)
    write_recording(data, "tram/both.mp4", seconds=5.0)
    prepare(read_dataset(data), store.directory, SPEC)
    assert all_rows(pickle.loads(copy)) == all_rows(store) == before


def test_damaged_tables_are_an_error(store: SegmentStore) -> None:
    for path in store.directory.rglob("data/*.lance"):
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot be read"):
        all_rows(SegmentStore.open(store.directory))
    shutil.rmtree(store.directory / "segments.lance")
    with pytest.raises(DataError, match="cannot be read"):
        SegmentStore.open(store.directory)

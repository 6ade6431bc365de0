"""Test the readers and batches of training inputs."""

from typing import Any

import numpy as np
import pytest
import torch

from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.rows import decode_frame
from avscene.errors import DataError
from avscene.models.device import Runtime
from avscene.training.fine_tuning import batches
from avscene.training.fine_tuning import readers as reading
from avscene.training.fine_tuning.batches import CleanBatches, TrainingBatch, training_batches
from avscene.training.fine_tuning.networks import (
    frames_of,
    initial_network,
    reader_for,
)
from avscene.training.fine_tuning.readers import AudioReader, FrameReader, store_band_statistics
from avscene.training.fine_tuning.rows import adjacent_pairs
from avscene.training.fine_tuning.schedule import MicroBatch, Schedule
from tests.support.small_store import CLEAN, LOG_MEL, SECONDS, plan, train_and_validation_rows

CPU = Runtime.choose("cpu", "float32")
KINDS = ("audio", "video")


def readers(store: SegmentStore, **changes: Any) -> dict[str, AudioReader | FrameReader]:
    rows, _ = train_and_validation_rows(store)
    level = torch.full((LOG_MEL.n_mels,), -40.0)
    return {
        "audio": AudioReader(store, rows, plan("audio", **changes), level),
        "video": FrameReader(store, plan("video", **changes), frames_of(plan("video"))),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_augmented_inputs_depend_on_epoch_and_row_alone(store: SegmentStore, kind: str) -> None:
    reader, again = readers(store)[kind], readers(store)[kind]
    rows = train_and_validation_rows(store)[0][:4]
    inputs = reader.augmented(MicroBatch(1, 5, 0, tuple(rows)))
    assert inputs.shape == {"audio": (4, 32, 65), "video": (4, 3, 32, 32)}[kind]
    assert inputs.dtype == torch.float32
    reordered = again.augmented(MicroBatch(1, 9, 1, tuple(rows[::-1])))
    torch.testing.assert_close(reordered.flip(0), inputs)
    assert not torch.equal(reader.augmented(MicroBatch(2, 5, 0, tuple(rows))), inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_without_augmentation_inputs_are_the_clean_ones(store: SegmentStore, kind: str) -> None:
    reader = readers(store, **CLEAN)[kind]
    rows = train_and_validation_rows(store)[0][:4]
    augmented, clean = reader.augmented(MicroBatch(0, 0, 0, tuple(rows))), reader.clean(rows)
    if kind == "audio":
        torch.testing.assert_close(augmented, clean)
    else:  # the clean one is a centre crop of 7/8
        torch.testing.assert_close(augmented.mean((2, 3)), clean.mean((2, 3)), atol=0.1, rtol=0)


def test_training_reads_only_training_rows(store: SegmentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, valid = train_and_validation_rows(store)
    rows = [row for row in rows if row != 4]  # the middle of a recording: crops of its neighbours must not reach it
    read: set[int] = set()
    raw = SegmentStore.raw
    monkeypatch.setattr(
        SegmentStore, "raw", lambda self, wanted, *rest: read.update(wanted) or raw(self, wanted, *rest)
    )
    for kind in KINDS:
        wanted = plan(kind, epochs=3)
        network = initial_network(wanted, store.labels, store, rows, CPU)
        reader = reader_for(wanted, network, store, rows)
        for step in Schedule(wanted, rows).steps(0):
            for micro in step:
                reader.augmented(micro)
    assert read == set(rows)
    assert not read & set(valid)


def test_crops_extend_only_into_neighbours_of_the_same_recording(store: SegmentStore) -> None:
    pairs = adjacent_pairs(store, range(len(store)))
    for row, found in pairs.items():
        second = row % SECONDS
        expected = [(row - 1, row)] * (second > 0) + [(row, row + 1)] * (second < SECONDS - 1)
        assert sorted(found) == expected
    assert len(pairs) == len(store)
    assert 5 not in adjacent_pairs(store, [0, 1, 3, 5])
    assert adjacent_pairs(store, [0, 1, 3, 5]) == {0: ((0, 1),), 1: ((0, 1),)}


def test_every_frame_of_a_segment_is_used(store: SegmentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    only_random_frames = {**CLEAN["frames"], "random_frame": True}
    reader = readers(store, **{**CLEAN, "frames": only_random_frames})["video"]
    used: list[bytes] = []
    monkeypatch.setattr(reading, "decode_frame", lambda content: used.append(content) or decode_frame(content))
    for epoch in range(30):
        reader.augmented(MicroBatch(epoch, 0, 0, (0,)))
    assert set(used) == set(store.raw([0])[0].frames)
    assert len(set(used)) == store.spec.frames_per_segment


def test_bands_are_standardised_by_the_training_rows(store: SegmentStore) -> None:
    rows, _ = train_and_validation_rows(store)
    mean, deviation = store_band_statistics(store, rows, LOG_MEL)
    mels = readers(store)["audio"].clean(rows)
    torch.testing.assert_close(mean, mels.mean((0, 2)), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(deviation, mels.std((0, 2), correction=0), rtol=1e-3, atol=1e-3)


class Failing:
    """A reader of a damaged store."""

    def augmented(self, micro: MicroBatch) -> torch.Tensor:
        raise DataError(f"row {micro.rows[0]} is damaged")

    def clean(self, rows: list[int]) -> torch.Tensor:
        raise DataError(f"row {rows[0]} is damaged")


def test_a_row_that_cannot_be_read_raises_its_own_error() -> None:
    with pytest.raises(DataError, match=r"^row 3 is damaged$"):
        next(training_batches(Failing(), np.zeros(9, int), [MicroBatch(0, 0, 0, (3, 4))]))
    with pytest.raises(DataError, match=r"^row 5 is damaged$"):
        list(CleanBatches(Failing(), [[5]]))


@pytest.mark.slow
def test_reading_ahead_in_processes_changes_nothing(store: SegmentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, truth = readers(store)["audio"], store.truth(store.labels.names)
    micros = [
        micro
        for step in Schedule(plan("audio", epochs=1), train_and_validation_rows(store)[0]).steps(0)
        for micro in step
    ]

    def read() -> list[TrainingBatch]:
        return list(training_batches(reader, truth, micros))

    alone, clean = read(), list(CleanBatches(reader, [[0, 1], [2]]))
    monkeypatch.setattr(batches, "worker_count", lambda: 2)
    for ours, theirs in zip(read(), alone, strict=True):
        torch.testing.assert_close(ours.inputs, theirs.inputs)
        assert torch.equal(ours.truth, theirs.truth)
    again = CleanBatches(reader, [[0, 1], [2]])
    for _ in range(2):
        torch.testing.assert_close(list(again), clean)
    with pytest.raises(DataError, match=r"^row 3 is damaged$"):
        next(training_batches(Failing(), np.zeros(9, int), [MicroBatch(0, 0, 0, (3, 4))]))


def test_the_number_of_workers_depends_on_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    for processors, local, expected in ((1, 1, 0), (2, 1, 0), (4, 1, 3), (64, 1, 8), (16, 8, 0), (16, 4, 3)):
        monkeypatch.setattr(batches, "usable_cores", lambda count=processors: count)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(local))
        assert batches.worker_count() == expected

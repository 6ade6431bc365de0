"""Test that a batch prepares each input once and maps values back to segments."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from avscene.features import batch as batch_module
from avscene.features.batch import SegmentBatch
from avscene.features.frames import FrameSpec
from avscene.features.logmel import LogMelSpec
from avscene.records import FloatArray, Frame, Segment

FRAMES = FrameSpec(size=24, resize=24, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.3))
MELS = LogMelSpec(sample_rate=8_000, n_fft=512, hop_length=200, n_mels=16, f_min=0.0, f_max=4_000.0)
CPU = torch.device("cpu")


def frame(seed: int) -> Frame:
    return Frame(float(seed), np.random.default_rng(seed).integers(0, 256, (24, 30, 3), np.uint8))


SHARED_FRAMES = [frame(seed) for seed in range(4)]
NOISE = np.random.default_rng(9).normal(0, 0.1, 8_000).astype(np.float32)


def segments_of(frames: Sequence[Sequence[int]], with_audio: Sequence[bool] = ()) -> list[Segment]:
    """A segment for each list of indices into SHARED_FRAMES, with audio where `with_audio` says so."""
    has_audio = [*with_audio, *[False] * len(frames)]
    waveforms = [(row + 1) * NOISE / 9 if has_audio[row] else None for row in range(len(frames))]
    return [
        Segment(row, row + 1, tuple(SHARED_FRAMES[index] for index in indices), waveforms[row])
        for row, indices in enumerate(frames)
    ]


def mean_colors(batch: SegmentBatch) -> FloatArray:
    return batch.average_over_frames(batch.frames(FRAMES).double().mean((2, 3)))


def mean_levels(batch: SegmentBatch) -> FloatArray:
    return batch.align_audio(batch.log_mels(MELS, CPU).mean(2))


@given(st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=6))
def test_values_of_frames_are_averaged_over_each_segment(frames: list[list[int]]) -> None:
    batch = SegmentBatch(segments_of(frames))
    found = mean_colors(batch)
    each = [mean_colors(SegmentBatch(segments_of([[index]])))[0] for index in range(4)]
    assert len(found) == len(frames)
    for row, indices in zip(found, frames, strict=True):
        expected = np.mean([each[index] for index in indices], axis=0) if indices else np.full(3, np.nan)
        np.testing.assert_allclose(row, expected, atol=1e-9)


@given(st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=6))
def test_a_frame_that_several_segments_share_is_prepared_once(frames: list[list[int]]) -> None:
    prepared = SegmentBatch(segments_of(frames)).frames(FRAMES)
    assert prepared.shape == (len({index for indices in frames for index in indices}), 3, 24, 24)


def test_rows_of_segments_without_audio_are_nan() -> None:
    batch = SegmentBatch(segments_of([[], [], []], [True, False, True]))
    found = mean_levels(batch)
    assert np.isnan(found).all(axis=1).tolist() == [False, True, False]
    alone = mean_levels(SegmentBatch([batch[2]]))
    np.testing.assert_allclose(found[2], alone[0], atol=1e-4)
    without = mean_levels(SegmentBatch([batch[1]]))
    assert without.shape == (1, 16)
    assert np.isnan(without).all()


def test_log_mels_without_audio_are_empty() -> None:
    assert SegmentBatch(segments_of([[0]])).log_mels(MELS, CPU).shape == (0, *MELS.blank.shape[1:])


def test_models_with_the_same_preprocessing_share_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"frames_to_tensor": 0, "log_mel": 0, "openl3_log_mels": 0, "openl3_crops": 0}
    for name in counts:
        original = getattr(batch_module, name)

        def counting(*arguments: object, name: str = name, original: object = original) -> Tensor:
            counts[name] += 1
            return original(*arguments)  # type: ignore[operator]

        monkeypatch.setattr(batch_module, name, counting)
    large = Frame(0.0, np.zeros((256, 256, 3), np.uint8))
    batch = SegmentBatch.of([*segments_of([[0, 1]], [True]), Segment(1, 2, (large,), NOISE)])
    for _ in range(3):
        again = SegmentBatch.of(batch)
        mean_colors(again)
        mean_levels(again)
        assert again.openl3_log_mels.shape == (2, 1, 256, 199)
        assert again.openl3_crops.shape == (2, 3, 224, 224)
    assert counts == dict.fromkeys(counts, 1)
    batch.frames(FrameSpec(size=16, resize=16, mean=FRAMES.mean, std=FRAMES.std))
    assert counts["frames_to_tensor"] == 2


def test_values_of_one_second_windows_are_averaged_over_each_segment() -> None:
    second = np.zeros(48_000, np.float32)
    waveforms = [second, None, np.tile(second, 2)[:72_000]]
    batch = SegmentBatch([Segment(row, row + 1, (), waveform) for row, waveform in enumerate(waveforms)])
    assert len(batch.openl3_log_mels) == 3
    rows = batch.average_over_windows(torch.tensor([[1.0], [2.0], [4.0]]))
    np.testing.assert_array_equal(rows, [[1.0], [np.nan], [3.0]])


def test_values_of_middle_frames_are_put_into_the_rows_of_their_segments() -> None:
    batch = SegmentBatch(segments_of([[0, 1, 2], [], [3]]))
    expected = SegmentBatch(segments_of([[1], [3]])).openl3_crops
    assert torch.equal(batch.openl3_crops, expected)
    np.testing.assert_array_equal(batch.align_video(torch.tensor([[1.0], [2.0]])), [[1.0], [np.nan], [2.0]])


def test_openl3_inputs_of_segments_without_audio_and_frames_are_empty() -> None:
    batch = SegmentBatch(segments_of([[], []]))
    assert (len(batch.openl3_log_mels), len(batch.openl3_crops)) == (0, 0)
    for rows in (batch.average_over_windows(torch.empty(0, 5)), batch.align_video(torch.empty(0, 5))):
        assert rows.shape == (2, 5)
        assert np.isnan(rows).all()

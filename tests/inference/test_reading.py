"""Test reading in batches: what a batch holds, their order, and how reading ends."""

from pathlib import Path

import pytest

from avscene.errors import MediaError
from avscene.inference.reading import BatchReader
from avscene.inference.scoring.batches import BATCH_SIZE, Batch, RecordingInfo
from avscene.inference.sources import Source
from avscene.media.sampling import Sampling
from tests.support.media_files import write_media

SAMPLING = Sampling(frame_size=16)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_media(tmp_path_factory.mktemp("reading") / "long.mp4", 2.0 * BATCH_SIZE + 3, fps=2, audio=False)


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_of_each_recording_come_in_order_and_are_not_mixed(long: Path, tmp_path: Path, workers: int) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    batches: list[list[Batch]] = [[], [], []]
    for batch in BatchReader([Source(long), Source(broken), Source(long)], SAMPLING, workers=workers):
        batches[batch.position].append(batch)
    for of_long in (batches[0], batches[2]):
        assert [len(batch.segments) for batch in of_long] == [BATCH_SIZE, BATCH_SIZE, 3]
        assert [s.start for batch in of_long for s in batch.segments] == list(range(2 * BATCH_SIZE + 3))
        assert [type(batch.end) for batch in of_long] == [type(None), type(None), RecordingInfo]
    (only,) = batches[1]
    assert only.segments == ()
    assert isinstance(only.end, MediaError)


def test_closing_ends_reading_in_the_middle(long: Path) -> None:
    """An interruption does not wait for the recordings that are being decoded, which may be hours of video."""
    batches = iter(BatchReader([Source(long)] * 4, SAMPLING, workers=2))
    next(batches)
    batches.close()
    assert list(batches) == []


def test_nothing_more_of_a_cancelled_recording_is_scored(long: Path, tmp_path: Path) -> None:
    longer = write_media(tmp_path / "longer.mp4", 10.0 * BATCH_SIZE, fps=1, audio=False)
    reader = BatchReader([Source(longer), Source(long)], SAMPLING, workers=1)
    batches = iter(reader)
    assert next(batches).position == 0
    reader.cancel(0)
    rest = list(batches)
    cancelled = [batch for batch in rest if batch.position == 0]
    # Those that are scored, or were, at that moment.
    assert sum(len(batch.segments) for batch in cancelled) <= 3 * BATCH_SIZE
    assert cancelled[-1].segments == ()
    assert isinstance(cancelled[-1].end, MediaError)
    assert sum(len(batch.segments) for batch in rest if batch.position == 1) == 2 * BATCH_SIZE + 3

"""Embedding computes what is missing, once, and continues after interruptions."""

from pathlib import Path

import numpy as np
import pytest

from avscene.datasets.layout import read_dataset
from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.writer import prepare
from avscene.errors import DataError
from avscene.training.embed import embed_store, embeddings_state
from tests.support.media_files import RATE
from tests.support.simple_encoder import SimpleEncoder
from tests.support.stored_media import RECORDINGS, SPEC, all_rows, table_files, write_recording, write_table


def test_embed_every_row(store: SegmentStore) -> None:
    before, encoder = all_rows(store), SimpleEncoder()
    tables = table_files(store.directory)
    counts: list[tuple[int, int]] = []
    embedded = embed_store(store, "simple", encoder, lambda done, total: counts.append((done, total)))
    expected = SimpleEncoder().embed(store.segments(range(len(store))))
    np.testing.assert_array_equal(embedded.embeddings("simple"), expected)
    assert np.isnan(expected).any()
    assert all(len(segment.frames) <= 1 and segment.waveform is None for segment in encoder.embedded)
    assert embedded.encoders == ("simple",)
    assert embedded.embedding_key("simple").startswith("simple/1 ")
    assert counts[-1] == (len(store), len(store))
    assert all_rows(embedded) == before
    assert tables.items() < table_files(store.directory).items()  # not a byte of them was written again


def test_a_second_run_computes_nothing(store: SegmentStore) -> None:
    store = embed_store(store, "simple", SimpleEncoder())
    assert embeddings_state(store, "simple", SimpleEncoder()) == "current"
    again = SimpleEncoder()
    np.testing.assert_array_equal(embed_store(store, "simple", again).embeddings("simple"), store.embeddings("simple"))
    assert again.embedded == []


def test_several_encoders(store: SegmentStore) -> None:
    store = embed_store(embed_store(store, "a", SimpleEncoder()), "b-2", SimpleEncoder("audio", RATE))
    assert store.encoders == ("a", "b-2")
    assert np.nanmax(store.embeddings("b-2")[:, 0]) == RATE
    assert np.nanmax(store.embeddings("a")) <= 255


def test_other_weights_replace_the_column(store: SegmentStore) -> None:
    store = embed_store(store, "simple", SimpleEncoder())
    changed = SimpleEncoder("audio", RATE, key="simple/2")
    assert embeddings_state(store, "simple", changed) == "outdated"
    replaced = embed_store(store, "simple", changed)
    assert replaced.embedding_key("simple").startswith("simple/2 ")
    assert np.nanmax(replaced.embeddings("simple")[:, 0]) == RATE
    assert len(changed.embedded) == len(store)


def test_only_new_recordings_are_embedded(store: SegmentStore, data: Path) -> None:
    embed_store(store, "simple", SimpleEncoder())
    write_recording(data, "park/another.mp4")
    write_recording(data, "tram/both.mp4", seconds=5.0)
    write_table(data, [*RECORDINGS, ("park/another.mp4", "park", "p3", "test")])
    grown = prepare(read_dataset(data), store.directory, SPEC).store
    assert embeddings_state(grown, "simple", SimpleEncoder()) == "partial"
    with pytest.raises(DataError, match="8 of 21 segments have no embeddings of simple yet; run: avscene embed"):
        grown.embeddings("simple")
    encoder = SimpleEncoder()
    embedded = embed_store(grown, "simple", encoder)
    assert len(encoder.embedded) == 8
    np.testing.assert_array_equal(
        embedded.embeddings("simple"), SimpleEncoder().embed(grown.segments(range(len(grown))))
    )


def test_missing_embeddings_are_reported_with_the_command(store: SegmentStore) -> None:
    with pytest.raises(
        DataError, match=r"has no embeddings of clip-x; it has none; run: avscene embed .*store --encoder"
    ):
        store.embeddings("clip-x")
    with pytest.raises(DataError, match="it has simple; run"):
        embed_store(store, "simple", SimpleEncoder()).embeddings("clip-x")


def test_audio_is_resampled_down_and_never_up(store: SegmentStore) -> None:
    low = embed_store(store, "low", SimpleEncoder("audio", 7999)).embeddings("low")
    same = embed_store(store, "same", SimpleEncoder("audio", RATE)).embeddings("same")
    has_audio = ~np.isnan(same[:, 0])
    assert np.array_equal(has_audio, ~np.isnan(low[:, 0]))
    assert (low[has_audio, 0] == 7999).all()
    np.testing.assert_allclose(low[has_audio, 1], same[has_audio, 1], rtol=0.02, atol=1e-5)
    with pytest.raises(DataError, match="has audio at 16000 Hz, encoder high needs 48000 Hz; run: avscene prepare"):
        embed_store(store, "high", SimpleEncoder("audio", 48_000))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_interruption_while_replacing_a_column_loses_nothing(
    store: SegmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = embed_store(store, "simple", SimpleEncoder())
    changed = SimpleEncoder(key="simple/2")
    with monkeypatch.context() as patch:
        patch.setattr("lance.LanceDataset.add_columns", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            embed_store(store, "simple", changed)
    assert SegmentStore.open(store.directory).encoders == ()
    again = SimpleEncoder(key="simple/2")
    assert not np.isnan(embed_store(store, "simple", again).embeddings("simple")).all()
    assert again.embedded == []
    assert not list(store.directory.rglob("*.f32"))


def test_an_incomplete_row_is_computed_again(store: SegmentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avscene.training.embed.BATCH_SIZE", 4)

    def interrupt(done: int, total: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_store(store, "simple", SimpleEncoder(), interrupt)
    (begun,) = store.directory.rglob("*.f32")
    begun.write_bytes(begun.read_bytes() + b"half")
    encoder = SimpleEncoder()
    np.testing.assert_array_equal(
        embed_store(store, "simple", encoder).embeddings("simple"),
        SimpleEncoder().embed(store.segments(range(len(store)))),
    )
    assert len(encoder.embedded) == len(store) - 8


def test_unfinished_embeddings_of_other_rows_are_not_used(store: SegmentStore, data: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_store(store, "simple", SimpleEncoder(), interrupt)
    write_recording(data, "bus/without_video.wav", seconds=5.0)
    store = prepare(read_dataset(data), store.directory, SPEC).store
    embedded = embed_store(store, "simple", SimpleEncoder("audio", RATE))
    expected = SimpleEncoder("audio", RATE).embed(store.segments(range(len(store))))
    np.testing.assert_array_equal(embedded.embeddings("simple"), expected)

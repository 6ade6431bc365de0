"""Damaged stores, stores of other versions and other directories are refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from avscene.datasets.dataset import DataSet
from avscene.datasets.layout import read_dataset
from avscene.datasets.store.manifest import is_store
from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.writer import prepare
from avscene.errors import DataError
from avscene.records import Example
from tests.support.stored_media import SPEC


@pytest.mark.parametrize("attempt", [SegmentStore.open, lambda path: prepare(DataSet(path, _one()), path, SPEC)])
def test_a_store_of_another_version_is_refused(store: SegmentStore, attempt: Callable[[Path], object]) -> None:
    text = (store.directory / "store.json").read_text()
    content = {**json.loads(text), "format": "avscene-store/9", "made_by": "avscene 7.0", "new": []}
    (store.directory / "store.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"format 'avscene-store/9', made by avscene 7.0; avscene .* reads .*prepare"):
        attempt(store.directory)


def _one() -> tuple[Example, ...]:
    return (Example("a", Path("a"), "tram", "g"),)


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"{}", b'{"format": "avscene-store/1"}', b"\xff"])
def test_a_damaged_store_json_is_an_error(store: SegmentStore, content: bytes) -> None:
    (store.directory / "store.json").write_bytes(content)
    with pytest.raises(DataError, match=r"store.json: is damaged \(.*make a new one: avscene prepare"):
        SegmentStore.open(store.directory)


def test_a_directory_that_is_not_a_store(media: Path, tmp_path: Path) -> None:
    assert not is_store(media)
    with pytest.raises(DataError, match="is not a segment store; to make one: avscene prepare DATA --output STORE"):
        SegmentStore.open(media)
    for path in (media, media / "meta.csv"):
        with pytest.raises(DataError, match="is not a segment store and not empty; choose another directory"):
            prepare(read_dataset(media), path, SPEC)

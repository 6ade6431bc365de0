"""Fixtures for tests of segment stores: recordings, and a store prepared from them."""

import shutil
from pathlib import Path

import pytest

from avscene.datasets.dataset import DataSet
from avscene.datasets.layout import read_dataset
from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.writer import Prepared, prepare
from avscene.records import Example
from tests.support.stored_media import RECORDINGS, SPEC, write_recording, write_table


@pytest.fixture(scope="package")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("media")
    for name, *_ in RECORDINGS:
        write_recording(root, name)
    return write_table(root)


@pytest.fixture(scope="package")
def prepared(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(read_dataset(media), tmp_path_factory.mktemp("stores") / "store", SPEC)


@pytest.fixture
def data(media: Path, tmp_path: Path) -> Path:
    """A copy of the recordings, which a test may change."""
    return shutil.copytree(media, tmp_path / "data")


@pytest.fixture
def store(prepared: Prepared, tmp_path: Path) -> SegmentStore:
    """A copy of the store, which a test may change."""
    return SegmentStore.open(shutil.copytree(prepared.store.directory, tmp_path / "store"))


@pytest.fixture(scope="package")
def shuffled(media: Path, tmp_path_factory: pytest.TempPathFactory) -> SegmentStore:
    """A store whose table has another order than its rows, and gaps where rows were replaced."""
    root = tmp_path_factory.mktemp("shuffled")
    write_recording(root, "tram/both.mp4", seconds=1.0)
    examples = read_dataset(media).examples
    first = [
        Example(e.name, root / e.name if e.name == "tram/both.mp4" else e.path, e.label, e.group) for e in examples
    ]
    prepare(DataSet(root, tuple(first[::-1])), root / "store", SPEC)
    return prepare(DataSet(root, examples), root / "store", SPEC).store

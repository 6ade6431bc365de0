"""Fixtures that the tests of fine-tuning share."""

import pytest

from avscene.datasets.store.reader import SegmentStore
from tests.support.small_store import make_store


@pytest.fixture(scope="package")
def store(tmp_path_factory: pytest.TempPathFactory) -> SegmentStore:
    return make_store(tmp_path_factory.mktemp("small"))

"""Embeddings are read as they were written, one for each row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from avscene.datasets.store.columns import add_embeddings
from avscene.datasets.store.reader import SegmentStore
from avscene.errors import DataError


@settings(max_examples=15)
@given(values=st.data())
def test_embeddings_are_read_as_written(values: st.DataObject, shuffled: SegmentStore) -> None:
    size = values.draw(st.integers(1, 5))
    elements = st.floats(width=32, allow_nan=True)
    given_ = values.draw(arrays.arrays(np.float32, (len(shuffled), size), elements=elements))
    cut = values.draw(st.integers(0, len(shuffled)))
    store = add_embeddings(SegmentStore.open(shuffled.directory), "any", "key", size, [given_[:cut], given_[cut:]])
    np.testing.assert_array_equal(store.embeddings("any"), given_)
    assert store.embedding_key("any") == "key"


def test_embeddings_must_match_the_rows(store: SegmentStore) -> None:
    with pytest.raises(ValueError, match="15 embeddings for the 16 segments"):
        add_embeddings(store, "x", "k", 2, [np.zeros((15, 2))])
    with pytest.raises(ValueError, match="cannot be the name"):
        add_embeddings(store, "a.b", "k", 2, [np.zeros((16, 2))])
    stale = store
    add_embeddings(store, "x", "k", 2, [np.zeros((16, 2))])
    with pytest.raises(DataError, match="was changed meanwhile"):
        add_embeddings(stale, "y", "k", 2, [np.zeros((16, 2))])

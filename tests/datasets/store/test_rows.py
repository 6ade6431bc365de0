"""Audio is stored as 16-bit PCM."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from avscene.datasets.store.rows import from_pcm, to_pcm
from avscene.records import FloatArray


@given(arrays.arrays(np.float32, 64, elements=st.floats(-1, 1, width=32)))
def test_audio_is_stored_within_one_part_in_32768(waveform: FloatArray) -> None:
    off = np.abs(from_pcm(to_pcm(waveform)) - waveform)
    assert off.max() <= 1 / 32768
    assert off[waveform < 1 - 1 / 32768].max(initial=0) <= 0.5 / 32768


@given(arrays.arrays(np.int16, 64))
def test_16_bit_audio_is_stored_exactly(samples: np.ndarray) -> None:
    assert np.array_equal(to_pcm(from_pcm(samples)), samples)

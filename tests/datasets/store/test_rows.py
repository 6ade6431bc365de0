"""Waveforms and frames are stored without loss."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from avscene.datasets.store.manifest import StoreSpec
from avscene.datasets.store.rows import SAMPLE, decode_frame, decode_waveform, encode_frame
from avscene.records import ByteArray, FloatArray

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))


@given(arrays.arrays(np.float32, 64, elements=st.floats(-1, 1, width=32)))
def test_a_waveform_is_stored_exactly(waveform: FloatArray) -> None:
    assert np.array_equal(decode_waveform(waveform.astype(SAMPLE).tobytes(), StoreSpec()), waveform)


@given(arrays.arrays(np.int16, 64))
def test_16_bit_waveforms_of_the_earlier_format_are_read(samples: np.ndarray) -> None:
    waveform = decode_waveform(samples.astype("<i2").tobytes(), StoreSpec(jpeg_quality=95))
    assert np.array_equal(waveform, samples / 32768)


@given(arrays.arrays(np.uint8, SIZES))
def test_a_frame_is_stored_exactly(pixels: ByteArray) -> None:
    assert np.array_equal(decode_frame(encode_frame(pixels)), pixels)

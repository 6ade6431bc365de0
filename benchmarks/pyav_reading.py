"""Read the seconds of a video with PyAV, as its documentation shows."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from PIL import Image

from avscene.records import FloatArray


def middle_frames(path: Path) -> Iterator[Image.Image]:
    """Yield the frame shown at the middle of each second."""
    with av.open(str(path)) as container:
        rate = int(container.streams.video[0].average_rate or 0)
        for index, frame in enumerate(container.decode(video=0)):
            if index % rate == rate // 2:
                yield frame.to_image()


def waveform(path: Path) -> FloatArray:
    """Return all samples (n_samples,), the mean of the channels, at the rate of the file."""
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray().mean(axis=0) for frame in container.decode(audio=0)])

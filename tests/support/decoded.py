"""Decode media files to arrays as users do, with PyAV and Pillow alone."""

from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageOps


def decode_to_arrays(path: Path) -> dict[str, Any]:
    """Return the arguments of `System.classify_arrays` for a file: all its frames, upright, and all its audio."""
    if path.suffix in (".jpg", ".png"):
        return {"frames": [np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))]}
    frames, times, blocks, starts, rate = [], [], [], [], 0
    with av.open(str(path)) as container:
        video = container.streams.best("video")
        audio = container.streams.best("audio")
        for frame in container.decode([stream for stream in (video, audio) if stream is not None]):
            if isinstance(frame, av.VideoFrame):
                frames.append(np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90))
                times.append(frame.time)
            else:
                rate = frame.sample_rate
                starts.append(frame.time)
                samples = frame.to_ndarray()
                blocks.append(samples if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels).T)
    arguments: dict[str, Any] = {}
    origin = min([*starts[:1], *times[:1]])
    if frames:
        arguments |= {"frames": frames, "frame_times": np.array(times) - origin}
    if blocks:
        joined = np.concatenate(blocks, axis=1)
        first = round((starts[0] - origin) * rate)
        arguments |= {"waveform": np.pad(joined, ((0, 0), (first, 0))), "sample_rate": rate}
    return arguments

"""Check frames and their times that are given as arrays, and convert single frames as those of files are."""

from collections.abc import Callable, Sequence
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from avscene.arguments import described, wrong_argument
from avscene.errors import UsageError
from avscene.media.rgb.converter import RgbConverter
from avscene.records import ByteArray, FloatArray

ACCEPTED = (
    "an array or tensor (n, height, width, 3) or (n, 3, height, width), or a list of images (height, width, 3); "
    "RGB, uint8 from 0 to 255 or floating-point from 0 to 1"
)
OVERSHOOT = 0.01  # beyond [0, 1], which scaling with negative weights makes


def as_array(value: Any) -> npt.NDArray[Any]:
    """Return an array, or a tensor on any device and of any type, as a NumPy array."""
    if hasattr(value, "detach"):
        tensor = value.detach().cpu()
        return np.asarray((tensor.float() if tensor.is_floating_point() else tensor).numpy())
    return np.asarray(value)


def check_frames(frames: Any) -> Sequence[Any]:
    """Return frames as a sequence of images, which are not converted yet.

    Raises:
        UsageError: they are of a wrong type or shape.
    """
    shape = getattr(frames, "shape", None)
    if shape is None and not isinstance(frames, list | tuple):
        raise wrong_argument("frames", frames, ACCEPTED)
    if shape is not None and len(shape) != 4:
        hint = "frames[None] for one image" if len(shape) == 3 else ""
        raise wrong_argument("frames", frames, ACCEPTED, hint)
    if not len(frames):
        raise UsageError("frames are empty; give None if there is no video")
    if shape is not None:
        rgb_image(frames[0])  # all are alike
    found: Sequence[Any] = frames
    return found


def check_times(times: Any, n_frames: int) -> FloatArray:
    """Return the times (n_frames,) in seconds at which frames are first shown.

    Raises:
        UsageError: they are not so many numbers that are finite, not negative and never decrease.
    """
    accepted = "a number of seconds for each frame, from the beginning of the recording"
    if times is None:
        raise wrong_argument("frame_times", times, accepted)
    try:
        values = as_array(times).astype(np.float64)
    except (TypeError, ValueError):
        raise wrong_argument("frame_times", times, accepted) from None
    if values.shape != (n_frames,):
        raise UsageError(f"frame_times of shape {values.shape} do not fit {n_frames} frames; accepted: {accepted}")
    wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if wrong.size:
        raise UsageError(f"frame_times[{wrong[0]}] is {values[wrong[0]]:g}; accepted: {accepted}")
    falls = np.flatnonzero(np.diff(values) < 0)
    if falls.size:
        raise UsageError(f"frame_times[{falls[0] + 1}] is before frame_times[{falls[0]}]; sort frames and times")
    return values


def rgb_image(image: Any) -> ByteArray:
    """Return an image as RGB (height, width, 3) of 8 bits.

    Raises:
        UsageError: its type, shape or range is none that is accepted.
    """
    pixels = as_array(image)
    if pixels.ndim != 3 or not pixels.size or 3 not in (pixels.shape[0], pixels.shape[2]):
        raise wrong_argument("a frame", pixels, ACCEPTED)
    if pixels.shape[2] != 3:
        pixels = pixels.transpose(1, 2, 0)
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    if pixels.dtype.kind != "f":
        raise UsageError(f"frames are of type {pixels.dtype}; accepted: {ACCEPTED}")
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= -OVERSHOOT and high <= 1 + OVERSHOOT):  # also if one is NaN
        hint = "; try: frames / 255" if low >= 0 and 1 < high <= 255 else ""
        raise UsageError(f"frames have values from {low:g} to {high:g}; accepted: {ACCEPTED}{hint}")
    return np.ascontiguousarray(np.rint(np.clip(pixels, 0, 1) * 255), np.uint8)


def image_converter(size: int) -> Callable[[Any], ByteArray]:
    """Return a function from an image to RGB whose shorter side is at most `size` pixels, scaled as frames of files.

    Raises (the function):
        UsageError: the image is not accepted, or it cannot be scaled.
    """
    converter = RgbConverter(size)

    def convert(image: Any) -> ByteArray:
        pixels = rgb_image(image)
        try:
            return converter(av.VideoFrame.from_ndarray(pixels, format="rgb24"))
        except (av.FFmpegError, ValueError) as error:
            raise UsageError(f"a frame ({described(pixels)}) cannot be scaled: {error}") from error

    return convert

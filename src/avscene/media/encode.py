"""Encode arrays into wav and mp4 files, each written under a temporary name and renamed when complete."""

import platform
import wave
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from avscene.errors import DataError
from avscene.files import replace_when_complete
from avscene.records import ByteArray, FloatArray

VIDEO_ENCODERS = ("libx264", "libopenh264", "mpeg4")  # best first; the last is in every build of ffmpeg
# For the same bytes on every machine and in every run: with AVX-512, which x264 prefers, they differed from run to run.
# SSE2 gives the bytes of plain C at more than twice the speed.
X264_INSTRUCTIONS = "sse2" if platform.machine() in ("x86_64", "AMD64") else "0"
X264_OPTIONS = {"preset": "veryfast", "crf": "23", "x264-params": f"asm={X264_INSTRUCTIONS}"}
CONTAINER_OPTIONS = {"movflags": "+faststart"}  # the index comes first, so a player can start at once
MAX_RATE_DENOMINATOR = 1001  # NTSC frame rates (30000/1001) stay exact
PCM_BITS = (16, 24)


@contextmanager
def _renamed_when_done(path: Path) -> Iterator[Path]:
    """As `files.replace_when_complete`, but raise errors of the encoder and the disk as DataError."""
    try:
        with replace_when_complete(path) as partial:
            yield partial
    except (av.FFmpegError, OSError) as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error


def _channels_last(path: Path, waveform: FloatArray) -> FloatArray:
    """Return `waveform` as (n, channels) clipped to [-1, 1]."""
    samples = waveform[:, None] if waveform.ndim == 1 else waveform
    if samples.ndim != 2 or 0 in samples.shape:
        raise DataError(f"cannot write {path}: a waveform must be (n,) or (n, channels), not {waveform.shape}")
    if not np.isfinite(samples).all():
        raise DataError(f"cannot write {path}: the waveform has values that are not finite")
    return np.clip(samples, -1, 1)


def write_wav(path: str | Path, waveform: FloatArray, sample_rate: int, *, bits: int = 16) -> None:
    """Write a PCM wav file.

    Args:
        path: The file; an existing one is replaced.
        waveform: (n,) or (n, channels) in [-1, 1]; values outside are clipped.
        sample_rate: In Hz.
        bits: Per sample, 16 or 24.

    Raises:
        DataError: The waveform has another shape or values that are not finite, `bits` is another number, or the file
            cannot be written.
    """
    target = Path(path)
    if bits not in PCM_BITS:
        raise DataError(f"cannot write {target}: PCM of {bits} bits is not supported; choose 16 or 24")
    samples = _channels_last(target, waveform)
    scaled = np.rint(samples * (2 ** (bits - 1) - 1)).astype("<i4")
    # Little endian: the low bytes of each four come first and make the sample.
    data = scaled.view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes()
    with _renamed_when_done(target) as partial, partial.open("wb") as raw, wave.open(raw, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(bits // 8)
        file.setframerate(sample_rate)
        file.writeframes(data)


def _video_encoder() -> str:
    """Return the best of `VIDEO_ENCODERS` in this build of ffmpeg."""
    for name in VIDEO_ENCODERS:
        try:
            av.Codec(name, "w")
        except ValueError:  # av.codec.codec.UnknownCodecError
            continue
        return name
    raise DataError(f"this build of PyAV has none of the video encoders {', '.join(VIDEO_ENCODERS)}")


class _AudioEncoder:
    """An AAC stream that is encoded up to a given time, so that audio and video interleave in the file."""

    def __init__(self, container: OutputContainer, samples: FloatArray, sample_rate: int) -> None:
        layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
        self.container = container
        self.stream = container.add_stream("aac", rate=sample_rate, layout=layout)
        self.planes = np.ascontiguousarray(samples.T, dtype=np.float32)
        self.written = 0

    def write_until(self, time: Fraction | None) -> None:
        """Encode up to `time` in seconds; None encodes the rest and ends the stream."""
        rate, total = self.stream.rate, self.planes.shape[1]
        end = total if time is None else min(int(time * rate), total)
        if end > self.written:
            chunk = np.ascontiguousarray(self.planes[:, self.written : end])
            frame = av.AudioFrame.from_ndarray(chunk, format="fltp", layout=self.stream.layout.name)
            frame.sample_rate, frame.pts, frame.time_base = rate, self.written, Fraction(1, rate)
            self.container.mux(self.stream.encode(frame))
            self.written = end
        if time is None:
            self.container.mux(self.stream.encode(None))


def _check_frames(path: Path, frames: Iterable[ByteArray]) -> Iterator[ByteArray]:
    """Yield `frames`; raise DataError unless all have one size with even sides (yuv420p halves both for chroma)."""
    shape: tuple[int, ...] | None = None
    for index, pixels in enumerate(frames):
        shape = shape or pixels.shape
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise DataError(f"cannot write {path}: frame {index} is {pixels.dtype} {pixels.shape}, not uint8 (h, w, 3)")
        if pixels.shape != shape or shape[0] % 2 or shape[1] % 2:
            raise DataError(f"cannot write {path}: frame {index} is {pixels.shape[:2]}; all frames need one even size")
        yield pixels
    if shape is None:
        raise DataError(f"cannot write {path}: no frames")


def _add_video(container: OutputContainer, shape: tuple[int, ...], rate: Fraction) -> VideoStream:
    encoder = _video_encoder()
    stream = container.add_stream(encoder, rate=rate, options=X264_OPTIONS if encoder == "libx264" else {})
    if not isinstance(stream, VideoStream):
        raise TypeError(f"{encoder} made a {stream.type} stream")
    stream.height, stream.width = shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.thread_count = 1  # the same bytes on every machine; callers run several files at once
    return stream


def _encode(
    container: OutputContainer,
    frames: Iterable[ByteArray],
    video: VideoStream,
    rate: Fraction,
    audio: _AudioEncoder | None,
) -> None:
    for index, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts, frame.time_base = index, 1 / rate
        container.mux(video.encode(frame))
        if audio is not None:
            audio.write_until((index + 1) / rate)
    container.mux(video.encode(None))
    if audio is not None:
        audio.write_until(None)


def write_mp4(
    path: str | Path,
    frames: Iterable[ByteArray],
    fps: float | Fraction,
    waveform: FloatArray | None = None,
    sample_rate: int | None = None,
) -> None:
    """Write an mp4: H.264 video if PyAV can encode it, else MPEG-4, and AAC audio if there is a waveform.

    Args:
        path: The file; an existing one is replaced.
        frames: (h, w, 3) uint8 RGB each, all of one size with even sides; consumed one at a time.
        fps: Frames per second.
        waveform: (n,) or (n, 2) in [-1, 1], or None for no audio.
        sample_rate: Of the waveform, in Hz.

    Raises:
        DataError: Frames or waveform have another shape, there are no frames, or the file cannot be written.
    """
    target = Path(path)
    rate = Fraction(fps).limit_denominator(MAX_RATE_DENOMINATOR)
    samples = None if waveform is None else _channels_last(target, waveform)
    if samples is not None and (sample_rate is None or samples.shape[1] > 2):
        raise DataError(f"cannot write {target}: audio needs a sample rate and one or two channels")
    rest = _check_frames(target, frames)
    first = next(rest)
    with (
        _renamed_when_done(target) as partial,
        av.open(str(partial), "w", format="mp4", options=CONTAINER_OPTIONS) as container,
    ):
        video = _add_video(container, first.shape, rate)
        audio = None if samples is None else _AudioEncoder(container, samples, sample_rate or 0)
        _encode(container, chain([first], rest), video, rate, audio)

"""Generate videos for benchmarks that take as long to decode as those of phones and of the web.

They are H.264 with the defaults of x264 (B-frames, a keyframe at least every 250 frames) and AAC. The content moves by
fractions of a pixel and has noise: a video of plain colours would be decoded several times faster.
"""

import hashlib
import math
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]

SAMPLE_RATE = 48_000
QUICK_SECONDS = 2
BITS_PER_PIXEL = 0.13  # 3 Mbit/s at 1280x720 and 25 frames per second
MARGIN = 64  # pixels around the frame for the camera to move in
PHASES = 4  # per pixel: the camera moves in quarters of one
N_OBJECTS = 6
SLOPE = 1.2  # amplitudes fall as 1 / frequency**SLOPE, as in photographs
NOISE = 1.5  # grey levels, standard deviation


def cached_video(seconds: float, width: int = 1280, height: int = 720, fps: int = 25) -> Path:
    """Return a video in the folder for temporary files, generated once for each version of this file."""
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    folder = Path(tempfile.gettempdir()) / f"avscene-benchmarks-{version}"
    folder.mkdir(exist_ok=True)
    return make_video(folder / f"{seconds:g}s-{width}x{height}-{fps}fps.mp4", seconds, width, height, fps)


def benchmark_video(seconds: float, *, quick: bool) -> Path:
    """Return a 720p video of `seconds`, or a short 360p one for quick runs."""
    return cached_video(QUICK_SECONDS, 640, 360) if quick else cached_video(seconds)


def make_video(path: Path, seconds: float, width: int = 1280, height: int = 720, fps: int = 25) -> Path:
    """Generate the video at `path` unless it exists; return `path`."""
    if path.exists():
        return path
    partial = path.with_suffix(".part")
    with av.open(str(partial), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=fps)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.bit_rate = round(BITS_PER_PIXEL * width * height * fps)
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        for index, planes in enumerate(moving_frames(round(seconds * fps), width, height)):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(video.encode(frame))
            container.mux(audio.encode(audio_block(index * SAMPLE_RATE // fps, (index + 1) * SAMPLE_RATE // fps)))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return partial.rename(path)


def repeat_video(path: Path, source: Path, times: int) -> Path:
    """Write the video `source` `times` times in a row to `path` unless it exists; packets are copied, not encoded."""
    if path.exists():
        return path
    duration = _duration(source)
    partial = path.with_suffix(".part")
    with av.open(str(source)) as container, av.open(str(partial), "w", format="mp4") as target:
        streams = [target.add_stream_from_template(stream) for stream in container.streams]
        last = [-math.inf] * len(streams)
        for number in range(times):
            container.seek(0)
            for packet in container.demux():
                if packet.dts is None:  # the end
                    continue
                shift, index = round(number * duration / packet.time_base), packet.stream_index
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                if packet.dts > last[index]:  # else it is priming of the audio encoder
                    last[index], packet.stream = packet.dts, streams[index]
                    target.mux(packet)
    return partial.rename(path)


def bit_rate(path: Path) -> float:
    """Return the bits per second of audio and video together."""
    return 8 * path.stat().st_size / float(_duration(path))


def _duration(path: Path) -> Fraction:
    """Duration of the video stream in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.duration * stream.time_base


def moving_frames(n_frames: int, width: int, height: int) -> Iterator[Plane]:
    """Yield frames (3 height / 2, width): luma, and below it both chroma planes of half the size."""
    random = np.random.default_rng(0)
    backgrounds = [texture(random, height, width, spread=32, level=112)]
    backgrounds += [texture(random, height // 2, width // 2, spread=4, level=128) for _ in range(2)]
    objects = [_Object(random, width, height) for _ in range(N_OBJECTS)]
    noise = np.rint(random.normal(scale=NOISE, size=(height + MARGIN, width + MARGIN))).astype(np.int8).view(np.uint8)
    for index in range(n_frames):
        luma, *chroma = [_camera_view(background, index) for background in backgrounds]
        for moving in objects:
            moving.draw(luma, index)
        down, right = random.integers(MARGIN, size=2)
        luma += noise[down : down + height, right : right + width]  # modulo 256, so negative noise is added too
        yield np.concatenate([luma, *(plane.reshape(-1, width) for plane in chroma)])


def texture(random: np.random.Generator, height: int, width: int, spread: float, level: float) -> list[Plane]:
    """Return a random texture of `height` and `width` with a margin, once for each phase of a pixel.

    `spread` and `level` are standard deviation and mean in grey levels.
    """
    shape = (height + 2 * MARGIN, width + 2 * MARGIN)
    across = np.fft.rfftfreq(shape[1])
    distance = np.hypot(np.fft.fftfreq(shape[0])[:, None], across)
    distance[0, 0] = np.inf
    spectrum = np.fft.rfft2(random.normal(size=shape)) / distance**SLOPE
    scale = spread / np.fft.irfft2(spectrum, shape).std()
    shifted = (spectrum * np.exp(2j * np.pi * across * phase / PHASES) for phase in range(PHASES))
    # Away from 0 and 255, so that added noise does not overflow.
    return [np.clip(level + scale * np.fft.irfft2(one, shape), 24, 228).astype(np.uint8) for one in shifted]


def _camera_view(background: list[Plane], index: int) -> Plane:
    """Return the part of `background` in view of a moving camera at frame `index`."""
    moved = MARGIN + 0.8 * MARGIN * np.sin(index / 70)
    right, phase = divmod(round(moved * PHASES), PHASES)
    down = round(MARGIN + MARGIN / 4 * np.sin(index / 23))
    height, width = background[0].shape[0] - 2 * MARGIN, background[0].shape[1] - 2 * MARGIN
    return background[phase][down : down + height, right : right + width].copy()


class _Object:
    """An ellipse with its own texture that swings across the frame."""

    def __init__(self, random: np.random.Generator, width: int, height: int) -> None:
        rows, columns = (round(height * share) for share in random.uniform(0.1, 0.35, size=2))
        self.pixels = texture(random, rows, columns, spread=25, level=random.uniform(60, 190))[0][:rows, :columns]
        y, x = np.ogrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
        self.mask = x**2 + y**2 < 1
        self.travel = np.array([height - rows, width - columns])
        self.speed = random.uniform(0.005, 0.03, size=2)  # radians per frame
        self.phase = random.uniform(0, 2 * np.pi, size=2)

    def draw(self, luma: Plane, index: int) -> None:
        position = self.travel * (0.5 + 0.5 * np.sin(self.phase + index * self.speed))
        top, left = position.astype(int)
        under = luma[top : top + self.mask.shape[0], left : left + self.mask.shape[1]]
        np.copyto(under, self.pixels, where=self.mask)


def audio_block(start: int, end: int) -> av.AudioFrame:
    """Return the samples `start` to `end` of a chord of varying level over noise."""
    time = np.arange(start, end) / SAMPLE_RATE
    chord = sum(np.sin(2 * np.pi * pitch * time) / pitch for pitch in (110.0, 277.2, 659.3, 1760.0))
    noise = np.random.default_rng(start).normal(size=(2, len(time)))
    samples = 20 * (1 + np.sin(2 * np.pi * 0.3 * time)) * chord * 0.4 + 0.05 * noise
    frame = av.AudioFrame.from_ndarray(samples.astype(np.float32), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
    return frame

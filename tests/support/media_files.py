"""Make media files in which each second has its own colour and tone.

Second k has colour k and tone k (modulo 8); `frame_second` and `audio_second` find k in decoded media.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE = (64, 48)  # width, height
RATE = 16000  # Hz
N_SECONDS = 8  # after these the colours and tones repeat
_CHUNK = 1000  # samples encoded at a time


def second_colour(second: int) -> tuple[int, int, int]:
    """Return the RGB colour of a second: one bit of its number per channel."""
    return tuple(220 if second >> bit & 1 else 30 for bit in range(3))  # type: ignore[return-value]


def frame_second(pixels: np.ndarray) -> int:
    """Return the second that a frame (h, w, 3) comes from."""
    means = pixels.reshape(-1, 3).mean(axis=0)
    return sum(int(value > 125) << bit for bit, value in enumerate(means))


def tone(second: int) -> float:
    """Return the frequency of a second in Hz."""
    return 500.0 + 250.0 * (second % N_SECONDS)


def audio_second(waveform: np.ndarray, rate: int) -> int:
    """Return the second that a waveform (n,) comes from."""
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return round((spectrum.argmax() * rate / len(waveform) - 500) / 250)


def tone_samples(seconds: float, rate: int = RATE, start: float = 0.0) -> np.ndarray:
    """Return samples (n,) from `start` to `seconds`: a tone of amplitude 0.5 that changes every second."""
    times = np.arange(round(start * rate), round(seconds * rate)) / rate
    frequency = 500.0 + 250.0 * (times.astype(int) % N_SECONDS)
    return (0.5 * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def plain_frame(second: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return a frame (h, w, 3) in the colour of a second; not a single one, which is not scored: darker on the left."""
    pixels = np.full((size[1], size[0], 3), second_colour(second), np.uint8)
    pixels[:, : size[0] // 2] -= 8
    return pixels


def corner_frame(size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return a frame (h, w, 3) of four quarters: red and green above, blue and white below."""
    pixels = np.full((size[1], size[0], 3), 255, np.uint8)
    w, h = size[0] // 2, size[1] // 2
    pixels[:h, :w], pixels[:h, w:], pixels[h:, :w] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    return pixels


def corner_colours(pixels: np.ndarray) -> str:
    """Return the quarters of a `corner_frame`, clockwise from the upper left, as letters r g w b."""
    h, w = pixels.shape[0], pixels.shape[1]
    names = {(1, 0, 0): "r", (0, 1, 0): "g", (0, 0, 1): "b", (1, 1, 1): "w"}
    centres = ((h // 4, w // 4), (h // 4, 3 * w // 4), (3 * h // 4, 3 * w // 4), (3 * h // 4, w // 4))
    return "".join(names[tuple(int(v > 125) for v in pixels[centre])] for centre in centres)


class Writer:
    """Writer of a media file; packets are muxed in the order of time or stream by stream."""

    def __init__(self, path: Path, *, by_time: bool = True, options: dict[str, str] | None = None) -> None:
        self.path = path
        self._by_time = by_time
        self._container = av.open(str(path), "w", options=options or {})
        self._tracks: list[tuple[object, list[object]]] = []

    def video(
        self,
        images: Iterable[np.ndarray],
        times: Sequence[Fraction | float],
        *,
        codec: str = "libx264",
        fps: Fraction | int = 25,
        gop: int = 12,
        rotation: int = 0,
    ) -> "Writer":
        """Add a video stream; `times` in seconds, one per image; `rotation` in degrees for the display matrix."""
        images = list(images)
        stream = self._container.add_stream(codec, rate=fps)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = {"png": "rgb24", "mjpeg": "yuvj420p", "gif": "rgb8"}.get(codec, "yuv420p")
        stream.codec_context.gop_size = gop
        stream.codec_context.time_base = Fraction(1, 90000)
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "bf": "2"}
        if rotation:
            stream.set_display_rotation(rotation)
        frames = []
        for pixels, time in zip(images, times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = frame.reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = round(time * 90000), Fraction(1, 90000)
            frames.append(frame)
        self._tracks.append((stream, frames))
        return self

    def audio(
        self,
        samples: np.ndarray,
        *,
        start: float = 0.0,
        rate: int = RATE,
        codec: str = "aac",
        layout: str = "mono",
        default: bool = True,
    ) -> "Writer":
        """Add an audio stream of float samples (n,) that starts at `start` seconds, the same in each channel."""
        stream = self._container.add_stream(codec, rate=rate, layout=layout)
        stream.disposition = av.stream.Disposition.default if default else av.stream.Disposition(0)
        form = "s16" if codec.startswith("pcm") else "fltp"
        frames = []
        for first in range(0, len(samples), _CHUNK):
            chunk = samples[first : first + _CHUNK]
            channels = av.AudioLayout(layout).nb_channels
            if form == "s16":
                data = np.repeat((chunk * 32767).astype(np.int16), channels)[None]
            else:
                data = np.stack([chunk] * channels).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(data, format=form, layout=layout)
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = round(start * rate) + first
            frames.append(frame)
        self._tracks.append((stream, frames))
        return self

    def cover(self, pixels: np.ndarray) -> "Writer":
        """Add a video stream of one frame that is marked as cover art."""
        self.video([pixels], [0.0], codec="mjpeg")
        self._tracks[-1][0].disposition = av.stream.Disposition.attached_pic  # type: ignore[attr-defined]
        return self

    def save(self) -> Path:
        """Encode and write all streams; return the path."""
        packets = []
        for stream, frames in self._tracks:
            for frame in [*frames, None]:
                packets.extend(stream.encode(frame))  # type: ignore[attr-defined]
        if self._by_time:
            packets.sort(key=lambda packet: float((packet.dts or 0) * packet.time_base))
        for packet in packets:
            self._container.mux(packet)
        self._container.close()
        return self.path


def write_media(
    path: Path,
    seconds: float = 3.0,
    *,
    video: bool = True,
    audio: bool = True,
    fps: Fraction | int = 25,
    video_start: float = 0.0,
    audio_start: float = 0.0,
    size: tuple[int, int] = SIZE,
    gop: int = 12,
) -> Path:
    """Write a file with video (except in a wav) and audio up to `seconds`, whose content shows the second."""
    writer = Writer(path)
    if video and path.suffix not in (".wav", ".mp3"):
        count = round((seconds - video_start) * fps)
        times = [video_start + float(k / Fraction(fps)) for k in range(count)]
        writer.video([plain_frame(int(t + 1e-6), size) for t in times], times, fps=fps, gop=gop)
    if audio:
        codec = {".wav": "pcm_s16le", ".webm": "libopus"}.get(path.suffix, "aac")
        writer.audio(tone_samples(seconds, start=audio_start), start=audio_start, codec=codec)
    return writer.save()


def write_photograph(path: Path, pixels: np.ndarray) -> Path:
    """Write a png or jpeg file."""
    codec = "png" if path.suffix == ".png" else "mjpeg"
    context = av.CodecContext.create(codec, "w")
    context.height, context.width = pixels.shape[:2]
    context.pix_fmt = "rgb24" if codec == "png" else "yuvj444p"
    context.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=context.pix_fmt)
    frame.pts = 0
    path.write_bytes(b"".join(bytes(p) for f in (frame, None) for p in context.encode(f)))
    return path


def damage(path: Path, every: int = 10, kind: str = "video", first: int = 5) -> int:
    """Overwrite every n-th packet of a stream with noise, from packet `first` on; return how many."""
    with av.open(str(path)) as container:
        stream = container.streams.best(kind)
        packets = [(p.pos, p.size) for p in container.demux(stream) if p.size and p.pos]
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    damaged = packets[first::every]
    for position, size in damaged:
        content[position : position + size] = rng.integers(0, 256, size, np.uint8).tobytes()
    path.write_bytes(content)
    return len(damaged)


def decode_audio(path: Path) -> np.ndarray:
    """Return the samples (n,) of the first channel, in the sample format of the file."""
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def decode_video(path: Path) -> np.ndarray:
    """Return all frames (n, h, w, 3) as RGB."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])

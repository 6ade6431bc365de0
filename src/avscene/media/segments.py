"""Read a recording, one media file or a video file with an audio file, as segments."""

import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import av
from av.stream import Stream

from avscene.errors import MediaError
from avscene.media.assembly import Assembler
from avscene.media.audio.samples import BITS
from avscene.media.container import error_reason
from avscene.media.decode import MediaFile
from avscene.media.decoded import DecodedItem, DecodeMode, StreamEnd
from avscene.media.images.source import ImageFrame, ImageSource, open_source
from avscene.media.limits import DEFAULT_LIMITS, Limits, duration_error, is_memory_exhausted, memory_error
from avscene.media.rgb.converter import RgbConverter
from avscene.media.sampling import CPU, Sampling
from avscene.media.stream_reader import DamagedVideoError
from avscene.records import AudioSource, ByteArray, Modality, Segment

# A longer file holds at least a byte per second, even of silence or a still; damaged timestamps pretend less, and each
# second costs a segment.
MIN_BYTES_PER_SECOND = 1.0
SECONDS_FOR_ANY_SIZE = 600.0
ANIMATION_CODECS = ("gif", "apng", "webp")


class Recording:
    """One recording, decoded in this process, once from beginning to end, in memory that does not grow with its length.

    Native code decodes it, and can crash or hang: `avscene.media.workers` runs it in processes of their own.

    `duration` in seconds is known after the segments were read; it is 0 for a photograph. `audio_source` is known then,
    too, if audio was decoded.

    Args:
        path: The media file.
        audio: A separate audio file (a wav for a silent mp4). The audio in `path` is then ignored, and both files start
            at time 0.
        decoder: Where video is decoded if possible: CPU, or a device that `check_decoder` accepts.
        limits: Limits of a recording.
        on_item: Called after each frame, block of audio or packet that was read.
        program: Number of the programme that is read of `path`, a transport stream; None: that of its best video.

    Raises:
        MediaError: a file cannot be opened, exceeds a limit, or has nothing that can be decoded.
    """

    def __init__(
        self,
        path: str | Path,
        audio: str | Path | None = None,
        decoder: str = CPU,
        limits: Limits = DEFAULT_LIMITS,
        on_item: Callable[[], None] = lambda: None,
        program: int | None = None,
    ) -> None:
        self.path = Path(path)
        self.duration = 0.0
        self.audio_source: AudioSource | None = None
        self._limits, self._on_item = limits, on_item
        self._started = False
        self._closed = False
        # Segments may be read in another thread; closing a file while it is decoded would crash the process.
        self._lock = threading.Lock()
        self._decoded: dict[Modality, bool] = {}
        self._warnings: list[str] = []
        self._n_converted = self._n_unconverted = 0  # frames
        self._files: list[MediaFile | ImageSource] = [
            open_source(self.path, "audio" if audio is not None else None, decoder, limits, program)
        ]
        if audio is not None:
            try:
                self._files.append(self._audio_file(Path(audio), limits))
            except BaseException:
                self.close()
                raise

    @staticmethod
    def _audio_file(path: Path, limits: Limits) -> MediaFile:
        file = MediaFile(path, ignore="video", limits=limits)
        if not file.streams:
            file.close()
            raise MediaError(f"{path}: has no audio")
        return file

    def __enter__(self) -> "Recording":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files once the segment that is being read is finished; no further segments are returned."""
        with self._lock:
            self._closed = True
            for file in self._files:
                file.close()

    @property
    def has_audio(self) -> bool:
        """Whether the recording has an audio stream; after `segments`, whether it could be decoded."""
        return self._has("audio")

    @property
    def has_video(self) -> bool:
        """Whether the recording has a video stream; after `segments`, whether it could be decoded."""
        return self._has("video")

    @property
    def stated_duration(self) -> float | None:
        """The duration in seconds that the header of the longest file states; None if one of them does not state it."""
        ends = [file.stated_end for file in self._files]
        return max((end for end in ends if end is not None), default=None) if None not in ends else None

    def _has(self, modality: Modality) -> bool:
        return self._decoded.get(modality, modality in self._streams())

    def _streams(self) -> set[Modality]:
        return {modality for file in self._files for modality in file.streams}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Problems that did not stop decoding, without duplicates; more may be added while segments are read."""
        return tuple(dict.fromkeys(w for ws in (*(f.warnings for f in self._files), self._warnings) for w in ws))

    def segments(self, sampling: Sampling) -> Iterator[Segment]:
        """Return the segments in order, each as soon as it is complete; may be called once.

        Raises:
            MediaError: none of the requested modalities could be decoded, or the recording exceeds a limit.
            RuntimeError: the segments were requested before.
        """
        if self._started:
            raise RuntimeError(f"{self.path}: the segments of a recording are read once; open it again")
        self._started = True
        return self._until_closed(self._read_twice_if_damaged(sampling))

    def _until_closed(self, segments: Iterator[Segment]) -> Iterator[Segment]:
        while True:
            with self._lock:
                segment = None if self._closed else next(segments, None)
            if segment is None:
                return
            yield segment

    def _read_twice_if_damaged(self, sampling: Sampling) -> Iterator[Segment]:
        """Read the segments; from damaged video on, take them from a second reading in one thread.

        What several threads make of damaged frames depends on their number and on time. The segments before are the
        same in both readings.
        """
        n_read = 0
        try:
            for segment in self._read(sampling):
                n_read += 1
                yield segment
        except DamagedVideoError:
            self._files = [f.reopen_single_threaded() if isinstance(f, MediaFile) else f for f in self._files]
            self._n_converted = self._n_unconverted = 0
            yield from islice(self._read(sampling), n_read, None)

    def _read(self, sampling: Sampling) -> Iterator[Segment]:
        assembler = Assembler(
            sampling, self._streams(), self._rgb_converter(sampling), self._limits, has_holes=not self._is_animation()
        )
        self._warnings = assembler.warnings
        modes = _decode_modes(sampling)
        try:
            self._check_stated_duration()
            for item in interleave([file.decode(modes, sampling.has_target) for file in self._files]):
                assembler.add(item)
                self._check_size(assembler.duration)
                self._on_item()
                if not self._may_be_photograph():
                    yield from assembler.ready()
            self._check_decoded(assembler, sampling)
            yield from assembler.finish(len(self._files) == 1 and self._files[0].photograph)
            self._check_converted(assembler)
        except MediaError as error:
            names_file = str(error).startswith(str(self.path)) or len(error.args) != 1
            raise (error if names_file else MediaError(f"{self.path}: {error}")) from None
        except (av.FFmpegError, MemoryError) as error:
            if isinstance(error, MemoryError) and is_memory_exhausted():
                raise memory_error(self.path, self._limits) from None
            raise MediaError(f"{self.path}: cannot be decoded ({error_reason(error)})") from None
        self.duration = assembler.duration
        if assembler.audio_rate is not None:
            streams = [file.streams["audio"] for file in self._files if "audio" in file.streams]
            codecs = [stream.codec_context.name for stream in streams if isinstance(stream, Stream)]
            self.audio_source = AudioSource(assembler.audio_rate, BITS.get(codecs[-1]))

    def _may_be_photograph(self) -> bool:
        return len(self._files) == 1 and self._files[0].may_be_photograph()

    def _is_animation(self) -> bool:
        """Whether the video consists of images, each with a duration of its own."""
        file = self._files[0]
        stream = file.streams.get("video")
        is_animation = isinstance(stream, Stream) and stream.codec_context.name in ANIMATION_CODECS
        return isinstance(file, ImageSource) or is_animation

    def _check_stated_duration(self) -> None:
        """Raise MediaError if a file states a duration beyond the limit and is large enough to hold it."""
        for file in self._files:
            if self._limits.hours * 3600 < (file.stated_end or 0.0) <= file.n_bytes / MIN_BYTES_PER_SECOND:
                raise duration_error(self._limits)

    def _check_size(self, duration: float) -> None:
        """Raise MediaError if the files are too small for their duration: their timestamps are damaged."""
        n_bytes = sum(file.n_bytes for file in self._files)
        if duration > SECONDS_FOR_ANY_SIZE + n_bytes / MIN_BYTES_PER_SECOND:
            problem = f"has timestamps up to {duration / 3600:.1f} h but only {n_bytes} bytes"
            raise MediaError(f"{self.path}: {problem}, so they are damaged")

    def _check_decoded(self, assembler: Assembler, sampling: Sampling) -> None:
        """Warn of requested streams that could not be decoded; raise MediaError if there are only such streams."""
        requested = [modality for modality in sorted(self._streams()) if modality in sampling.modalities]
        self._decoded = {modality: modality in assembler.decoded for modality in requested}
        failed = [modality for modality in requested if modality not in assembler.decoded]
        if requested and failed == requested:
            file = next(file for file in self._files if set(file.streams) & set(failed))
            raise file.undecodable_error(failed)
        self._warnings += [f"the {modality} cannot be decoded" for modality in failed]

    def _check_converted(self, assembler: Assembler) -> None:
        """Note that there is no video if no frame could be converted; raise MediaError if there is no audio either."""
        if self._n_converted or not self._n_unconverted:
            return
        self._decoded["video"] = False
        if "audio" not in assembler.decoded:
            raise MediaError("its video cannot be decoded: its frames cannot be converted to RGB")

    def _rgb_converter(self, sampling: Sampling) -> Callable[[Any], ByteArray | None]:
        size, file = sampling.frame_size or 1, self._files[0]
        converter = RgbConverter(size, file.streams.get("video") if isinstance(file, MediaFile) else None)

        def convert(image: av.VideoFrame | ImageFrame) -> ByteArray | None:
            try:
                pixels = image.to_rgb(size) if isinstance(image, ImageFrame) else converter(image)
                self._n_converted += 1
                return pixels
            except (av.FFmpegError, ValueError, MemoryError):
                self._n_unconverted += 1
                self._warnings.append("some frames cannot be converted to RGB")
                return None

        return convert


def _decode_modes(sampling: Sampling) -> dict[Modality, DecodeMode]:
    modes: dict[Modality, DecodeMode] = {}
    for modality in sampling.modalities:
        modes[modality] = "keyframes" if modality == "video" and sampling.keyframes_only else "all"
    return modes


def interleave(sources: list[Iterator[DecodedItem]]) -> Iterator[DecodedItem]:
    """Yield the items of several files; the next item comes from the file with the earliest latest time."""
    times = dict.fromkeys(range(len(sources)), 0.0)
    while times:
        source = min(times, key=lambda index: times[index])
        item = next(sources[source], None)
        if item is None:
            del times[source]
            continue
        if not isinstance(item, StreamEnd):
            times[source] = max(times[source], item.time)
        yield item

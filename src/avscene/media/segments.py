"""A recording -> its segments."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import av

from avscene.errors import MediaError
from avscene.media.assembly import Assembler, Sampling
from avscene.media.container import reason
from avscene.media.decode import MediaFile, Reading
from avscene.media.decoded import Decoded, DecodedAudio, DecodedFrame, Passed
from avscene.media.hardware import CPU
from avscene.media.video import Renderer
from avscene.records import ByteArray, Modality, Segment

__all__ = ["Recording", "Sampling"]


class Recording:
    """One recording, read once from its beginning to its end, in memory that does not grow with its length.

    `sound` is a separate file that holds the sound (a wav beside a silent mp4); the sound in `path` is then
    ignored and both files begin together. `has_audio` and `has_video` tell what streams there are and, after
    `segments`, what could really be decoded. `duration` in seconds is known after `segments`; it is 0 for a
    photograph. `decoder` decodes the picture: the processor, or a device that `check_decoder` knows.

    Raises:
        MediaError: a file cannot be opened, or holds nothing that can be decoded.
    """

    def __init__(self, path: str | Path, audio: str | Path | None = None, decoder: str = CPU) -> None:
        self.path = Path(path)
        self.duration = 0.0
        self._begun = False
        self._closed = False
        # Segments may be read in a thread; closing a file under a decoder would crash the process.
        self._in_use = threading.Lock()
        self._decoded: dict[Modality, bool] = {}
        self._warnings: list[str] = []
        self._files = [MediaFile(self.path, "audio" if audio is not None else None, decoder)]
        if audio is not None:
            try:
                self._files.append(self._audio_file(Path(audio)))
            except BaseException:
                self.close()
                raise

    @staticmethod
    def _audio_file(path: Path) -> MediaFile:
        file = MediaFile(path, ignore="video")
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
        """Let go of the files, once the segment that is being read is done; there are no more after it."""
        with self._in_use:
            self._closed = True
            for file in self._files:
                file.close()

    @property
    def has_audio(self) -> bool:
        """Whether there is sound."""
        return self._has("audio")

    @property
    def has_video(self) -> bool:
        """Whether there is a picture."""
        return self._has("video")

    def _has(self, modality: Modality) -> bool:
        return self._decoded.get(modality, modality in self._streams())

    def _streams(self) -> set[Modality]:
        return {modality for file in self._files for modality in file.streams}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know of; grows while segments are read."""
        return tuple(dict.fromkeys(w for ws in (*(f.warnings for f in self._files), self._warnings) for w in ws))

    def segments(self, sampling: Sampling) -> Iterator[Segment]:
        """The segments in order, each as soon as it is complete. Once per recording.

        Raises:
            MediaError: nothing of what was asked for and is there could be decoded, or it is longer than a
            day. RuntimeError: the segments were already asked for.
        """
        if self._begun:
            raise RuntimeError(f"{self.path}: the segments of a recording are read once; open it again")
        self._begun = True
        return self._one_at_a_time(self._read(sampling))

    def _one_at_a_time(self, segments: Iterator[Segment]) -> Iterator[Segment]:
        while True:
            with self._in_use:
                segment = None if self._closed else next(segments, None)
            if segment is None:
                return
            yield segment

    def _read(self, sampling: Sampling) -> Iterator[Segment]:
        assembler = Assembler(sampling, self._streams(), self._renderer(sampling))
        self._warnings = assembler.warnings
        try:
            for piece in interleave([file.pieces(_readings(sampling), sampling.has_target) for file in self._files]):
                assembler.add(piece)
                yield from assembler.ready()
            self._check(assembler, sampling)
            photograph = len(self._files) == 1 and self._files[0].photograph
            yield from assembler.finish(photograph)
        except MediaError as error:
            named = str(error).startswith(str(self.path)) or len(error.args) != 1
            raise (error if named else MediaError(f"{self.path}: {error}")) from None
        except (av.FFmpegError, MemoryError) as error:
            raise MediaError(f"{self.path}: cannot be decoded ({reason(error)})") from None
        self.duration = assembler.duration

    def _check(self, assembler: Assembler, sampling: Sampling) -> None:
        """Note what could be decoded: it must be something, if the recording has what was asked for."""
        asked = [modality for modality in sorted(self._streams()) if modality in sampling.wanted]
        self._decoded = {modality: modality in assembler.decoded for modality in asked}
        failed = [modality for modality in asked if modality not in assembler.decoded]
        if asked and failed == asked:
            file = next(file for file in self._files if set(file.streams) & set(failed))
            raise file.unreadable(failed)
        self._warnings += [f"the {modality} cannot be decoded" for modality in failed]

    def _renderer(self, sampling: Sampling) -> Callable[[Any], ByteArray | None]:
        renderer = Renderer(sampling.frame_size or 1)

        def render(image: av.VideoFrame) -> ByteArray | None:
            try:
                return renderer(image)
            except (av.FFmpegError, ValueError, MemoryError):
                self._warnings.append("some frames cannot be converted to RGB")
                return None

        return render


def _readings(sampling: Sampling) -> dict[Modality, Reading]:
    readings: dict[Modality, Reading] = {}
    for modality in sampling.wanted:
        keyframes = modality == "video" and sampling.keyframes_only
        readings[modality] = "keyframes" if keyframes else "all"
    return readings


def interleave(sources: list[Iterator[Decoded]]) -> Iterator[Decoded]:
    """The pieces of several files, always from the file that is furthest behind in time."""
    times = dict.fromkeys(range(len(sources)), 0.0)
    while times:
        source = min(times, key=lambda index: times[index])
        piece = next(sources[source], None)
        if piece is None:
            del times[source]
            continue
        if isinstance(piece, DecodedFrame | DecodedAudio | Passed):
            times[source] = max(times[source], piece.time)
        yield piece

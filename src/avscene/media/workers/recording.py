"""Read a recording that a worker process decodes: the same segments as `Recording`, and errors instead of crashes."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from avscene.errors import MediaError
from avscene.media.limits import ADVICE, DEFAULT_LIMITS, Limits
from avscene.media.sampling import CPU, Sampling
from avscene.media.workers.messages import DamagedMessageError, Message, SegmentUnpacker
from avscene.media.workers.process import (
    WorkerDiedError,
    WorkerProcess,
    WorkerStalledError,
    put_back,
    take_worker,
)
from avscene.records import AudioSource, Modality, Segment

# A worker may crash because an earlier recording damaged its memory, so a recording gets a second one.
ATTEMPTS = 2


class IsolatedRecording:
    """One recording, decoded by a worker process, read once from beginning to end.

    A context manager with the interface of `Recording`; it is opened when the context is entered. Segments are read in
    one thread; `close` may be called from another.

    Args:
        path: The media file.
        audio: A separate audio file, as in `Recording`.
        decoder: Where video is decoded if possible: CPU, or a device that `check_decoder` accepts.
        limits: Limits of a recording.
        program: Number of the programme that is read, as in `Recording`.

    Raises:
        MediaError: a file cannot be opened, exceeds a limit, or has nothing that can be decoded; or the process that
            decodes it crashed, made no progress, or needs too much memory. Raised when the context is entered.
        WeightsError: no process can be started.
    """

    def __init__(
        self,
        path: str | Path,
        audio: str | Path | None = None,
        decoder: str = CPU,
        limits: Limits = DEFAULT_LIMITS,
        program: int | None = None,
    ) -> None:
        self.path = Path(path)
        self.duration = 0.0
        self.stated_duration: float | None = None  # by the headers, once it is opened
        self.audio_source: AudioSource | None = None
        self.warnings: tuple[str, ...] = ()
        self._limits = limits
        self._request: Message = {
            "type": "open",
            "path": os.fspath(path),
            "audio": None if audio is None else os.fspath(audio),
            "decoder": decoder,
            "limits": asdict(limits),
            "program": program,
        }
        self._attempts = 0
        self._closed = self._started = False
        self._worker: WorkerProcess | None = None
        self._modalities: dict[Modality, bool] = {}

    def __enter__(self) -> "IsolatedRecording":
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def close(self) -> None:
        """Stop opening or decoding; no further segments are returned. May be called from any thread."""
        self._closed = True
        if (worker := self._worker) is not None:
            worker.kill()

    @property
    def has_audio(self) -> bool:
        """Whether the recording has an audio stream; after `segments`, whether it could be decoded."""
        return self._modalities["audio"]

    @property
    def has_video(self) -> bool:
        """Whether the recording has a video stream; after `segments`, whether it could be decoded."""
        return self._modalities["video"]

    def segments(self, sampling: Sampling) -> Iterator[Segment]:
        """Yield the segments in order, each as soon as it is complete; may be called once.

        Raises:
            MediaError: none of the requested modalities could be decoded, the recording exceeds a limit, or the process
                that decodes it crashed twice, made no progress, or needs too much memory.
            RuntimeError: the segments were requested before.
        """
        if self._started:
            raise RuntimeError(f"{self.path}: the segments of a recording are read once; open it again")
        self._started = True
        n_read = 0
        while not self._closed:
            try:
                for number, segment in enumerate(self._decode(sampling)):
                    if number >= n_read:  # the others were read before a worker died
                        n_read += 1
                        yield segment
                return
            except WorkerDiedError as death:
                if self._closed:
                    return
                self._check_attempts(death)
                self._open()

    def _open(self) -> None:
        """Have a worker open the recording."""
        while True:
            self._attempts += 1
            worker = self._worker = take_worker()
            try:
                if self._closed:  # `close` may not have seen this worker
                    worker.kill()
                worker.send({**self._request, "directory": _working_directory()})
                header, _ = self._reply("opened")
                self._opened(header)
                self.stated_duration = header.get("stated_duration")
                return
            except WorkerDiedError as death:
                self._check_attempts(death)

    def _decode(self, sampling: Sampling) -> Iterator[Segment]:
        assert self._worker is not None
        self._worker.send({"type": "segments", "sampling": asdict(sampling)})
        unpacker = SegmentUnpacker()
        while True:
            header, payload = self._reply("segment", "end")
            if header["type"] == "end":
                break
            yield self._unpacked(unpacker, header, payload)
        self._opened(header)
        self.duration, self.warnings = float(header["duration"]), tuple(header["warnings"])
        source = header["audio_source"]
        self.audio_source = None if source is None else AudioSource(**source)
        put_back(self._worker)
        self._worker = None

    def _reply(self, *types: str) -> tuple[Message, bytearray]:
        """Return the next message, which has one of these types.

        Raises:
            MediaError: the worker found the recording to be at fault.
            WorkerDiedError: the worker has ended, or returned something else.
        """
        assert self._worker is not None
        header, payload = self._worker.receive(self._limits.stall)
        if header.get("type") == "error":
            put_back(self._worker)
            self._worker = None
            raise MediaError(str(header.get("message")))
        if header.get("type") not in types:
            raise self._damaged()
        return header, payload

    def _opened(self, header: Message) -> None:
        self._modalities = {"audio": bool(header.get("audio")), "video": bool(header.get("video"))}

    def _unpacked(self, unpacker: SegmentUnpacker, header: Message, payload: bytearray) -> Segment:
        try:
            return unpacker.unpack(header, payload)
        except DamagedMessageError:
            raise self._damaged() from None

    def _damaged(self) -> WorkerDiedError:
        return WorkerDiedError("the decoder returned damaged data")

    def _check_attempts(self, death: WorkerDiedError) -> None:
        """End the worker that died; raise MediaError if the recording gets no further one."""
        self._end_worker()
        if self._closed:
            raise MediaError(f"{self.path}: decoding was stopped") from None
        if isinstance(death, WorkerStalledError):
            raise MediaError(f"{self.path}: {death}{ADVICE}stall=NUMBER") from None
        if self._attempts == ATTEMPTS:
            raise MediaError(f"{self.path}: {death}") from None

    def _release(self) -> None:
        """Keep the worker for other recordings if it waits for a request, or end it."""
        worker = self._worker
        if worker is None:
            return
        if self._started or self._closed:
            self._end_worker()
            return
        self._worker = None
        try:
            worker.send({"type": "close"})
            put_back(worker)
        except WorkerDiedError:
            worker.close()

    def _end_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()


def _working_directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109  # what a relative path is relative to
    except OSError:  # it was removed
        return "/"

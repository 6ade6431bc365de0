"""A media file -> pieces of picture and sound in the order they lie in the file, timed from its beginning."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import av
from av.stream import Discard, Stream

from avscene.errors import MediaError
from avscene.media.audio import mono
from avscene.media.clock import Clock
from avscene.media.container import MAX_PIXELS, choose, is_encrypted, lacks, open_container, reason
from avscene.media.decoded import Decoded, DecodedAudio, DecodedFrame, Ended, Passed, Timed
from avscene.media.hardware import CPU, acceleration, is_of_device
from avscene.media.selection import Asked, Decision, Packet, Selection
from avscene.records import Modality

# What lies up to this long (seconds) before time 0 is a sound encoder's lead-in, and is cut off.
LEAD_IN = 0.2
# Bytes of packets kept while a stream keeps its first timestamp back; then the recording begins without it.
MAX_WAITING = 2**26

Reading = Literal["all", "keyframes", "times"]


class StreamReader:
    """Packets of one stream -> pieces. A damaged packet is counted and left out; the next one is tried."""

    def __init__(self, stream: Stream, modality: Modality, reading: Reading) -> None:
        self.modality: Modality = modality
        self.first: float | None = None  # seconds, of the first piece
        self.pixel_format: str | None = None  # of the first image
        self.decoded = self.damaged = 0
        self.clock = Clock()
        self._reading = reading
        self._stream = stream
        self._context: Any = stream.codec_context
        self._base = float(stream.time_base or 0)  # frames that leave the decoder last carry none
        self._flushed = reading == "times"
        self._selection: Selection | None = None
        if reading != "times":
            self._context.thread_type = "AUTO"
            self._context.options = {"max_pixels": str(MAX_PIXELS)}
            if reading == "keyframes":
                self._context.skip_frame = "NONKEY"

    def select(self, asked: Asked) -> None:
        """Decode no more than images need that are shown when `asked` wants one (`Selection`)."""
        if self._reading == "all" and self.modality == "video" and not self.clock.jumps:
            self._selection = Selection(self._stream, asked)

    def read(self, packet: Packet) -> Iterator[Timed]:
        """The pieces that this packet completes."""
        if self._selection is not None:
            yield from self._read_decided(self._selection.add(packet))
            return
        if self._reading != "all":
            yield from self._pass(packet)
        if self._reading != "times" and packet.size:  # an empty packet would tell the decoder to stop
            yield from self._decode(packet)

    def flush(self) -> Iterator[Timed]:
        """The pieces that the decoder still holds, once."""
        if not self._flushed:
            self._flushed = True
            if self._selection is not None:
                yield from self._read_decided(self._selection.rest())
            yield from self._decode(None)

    def _read_decided(self, decisions: list[Decision]) -> Iterator[Timed]:
        for packet, end, use in decisions:
            if use != "image" and packet.pts is not None:
                yield Passed(packet.pts * self._base, end, self.modality)
            if use != "nothing" and packet.size:
                self._context.skip_frame = "DEFAULT" if use == "image" else "NONREF"
                yield from self._decode(packet)

    def _pass(self, packet: Packet) -> Iterator[Timed]:
        if packet.is_discard or (packet.pts is None and packet.dts is None):
            return
        base = self._base
        order: Any = packet.dts if packet.dts is not None else packet.pts
        start, end = self.clock.place(order * base, (packet.duration or 0) * base)
        shown = start if packet.pts is None else packet.pts * base + self.clock.shift
        self._begin(shown)
        yield Passed(min(start, shown), shown + end - start, self.modality)

    def _decode(self, packet: Packet | None) -> Iterator[Timed]:
        try:
            frames = self._context.decode(packet)
        except (av.FFmpegError, ValueError, MemoryError):
            self.damaged += packet is not None
            self._doubt()
            return
        for frame in frames:
            try:
                piece = self._piece(frame)
            except (av.FFmpegError, ValueError, MemoryError):
                self.damaged += 1
                continue
            if piece is not None:
                self.decoded += 1
                self._begin(piece.time)
                yield piece

    def _doubt(self) -> None:
        if self._selection is not None:
            self._selection.give_up()

    def _begin(self, time: float) -> None:
        if self.first is None:
            self.first = time

    def _piece(self, frame: Any) -> Timed | None:
        stamp = frame.pts if frame.pts is not None else frame.dts
        time = None if stamp is None or not self._base else stamp * self._base
        if self.modality == "audio":
            samples, rate = mono(frame), int(frame.sample_rate)
            if rate <= 0 or not len(samples):
                return None
            return DecodedAudio(*self.clock.place(time, len(samples) / rate), rate, samples)
        if self.pixel_format is None:
            self.pixel_format = frame.format.name
        if frame.interlaced_frame or frame.is_corrupt:  # half an image in a packet; damage that spreads
            self._doubt()
        length = (frame.duration or 0) * self._base or self._nominal()
        if self._reading == "keyframes" and time is not None:
            start = time + self.clock.shift
            return DecodedFrame(start, start + length, frame)
        return DecodedFrame(*self.clock.place(time, length), frame)

    def _nominal(self) -> float:
        """Seconds that one image lasts where neither it nor its neighbours say."""
        rate = self._context.framerate
        return 1 / float(rate) if rate and not self.decoded else 0.0


class MediaFile:
    """One file, opened once; `ignore` names the modality whose stream is not wanted from it.

    `decoder` decodes the picture where it can: the processor, or a device that `check_decoder` knows.

    Raises:
        MediaError: it cannot be opened, or holds neither sound nor picture that there is a decoder for.
    """

    def __init__(self, path: Path, ignore: Modality | None = None, decoder: str = CPU) -> None:
        self.path = path
        self.warnings: list[str] = []
        self.photograph = False
        self._readers: list[StreamReader] = []
        self._decoder = decoder
        self._container = open_container(path, acceleration(decoder))
        try:
            self.streams = self._choose(ignore)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()

    def _choose(self, ignore: Modality | None) -> dict[Modality, Stream]:
        streams: dict[Modality, Stream] = {}
        modalities: tuple[Modality, ...] = ("video", "audio")
        for modality in modalities:
            stream, remark = choose(self._container, modality)
            if stream is not None and modality != ignore:
                streams[modality] = stream
                self.warnings += [remark] if remark else []
        if not streams and not (ignore and choose(self._container, ignore)[0]):
            raise lacks(self._container, self.path)
        return streams

    def pieces(self, reading: dict[Modality, Reading], asked: Asked | None = None) -> Iterator[Decoded]:
        """Everything in the file, in its order, each stream as `reading` says. Once.

        `asked` tells of an image shown in `[begin, end)` seconds whether it is wanted; others may be left out.

        Time 0 is the earliest first timestamp (but see LEAD_IN) among the chosen streams, so a file whose
        clock starts at hours (MPEG-TS) begins at 0, and sound that starts 0.8 s after the picture stays 0.8 s
        after it.
        """
        self._readers = [StreamReader(s, m, reading.get(m, "times")) for m, s in self.streams.items()]
        by_index = {s.index: r for s, r in zip(self.streams.values(), self._readers, strict=True)}
        packets = self._packets(list(self.streams.values()))
        held, waiting = self._beginnings(packets, by_index)
        origin = min((r.first for r in self._readers if r.first is not None), default=0.0)
        if -LEAD_IN <= origin < 0:
            origin = 0.0
        if asked is not None:
            for reader in self._readers:
                reader.select(lambda begin, end: asked(begin - origin, end - origin))
        later = (piece for p in chain(waiting, packets) for piece in by_index[p.stream_index].read(p))
        last = (piece for reader in self._readers for piece in reader.flush())
        for piece in chain(held, later, last):
            yield replace(piece, time=piece.time - origin, end=piece.end - origin)
        self._conclude()
        yield from (Ended(reader.modality) for reader in self._readers)

    def _packets(self, streams: list[Stream]) -> Iterator[Packet]:
        for stream in self._container.streams:
            if stream not in streams:
                stream.discard = Discard.all
        try:
            for packet in self._container.demux(streams):
                if packet.size and packet.stream in streams:
                    yield packet
        except IndexError:  # PyAV, at the end of an MPEG-TS in which a stream appeared: all was read
            pass
        except (av.FFmpegError, ValueError, MemoryError) as error:
            self.warnings.append(f"ends early: {reason(error)}")

    def _beginnings(
        self, packets: Iterator[Packet], readers: dict[int, StreamReader]
    ) -> tuple[list[Timed], deque[Packet]]:
        """Read until each stream has told its first timestamp: first pieces, and packets to read next."""
        held: list[Timed] = []
        waiting: deque[Packet] = deque()
        nbytes = 0
        for packet in packets:
            reader = readers[packet.stream_index]
            if reader.first is not None:
                waiting.append(packet)
                nbytes += packet.size
            else:
                held.extend(reader.read(packet))
            if nbytes > MAX_WAITING or all(r.first is not None for r in readers.values()):
                return held, waiting
        for reader in readers.values():  # the end came first: a short file
            if reader.first is None:
                held.extend(reader.flush())
        return held, waiting

    def _conclude(self) -> None:
        damaged = sum(reader.damaged for reader in self._readers)
        if damaged:
            self.warnings.append(f"{damaged} damaged packet{'s' * (damaged > 1)} skipped")
        if any(reader.clock.jumps for reader in self._readers):
            self.warnings.append("timestamps jump; the jumps were closed")
        video = next((r for r in self._readers if r.modality == "video"), None)
        pixel_format = None if video is None else video.pixel_format
        if self._decoder != CPU and pixel_format is not None and not is_of_device(pixel_format):
            self.warnings.append(f"{self._decoder} does not decode such a picture; the processor did")
        if len(self._readers) == 1 and video is not None and video.decoded == 1:
            still = self._container.duration is None or self._container.format.name.endswith("_pipe")
            self.photograph = still or self._container.format.name in ("gif", "apng", "webp")

    def unreadable(self, modalities: list[Modality]) -> MediaError:
        """The error to raise when nothing of these modalities could be decoded."""
        kinds = " and ".join(modalities)
        damaged = sum(reader.damaged for reader in self._readers)
        encrypted = any(is_encrypted(stream) for stream in self.streams.values())
        cause = "it is encrypted" if encrypted else f"{damaged} damaged packets" if damaged else "it holds no data"
        return MediaError(f"{self.path}: its {kinds} cannot be decoded: {cause}")

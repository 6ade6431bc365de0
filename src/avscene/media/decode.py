"""Decode a media file into frames and blocks of audio, in file order, timed from the beginning of the recording."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import av
from av.stream import Discard, Stream

from avscene.errors import MediaError
from avscene.media.audio import MAX_RATE, MIN_RATE, to_mono
from avscene.media.container import (
    error_reason,
    is_multi_picture,
    make_undecodable_error,
    no_stream_error,
    open_container,
    select_stream,
)
from avscene.media.decoded import DecodedAudio, DecodedFrame, DecodedItem, DecodeMode, SkippedSpan, StreamEnd, TimedItem
from avscene.media.hardware import hardware_acceleration, is_device_format
from avscene.media.limits import DEFAULT_LIMITS, Limits, is_memory_exhausted
from avscene.media.packets.clock import MAX_PRIMING, StreamClock
from avscene.media.packets.selection import SLICE_THREAD_CODECS, Decision, HasTarget, Packet, PacketSelector
from avscene.media.rgb.orientation_sei import PersistentOrientation
from avscene.media.sampling import CPU
from avscene.records import Modality

# Bytes of packets kept while a stream has no timestamp yet; after that, the recording begins without it.
MAX_WAITING_BYTES = 2**26
# Errors of PyAV on damaged or hostile data.
DECODE_ERRORS = (av.FFmpegError, ValueError, MemoryError)


class StreamReader:
    """Decode the packets of one stream; a damaged packet is counted and skipped.

    `first_time` is the time in seconds of the first item, `pixel_format` that of the first frame.
    """

    def __init__(self, stream: Stream, modality: Modality, mode: DecodeMode, limits: Limits) -> None:
        self.modality: Modality = modality
        self.first_time: float | None = None
        self.pixel_format: str | None = None
        self.n_decoded = self.n_damaged = 0
        self.clock = StreamClock()
        self._mode = mode
        self._stream = stream
        self._context: Any = stream.codec_context
        self._time_base = float(stream.time_base or 0)  # frames that a decoder returns at its end have none
        self._flushed = mode == "timestamps"
        self._selector: PacketSelector | None = None
        if mode != "timestamps":
            self._context.thread_type = "SLICE" if self._context.name in SLICE_THREAD_CODECS else "AUTO"
            self._context.options = {"max_pixels": str(limits.pixels)}
            if mode == "keyframes":
                self._context.skip_frame = "NONKEY"
        self._orientation = PersistentOrientation(self._context)

    def select(self, has_target: HasTarget) -> None:
        """From now on, decode only the packets that frames at target times need (see `PacketSelector`)."""
        if self._mode == "all" and self.modality == "video" and not self.clock.jumps:
            self._selector = PacketSelector(self._stream, has_target)

    def read(self, packet: Packet) -> Iterator[TimedItem]:
        """Yield the items that this packet completes."""
        if self._selector is not None:
            yield from self._read_selected(self._selector.add(packet))
            return
        if self._mode != "all":
            yield from self._read_timestamps(packet)
        if self._mode != "timestamps" and packet.size:  # an empty packet would flush the decoder
            yield from self._decode(packet)

    def flush(self) -> Iterator[TimedItem]:
        """Yield the items that are still in the decoder; later calls yield none."""
        if not self._flushed:
            self._flushed = True
            if self._selector is not None:
                yield from self._read_selected(self._selector.flush())
            yield from self._decode(None)

    def _read_selected(self, decisions: list[Decision]) -> Iterator[TimedItem]:
        for packet, end, use in decisions:
            if use != "output" and packet.pts is not None:
                yield SkippedSpan(packet.pts * self._time_base, end, self.modality)
            if use != "skip" and packet.size:
                self._context.skip_frame = "DEFAULT" if use == "output" else "NONREF"
                yield from self._decode(packet)

    def _read_timestamps(self, packet: Packet) -> Iterator[TimedItem]:
        if packet.is_discard or (packet.pts is None and packet.dts is None):
            return
        base = self._time_base
        timestamp: Any = packet.dts if packet.dts is not None else packet.pts
        start, end = self.clock.correct(timestamp * base, (packet.duration or 0) * base)
        shown = start if packet.pts is None else packet.pts * base + self.clock.offset
        self._note_first_time(shown)
        yield SkippedSpan(min(start, shown), shown + end - start, self.modality)

    def _decode(self, packet: Packet | None) -> Iterator[TimedItem]:
        self._orientation.note(packet)
        try:
            frames = self._context.decode(packet)
        except DECODE_ERRORS as error:
            if isinstance(error, MemoryError) and is_memory_exhausted():
                raise
            self.n_damaged += packet is not None
            self._decode_everything()
            return
        for frame in frames:
            try:
                item = self._item(frame)
            except DECODE_ERRORS:
                self.n_damaged += 1
                continue
            if item is not None:
                self.n_decoded += 1
                self._note_first_time(item.time)
                yield item

    def _decode_everything(self) -> None:
        if self._selector is not None:
            self._selector.disable()

    def _note_first_time(self, time: float) -> None:
        if self.first_time is None:
            self.first_time = time

    def _item(self, frame: Any) -> TimedItem | None:
        timestamp = frame.pts if frame.pts is not None else frame.dts
        time = None if timestamp is None or not self._time_base else timestamp * self._time_base
        if self.modality == "audio":
            samples, rate = to_mono(frame), int(frame.sample_rate)
            if not MIN_RATE <= rate <= MAX_RATE:
                raise ValueError(f"sample rate of {rate} Hz")
            if not len(samples):
                return None
            return DecodedAudio(*self.clock.correct(time, len(samples) / rate), rate, samples)
        if self.pixel_format is None:
            self.pixel_format = frame.format.name
        if frame.interlaced_frame or frame.is_corrupt:  # a packet may have half a frame; damage spreads
            self._decode_everything()
        self._orientation.attach(frame)
        duration = (frame.duration or 0) * self._time_base or self._nominal_duration()
        if self._mode == "keyframes" and time is not None:
            start = time + self.clock.offset
            return DecodedFrame(start, start + duration, frame)
        return DecodedFrame(*self.clock.correct(time, duration), frame)

    def _nominal_duration(self) -> float:
        """Seconds per frame by the stream's frame rate, for a first frame without a duration; else 0."""
        rate = self._context.framerate
        return 1 / float(rate) if rate and not self.n_decoded else 0.0


class MediaFile:
    """One open media file, to be decoded once.

    `n_bytes` is its size, `streams` are the selected streams by modality, `warnings` grow while the file is decoded,
    and `photograph` is set afterwards.

    Args:
        path: The file.
        ignore: A modality that is not decoded from this file.
        decoder: Where video is decoded if possible: CPU, or a device that `check_decoder` accepts.
        limits: Limits of a recording.

    Raises:
        MediaError: the file cannot be opened, or has neither audio nor video that can be decoded.
    """

    def __init__(
        self, path: Path, ignore: Modality | None = None, decoder: str = CPU, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.path = path
        self.warnings: list[str] = []
        self.photograph = False
        self._readers: list[StreamReader] = []
        self._decoder, self._limits = decoder, limits
        self._container = open_container(path, hardware_acceleration(decoder), limits)
        self.n_bytes: int = self._container.size
        try:
            self.streams = self._select_streams(ignore)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _select_streams(self, ignore: Modality | None) -> dict[Modality, Stream]:
        streams: dict[Modality, Stream] = {}
        modalities: tuple[Modality, ...] = ("video", "audio")
        for modality in modalities:
            stream, warning = select_stream(self._container, modality)
            if stream is not None and modality != ignore:
                streams[modality] = stream
                self.warnings += [warning] if warning else []
        if not streams and not (ignore and select_stream(self._container, ignore)[0]):
            raise no_stream_error(self._container, self.path)
        return streams

    def decode(
        self, modes: Mapping[Modality, DecodeMode], has_target: HasTarget | None = None
    ) -> Iterator[DecodedItem]:
        """Yield all items of the file in file order; may be called once.

        Time 0 is the earliest first timestamp of the selected streams (but see MAX_PRIMING): a file whose clock starts
        at hours (MPEG-TS) begins at 0, and audio that starts 0.8 s after the video stays 0.8 s after it.

        Args:
            modes: How each stream is decoded; "timestamps" for those that are not named.
            has_target: Whether the frame shown in `[start, end)` seconds is needed; others may be left undecoded.
        """
        self._readers = [StreamReader(s, m, modes.get(m, "timestamps"), self._limits) for m, s in self.streams.items()]
        by_index = {s.index: r for s, r in zip(self.streams.values(), self._readers, strict=True)}
        packets = self._packets(list(self.streams.values()))
        first_items, waiting = self._read_first_times(packets, by_index)
        origin = min((r.first_time for r in self._readers if r.first_time is not None), default=0.0)
        if -MAX_PRIMING <= origin < 0:
            origin = 0.0
        if has_target is not None:
            for reader in self._readers:
                reader.select(lambda start, end: has_target(start - origin, end - origin))
        items = (item for p in chain(waiting, packets) for item in by_index[p.stream_index].read(p))
        last_items = (item for reader in self._readers for item in reader.flush())
        for item in chain(first_items, items, last_items):
            yield replace(item, time=item.time - origin, end=item.end - origin)
        self._add_final_warnings()
        self.photograph = self.may_be_photograph() and self._readers[0].n_decoded == 1
        yield from (StreamEnd(reader.modality) for reader in self._readers)

    def _packets(self, streams: list[Stream]) -> Iterator[Packet]:
        for stream in self._container.streams:
            if stream not in streams:
                stream.discard = Discard.all
        try:
            for packet in self._container.demux(streams):
                if packet.size and packet.stream in streams:
                    yield packet
                    if is_multi_picture(self._container, packet):
                        return
        except IndexError:  # PyAV at the end of an MPEG-TS in which a stream appeared: all packets were read
            pass
        except DECODE_ERRORS as error:
            self.warnings.append(f"ends early: {error_reason(error)}")

    def _read_first_times(
        self, packets: Iterator[Packet], readers: Mapping[int, StreamReader]
    ) -> tuple[list[TimedItem], deque[Packet]]:
        """Read until each stream has its first timestamp; return the items so far and the packets to read next."""
        items: list[TimedItem] = []
        waiting: deque[Packet] = deque()
        nbytes = 0
        for packet in packets:
            reader = readers[packet.stream_index]
            if reader.first_time is not None:
                waiting.append(packet)
                nbytes += packet.size
            else:
                items.extend(reader.read(packet))
            if nbytes > MAX_WAITING_BYTES or all(r.first_time is not None for r in readers.values()):
                return items, waiting
        for reader in readers.values():  # a short file: its end was reached first
            if reader.first_time is None:
                items.extend(reader.flush())
        return items, waiting

    def _video_reader(self) -> StreamReader | None:
        return next((reader for reader in self._readers if reader.modality == "video"), None)

    def _n_damaged(self) -> int:
        return sum(reader.n_damaged for reader in self._readers)

    def _add_final_warnings(self) -> None:
        if n_damaged := self._n_damaged():
            self.warnings.append(f"{n_damaged} damaged packet{'s' * (n_damaged > 1)} skipped")
        if any(reader.clock.jumps for reader in self._readers):
            self.warnings.append("timestamps jump; the jumps were removed")
        video = self._video_reader()
        pixel_format = None if video is None else video.pixel_format
        if self._decoder != CPU and pixel_format is not None and not is_device_format(pixel_format):
            self.warnings.append(f"{self._decoder} cannot decode this video; it was decoded on the CPU")

    def may_be_photograph(self) -> bool:
        """Return whether the file is a photograph if no further frame follows."""
        video = self._video_reader()
        if len(self._readers) != 1 or video is None or video.n_decoded > 1:
            return False
        name = self._container.format.name
        return self._container.duration is None or name.endswith("_pipe") or name in ("gif", "apng", "webp")

    def undecodable_error(self, modalities: list[Modality]) -> MediaError:
        """Make the error for a file of whose `modalities` nothing could be decoded."""
        return make_undecodable_error(self.path, list(self.streams.values()), modalities, self._n_damaged())

"""Decode the packets of one stream into frames or blocks of audio."""

from collections.abc import Iterable, Iterator
from typing import Any

import av
from av.stream import Stream

from avscene.cores import affinity_cores, threads_for
from avscene.media.audio.samples import MAX_RATE, MIN_RATE, FullScale, channel_samples
from avscene.media.decoded import DecodedAudio, DecodedFrame, DecodeMode, SkippedSpan, TimedItem
from avscene.media.limits import Limits, is_memory_exhausted
from avscene.media.packets.clock import Packet
from avscene.media.packets.frame_times import FrameTimes
from avscene.media.packets.keyframes import KeyframeSelector, Span
from avscene.media.packets.selection import SLICE_THREAD_CODECS, Decision, HasTarget, PacketSelector
from avscene.media.rgb.orientation_sei import PersistentOrientation
from avscene.records import Modality

# Errors of PyAV on damaged or hostile data.
DECODE_ERRORS = (av.FFmpegError, ValueError, MemoryError)


class DamagedVideoError(Exception):
    """Several threads decode a damaged video, and what becomes of its frames depends on their number."""


class StreamReader:
    """Decode the packets of one stream; a damaged packet is counted and skipped.

    `first_time` is the time in seconds of the first item, `pixel_format` that of the first frame. `n_decoded` and
    `n_damaged` count frames (or blocks of audio) and damaged packets, `n_skipped` frames left out between keyframes.
    `corrupt_times` are those of frames in which the decoder replaced what it could not decode, in seconds.
    If the decoder has several threads, damage raises DamagedVideoError, after the frames that precede it.

    Args:
        stream: The stream.
        modality: What it contains.
        mode: How it is decoded.
        limits: Limits of a recording.
    """

    def __init__(self, stream: Stream, modality: Modality, mode: DecodeMode, limits: Limits) -> None:
        self.modality: Modality = modality
        self.first_time: float | None = None
        self.pixel_format: str | None = None
        self.n_decoded = self.n_skipped = self.n_damaged = 0
        self.corrupt_times: list[float] = []
        self.full_scale = FullScale(stream.codec_context.name)
        self._mode = mode
        self._stream = stream
        self._context: Any = stream.codec_context
        self._time_base = float(stream.time_base or 0)  # frames that a decoder returns at its end have none
        self._times = FrameTimes()
        self._flushed = mode == "timestamps"
        self._last_pts: int | None = None  # of the frames that must come out of the decoder, and of those that came
        self._last_decoded_pts: int | None = None
        self._selector: PacketSelector | None = None
        self._keyframes = KeyframeSelector(lambda *_: True) if mode == "keyframes" else None
        self._orientation = PersistentOrientation(self._context)
        if mode != "timestamps":
            self._context.thread_type = "SLICE" if self._context.name in SLICE_THREAD_CODECS else "AUTO"
            # Keyframes are decoded one by one. Audio takes little time, and several threads lose the last errors.
            if mode == "keyframes" or modality == "audio":
                self._context.thread_count = 1
            elif not self._context.thread_count:  # else a second reading in one thread
                self._context.thread_count = min(limits.threads, threads_for(affinity_cores()))
            self._context.options = {"max_pixels": str(limits.pixels)}

    def select(self, has_target: HasTarget) -> None:
        """From now on, decode only the packets that frames at target times need (see the selectors)."""
        if self._keyframes is not None:
            self._keyframes.has_target = has_target
        elif self._mode == "all" and self.modality == "video":
            self._selector = PacketSelector(self._stream, has_target)

    def read(self, packet: Packet) -> Iterator[TimedItem]:
        """Yield the items that this packet completes."""
        if self._mode == "all":
            if self._selector is not None:
                yield from self._read_selected(self._selector.add(packet))
            elif packet.size:  # an empty packet would flush the decoder
                yield from self._decode(packet)
        elif self._keyframes is not None and packet.pts is None and packet.dts is None:
            yield from self._read_untimed(packet)
        elif not packet.is_discard:
            start, end = self._packet_times(packet)
            self._note_first_time(start)
            if self._keyframes is None:
                yield SkippedSpan(start, end, self.modality)
            else:
                yield from self._read_keyframes(self._keyframes.add(packet, start, end))

    def flush(self) -> Iterator[TimedItem]:
        """Yield the items that are still in the decoder; later calls yield none."""
        if self._flushed:
            return
        self._flushed = True
        if self._keyframes is not None:
            yield from self._read_keyframes(self._keyframes.flush())
            yield from self._read_untimed(None)
            return
        if self._selector is not None:
            yield from self._read_selected(self._selector.flush())
        yield from self._decode(None)
        if self._last_pts is not None and self._last_pts > (self._last_decoded_pts or 0):
            self._check_threads()  # PyAV drops the errors and frames that follow the first frame of a flush

    def _packet_times(self, packet: Packet) -> tuple[float, float]:
        """Start and end in seconds of what an undecoded packet contains."""
        timestamp = packet.pts if packet.pts is not None else packet.dts
        time = None if timestamp is None or not self._time_base else timestamp * self._time_base
        duration = (packet.duration or 0) * self._time_base or self._nominal_duration
        return self._times.next(time, duration, reordered=True)

    def _read_selected(self, decisions: Iterable[Decision]) -> Iterator[TimedItem]:
        for packet, start, end, use in decisions:
            if use != "output" and packet.pts is not None:
                yield SkippedSpan(start, end, self.modality)
            if use == "output" and packet.pts is not None and not packet.is_discard:
                self._last_pts = max(packet.pts, packet.pts if self._last_pts is None else self._last_pts)
            if use != "skip" and packet.size:
                self._context.skip_frame = "DEFAULT" if use == "output" else "NONREF"
                yield from self._decode(packet)

    def _read_keyframes(self, spans: Iterable[Span]) -> Iterator[TimedItem]:
        """Decode each keyframe by itself: decoders return frames late, and reorder those of open GOPs."""
        for start, end, packet in spans:
            images = []
            if packet is not None and packet.size:
                images = [*self._images(packet), *self._images(None)]
                self._context.flush_buffers()
            if images:
                self._orientation.attach(images[0])
                self._note_decoded(images[0], start)
                yield DecodedFrame(start, end, images[0])
            else:
                self.n_skipped += 1
                yield SkippedSpan(start, end, self.modality)

    def _read_untimed(self, packet: Packet | None) -> Iterator[TimedItem]:
        """Decode a packet without a timestamp (of a raw stream): the times follow from the order of all frames."""
        for item in self._decode(packet):
            is_keyframe = isinstance(item, DecodedFrame) and item.image.key_frame
            yield item if is_keyframe else SkippedSpan(item.time, item.end, self.modality)

    def _images(self, packet: Packet | None) -> list[Any]:
        """Decode a packet, or what is still in the decoder (None)."""
        self._orientation.note(packet)
        try:
            return list(self._context.decode(packet))
        except DECODE_ERRORS as error:
            if isinstance(error, MemoryError) and is_memory_exhausted():
                raise
            self._check_threads()
            self.n_damaged += packet is not None
            self._decode_everything()
            return []

    def _decode(self, packet: Packet | None) -> Iterator[TimedItem]:
        for frame in self._images(packet):
            try:
                item = self._item(frame)
            except DECODE_ERRORS:
                self.n_damaged += 1
                continue
            if item is not None:
                self._note_decoded(frame, item.time)
                yield item

    def _check_threads(self) -> None:
        """Raise DamagedVideoError if the decoder has several threads; call this on damage.

        Frames that others are decoded from are then used before they are concealed, and errors at the end get lost.
        """
        if self.modality == "video" and self._context.thread_count != 1:
            raise DamagedVideoError

    def _decode_everything(self) -> None:
        if self._selector is not None:
            self._selector.disable()

    def _note_decoded(self, frame: Any, time: float) -> None:
        self.n_decoded += 1
        self._note_first_time(time)
        if frame.is_corrupt:
            self.corrupt_times.append(time)
        if frame.pts is not None:
            self._last_decoded_pts = frame.pts
        if self.modality == "video" and self.pixel_format is None:
            self.pixel_format = frame.format.name

    def _note_first_time(self, time: float) -> None:
        if self.first_time is None:
            self.first_time = time

    def _item(self, frame: Any) -> TimedItem | None:
        timestamp = frame.pts if frame.pts is not None else frame.dts
        time = None if timestamp is None or not self._time_base else timestamp * self._time_base
        if self.modality == "audio":
            rate = int(frame.sample_rate)
            if not MIN_RATE <= rate <= MAX_RATE:
                raise ValueError(f"sample rate of {rate} Hz")
            samples = self.full_scale.apply(channel_samples(frame))
            if not samples.shape[1]:
                return None
            return DecodedAudio(*self._times.next(time, samples.shape[1] / rate), rate, samples)
        if frame.is_corrupt:
            self._check_threads()
        if frame.interlaced_frame or frame.is_corrupt:  # a packet may have half a frame; damage spreads
            self._decode_everything()
        self._orientation.attach(frame)
        duration = (frame.duration or 0) * self._time_base
        if not duration and not self.n_decoded:
            duration = self._nominal_duration
        return DecodedFrame(*self._times.next(time, duration), frame)

    @property
    def _nominal_duration(self) -> float:
        """Seconds per frame by the stream's frame rate; 0 if it states none."""
        rate = getattr(self._context, "framerate", None)
        return 1 / float(rate) if rate else 0.0

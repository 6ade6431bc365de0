"""Decode a media file into frames and blocks of audio, in file order, timed from the beginning of the recording."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from av.format import Flags
from av.stream import Discard, Stream

from avscene.errors import MediaError
from avscene.media.container import (
    error_reason,
    make_undecodable_error,
    no_stream_error,
    open_container,
    select_stream,
)
from avscene.media.decoded import DecodedItem, DecodeMode, StreamEnd, TimedItem
from avscene.media.hardware import hardware_acceleration, is_device_format
from avscene.media.limits import DEFAULT_LIMITS, Limits
from avscene.media.packets.clock import MAX_WAITING_BYTES, FileClock, Packet
from avscene.media.packets.selection import HasTarget
from avscene.media.programmes import choose_programme
from avscene.media.sampling import CPU
from avscene.media.stated_duration import missing_end, stated_end
from avscene.media.stream_reader import DECODE_ERRORS, StreamReader
from avscene.records import Modality

# Audio encoders add up to this much (seconds) before time 0; it is cut off.
MAX_PRIMING = 0.2


class MediaFile:
    """One open media file, to be decoded once.

    `n_bytes` is its size, `streams` are the selected streams by modality, `stated_end` is when they end in seconds by
    the file's header, None if it does not state it. `warnings` grow while the file is decoded, and `photograph` and
    `end`, the seconds that were decoded, are set afterwards.

    Args:
        path: The file.
        ignore: A modality that is not decoded from this file.
        decoder: Where video is decoded if possible: CPU, or a device that `check_decoder` accepts.
        limits: Limits of a recording.
        program: Number of the programme that is read of a transport stream with several; None: that of its best video.
        single_threaded: Decode in one thread.

    Raises:
        MediaError: the file cannot be opened, has neither audio nor video that can be decoded, or no such programme.
    """

    def __init__(
        self,
        path: Path,
        ignore: Modality | None = None,
        decoder: str = CPU,
        limits: Limits = DEFAULT_LIMITS,
        program: int | None = None,
        *,
        single_threaded: bool = False,
    ) -> None:
        self.path = path
        self.warnings: list[str] = []
        self.photograph = False
        self.end = 0.0
        self._readers: list[StreamReader] = []
        self._decoder, self._limits = decoder, limits
        self._reopen = partial(MediaFile, path, ignore, decoder, limits, program, single_threaded=True)
        self._container = open_container(path, hardware_acceleration(decoder), limits)
        self.n_bytes: int = self._container.size
        try:
            self.streams = self._select_streams(ignore, program)
            for stream in self.streams.values() if single_threaded else ():
                stream.codec_context.thread_count = 1
            self.stated_end = stated_end(self._container, self.streams.values(), path)
        except BaseException:
            self.close()
            raise
        may_restart = Flags.ts_discont in Flags(self._container.format.flags)
        self._clock = FileClock(list(self.streams.values()), may_restart=may_restart)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def reopen_single_threaded(self) -> "MediaFile":
        """Close the file; return it opened again, to be decoded in one thread, with the warnings so far."""
        self.close()
        file = self._reopen()
        file.warnings = self.warnings
        return file

    def _select_streams(self, ignore: Modality | None, program: int | None) -> dict[Modality, Stream]:
        chosen = choose_programme(self._container, self.path, program)
        selected: dict[Modality, Stream] = {}
        warnings = [chosen.warning]
        modalities: tuple[Modality, ...] = ("video", "audio")
        for modality in modalities:
            stream, warning = select_stream(self._container, modality, chosen.streams, chosen.related)
            if stream is not None:
                selected[modality] = stream
                warnings += [warning] if modality != ignore else []
        if not selected:
            raise no_stream_error(self._container, self.path)
        self.warnings += filter(None, warnings)
        return {modality: stream for modality, stream in selected.items() if modality != ignore}

    def decode(
        self, modes: Mapping[Modality, DecodeMode], has_target: HasTarget | None = None
    ) -> Iterator[DecodedItem]:
        """Yield all items of the file in file order; may be called once.

        Time 0 is the earliest first timestamp of the selected streams (but see MAX_PRIMING): a file whose clock starts
        at hours (MPEG-TS) begins at 0, and audio that starts 0.8 s after the video stays 0.8 s after it.

        Args:
            modes: How each stream is decoded; "timestamps" for those that are not named.
            has_target: Whether the frame shown in `[start, end)` seconds is needed; others may be left undecoded.

        Raises:
            DamagedVideoError: the video is damaged and must be decoded in one thread.
        """
        self._readers = [StreamReader(s, m, modes.get(m, "timestamps"), self._limits) for m, s in self.streams.items()]
        by_index = {s.index: r for s, r in zip(self.streams.values(), self._readers, strict=True)}
        packets = self._clock.correct(self._packets(list(self.streams.values())))
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
            end = item.end - origin
            self.end = max(self.end, end)
            yield replace(item, time=item.time - origin, end=end)
        self._add_final_warnings(origin)
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

    def _add_final_warnings(self, origin: float) -> None:
        if n_damaged := self._n_damaged():
            self.warnings.append(f"{n_damaged} damaged packet{'s' * (n_damaged > 1)} skipped")
        if self._clock.n_jumps:
            self.warnings.append("timestamps jump; the jumps were removed")
        elif warning := missing_end(self.end, self.stated_end):
            self.warnings.append(warning)
        self.warnings += [warning for reader in self._readers for warning in reader.full_scale.warnings()]
        if n_wrong := self._clock.n_wrong:
            self.warnings.append(f"{n_wrong} packet{'s' * (n_wrong > 1)} with a wrong timestamp")
        video = self._video_reader()
        self.warnings += _corrupt_frames([] if video is None else [time - origin for time in video.corrupt_times])
        pixel_format = None if video is None else video.pixel_format
        if self._decoder != CPU and pixel_format is not None and not is_device_format(pixel_format):
            self.warnings.append(f"{self._decoder} cannot decode this video; it was decoded on the CPU")

    def may_be_photograph(self) -> bool:
        """Return whether the file is a photograph if no further frame follows."""
        video = self._video_reader()
        if len(self._readers) != 1 or video is None or video.n_decoded + video.n_skipped > 1:
            return False
        name = self._container.format.name
        return self._container.duration is None or name.endswith("_pipe") or name in ("gif", "apng", "webp")

    def undecodable_error(self, modalities: list[Modality]) -> MediaError:
        """Make the error for a file of whose `modalities` nothing could be decoded."""
        return make_undecodable_error(self.path, list(self.streams.values()), modalities, self._n_damaged())


def _corrupt_frames(times: list[float]) -> list[str]:
    """Return the warning of frames with damaged parts, shown at these times in seconds."""
    if len(times) < 2:
        return [f"a part of the frame at {time:.1f} s is damaged" for time in times]
    return [f"parts of {len(times)} frames are damaged, from {times[0]:.1f} to {times[-1]:.1f} s"]

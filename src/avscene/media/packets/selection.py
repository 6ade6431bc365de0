"""Select the video packets that must be decoded to get the frames at the target times."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from av.stream import Stream

from avscene.media.packets.bitstream import first_slice_header
from avscene.media.packets.clock import Packet

# Packets are held back until the next keyframe completes their group of pictures (GOP), within these limits.
MAX_PENDING_PACKETS = 300
MAX_PENDING_BYTES = 2**24
MAX_DTS_STEP = 10.0  # seconds from packet to packet; after a longer step the timestamps may be broken
TIME_MARGIN = 1e-3  # seconds by which a frame may be shown earlier or later than its packet states

# Codecs whose decoders skip non-reference frames exactly.
SKIP_NONREF_CODECS = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4"})
# Decoders that wait forever for a damaged frame when they decode several at once.
SLICE_THREAD_CODECS = frozenset({"apng"})
# Codecs in which every keyframe starts a closed GOP. In H.264 and HEVC, IDR frames do.
CLOSED_GOP_CODECS = frozenset({"vp8", "vp9"})

HasTarget = Callable[[float, float], bool]  # (start, end) in seconds -> whether a target time lies in [start, end)
# output: its frame is needed. reference: other frames may refer to it. skip: no needed frame depends on it.
PacketUse = Literal["output", "reference", "skip"]


class Decision(NamedTuple):
    """A packet, the times in seconds (on the file's clock) between which its frame is shown, and its use."""

    packet: Packet
    start: float
    end: float
    use: PacketUse


class PacketSelector:
    """Decide for each packet of one stream, given in decoding order, what it is needed for.

    `has_target(start, end)` is whether the frame shown in `[start, end)` seconds of the file's clock is needed. A
    GOP is held back until the next keyframe arrives: only then is the end of each of its frames known. If the
    timestamps of the stream are not reliable, every packet is needed.
    """

    def __init__(self, stream: Stream, has_target: HasTarget) -> None:
        context: Any = stream.codec_context
        self._codec: str = context.name
        self._extradata: bytes | None = context.extradata
        self._intra_only = bool(context.codec.intra_only)
        self._time_base = float(stream.time_base or 0)
        self._has_target = has_target
        self._can_skip_nonref = self._codec in SKIP_NONREF_CODECS
        self._pending: list[Packet] = []
        self._pending_bytes = 0
        self._last_dts: int | None = None
        self._disabled = not self._time_base

    def add(self, packet: Packet) -> list[Decision]:
        """Take the next packet; return the decisions that it makes possible."""
        if not self._disabled and not self._has_reliable_times(packet):
            self.disable()
        if self._disabled:
            return [*self.flush(), Decision(packet, 0.0, 0.0, "output")]
        self._check_temporal_layer(packet)
        decisions: list[Decision] = []
        if packet.is_keyframe and self._pending:
            decisions = self._decide(self._pending, packet.pts, before_closed_gop=self._starts_closed_gop(packet))
            self._pending, self._pending_bytes = [], 0
        elif len(self._pending) >= MAX_PENDING_PACKETS or self._pending_bytes >= MAX_PENDING_BYTES:
            decisions = self._decide_oldest(packet)
        self._pending.append(packet)
        self._pending_bytes += packet.size
        return decisions

    def flush(self) -> list[Decision]:
        """Decide on all pending packets, at the end of the stream."""
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        if self._disabled:
            return [Decision(packet, 0.0, 0.0, "output") for packet in pending]
        return self._decide(pending, None)

    def disable(self) -> None:
        """From now on, decide that every packet is needed."""
        self._disabled = True

    def _has_reliable_times(self, packet: Packet) -> bool:
        pts, dts = packet.pts, packet.dts
        if pts is None or dts is None or not packet.duration or packet.duration < 0 or packet.is_corrupt:
            return False
        step = 0 if self._last_dts is None else dts - self._last_dts
        self._last_dts = dts
        return pts >= dts and 0 <= step * self._time_base <= MAX_DTS_STEP

    def _check_temporal_layer(self, packet: Packet) -> None:
        """Stop skipping if there is a second temporal layer.

        A frame that is no reference within its own layer may be one for a higher layer (H.265, 3.151).
        """
        if self._codec == "hevc" and self._can_skip_nonref:
            header = first_slice_header(bytes(packet), self._codec, self._extradata)
            self._can_skip_nonref = header is None or header.temporal_layer == 0

    def _starts_closed_gop(self, packet: Packet) -> bool:
        """Whether this keyframe and all that follow can be decoded without the packets before it."""
        if self._intra_only or self._codec in CLOSED_GOP_CODECS:
            return True
        if self._codec not in ("h264", "hevc"):
            return False
        header = first_slice_header(bytes(packet), self._codec, self._extradata)
        return header is not None and header.is_idr

    def _decide_oldest(self, packet: Packet) -> list[Decision]:
        """Decide on the oldest packets: those shown before `packet` is decoded, as no later frame precedes them."""
        newest: Any = packet.dts
        n_complete = next((n for n, pending in enumerate(self._pending) if pending.pts >= newest), len(self._pending))
        if not n_complete:  # no decoder delays frames for so long
            self.disable()
            return self.flush()
        complete, self._pending = self._pending[:n_complete], self._pending[n_complete:]
        self._pending_bytes = sum(pending.size for pending in self._pending)
        following: list[Any] = [pending.pts for pending in self._pending]
        return self._decide(complete, min(following, default=newest))

    def _decide(
        self, packets: Sequence[Packet], next_pts: int | None, *, before_closed_gop: bool = False
    ) -> list[Decision]:
        """Decide on `packets`; the frame after them is shown at `next_pts`.

        `before_closed_gop`: no later frame refers to these packets.
        """
        times: list[Any] = [packet.pts for packet in packets]
        shown = [time for packet, time in zip(packets, times, strict=True) if not packet.is_discard]
        ends = dict(pairwise(sorted(shown if next_pts is None else [*shown, next_pts])))
        spans = [(time * self._time_base, ends.get(time, float("inf")) * self._time_base) for time in times]
        needed = [
            packet.is_discard or self._has_target(start - TIME_MARGIN, end + TIME_MARGIN)
            for packet, (start, end) in zip(packets, spans, strict=True)
        ]
        n_decoded = len(packets)
        while before_closed_gop and n_decoded and not needed[n_decoded - 1]:
            n_decoded -= 1
        otherwise: PacketUse = "reference" if self._can_skip_nonref else "output"
        uses: list[PacketUse] = ["output" if is_needed else otherwise for is_needed in needed[:n_decoded]]
        uses += ["skip"] * (len(packets) - n_decoded)
        return [Decision(packet, *span, use) for packet, span, use in zip(packets, spans, uses, strict=True)]

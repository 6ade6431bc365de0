"""Which packets of a picture need no decoding, because no image that is asked for hangs on them."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import av
from av.stream import Stream

from avscene.media.bitstream import first_slice

# Packets are held until the next keyframe shows that they are complete, but no more than so many, so many bytes.
MOST_HELD = 300
MOST_BYTES = 2**24
LONGEST_STEP = 10.0  # seconds from packet to packet; after more the clock may be broken
MARGIN = 1e-3  # seconds by which an image may be shown earlier or later than its packet says: it is decoded too

# Images that no other image refers to can be told and left out by these decoders, exactly.
TELLS_REFERENCES = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4"})
# Keyframes of these refer to nothing before them, and nothing after them does. (Of H.264 and HEVC: IDR pictures.)
KEYFRAMES_RESET = frozenset({"vp8", "vp9"})

if TYPE_CHECKING:
    Packet = av.Packet[Any]  # generic only in PyAV's stubs
else:
    Packet = av.Packet

Asked = Callable[[float, float], bool]  # of the begin and the end of an image, in seconds
# `image`: it is asked for. `reference`: other images may refer to it. `nothing`: what follows does without it.
Use = Literal["image", "reference", "nothing"]
Decision = tuple[Packet, float, Use]  # the float is the time (seconds, on the stream's clock) at which its image ends


class Selection:
    """Takes the packets of one stream in decoding order and gives them back with what each is needed for.

    `asked(begin, end)` tells whether an image that is shown in `[begin, end)` seconds of the stream's clock is wanted.
    A group of images is held until the keyframe behind it has come, so that it is known until when each is shown. In
    streams whose timestamps leave doubt every packet is said to be needed.
    """

    def __init__(self, stream: Stream, asked: Asked) -> None:
        context: Any = stream.codec_context
        self._codec: str = context.name
        self._extradata: bytes | None = context.extradata
        self._intra_only = bool(context.codec.intra_only)
        self._base = float(stream.time_base or 0)
        self._asked = asked
        self._tells_references = self._codec in TELLS_REFERENCES
        self._held: list[Packet] = []
        self._nbytes = 0
        self._last: int | None = None  # decoding time of the newest packet
        self._doubt = not self._base

    def add(self, packet: Packet) -> list[Decision]:
        """Take the next packet; those on which this decides."""
        if not self._doubt and not self._regular(packet):
            self.give_up()
        if self._doubt:
            return [*self.rest(), (packet, 0.0, "image")]
        self._heed_layers(packet)
        decided: list[Decision] = []
        if packet.is_keyframe and self._held:
            decided = self._decide(self._held, packet.pts, reset=self._resets(packet))
            self._held, self._nbytes = [], 0
        elif len(self._held) >= MOST_HELD or self._nbytes >= MOST_BYTES:
            decided = self._let_go(packet)
        self._held.append(packet)
        self._nbytes += packet.size
        return decided

    def rest(self) -> list[Decision]:
        """Decide on all that are held: no more will come."""
        held, self._held, self._nbytes = self._held, [], 0
        return [(packet, 0.0, "image") for packet in held] if self._doubt else self._decide(held, None)

    def give_up(self) -> None:
        """Say from now on that every packet is needed."""
        self._doubt = True

    def _regular(self, packet: Packet) -> bool:
        pts, dts = packet.pts, packet.dts
        if pts is None or dts is None or not packet.duration or packet.duration < 0 or packet.is_corrupt:
            return False
        step = 0 if self._last is None else dts - self._last
        self._last = dts
        return pts >= dts and 0 <= step * self._base <= LONGEST_STEP

    def _heed_layers(self, packet: Packet) -> None:
        """An image that its own layer does without may serve a higher one (H.265, 3.151): only one layer is safe."""
        if self._codec == "hevc" and self._tells_references:
            head = first_slice(bytes(packet), self._codec, self._extradata)
            self._tells_references = head is None or head.layer == 0

    def _resets(self, packet: Packet) -> bool:
        """Whether what comes after this keyframe can be decoded without what came before it."""
        if self._intra_only or self._codec in KEYFRAMES_RESET:
            return True
        if self._codec not in ("h264", "hevc"):
            return False
        head = first_slice(bytes(packet), self._codec, self._extradata)
        return head is not None and head.resets

    def _let_go(self, packet: Packet) -> list[Decision]:
        """Decide on the oldest, all shown before `packet` is decoded: nothing that is still to come is shown before."""
        newest: Any = packet.dts
        complete = next((n for n, held in enumerate(self._held) if held.pts >= newest), len(self._held))
        if not complete:  # no decoder waits for so many
            self.give_up()
            return self.rest()
        going, self._held = self._held[:complete], self._held[complete:]
        self._nbytes = sum(held.size for held in self._held)
        following: list[Any] = [held.pts for held in self._held]
        return self._decide(going, min(following, default=newest))

    def _decide(self, packets: Sequence[Packet], following: int | None, *, reset: bool = False) -> list[Decision]:
        """`following` is when the next image is shown; behind a `reset` nothing refers to these."""
        times: list[Any] = [packet.pts for packet in packets]
        shown = [time for packet, time in zip(packets, times, strict=True) if not packet.is_discard]
        ends = dict(pairwise(sorted(shown if following is None else [*shown, following])))
        spans = [(time * self._base, ends.get(time, float("inf")) * self._base) for time in times]
        wanted = [
            packet.is_discard or self._asked(begin - MARGIN, end + MARGIN)
            for packet, (begin, end) in zip(packets, spans, strict=True)
        ]
        n_needed = len(packets)
        while reset and n_needed and not wanted[n_needed - 1]:
            n_needed -= 1
        spare: Use = "reference" if self._tells_references else "image"
        uses: list[Use] = ["image" if asked else spare for asked in wanted[:n_needed]]
        uses += ["nothing"] * (len(packets) - n_needed)
        return [(packet, end, use) for packet, (_, end), use in zip(packets, spans, uses, strict=True)]

"""The few bits of H.264 and HEVC that tell what can be left undecoded."""

from collections.abc import Iterator
from dataclasses import dataclass

IDR = {"h264": frozenset({5}), "hevc": frozenset({19, 20})}  # unit types: ITU-T H.264 table 7-1, H.265 table 7-1
SLICES = {"h264": range(1, 6), "hevc": range(32)}


@dataclass(frozen=True, slots=True)
class Slice:
    """What the header of an image's first slice says.

    `resets`: no image after it in decoding order refers to one before it (an IDR picture). `layer`: temporal layer;
    images of a layer refer to none of higher ones.
    """

    resets: bool
    layer: int


def first_slice(data: bytes, codec: str, extradata: bytes | None) -> Slice | None:
    """Of a packet of `codec` (h264, hevc), whose stream has such `extradata`; None: there is no slice in it."""
    for head in _unit_heads(data, _length_size(codec, extradata or b"")):
        kind = head[0] & 31 if codec == "h264" else head[0] >> 1 & 63
        if kind in SLICES[codec]:
            return Slice(kind in IDR[codec], 0 if codec == "h264" else (head[1] & 7) - 1)
    return None


def _length_size(codec: str, extradata: bytes) -> int:
    """Bytes of a unit's length in front of it, as in mp4 (ISO/IEC 14496-15); 0: units begin with a start code."""
    place = 4 if codec == "h264" else 21
    if len(extradata) <= place or extradata[0] != 1:
        return 0
    return (extradata[place] & 3) + 1


def _unit_heads(data: bytes, length_size: int) -> Iterator[bytes]:
    """The first two bytes of each unit."""
    place = 0
    while True:
        if length_size:
            begin = place + length_size
            place = begin + int.from_bytes(data[place:begin], "big")
        else:
            begin = place = data.find(b"\0\0\1", place) + 3
            if begin < 3:
                return
        if begin + 2 > len(data):
            return
        yield data[begin : begin + 2]

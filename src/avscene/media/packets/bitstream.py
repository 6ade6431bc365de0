"""Parse the few header bits of H.264 and HEVC packets that show which packets may be left undecoded."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

# NAL unit types: ITU-T H.264 table 7-1, H.265 table 7-1.
IDR_TYPES = {"h264": frozenset({5}), "hevc": frozenset({19, 20})}
SLICE_TYPES = {"h264": range(1, 6), "hevc": range(32)}
START_CODE_BYTES = 3


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """Properties of a frame, from the NAL unit header of its first slice.

    `is_idr`: no later frame in decoding order refers to an earlier one. `temporal_layer`: frames of a layer refer to
    no frame of a higher layer.
    """

    is_idr: bool
    temporal_layer: int


def first_slice_header(data: bytes, codec: str, extradata: bytes | None) -> SliceHeader | None:
    """Return the header of the first slice in a packet of `codec` (h264 or hevc); None if the packet has no slice.

    `extradata` is the decoder configuration record of the stream.
    """
    for begin in _nal_unit_begins(data, nal_length_size(codec, extradata or b"")):
        head = data[begin : begin + 2]
        if len(head) < 2:
            return None
        unit_type = head[0] & 31 if codec == "h264" else head[0] >> 1 & 63
        if unit_type in SLICE_TYPES[codec]:
            return SliceHeader(unit_type in IDR_TYPES[codec], 0 if codec == "h264" else (head[1] & 7) - 1)
    return None


def nal_length_size(codec: str, extradata: bytes) -> int:
    """Bytes of the length field before each NAL unit (ISO/IEC 14496-15, as in mp4); 0 if start codes separate them."""
    offset = 4 if codec == "h264" else 21
    if len(extradata) <= offset or extradata[0] != 1:
        return 0
    return (extradata[offset] & 3) + 1


def _nal_unit_begins(data: bytes, length_size: int) -> Iterator[int]:
    """Yield the position of each NAL unit, after its length or start code."""
    position = 0
    while True:
        if length_size:
            begin = position + length_size
            position = begin + int.from_bytes(data[position:begin], "big")
        else:
            begin = position = data.find(b"\0\0\1", position) + START_CODE_BYTES
            if begin < START_CODE_BYTES:
                return
        if begin >= len(data):
            return
        yield begin


def nal_units(data: bytes, length_size: int) -> Iterator[bytes]:
    """Yield the NAL units in the beginning of a packet that are not empty; the last one may be cut off."""
    gap = length_size or START_CODE_BYTES
    for begin, following in pairwise(chain(_nal_unit_begins(data, length_size), [len(data) + gap])):
        if unit := data[begin : following - gap]:
            yield unit


def sei_messages(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and payload of each message in a SEI NAL unit without its header (H.264, 7.3.2.3.1)."""
    content = content.replace(b"\0\0\3", b"\0\0")  # as 00 00 is written before small bytes (7.4.1)
    position = 0
    while position + 2 <= len(content):
        kind, position = _sei_number(content, position)
        size, position = _sei_number(content, position)
        yield kind, content[position : position + size]
        position += size


def _sei_number(content: bytes, position: int) -> tuple[int, int]:
    """Read a number that is written as bytes of 255 and a last one; return it and the position after it."""
    number = 0
    while position < len(content):
        number += content[position]
        position += 1
        if content[position - 1] != 255:
            break
    return number, position

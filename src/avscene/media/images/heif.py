"""Read from the boxes of a HEIF file (HEIC, AVIF; ISO/IEC 23008-12) whether it is a still image made of tiles."""

import os
from collections.abc import Iterator
from typing import BinaryIO

STILL_BRANDS = frozenset((b"avif", b"heic", b"heix", b"heim", b"heis", b"mif1"))
SEQUENCE_BRANDS = frozenset((b"avis", b"msf1", b"hevc", b"hevx", b"hevm", b"hevs"))
MAX_BOXES = 1000
MAX_META_BYTES = 2**20  # that describe the items of a file
# Items that are made of other items: a grid of tiles, or images laid on each other.
DERIVED_ITEMS = frozenset((b"grid", b"iovl"))


def is_still_heif(file: BinaryIO) -> bool:
    """Return whether a file is a still image in HEIF by its brands, and not a sequence, which has tracks of frames."""
    file.seek(0)
    head = file.read(4096)
    if head[4:8] != b"ftyp":
        return False
    brands = {head[k : k + 4] for k in range(16, min(int.from_bytes(head[:4], "big"), len(head)), 4)} | {head[8:12]}
    if not brands & STILL_BRANDS or head[8:12] in SEQUENCE_BRANDS:
        return False
    return not (brands & SEQUENCE_BRANDS and any(name == b"moov" for name, _, _ in _file_boxes(file)))


def consists_of_tiles(file: BinaryIO) -> bool:
    """Return whether the primary item of a HEIF file is made of other items, of which FFmpeg decodes one."""
    meta = next(((start, end) for name, start, end in _file_boxes(file) if name == b"meta"), None)
    if meta is None:
        return False
    file.seek(meta[0])
    return _primary_item_type(file.read(min(meta[1] - meta[0], MAX_META_BYTES))) in DERIVED_ITEMS


def _file_boxes(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of the content of the top-level boxes of a file."""
    position, size = 0, os.fstat(file.fileno()).st_size
    for _ in range(MAX_BOXES):
        file.seek(position)
        header = file.read(16)
        length, n_header = int.from_bytes(header[:4], "big"), 8
        if length == 1:  # the length is a 64-bit number after the name
            length, n_header = int.from_bytes(header[8:16], "big"), 16
        if len(header) < 8 or (length and length < n_header):
            return
        end = min(position + length, size) if length else size  # 0: to the end of the file
        yield header[4:8], position + n_header, end
        position = end


def _boxes(content: bytes, position: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of the boxes from `position` on."""
    while position + 8 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        if length < 8:
            return
        yield content[position + 4 : position + 8], content[position + 8 : position + length]
        position += length


def _primary_item_type(meta: bytes) -> bytes | None:
    """Return the four-character type of the primary item, from the content of the box `meta`; None if not found."""
    boxes = dict(_boxes(meta, 4))  # after version and flags, as in all of these boxes
    primary, items = boxes.get(b"pitm", b""), boxes.get(b"iinf", b"")
    n_bytes = 4 if primary[:1] == b"\1" else 2
    identifier = int.from_bytes(primary[4 : 4 + n_bytes], "big")
    for name, entry in _boxes(items, 8 if items[:1] >= b"\1" else 6):
        n_bytes = 4 if entry[:1] == b"\3" else 2
        if name == b"infe" and int.from_bytes(entry[4 : 4 + n_bytes], "big") == identifier:
            return entry[6 + n_bytes : 10 + n_bytes]  # after the index of its protection
    return None

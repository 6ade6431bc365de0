"""Find the parts of media files (boxes, chunks, pages, elements), and compute their checksums."""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MAX_PARTS = 2000
MP4_CONTAINERS = frozenset(
    b"moov trak mdia minf stbl dinf edts udta mvex moof traf mfra meta iprp ipco sinf schi ilst tref gmhd".split()
)
# Elements of Matroska that hold elements: EBML, Segment, Info, Tracks, TrackEntry, Video, Audio, Cluster, BlockGroup,
# Cues, SeekHead, Chapters, EditionEntry, ChapterAtom, Tags, Tag, Attachments, AttachedFile, ContentEncodings
EBML_CONTAINERS = frozenset(
    (
        *(0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0, 0xE1, 0x1F43B675, 0xA0, 0x1C53BB6B, 0x114D9B74),
        *(0x1043A770, 0x45B9, 0xB6, 0x1254C367, 0x7373, 0x1941A469, 0x61A7, 0x6D80),
    )
)


@dataclass(frozen=True)
class Part:
    """A part of a file: its extent, the extent of its length field and of its name (empty if it has none)."""

    start: int
    end: int
    length: tuple[int, int] = (0, 0)
    name: tuple[int, int] = (0, 0)
    little_endian: bool = False


def mp4_parts(content: bytes, start: int = 0, end: int | None = None, depth: int = 0) -> Iterator[Part]:
    """Yield the boxes of an mp4, mov, heic or avif, outer ones first."""
    end = len(content) if end is None else end
    while start + 8 <= end:
        size, name = int.from_bytes(content[start : start + 4], "big"), content[start + 4 : start + 8]
        stop = min(start + size, end) if size >= 8 else end
        yield Part(start, stop, (start, start + 4), (start + 4, start + 8))
        if depth < 12 and name in MP4_CONTAINERS:
            yield from mp4_parts(content, start + 8 + 4 * (name == b"meta"), stop, depth + 1)
        elif name == b"stsd":
            yield from mp4_parts(content, start + 16, stop, 12)
        start = stop


def png_parts(content: bytes) -> Iterator[Part]:
    """Yield the chunks of a PNG."""
    start = 8
    while start + 12 <= len(content):
        stop = min(start + 12 + int.from_bytes(content[start : start + 4], "big"), len(content))
        yield Part(start, stop, (start, start + 4), (start + 4, start + 8))
        start = stop


def riff_parts(content: bytes, start: int = 0, end: int | None = None) -> Iterator[Part]:
    """Yield the chunks of a wav, avi or webp, outer ones first."""
    end = len(content) if end is None else end
    while start + 8 <= end:
        size, name = int.from_bytes(content[start + 4 : start + 8], "little"), content[start : start + 4]
        stop = min(start + 8 + size + size % 2, end)
        yield Part(start, stop, (start + 4, start + 8), (start, start + 4), True)
        if name in (b"RIFF", b"LIST", b"RF64"):
            yield from riff_parts(content, start + 12, stop)
        elif name == b"ANMF":
            yield from riff_parts(content, start + 24, stop)
        start = stop


def gif_parts(content: bytes) -> Iterator[Part]:
    """Yield the logical screen and the blocks of a GIF."""
    yield Part(6, 13)
    start = 13 + (3 << (content[10] & 7) + 1 if content[10] & 0x80 else 0)
    while start + 1 < len(content) and content[start] in (0x21, 0x2C):
        stop = start + 2
        if content[start] == 0x2C and start + 10 < len(content):
            stop = start + 11 + (3 << (content[start + 9] & 7) + 1 if content[start + 9] & 0x80 else 0)
        while stop < len(content) and content[stop]:
            stop += content[stop] + 1
        stop = min(stop + 1, len(content))
        yield Part(start, stop, (start + 2, start + 3), (start, start + 2), True)
        start = stop


def _vint(content: bytes, at: int, keep_marker: bool) -> tuple[int, int]:
    """Return a number of variable length and its number of bytes, (0, 0) if there is none."""
    width = 9 - content[at].bit_length() if at < len(content) else 9
    if width > 8 or at + width > len(content):
        return 0, 0
    value = int.from_bytes(content[at : at + width], "big")
    return (value if keep_marker else value & (1 << 7 * width) - 1), width


def ebml_parts(content: bytes, start: int = 0, end: int | None = None, depth: int = 0) -> Iterator[Part]:
    """Yield the elements of a Matroska or WebM file, outer ones first."""
    end = len(content) if end is None else end
    while start < end:
        name, name_width = _vint(content, start, True)
        size, size_width = _vint(content, start + name_width, False)
        if not name_width or not size_width:
            return
        body = start + name_width + size_width
        stop = min(body + size, end)
        yield Part(start, stop, (start + name_width, body), (start, start + name_width))
        if name in EBML_CONTAINERS and depth < 8:
            yield from ebml_parts(content, body, stop, depth + 1)
        start = stop


def ogg_parts(content: bytes) -> Iterator[Part]:
    """Yield the pages of an Ogg file."""
    start = 0
    while content[start : start + 4] == b"OggS" and start + 27 <= len(content):
        body = start + 27 + content[start + 26]
        stop = min(body + sum(content[start + 27 : body]), len(content))
        yield Part(start, stop, (start + 26, body), (start + 5, start + 14), True)  # "name": type and position
        start = stop


def jpeg_parts(content: bytes) -> Iterator[Part]:
    """Yield the segments of a JPEG up to its image."""
    start = 2
    while start + 4 <= len(content) and content[start] == 0xFF:
        stop = min(start + 2 + int.from_bytes(content[start + 2 : start + 4], "big"), len(content))
        yield Part(start, stop, (start + 2, start + 4), (start + 1, start + 2))
        start = stop


def ts_parts(content: bytes) -> Iterator[Part]:
    """Yield the packets of a transport stream."""
    for start in range(0, len(content) - 187, 188):
        yield Part(start, start + 188, (start + 4, start + 5), (start + 1, start + 4))


def parts_of(content: bytes) -> list[Part]:
    """Return the parts of a file by its first bytes; none if its format is another."""
    readers: tuple[tuple[bool, Callable[[bytes], Iterator[Part]]], ...] = (
        (content[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp"), mp4_parts),
        (content[:4] == b"\x89PNG", png_parts),
        (content[:4] in (b"RIFF", b"RF64"), riff_parts),
        (content[:3] == b"GIF" and len(content) > 13, gif_parts),
        (content[:4] == b"\x1a\x45\xdf\xa3", ebml_parts),
        (content[:4] == b"OggS", ogg_parts),
        (content[:2] == b"\xff\xd8", jpeg_parts),
        (content[:1] == b"G" and content[188:189] == b"G", ts_parts),
    )
    reader = next((reader for fits, reader in readers if fits), None)
    return [] if reader is None else [part for part, _ in zip(reader(content), range(MAX_PARTS), strict=False)]


def repair_png(content: bytes) -> bytes:
    """Return a PNG with right checksums, so that the decoder gets to the damage."""
    data = bytearray(content)
    for part in png_parts(content):
        if part.end - part.start >= 12:
            data[part.end - 4 : part.end] = struct.pack(">I", zlib.crc32(content[part.start + 4 : part.end - 4]))
    return bytes(data)


def _ogg_table() -> list[int]:
    table = []
    for value in range(256):
        crc = value << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(crc)
    return table


OGG_TABLE = _ogg_table()


def repair_ogg(content: bytes) -> bytes:
    """Return an Ogg file with right checksums, so that the decoder gets to the damage."""
    data = bytearray(content)
    for part in ogg_parts(content):
        data[part.start + 22 : part.start + 26] = bytes(4)
        crc = 0
        for byte in data[part.start : part.end]:
            crc = (crc << 8 ^ OGG_TABLE[crc >> 24 ^ byte]) & 0xFFFFFFFF
        data[part.start + 22 : part.start + 26] = crc.to_bytes(4, "little")
    return bytes(data)

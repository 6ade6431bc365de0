"""Damage media files at random, by bytes and by the parts of their format, always in the same way for one seed."""

import random
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

MAX_BYTES = 150_000  # of a file before it is damaged; longer ones are cut
MAX_PARTS = 2000
MP4_CONTAINERS = frozenset(
    b"moov trak mdia minf stbl dinf edts udta mvex moof traf mfra meta iprp ipco sinf schi ilst tref gmhd".split()
)
# Elements of Matroska that hold elements: EBML, Segment, Info, Tracks, TrackEntry, Video, Audio, Cluster, BlockGroup, Cues,
# SeekHead, Chapters, EditionEntry, ChapterAtom, Tags, Tag, Attachments, AttachedFile, ContentEncodings
EBML_CONTAINERS = frozenset(
    (
        *(0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0, 0xE1, 0x1F43B675, 0xA0, 0x1C53BB6B, 0x114D9B74),
        *(0x1043A770, 0x45B9, 0xB6, 0x1254C367, 0x7373, 0x1941A469, 0x61A7, 0x6D80),
    )
)
INTERESTING = (0, 1, 2, 3, 7, 8, 15, 16, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000)
INTERESTING += (0xFFFFFFFF, 0xFFFFFFFE, 0x100000000, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)


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


def _flip_bits(content: bytearray, start: int, end: int, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 2, 8, 40))):
        content[rng.randrange(start, end)] ^= 1 << rng.randrange(8)


def _write_number(content: bytearray, start: int, end: int, rng: random.Random) -> None:
    """Write a number that programs often get wrong somewhere between `start` and `end`."""
    width = rng.choice((1, 2, 4, 4, 8))
    at = rng.randrange(start, max(end - width, start) + 1)
    value = rng.choice(INTERESTING) & (1 << 8 * width) - 1
    content[at : at + width] = value.to_bytes(width, rng.choice(("big", "little")))


def _two_blocks(size: int, rng: random.Random) -> tuple[int, int, int]:
    """Return the starts of two blocks and their common length."""
    length = min(rng.choice((1, 16, 256, 4096)), size)
    return rng.randrange(size - length + 1), rng.randrange(size - length + 1), length


def mutate_bytes(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """Damage a file without regard to its format; `other` is the file whose half may follow."""
    data, size = bytearray(content), len(content)
    first, second, length = _two_blocks(size, rng)
    kind = rng.randrange(9)
    if kind == 0:
        _flip_bits(data, 0, size, rng)
    elif kind == 1:  # near the beginning, where headers are
        _flip_bits(data, 0, min(size, 200), rng)
    elif kind == 2:
        del data[rng.randrange(1, size) if size > 1 else 0 :]
    elif kind == 3:
        data[first:first] = rng.randbytes(length)
    elif kind == 4:
        data[first:first] = data[second : second + length]
    elif kind == 5:
        data[first : first + length] = bytes(length)
    elif kind == 6:
        data[first : first + length], data[second : second + length] = (
            data[second : second + length],
            data[first : first + length],
        )
    elif kind == 7:
        data = data[: size // 2] + other[len(other) // 2 :]
    else:
        for _ in range(rng.choice((1, 4))):
            _write_number(data, 0, rng.choice((min(size, 300), size)), rng)
    return bytes(data)


def mutate_parts(content: bytes, parts: Sequence[Part], other: bytes, rng: random.Random) -> bytes:
    """Damage one part of a file, or move parts; `other` is the file from which a part may come."""
    data, part = bytearray(content), rng.choice(parts)
    body = max(part.length[1], part.name[1], part.start)
    kind = rng.randrange(9)
    if kind == 0 and part.length[1]:  # another length
        width = part.length[1] - part.length[0]
        old = int.from_bytes(data[slice(*part.length)], "little" if part.little_endian else "big")
        new = rng.choice((*INTERESTING, old + 1, old - 1, old * 2, old // 2)) & (1 << 8 * width) - 1
        data[slice(*part.length)] = new.to_bytes(width, "little" if part.little_endian else "big")
    elif kind == 1 and part.name[1]:  # another name: that of another part, or a changed one
        named = rng.choice(parts)
        if rng.random() < 0.7 and named.name[1]:
            data[slice(*part.name)] = data[slice(*named.name)]
        else:
            _flip_bits(data, *part.name, rng)
    elif kind == 2:
        del data[part.start : part.end]
    elif kind == 3:
        for _ in range(rng.choice((1, 3, 100))):
            data[part.start : part.start] = content[part.start : part.end]
            if len(data) > 2 * MAX_BYTES:
                break
    elif kind == 4:
        moved = rng.choice(parts)
        data[moved.start : moved.start] = content[part.start : part.end]
    elif kind == 5 and body < part.end:
        data[body : part.end] = bytes(part.end - body)
    elif kind == 6 and (foreign := parts_of(other)):
        taken = rng.choice(foreign)
        data[part.start : part.end] = other[taken.start : taken.end]
    elif body < part.end:
        for _ in range(rng.choice((1, 1, 3))):
            rng.choice((_flip_bits, _write_number))(data, body, min(part.end, body + 100), rng)
    return bytes(data)


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


def mutate(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """Damage a file once to three times; checksums are right again in nine of ten PNG and Ogg files."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        parts = parts_of(content)
        if parts and rng.random() < 0.65:
            content = mutate_parts(content, parts, other, rng)
        elif content:
            content = mutate_bytes(content, other, rng)
    if rng.random() < 0.9:
        content = repair_png(content) if content[:4] == b"\x89PNG" else content
        content = repair_ogg(content) if content[:4] == b"OggS" else content
    return content[: 2 * MAX_BYTES]


def mutations(seeds: Sequence[tuple[str, bytes]], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield `count` damaged files with a name each; file k is the same for any count.

    Args:
        seeds: (name, content) of intact files.
        count: How many damaged files.
        seed: Of the random numbers.
    """
    for index in range(count):
        rng = random.Random(f"{seed}/{index}")
        name, content = seeds[index % len(seeds)]
        other = rng.choice(seeds)[1]
        stem, dot, suffix = name.rpartition(".")
        yield f"{index:05d}_{stem}{dot}{suffix}", mutate(content[:MAX_BYTES], other[:MAX_BYTES], rng)

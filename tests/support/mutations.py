"""Damage media files at random, by bytes and by the parts of their format, always in the same way for one seed."""

import random
from collections.abc import Iterator, Sequence

from tests.support.file_parts import Part, parts_of, repair_ogg, repair_png

MAX_BYTES = 150_000  # of a file before it is damaged; longer ones are cut
INTERESTING = (0, 1, 2, 3, 7, 8, 15, 16, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000)
INTERESTING += (0xFFFFFFFF, 0xFFFFFFFE, 0x100000000, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)


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


def _change_length(data: bytearray, part: Part, rng: random.Random) -> None:
    order = "little" if part.little_endian else "big"
    width = part.length[1] - part.length[0]
    old = int.from_bytes(data[slice(*part.length)], order)
    new = rng.choice((*INTERESTING, old + 1, old - 1, old * 2, old // 2)) & (1 << 8 * width) - 1
    data[slice(*part.length)] = new.to_bytes(width, order)


def _change_name(data: bytearray, part: Part, other: Part, rng: random.Random) -> None:
    """Change bits of the name of a part, or give it that of another."""
    if rng.random() < 0.7 and other.name[1]:
        data[slice(*part.name)] = data[slice(*other.name)]
    else:
        _flip_bits(data, *part.name, rng)


def _change_body(data: bytearray, start: int, end: int, rng: random.Random) -> None:
    if rng.random() < 0.2:
        data[start:end] = bytes(end - start)
        return
    for _ in range(rng.choice((1, 1, 3))):
        rng.choice((_flip_bits, _write_number))(data, start, min(end, start + 100), rng)


def mutate_parts(content: bytes, parts: Sequence[Part], other: bytes, rng: random.Random) -> bytes:
    """Damage one part of a file, or remove, repeat, move or replace it; `other` is where a part may come from."""
    data, part, second = bytearray(content), rng.choice(parts), rng.choice(parts)
    body = max(part.length[1], part.name[1], part.start)
    whole = content[part.start : part.end]
    kind = rng.choice(("length", "name", "remove", "repeat", "move", "replace", "body", "body", "body"))
    if kind == "length" and part.length[1]:
        _change_length(data, part, rng)
    elif kind == "name" and part.name[1]:
        _change_name(data, part, second, rng)
    elif kind == "repeat":
        data[part.start : part.start] = whole * min(rng.choice((1, 3, 100)), MAX_BYTES // max(len(whole), 1) + 1)
    elif kind == "move":
        data[second.start : second.start] = whole
    elif kind == "replace" and (foreign := parts_of(other)):
        taken = rng.choice(foreign)
        data[part.start : part.end] = other[taken.start : taken.end]
    elif kind == "body" and body < part.end:
        _change_body(data, body, part.end, rng)
    else:
        del data[part.start : part.end]
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

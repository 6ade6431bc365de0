"""Write small files that ask for much work, memory or output, or whose numbers are absurd."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from tests.support.file_parts import mp4_parts
from tests.support.media_files import Writer, plain_frame, tone_samples, write_photograph
from tests.support.rare_media import after_header, png_chunk
from tests.support.side_data import _box, ebml, matroska, png_with_profile


def _gif(size: tuple[int, int], frames: int, delay: int) -> bytes:
    """Return a GIF with a screen of `size` and frames of 1 x 1 pixel, each shown for `delay` hundredths of a second."""
    head = b"GIF89a" + struct.pack("<HHBBB", *size, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"!\xf9\4\4" + struct.pack("<H", delay) + b"\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    return head + frame * frames + b";"


def _png(width: int, height: int, *chunks: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    row = zlib.compress((b"\0" + bytes((width + 7) // 8)) * min(height, 2 * 10**8 // ((width + 7) // 8)), 9)
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + png_chunk(b"IDAT", row) + png_chunk(b"IEND", b"")


def _zip_bomb(n_bytes: int) -> bytes:
    deflate, block = zlib.compressobj(9), bytes(2**20)
    return b"".join([deflate.compress(block) for _ in range(n_bytes >> 20)]) + deflate.flush()


def _wav(rate: int, n_samples: int, channels: int = 1, bits: int = 8) -> bytes:
    n_bytes = n_samples * channels * bits // 8
    form = struct.pack(
        "<HHIIHH", 1, channels, rate, rate * channels * bits // 8 & 0xFFFFFFFF, channels * bits // 8, bits
    )
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", n_bytes) + b"\x80" * n_bytes
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _mkv_times(times: list[int], scale: int = 1000000) -> bytes:
    """Return a Matroska file of PNG frames at `times`, in units of `scale` nanoseconds; a cluster each."""
    content = matroska([])
    cluster = content.index(b"\x1f\x43\xb6\x75")
    clusters = [
        ebml(0x1F43B675, ebml(0xE7, time.to_bytes(8, "big")), ebml(0xA3, b"\x81\0\0\x80" + png_with_profile()))
        for time in times
    ]
    segment = content.index(b"\x18\x53\x80\x67")
    body = content[segment + 12 : cluster].replace((1000000).to_bytes(4, "big"), scale.to_bytes(4, "big"), 1)
    return content[:segment] + ebml(0x18538067, body, *clusters)


def _mp4(path: Path) -> bytes:
    times = [k / 5 for k in range(10)]
    video = Writer(path).video([plain_frame(k // 5) for k in range(10)], times, fps=5)
    return video.audio(tone_samples(2.0)).save().read_bytes()


def _set(content: bytes, box: bytes, at: int, value: bytes, which: int = 0) -> bytes:
    """Return an mp4 in which `value` is written `at` bytes after the name of the box."""
    found = [part for part in mp4_parts(content) if content[part.start + 4 : part.start + 8] == box][which]
    start = found.start + 8 + at
    return content[:start] + value + content[start + len(value) :]


def _many_tracks(path: Path, count: int) -> bytes:
    content = _mp4(path)
    moov = next(p for p in mp4_parts(content) if content[p.start + 4 : p.start + 8] == b"moov")
    track = next(p for p in mp4_parts(content) if content[p.start + 4 : p.start + 8] == b"trak")
    one = content[track.start : track.end]
    return content[: moov.start] + _box(b"moov", content[moov.start + 8 : moov.end], one * count)


def _nested_boxes(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = _box(b"moov", _box(b"trak", content))
        if len(content) > 200_000:
            break
    return _box(b"ftyp", b"isom\0\0\0\0isom") + content


def _huge_sample_table(path: Path, count: int) -> bytes:
    content = _mp4(path)
    content = _set(content, b"stsz", 4, struct.pack(">II", 1, count), 0)
    content = _set(content, b"stts", 4, struct.pack(">III", 1, count, 1), 0)
    return _set(content, b"stsc", 4, struct.pack(">IIII", 1, 1, count, 1), 0)


def _tta(rate: int, n_samples: int) -> bytes:
    header = b"TTA1" + struct.pack("<HHHII", 1, 1, 16, rate, n_samples)
    return header + struct.pack("<I", zlib.crc32(header)) + bytes(2000)


def _exif_loop(path: Path) -> bytes:
    """Return a JPEG whose EXIF directories refer to themselves and to each other."""
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, 8) for tag in (0x8769, 0x8825, 0xA005) * 20)
    exif = b"Exif\0\0" + b"II*\0\x08\0\0\0" + struct.pack("<H", 60) + entries + struct.pack("<I", 8)
    content = write_photograph(path, plain_frame(1)).read_bytes()
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + content[2:]


def _caf(n_packets: int) -> bytes:
    """Return a CAF file whose table claims many packets."""
    chunks = {
        b"desc": struct.pack(">d4sIIIII", 16000.0, b"ima4", 0, 34, 64, 1, 0),
        b"pakt": struct.pack(">qqii", n_packets, n_packets * 64, 0, 0) + bytes(100),
        b"data": bytes(4 + 34 * 9),
    }
    return b"caff\0\1\0\0" + b"".join(name + struct.pack(">q", len(body)) + body for name, body in chunks.items())


def _far_audio(path: Path) -> bytes:
    """Return audio at 0 s and video at 20 h."""
    frames, times = [plain_frame(0)] * 5, [72000 + k / 5 for k in range(5)]
    return Writer(path).audio(tone_samples(2.0)).video(frames, times, fps=5).save().read_bytes()


# Several seconds each, and gigabytes of memory in the process that decodes them.
SLOW = frozenset({"many_large.gif", "text_bomb.png", "text_bombs.png", "profile_bomb.png", "one_day.mkv"})
FILES: dict[str, Callable[[Path], bytes]] = {
    "one_day.gif": lambda _: _gif((64, 48), 146, 59000),
    "large_screen.gif": lambda _: _gif((65535, 65535), 3, 100),
    "many_large.gif": lambda _: _gif((11000, 11000), 12, 100),
    "one_day.mkv": lambda _: _mkv_times([590_000 * k for k in range(146)]),
    "centuries.mkv": lambda _: _mkv_times([2**60 * k for k in range(5)]),
    "frame_per_day.mkv": lambda _: _mkv_times([86_400_000 * k for k in range(20)]),
    "huge_scale.mkv": lambda _: _mkv_times(list(range(20)), 2**32 - 1),
    "one_hertz.wav": lambda _: _wav(1, 80_000),
    "hundred_hertz.wav": lambda _: _wav(100, 100_000),
    "two_gigahertz.wav": lambda _: _wav(2**31 - 1, 100_000),
    "gigahertz.wav": lambda _: _wav(999_999_937, 100_000),
    "many_channels.wav": lambda _: _wav(16000, 100, 1000, 8),
    "no_rate.wav": lambda _: _wav(0, 1000),
    "large.png": lambda _: _png(65535, 65535),
    "allowed_large.png": lambda _: _png(11500, 11500),
    "text_bomb.png": lambda _: after_header(_png(8, 8), png_chunk(b"zTXt", b"a\0\0" + _zip_bomb(2**31))),
    "text_bombs.png": lambda _: after_header(_png(8, 8), *[png_chunk(b"zTXt", b"a\0\0" + _zip_bomb(2**28))] * 40),
    "profile_bomb.png": lambda _: after_header(_png(8, 8), png_chunk(b"iCCP", b"a\0\0" + _zip_bomb(2**31))),
    "many_tracks.mp4": lambda path: _many_tracks(path, 900),
    "very_many_tracks.mp4": lambda path: _many_tracks(path, 10_000),
    "nested.mp4": lambda _: _nested_boxes(10_000),
    "huge_table.mp4": lambda path: _huge_sample_table(path, 2**31 - 1),
    "million_table.mp4": lambda path: _huge_sample_table(path, 3_000_000),
    "far_video.mkv": _far_audio,
    "far_video.mp4": _far_audio,
    "huge.tta": lambda _: _tta(100, 2**32 - 1),
    "exif_loop.jpg": _exif_loop,
    "packets.caf": lambda _: _caf(2**40),
}

"""Change the timestamps in the packets of a transport stream (ISO/IEC 13818-1, 2.4.3)."""

from collections.abc import Iterator
from pathlib import Path

PACKET, SYNC = 188, 0x47
CLOCK = 90000  # Hz
VIDEO_PID, AUDIO_PID = 0x100, 0x101  # in files of ffmpeg


def _pes_headers(content: bytes, pid: int) -> Iterator[int]:
    """Yield the position of each header of a packetized elementary stream: of a frame or a block of audio."""
    for start in range(0, len(content), PACKET):
        assert content[start] == SYNC
        begins, found = content[start + 1] & 0x40, (content[start + 1] & 0x1F) << 8 | content[start + 2]
        if begins and found == pid:
            adaptation = content[start + 4] + 1 if content[start + 3] & 0x20 else 0
            yield start + 4 + adaptation


def _add(content: bytearray, position: int, ticks: int) -> None:
    """Add to the timestamp of 33 bits in five bytes."""
    field = content[position : position + 5]
    value = (field[0] >> 1 & 7) << 30 | field[1] << 22 | (field[2] >> 1) << 15 | field[3] << 7 | field[4] >> 1
    value = (value + ticks) % 2**33
    content[position] = field[0] & 0xF1 | (value >> 30 & 7) << 1
    content[position + 1] = value >> 22 & 255
    content[position + 2] = (value >> 15 & 127) << 1 | 1
    content[position + 3] = value >> 7 & 255
    content[position + 4] = (value & 127) << 1 | 1


def shift(path: Path, seconds: float, packets: slice, pid: int = VIDEO_PID) -> None:
    """Add `seconds` to the timestamps of some packets of a stream, counted in decoding order."""
    content = bytearray(path.read_bytes())
    for position in list(_pes_headers(content, pid))[packets]:
        flags = content[position + 7]
        for number in range((flags >> 7 & 1) + (flags >> 6 & 1)):  # PTS, DTS
            _add(content, position + 9 + 5 * number, round(seconds * CLOCK))
    path.write_bytes(content)


def start_at(path: Path, packet: int, pid: int = VIDEO_PID) -> None:
    """Remove all that comes before the n-th packet of a stream, but not the tables at the beginning."""
    content = path.read_bytes()
    start = list(_pes_headers(content, pid))[packet] // PACKET * PACKET
    tables = next(_pes_headers(content, pid)) // PACKET * PACKET
    path.write_bytes(content[:tables] + content[start:])

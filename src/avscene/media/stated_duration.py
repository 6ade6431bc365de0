"""Read the duration that the header of a media file states, where it can be trusted."""

import re
from collections.abc import Collection
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream

# Formats whose duration is in a header. ffmpeg estimates that of others from the bit rate or from the last bytes, so it
# is that of what is there.
CONTAINER_FORMATS = frozenset({"matroska", "flv"})
STREAM_FORMATS = frozenset({"mov", "aiff", "au", "flac", "mp3", "tta", "wv"})
FRAME_COUNT_FORMATS = frozenset({"avi", "caf"})  # ffmpeg cuts their durations to the size of the file
WAV_FORMATS = frozenset({"wav", "w64"})  # state the size of their data
FORMATS = CONTAINER_FORMATS | STREAM_FORMATS | FRAME_COUNT_FORMATS | WAV_FORMATS
# What the header holds if it states a duration; without it, ffmpeg estimates one.
MARKS = {
    "mp3": rb"Xing|Info|VBRI",
    "flv": rb"duration\0",
    "matroska": rb"\x44\x89[\x84\x88]",
    "au": rb"(?s)\.snd.{4}(?!\xff{4})",
}
HEAD_BYTES = 2**16
W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
UNKNOWN_SIZE = 0x7FFFF000  # or more is written while the size is not known yet

MIN_MISSING = 0.5  # seconds; encoders add a part of a second, and containers round
MIN_MISSING_PART = 0.01  # of the stated duration; headers of variable frame rates are that inaccurate


def stated_end(container: InputContainer, streams: Collection[Stream], path: Path) -> float | None:
    """Return the time in seconds at which the longest of `streams` ends by the header of the file.

    Time 0 is that of the earliest stream. None if the header does not state a duration, or one of other streams too.
    """
    name = container.format.name.split(",")[0]
    if name not in FORMATS:
        return None
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if name == "mp3" and head[:3] == b"ID3":  # ID3v2, 3.1: a size of four times seven bits, without its header
            a, b, c, d = head[6:10]
            file.seek(10 + (a << 21 | b << 14 | c << 7 | d))
            head = file.read(2**12)
    if name in MARKS and not re.search(MARKS[name], head):
        return None
    if name in WAV_FORMATS:
        return _wav_duration(head, streams)
    if name in FRAME_COUNT_FORMATS:
        counted = [stream for stream in streams if stream.type == "video" or len(streams) == 1]
        ends = [Fraction(stream.frames) * (stream.time_base or 0) for stream in counted]
    elif name in STREAM_FORMATS:
        ends = [(stream.duration or 0) * (stream.time_base or Fraction(0)) for stream in streams]
    else:
        return _container_end(container, streams)
    return float(max(ends, default=Fraction(0))) or None


def _container_end(container: InputContainer, streams: Collection[Stream]) -> float | None:
    """Return the end that is stated of these streams, or of all if there are no others.

    FLV has one stream of each kind; a file that ends early may seem to have more.
    """
    start = max(container.start_time or 0, 0) / av.time_base
    tags = [_seconds(stream.metadata.get("DURATION", "")) for stream in streams]
    if all(tags):
        return max(tag or 0.0 for tag in tags) - start
    has_others = len(streams) < len(container.streams) and container.format.name != "flv"
    if has_others or not container.duration:
        return None
    return container.duration / av.time_base - start


def _seconds(tag: str) -> float | None:
    """Return the seconds of a tag such as 00:00:08.064000000, as Matroska's muxers write it for each stream."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", tag)
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) if match else None


def _wav_duration(head: bytes, streams: Collection[Stream]) -> float | None:
    """Return the duration by the size of the data chunk; ffmpeg's is cut to the size of the file."""
    form = re.search(rb"fmt (?:.{4}|.{20}).{4}.{4}", head, re.DOTALL)
    if form is None:
        return None
    is_w64 = head[:4] == b"riff"
    begin = form.start() + (24 if is_w64 else 8)
    bytes_per_second = int.from_bytes(head[begin + 8 : begin + 12], "little")
    if is_w64:
        data = head.find(W64_DATA)
        size = int.from_bytes(head[data + 16 : data + 24], "little") - 24
    else:
        data = head.find(b"data", begin)
        size = int.from_bytes(head[data + 4 : data + 8], "little")
        large = head.find(b"ds64")
        if head[:4] == b"RF64" and large >= 0:  # EBU Tech 3306: the sizes of the file and of the data, 64 bits each
            size = int.from_bytes(head[large + 16 : large + 24], "little")
        elif size >= UNKNOWN_SIZE:
            return None
    if data < 0 or size <= 0 or not bytes_per_second or not streams:
        return None
    return size / bytes_per_second


def missing_end(end: float, stated: float | None) -> str | None:
    """Return a warning if a file of which `end` seconds were decoded lacks a part of the `stated` seconds."""
    if stated is None or stated - end <= max(MIN_MISSING, MIN_MISSING_PART * stated):
        return None
    return f"ends at {end:.1f} s of the {stated:.1f} s its header states"

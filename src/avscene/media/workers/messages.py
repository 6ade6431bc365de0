"""Write and read the messages between a worker process and its parent: a JSON header and raw bytes, in a pipe.

A worker decodes untrusted files and may write anything, so the parent checks every size, and nothing is unpickled.
"""

import json
import os
import select
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from avscene.records import FloatArray, Frame, Segment

MAGIC = b"avs1"
PREFIX = struct.Struct("<4sIQ")  # magic, bytes of the header, bytes of the payload
MAX_HEADER = 2**24  # bytes
MAX_PAYLOAD = 2**31  # bytes; a segment of the largest frames is smaller
CHANNELS = 3


class DamagedMessageError(Exception):
    """What a worker wrote is not a message."""


class StalledError(Exception):
    """A worker wrote nothing for too long."""


Message = dict[str, Any]


def write_message(descriptor: int, header: Message, arrays: Sequence[npt.NDArray[Any]] = ()) -> None:
    """Write a header and the bytes of arrays.

    Raises:
        OSError: the reader has ended.
    """
    content = json.dumps(header).encode()
    _write_all(descriptor, PREFIX.pack(MAGIC, len(content), sum(array.nbytes for array in arrays)) + content)
    for array in arrays:
        _write_all(descriptor, np.ascontiguousarray(array).data.cast("B"))


def _write_all(descriptor: int, content: bytes | memoryview) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


class MessageReader:
    """Reads messages from a pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._readable = select.poll()
        self._readable.register(descriptor, select.POLLIN)

    def read(self, timeout: float) -> tuple[Message, bytearray]:
        """Return the header and the payload of the next message.

        Raises:
            DamagedMessageError: what was read is not a message.
            EOFError: the writer has ended.
            StalledError: nothing was written for `timeout` seconds.
        """
        magic, n_header, n_payload = PREFIX.unpack(self._exactly(PREFIX.size, timeout))
        if magic != MAGIC or n_header > MAX_HEADER or n_payload > MAX_PAYLOAD:
            raise DamagedMessageError
        try:
            header = json.loads(self._exactly(n_header, timeout))
        except ValueError as error:
            raise DamagedMessageError from error
        if not isinstance(header, dict):
            raise DamagedMessageError
        return header, self._exactly(n_payload, timeout)

    def _exactly(self, n_bytes: int, timeout: float) -> bytearray:
        content = bytearray(n_bytes)
        rest = memoryview(content)
        while rest:
            if not self._readable.poll(timeout * 1000):
                raise StalledError
            n_read = os.readv(self._descriptor, [rest])
            if not n_read:
                raise EOFError
            rest = rest[n_read:]
        return content


class SegmentPacker:
    """Turns the segments of one recording into messages; a frame that segments share is written once."""

    def __init__(self) -> None:
        self._n_frames = 0
        self._numbered: dict[int, tuple[int, Frame]] = {}  # of the last segment with frames, by identity

    def pack(self, segment: Segment) -> tuple[Message, list[npt.NDArray[Any]]]:
        """Return the header and the arrays of a segment's message."""
        frames, arrays, before = [], [], self._numbered
        if segment.frames:
            self._numbered = {}
        for frame in segment.frames:
            number = before.get(id(frame), self._numbered.get(id(frame), (self._n_frames,)))[0]
            if number == self._n_frames:
                self._n_frames += 1
                arrays.append(frame.pixels)
            self._numbered[id(frame)] = number, frame
            frames.append([number, frame.time, *frame.pixels.shape[:2]])
        header = {
            "type": "segment",
            "start": segment.start,
            "end": segment.end,
            "padded": segment.padded,
            "frames": frames,
            "samples": None if segment.waveform is None else len(segment.waveform),
        }
        return header, arrays if segment.waveform is None else [*arrays, segment.waveform]


class SegmentUnpacker:
    """Turns the messages of one recording into segments."""

    def __init__(self) -> None:
        self._frames: dict[int, Frame] = {}  # of the last segment with frames, by number

    def unpack(self, header: Message, payload: bytearray) -> Segment:
        """Return the segment of a message.

        Raises:
            DamagedMessageError: the message does not hold a segment.
        """
        try:
            return self._segment(header, payload)
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedMessageError from error

    def _segment(self, header: Message, payload: bytearray) -> Segment:
        frames: dict[int, Frame] = {}
        position = 0
        for number, time_, height, width in header["frames"]:
            frame = frames.get(number) or self._frames.get(number)
            if frame is None:
                pixels = np.frombuffer(payload, np.uint8, height * width * CHANNELS, position)
                frame = Frame(float(time_), pixels.reshape(height, width, CHANNELS))
                position += pixels.nbytes
            frames[number] = frame
        waveform: FloatArray | None = None
        if header["samples"] is not None:
            waveform = np.frombuffer(payload, np.float32, header["samples"], position)
            position += waveform.nbytes
        if position != len(payload):
            raise DamagedMessageError
        if frames:
            self._frames = frames
        shown = tuple(frames[number] for number, *_ in header["frames"])
        return Segment(float(header["start"]), float(header["end"]), shown, waveform, bool(header["padded"]))

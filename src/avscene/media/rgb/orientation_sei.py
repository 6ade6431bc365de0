"""Extend the display orientation of an H.264 stream to the frames that do not carry it themselves."""

from typing import Any, Literal, NamedTuple

import av
import numpy as np
import numpy.typing as npt

from avscene.media.packets.bitstream import IDR_TYPES, SLICE_TYPES, nal_length_size, nal_units, sei_messages
from avscene.media.rgb.orientation import DisplayMatrixReader

CODEC = "h264"
SEI_TYPE = 6  # of NAL units: H.264, table 7-1
DISPLAY_ORIENTATION = 47  # type of SEI message: H.264, D.1.1
HEAD_BYTES = 2**12  # of a packet, in which messages before the first slice are looked for


class _Note(NamedTuple):
    """Whether a coded video sequence begins with a packet, and what its message asks for, if it has one."""

    starts_sequence: bool
    message: Literal["cancelled", "this frame", "persistent"] | None


class PersistentOrientation:
    """Attach the display matrix of an earlier frame to the frames for which it still counts.

    A display-orientation message counts in output order until the next one or until a new coded video sequence begins,
    unless its repetition period is 0 (H.264, D.2.27). FFmpeg's decoder of H.264 gives it to its own frame only; that of
    HEVC extends it itself. Notes on packets reach their frames as PyAV's `opaque`, which afterwards holds the matrix.

    Args:
        context: The decoder, not yet opened; of codecs other than H.264, nothing is noted.
    """

    def __init__(self, context: Any) -> None:
        self._is_h264 = context.name == CODEC
        if self._is_h264:
            context.copy_opaque = True
        self._length_size = nal_length_size(CODEC, context.extradata or b"")
        self._reader = DisplayMatrixReader()
        self._found = False
        self._matrix: npt.NDArray[np.int32] | None = None

    def note(self, packet: Any) -> None:
        """Look for a message in a packet that will be decoded; None is the end of the stream."""
        if not self._is_h264 or packet is None:
            return
        content = memoryview(packet)
        size = self._length_size
        first_type = content[size] & 31 if size and len(content) > size else None
        if first_type in SLICE_TYPES[CODEC] and first_type not in IDR_TYPES[CODEC]:
            return  # most packets of mp4: nothing precedes the slice
        note = self._read(bytes(content[:HEAD_BYTES]))
        self._found = self._found or note.message is not None
        if self._found and (note.message or note.starts_sequence):
            packet.opaque = note

    def attach(self, frame: av.VideoFrame) -> None:
        """Take the next frame in output order; set its `opaque` to the matrix (2, 2) that still counts, or None."""
        if not self._found:
            return
        note: Any = frame.opaque
        if note is not None:
            if note.starts_sequence or note.message:
                self._matrix = None
            if note.message == "persistent":
                self._matrix = self._reader.read(frame)
        # PyAV drops the object with the first frame that has it.
        frame.opaque = None if self._matrix is None else self._matrix.copy()

    def _read(self, head: bytes) -> _Note:
        message: Literal["cancelled", "this frame", "persistent"] | None = None
        for unit in nal_units(head, self._length_size):
            unit_type = unit[0] & 31
            if unit_type == SEI_TYPE:
                payloads = dict(sei_messages(unit[1:]))
                payload = payloads.get(DISPLAY_ORIENTATION, b"")
                if payload[:1] and payload[0] & 0x80:
                    message = "cancelled"
                elif len(payload) > 2:  # bit 19, after flips and angle: a period of 0 is written as 1
                    message = "this frame" if payload[2] & 0x10 else "persistent"
            elif unit_type in SLICE_TYPES[CODEC]:
                return _Note(unit_type in IDR_TYPES[CODEC], message)
        return _Note(False, message)

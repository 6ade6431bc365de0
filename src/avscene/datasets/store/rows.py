"""Decode a recording into rows of a segment store, kept in an Arrow file until all of them are decoded."""

import io
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from avscene.datasets.store.manifest import StoreSpec
from avscene.media.workers import IsolatedRecording
from avscene.records import ByteArray, Example, FloatArray, Modality, Segment

SAMPLE = np.dtype("<f4")  # of a waveform
_PCM, _PCM_SCALE = np.dtype("<i2"), 32_768  # 16-bit samples, in stores of EARLIER_FORMAT
ROWS_IN_MEMORY = 16  # of one recording, however long it is
# Compression does not shrink images, audio only by a tenth, and reading compressed audio takes three times as long.
_UNCOMPRESSED = {"lance-encoding:compression": "none"}
# A row is a segment. The columns of a missing modality are null. `sha256` is that of the recording's files.
SCHEMA = pa.schema(
    [
        pa.field("recording", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("start", pa.float64(), nullable=False),
        pa.field("end", pa.float64(), nullable=False),
        pa.field("padded", pa.bool_(), nullable=False),
        pa.field("frames", pa.list_(pa.field("item", pa.binary(), metadata=_UNCOMPRESSED))),
        pa.field("frame_times", pa.list_(pa.float64())),
        pa.field("sound", pa.binary(), metadata=_UNCOMPRESSED),
    ]
)


class DecodingCancelled(Exception):  # noqa: N818  # not an error: the caller asked for it
    """Decoding was cancelled."""


def decode_to_file(
    example: Example, sha256: str, spec: StoreSpec, path: Path, cancelled: Callable[[], bool]
) -> tuple[int, list[str]]:
    """Decode a recording into the Arrow file `path`.

    Returns:
        The number of rows, and warnings for the user.

    Raises:
        MediaError: the recording cannot be decoded.
        OSError: the file cannot be written.
        DecodingCancelled: `cancelled` returned true.
    """
    rows, without_audio, without_video = 0, 0, 0
    with (
        IsolatedRecording(example.path, example.audio) as recording,
        pa.OSFile(str(path), "wb") as file,
        pa.ipc.new_stream(file, SCHEMA) as writer,
    ):
        for batch in _batches(recording.segments(spec.sampling())):
            if cancelled():
                raise DecodingCancelled
            records = [_row(example.name, sha256, segment) for segment in batch]
            writer.write_batch(pa.RecordBatch.from_pylist(records, schema=SCHEMA))
            rows += len(batch)
            without_audio += sum(not segment.has("audio") for segment in batch)
            without_video += sum(not segment.has("video") for segment in batch)
        warnings = [
            *recording.warnings,
            *_missing("audio", without_audio, rows),
            *_missing("video", without_video, rows),
        ]
    return rows, [f"{example.path}: {warning}" for warning in warnings]


def read_decoded(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows in a file of `decode_to_file`, a few at a time."""
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
        yield from reader


def _batches(segments: Iterator[Segment]) -> Iterator[list[Segment]]:
    while batch := list(islice(segments, ROWS_IN_MEMORY)):
        yield batch


def _missing(modality: Modality, without: int, rows: int) -> list[str]:
    if not without:
        return []
    return [f"has no {modality}" + ("" if without == rows else f" in {without} of {rows} segments")]


def _row(name: str, sha256: str, segment: Segment) -> dict[str, Any]:
    frames = segment.frames or None
    return {
        "recording": name,
        "sha256": sha256,
        "start": segment.start,
        "end": segment.end,
        "padded": segment.padded,
        "frames": None if frames is None else [encode_frame(frame.pixels) for frame in frames],
        "frame_times": None if frames is None else [frame.time for frame in frames],
        "sound": None if segment.waveform is None else segment.waveform.astype(SAMPLE).tobytes(),
    }


def encode_frame(pixels: ByteArray) -> bytes:
    """Encode `pixels` (h, w, 3) as WebP without loss, by its fastest method: about twice the bytes of a JPEG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", lossless=True, method=0, quality=0)
    return file.getvalue()


def decode_frame(content: bytes) -> ByteArray:
    """Decode a stored frame to pixels (h, w, 3).

    Raises:
        OSError: it is neither WebP nor JPEG, as stores of EARLIER_FORMAT have.
    """
    with Image.open(io.BytesIO(content), formats=("WEBP", "JPEG")) as image:
        return np.array(image.convert("RGB"))


def decode_waveform(content: bytes, spec: StoreSpec) -> FloatArray:
    """Return the stored waveform (n,), float32 in [-1, 1]."""
    if spec.jpeg_quality is None:
        return np.frombuffer(content, SAMPLE)
    return np.frombuffer(content, _PCM).astype(np.float32) / np.float32(_PCM_SCALE)

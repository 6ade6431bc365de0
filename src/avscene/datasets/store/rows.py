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

PCM_SCALE = 32_768  # of 16-bit samples
PCM = np.dtype("<i2")
ROWS_IN_MEMORY = 16  # of one recording, however long it is
# Compression does not shrink JPEGs, audio only by a tenth, and reading compressed audio takes three times as long.
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
            records = [_row(example.name, sha256, segment, spec.jpeg_quality) for segment in batch]
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


def _row(name: str, sha256: str, segment: Segment, quality: int) -> dict[str, Any]:
    frames = segment.frames or None
    return {
        "recording": name,
        "sha256": sha256,
        "start": segment.start,
        "end": segment.end,
        "padded": segment.padded,
        "frames": None if frames is None else [to_jpeg(frame.pixels, quality) for frame in frames],
        "frame_times": None if frames is None else [frame.time for frame in frames],
        "sound": None if segment.waveform is None else to_pcm(segment.waveform).tobytes(),
    }


def to_jpeg(pixels: ByteArray, quality: int) -> bytes:
    """Encode `pixels` (h, w, 3) as JPEG, with colour at full resolution: the frame was scaled down already."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling="4:4:4")
    return file.getvalue()


def from_jpeg(content: bytes) -> ByteArray:
    """Decode a JPEG to pixels (h, w, 3).

    Raises:
        OSError: it is not a JPEG.
    """
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
        return np.array(image.convert("RGB"))


def to_pcm(waveform: FloatArray) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Convert a waveform (n,) in [-1, 1] to 16-bit samples (n,); the error is at most 1 / 32768."""
    return np.clip(np.rint(waveform * PCM_SCALE), -PCM_SCALE, PCM_SCALE - 1).astype(PCM)


def from_pcm(samples: np.ndarray[Any, np.dtype[np.int16]]) -> FloatArray:
    """Convert 16-bit samples to a float32 waveform (n,) in [-1, 1)."""
    return samples.astype(np.float32) / np.float32(PCM_SCALE)

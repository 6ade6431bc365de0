"""A recording -> rows of a segment store, in a file of its own until they are all there."""

import io
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from avscene.datasets.store.manifest import StoreSpec
from avscene.media.segments import Recording
from avscene.records import ByteArray, Example, FloatArray, Segment

PCM_SCALE = 32_768  # of 16-bit samples
PCM = np.dtype("<i2")
ROWS_AT_A_TIME = 16  # kept in memory of a recording, however long it is
# JPEGs do not shrink, sound by a tenth; reading compressed sound takes three times as long.
_AS_IT_IS = {"lance-encoding:compression": "none"}
# A row is a segment. Of a missing modality all columns are null. `sha256` is that of the recording's files.
SCHEMA = pa.schema(
    [
        pa.field("recording", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("start", pa.float64(), nullable=False),
        pa.field("end", pa.float64(), nullable=False),
        pa.field("padded", pa.bool_(), nullable=False),
        pa.field("frames", pa.list_(pa.field("item", pa.binary(), metadata=_AS_IT_IS))),
        pa.field("frame_times", pa.list_(pa.float64())),
        pa.field("sound", pa.binary(), metadata=_AS_IT_IS),
    ]
)


class Stopped(Exception):  # noqa: N818  # not an error: the caller asked for it
    """Decoding was called off."""


def spool(
    example: Example, sha256: str, spec: StoreSpec, path: Path, called_off: Callable[[], bool]
) -> tuple[int, list[str]]:
    """Decode a recording into the Arrow file `path`; the number of its rows and what the user should know of it.

    Raises:
        MediaError: it cannot be decoded. OSError: the file cannot be written.
        Stopped: `called_off` became true.
    """
    rows, silent, blind = 0, 0, 0
    with (
        Recording(example.path, example.audio) as recording,
        pa.OSFile(str(path), "wb") as file,
        pa.ipc.new_stream(file, SCHEMA) as writer,
    ):
        for batch in _batches(recording.segments(spec.sampling())):
            if called_off():
                raise Stopped
            records = [_row(example.name, sha256, segment, spec.jpeg_quality) for segment in batch]
            writer.write_batch(pa.RecordBatch.from_pylist(records, schema=SCHEMA))
            rows += len(batch)
            silent += sum(not segment.has("audio") for segment in batch)
            blind += sum(not segment.has("video") for segment in batch)
        notes = [*recording.warnings, *_lacks("sound", silent, rows), *_lacks("picture", blind, rows)]
    return rows, [f"{example.path}: {note}" for note in notes]


def spooled(path: Path) -> Iterator[pa.RecordBatch]:
    """The rows in a file of `spool`, a few at a time."""
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
        yield from reader


def _batches(segments: Iterator[Segment]) -> Iterator[list[Segment]]:
    while batch := list(islice(segments, ROWS_AT_A_TIME)):
        yield batch


def _lacks(what: str, lacking: int, rows: int) -> list[str]:
    if not lacking:
        return []
    return [f"has no {what}" + ("" if lacking == rows else f" in {lacking} of {rows} segments")]


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
    """A JPEG of `pixels` (h, w, 3). Colour is not halved: the frame was scaled down, so it is as sharp as the grey."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling="4:4:4")
    return file.getvalue()


def from_jpeg(content: bytes) -> ByteArray:
    """Pixels (h, w, 3) of a JPEG.

    Raises:
        OSError: it is none.
    """
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
        return np.array(image.convert("RGB"))


def to_pcm(waveform: FloatArray) -> np.ndarray[Any, np.dtype[np.int16]]:
    """16-bit samples (n,) of a waveform (n,) in [-1, 1], off by at most 1 / 32768."""
    return np.clip(np.rint(waveform * PCM_SCALE), -PCM_SCALE, PCM_SCALE - 1).astype(PCM)


def from_pcm(samples: np.ndarray[Any, np.dtype[np.int16]]) -> FloatArray:
    """float32 waveform (n,) in [-1, 1) of 16-bit samples."""
    return samples.astype(np.float32) / np.float32(PCM_SCALE)

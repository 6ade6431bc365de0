"""Rows of a segment store as text: read from its Lance table directly, not through the code under test."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import lance
import numpy as np
from PIL import Image

TABLE = "segments.lance"
EMBEDDING = "embedding_"
COMPONENTS = 8  # of an embedding that are written, evenly spaced


def store_summary(directory: Path) -> str:
    """Write a line for each segment, by recording and start, with statistics of all that is stored of it."""
    rows = lance.dataset(directory / TABLE).to_table().to_pylist()
    rows.sort(key=lambda row: (row["recording"], row["start"]))
    earlier = json.loads((directory / "store.json").read_text())["format"] == "avscene-store/1"
    lines = [_statistics(row, sixteen_bit=earlier) for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _statistics(row: dict[str, Any], *, sixteen_bit: bool) -> dict[str, object]:
    found: dict[str, object] = {name: row[name] for name in ("recording", "start", "end", "padded")}
    images = [np.asarray(Image.open(io.BytesIO(content)).convert("RGB")) for content in row["frames"] or ()]
    found["frame_times"] = " ".join(f"{time:.6f}" for time in row["frame_times"] or ())
    found["frame_size"] = "x".join(map(str, images[0].shape)) if images else ""
    found["frame_mean"] = _rounded(np.mean(images)) if images else ""
    found["frame_deviation"] = _rounded(np.std(images)) if images else ""
    sound = row["sound"] or b""
    samples = np.frombuffer(sound, "<i2") / 32768 if sixteen_bit else np.frombuffer(sound, "<f4")
    found["samples"] = len(samples)
    found["audio_level"] = _rounded(np.sqrt(np.mean(samples**2))) if len(samples) else ""
    for name in sorted(name for name in row if name.startswith(EMBEDDING)):
        values = np.asarray(row[name], np.float64)
        indices = np.linspace(0, len(values) - 1, COMPONENTS).astype(int)
        found |= {f"{name}.{index}": _rounded(values[index]) for index in indices}
        found[f"{name}.size"] = len(values)
    return found


def _rounded(value: float) -> str:
    return f"{value:.6g}"


def table_version(directory: Path) -> int:
    """Return the version of the store's table, which grows whenever something is written to it."""
    version: int = lance.dataset(directory / TABLE).version
    return version

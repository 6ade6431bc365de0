"""Copy a data set with other codecs, so that decoding is not exact by construction."""

import csv
from itertools import cycle
from pathlib import Path

from avscene.datasets.dataset import DataSet
from tests.support.ffmpeg_program import ffmpeg

# Options of the ffmpeg program for the audio, and the suffix of a file that can hold it.
CODECS = {
    ".mp4": ["-c:a", "aac", "-b:a", "96k"],
    ".webm": ["-c:a", "libopus", "-b:a", "64k", "-c:v", "libvpx-vp9", "-deadline", "realtime"],
    ".mkv": ["-c:a", "pcm_s24le"],
}


def copy_lossy(data: DataSet, directory: Path) -> Path:
    """Write each recording as one file, with the codecs in turn, and their `meta.csv` with the columns of `data`."""
    directory.mkdir()
    rows = []
    for (suffix, options), example in zip(cycle(CODECS.items()), data.examples, strict=False):
        name = f"{example.path.stem}{suffix}"
        inputs = [part for path in (example.path, example.audio) if path is not None for part in ("-i", path)]
        ffmpeg(*inputs, *options, directory / name)
        rows.append({"path": name, "label": example.label, "group": example.group, **example.columns})
    with (directory / "meta.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return directory

"""Make recordings with every kind of missing modality, and read all that a segment store holds of them."""

import csv
from collections.abc import Sequence
from pathlib import Path

from avscene.datasets.store.manifest import StoreSpec
from avscene.datasets.store.reader import SegmentStore
from tests.support.media_files import RATE, Writer, plain_frame, tone_samples, write_media, write_photograph

SPEC = StoreSpec(sample_rate=RATE, frame_size=48)
# Name, label, group, split; the name describes the recording.
RECORDINGS = (
    ("tram/both.mp4", "tram", "t1", "train"),
    ("tram/uneven.mp4", "tram", "t2", "test"),  # 2.7 s: the last segment is padded
    ("park/without_audio.mp4", "park", "p1", "train"),
    ("park/photo.png", "park", "p2", "test"),
    ("bus/without_video.wav", "bus", "b1", "train"),
    ("bus/short.mp4", "bus", "b2", "test"),  # the audio ends after 1 s, the video after 3 s
)


def write_recording(root: Path, name: str, seconds: float = 3.0) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        return write_photograph(path, plain_frame(1))
    if path.stem == "short":
        frames = [plain_frame(int(k / 5)) for k in range(15)]
        return Writer(path).video(frames, [k / 5 for k in range(15)], fps=5).audio(tone_samples(1.0)).save()
    seconds = 2.7 if path.stem == "uneven" else seconds
    return write_media(path, seconds, fps=10, audio=path.stem != "without_audio")


def write_table(root: Path, rows: Sequence[tuple[str, str, str, str]] = RECORDINGS) -> Path:
    with (root / "meta.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "group", "split"), *rows])
    return root


def all_rows(store: SegmentStore) -> list[tuple[object, ...]]:
    """Return the whole content of every row."""
    found = store.raw(range(len(store)))
    return [
        (
            example,
            row.start,
            row.end,
            row.padded,
            row.frames,
            row.times,
            None if row.waveform is None else bytes(row.waveform),
        )
        for example, row in zip(store.examples, found, strict=True)
    ]


def table_files(directory: Path) -> dict[str, tuple[int, int]]:
    """Return size and modification time of each file of the table."""
    return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in directory.rglob("data/*.lance")}

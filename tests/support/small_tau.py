"""Make a data set of four short recordings in the layout of TAU, as files or as the archives of a download."""

from pathlib import Path

from avscene.datasets.tau.archives import ArchiveKind
from tests.support.archive_server import zipped
from tests.support.media_files import write_media

PREFIX = "TAU-urban-audio-visual-scenes-2021-development"
TRAIN = ("airport-lisbon-1175-44106", "bus-lyon-7-2")
TEST = ("airport-lyon-1200-1", "metro_station-paris-9-4")
NAMES = (*TRAIN, *TEST)
PUBLISHED = {"train": (2, 2), "test": (2, 2)}  # recordings and locations

_COLUMNS = "filename_audio\tfilename_video\tscene_label"


def row(name: str) -> str:
    """Return the line of a recording in a table."""
    return f"audio/{name}.wav\tvideo/{name}.mp4\t{name.split('-', maxsplit=1)[0]}"


def tables(train: tuple[str, ...] = TRAIN, test: tuple[str, ...] = TEST) -> dict[str, bytes]:
    """Return meta.csv and the two lists of the split, by path."""
    lists = {"fold1_train.csv": train, "fold1_evaluate.csv": test}
    text = {f"evaluation_setup/{file}": [_COLUMNS, *map(row, names)] for file, names in lists.items()}
    text["meta.csv"] = [f"{_COLUMNS}\tidentifier", *(f"{row(name)}\tx" for name in (*train, *test))]
    return {name: "".join(f"{line}\n" for line in lines).encode() for name, lines in text.items()}


def media(directory: Path) -> dict[str, bytes]:
    """Make the WAV and mp4 files in `directory`; return their content by path."""
    found: dict[str, bytes] = {}
    for name in NAMES:
        audio, video = directory / f"{name}.wav", directory / f"{name}.mp4"
        write_media(audio, 1.0, video=False)
        write_media(video, 1.0, fps=5, audio=False)
        found |= {f"audio/{name}.wav": audio.read_bytes(), f"video/{name}.mp4": video.read_bytes()}
    return found


def files(directory: Path) -> dict[str, bytes]:
    """Return all files by path; media are made in `directory`."""
    return tables() | media(directory)


def archives(content: dict[str, bytes]) -> dict[str, tuple[ArchiveKind, bytes]]:
    """Pack `content` into archives of each kind, by label; each kind has its own top folder, as published."""
    audio = {name: data for name, data in content.items() if name.startswith("audio/")}
    video = {name: data for name, data in content.items() if name.startswith("video/")}
    text = {name: data for name, data in content.items() if name not in audio | video}
    first, second = dict(list(audio.items())[:2]), dict(list(audio.items())[2:])
    return {
        "doc.zip": ("documentation", zipped({"README.md": b"Small scenes\n"})),
        "meta.zip": ("meta", zipped({f"{PREFIX}.meta/{name}": data for name, data in text.items()})),
        "examples.zip": ("examples", zipped({"examples/one.mp4": next(iter(video.values()))})),
        "audio.1.zip": ("audio", zipped(first)),
        "audio.2.zip": ("audio", zipped(second)),
        "video.1.zip": ("video", zipped({f"{PREFIX}/{name}": data for name, data in video.items()})),
    }


def write(root: Path, content: dict[str, bytes]) -> Path:
    """Write files into `root`."""
    for name, data in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root

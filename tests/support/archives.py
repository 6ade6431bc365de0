"""Make archives of real recordings in random order, some of them damaged, always the same for one seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared"
NOT_MEDIA = {".csv", ".md", ""}
DAMAGED_SHARE = 0.05


@dataclass(frozen=True)
class Archive:
    """A folder of recordings, and a list of their paths in the order of the inputs."""

    list: Path
    paths: Sequence[Path]
    damaged: frozenset[Path]


def real_recordings() -> list[Path]:
    """Return all recordings of the two collections of real media; skip the test without them."""
    folders = [SHARED / "media", SHARED / "everyday"]
    if not all(folder.is_dir() for folder in folders):
        pytest.skip("needs ../shared/media and ../shared/everyday")
    files = sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())
    return [file for file in files if file.suffix.lower() not in NOT_MEDIA]


def _flip_bits(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(1 + len(data) // 200):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(1, len(content))]


def _zeros(content: bytes, rng: random.Random) -> bytes:
    return bytes(rng.choice((0, len(content))))


def _text(content: bytes, rng: random.Random) -> bytes:
    return b"this is no recording\n" * rng.randrange(1, 1 + len(content) // 20)


DAMAGES = (_flip_bits, _cut, _zeros, _text)


def write_archive(folder: Path, recordings: Sequence[Path], seed: int) -> Archive:
    """Copy recordings to `folder` in random order, damage some of them in every way, and list them beside it."""
    rng = random.Random(seed)
    shuffled = rng.sample(recordings, len(recordings))
    chosen = rng.sample(range(len(shuffled)), max(len(DAMAGES), round(DAMAGED_SHARE * len(shuffled))))
    folder.mkdir()
    paths = [folder / f"{number:04}_{file.name}" for number, file in enumerate(shuffled)]
    for path, file in zip(paths, shuffled, strict=True):
        path.write_bytes(file.read_bytes())
    for number, position in enumerate(chosen):
        paths[position].write_bytes(DAMAGES[number % len(DAMAGES)](paths[position].read_bytes(), rng))
    listed = folder.parent / f"{folder.name}.txt"
    listed.write_text("".join(f"{path}\n" for path in paths))
    return Archive(listed, paths, frozenset(paths[position] for position in chosen))

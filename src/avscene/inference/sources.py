"""Define the recordings to read: paths, URLs, bytes in memory and open files."""

import io
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from avscene.arguments import check_type, wrong_argument
from avscene.errors import UsageError
from avscene.storage.contents import Content, Data
from avscene.storage.urls import local_path

MediaInput = str | os.PathLike[str] | bytes | BinaryIO
ACCEPTED = "a path, a URL, bytes, or a file that is open in binary mode"


@dataclass(frozen=True, slots=True)
class Source:
    """A media file and, if the audio is apart, the file with it; each a path or a URL.

    `program` is read of a transport stream; None is that of its best video. URLs must have these `versions`, if any.
    `data` and `audio_data` are the content of a file that is in memory or open; the paths are then only names.
    """

    path: str | Path
    audio: str | Path | None = None
    program: int | None = None
    versions: tuple[str, ...] = ()
    data: Data | None = field(default=None, compare=False, repr=False)
    audio_data: Data | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", local_path(self.path))
        object.__setattr__(self, "audio", None if self.audio is None else local_path(self.audio))

    @classmethod
    def of(cls, recording: object, audio: object = None, program: object = None) -> "Source":
        """Return the source of a recording, as `System.classify` takes it.

        Raises:
            UsageError: an argument is of a wrong type.
        """
        path, data = _located("path", recording)
        audio_path, audio_data = (None, None) if audio is None else _located("audio", audio)
        if program is not None:
            check_type("program", program, int, "the number of a programme")
        return cls(path, audio_path, program, data=data, audio_data=audio_data)  # type: ignore[arg-type]

    @classmethod
    def each_of(cls, recordings: Iterable[object]) -> Iterable["Source"]:
        """Yield the source of each recording; of a pair, the second is the file with the audio.

        Raises:
            UsageError: an item is of a wrong type; raised when it is reached.
        """
        for item in recordings:
            if isinstance(item, Source):
                yield item
            elif isinstance(item, tuple) and len(item) == 2:
                yield cls.of(*item)
            else:
                yield cls.of(item)

    @property
    def files(self) -> tuple[str | Path | Content, str | Path | Content | None]:
        """The media file and the file with the audio, each with its content if that is given."""
        audio = Content(str(self.audio), self.audio_data) if self.audio_data is not None else self.audio
        return (self.path if self.data is None else Content(str(self.path), self.data)), audio


def check_several(recordings: object) -> Iterable[object]:
    """Return the iterable of recordings that was given.

    Raises:
        UsageError: it is a single recording, or not iterable.
    """
    if isinstance(recordings, str | os.PathLike | bytes | bytearray | memoryview) or hasattr(recordings, "read"):
        accepted = "a list or another iterable of recordings"
        raise wrong_argument("recordings", recordings, accepted, "System.classify for a single recording")
    if not isinstance(recordings, Iterable):
        raise wrong_argument("recordings", recordings, f"a list or another iterable; each item {ACCEPTED}")
    return recordings


def _located(name: str, value: object) -> tuple[str | Path, Data | None]:
    """Return the path of a file, or the name of a content and the content.

    Raises:
        UsageError: it is something else.
    """
    if isinstance(value, str) and value:
        return value, None
    if isinstance(value, os.PathLike):
        return Path(os.fsdecode(value)), None
    if isinstance(value, bytes | bytearray | memoryview):
        return "<bytes>", bytes(value)
    if isinstance(value, io.TextIOBase):
        raise UsageError(f"{name} is a file that is open as text; open it in binary mode: open(path, 'rb')")
    if hasattr(value, "read"):
        return _name_of(value), value  # type: ignore[return-value]
    several = isinstance(value, Iterable) and not isinstance(value, str)
    if hasattr(value, "shape"):
        raise wrong_argument(name, value, ACCEPTED, "System.classify_arrays for decoded frames and audio")
    raise wrong_argument(name, value, ACCEPTED, "System.classify_many for several recordings" if several else "")


def _name_of(file: object) -> str:
    """Return the name of an open file; its type in angle brackets if it has none."""
    name = getattr(file, "name", None)
    if isinstance(name, str | bytes) and name:
        return os.fsdecode(name)
    return f"<{type(file).__name__}>"

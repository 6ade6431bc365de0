"""Define the preview of a media file, and keep it in a directory."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from avscene.errors import StorageError
from avscene.files import replace_when_complete

PREVIEW, SPRITE = "preview.json", "thumbnails.jpg"
_DECIMALS = 3  # of seconds


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Frames in one image, row by row: `columns` tiles in a row, each of `width` x `height` pixels.

    `times` are the seconds at which the frames are shown.
    """

    width: int
    height: int
    columns: int
    times: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """The waveform and thumbnails of a media file of `duration` seconds, 0 for a photograph.

    `peaks` are the smallest and largest sample, in [-1, 1], of equal parts of the duration; None without audio.
    `thumbnails` is None without video. `error` is why a file that cannot be decoded has neither.
    """

    duration: float
    peaks: Sequence[tuple[float, float]] | None
    thumbnails: Thumbnails | None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the preview as plain values."""
        return {
            "duration": round(self.duration, _DECIMALS),
            "peaks": None if self.peaks is None else [[low, high] for low, high in self.peaks],
            "thumbnails": None if self.thumbnails is None else asdict(self.thumbnails),
            "error": self.error,
        }


def load_preview(directory: Path) -> Preview | None:
    """Return the preview that `save_preview` wrote to a directory; None if there is none, or it is damaged."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        values = json.loads((directory / PREVIEW).read_bytes())
        peaks, thumbnails = values["peaks"], values["thumbnails"]
        if thumbnails is not None and not (directory / SPRITE).is_file():
            return None
        return Preview(
            duration=float(values["duration"]),
            peaks=None if peaks is None else [(low, high) for low, high in peaks],
            thumbnails=None if thumbnails is None else Thumbnails(**thumbnails | {"times": tuple(thumbnails["times"])}),
            error=values["error"],
        )
    return None


def save_preview(directory: Path, preview: Preview, sprite: bytes | None) -> None:
    """Write a preview and the image of its thumbnails; it is there once both are complete.

    The directory is not made: that of a job which was removed meanwhile does not come back.

    Raises:
        StorageError: a file cannot be written, or the directory does not exist.
    """
    content = json.dumps(preview.to_dict(), separators=(",", ":")).encode()
    try:
        for name, part in ((SPRITE, sprite), (PREVIEW, content)):
            if part is not None:
                with replace_when_complete(directory / name) as partial:
                    partial.write_bytes(part)
    except OSError as error:
        raise StorageError(f"{directory}: cannot be written: {error.strerror or error}") from error

"""Every failure a user can cause or meet, as one exception each; the message names the thing and the way out."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class AvsceneError(Exception):
    """Something the user can understand and mend. Its message is one line fit for a terminal."""

    exit_code = 1

    @property
    def kind(self) -> str:
        """Short stable name for error records: `MediaError` is written as "media"."""
        return type(self).__name__.removesuffix("Error").lower()


class MediaError(AvsceneError):
    """A media file cannot be opened or holds nothing that can be decoded."""


class ModalityError(AvsceneError):
    """A recording lacks every modality that the system needs."""


class DataError(AvsceneError):
    """A data set, table or split is malformed."""

    exit_code = 2


class UsageError(AvsceneError):
    """A name, label set or option is wrong."""

    exit_code = 2


class CheckpointError(AvsceneError):
    """A checkpoint directory is incomplete, changed or made for something else."""

    exit_code = 2


class WeightsError(AvsceneError):
    """Weights, or a package that carries them, are absent or not what they should be."""

    exit_code = 4


def first_validation_error(error: "ValidationError") -> str:
    """Where a file does not hold what it should, and what is wrong there, in a few words."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"

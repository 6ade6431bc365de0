"""Define the exceptions for failures that a user can meet; each message says what is wrong and how to fix it."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class AvsceneError(Exception):
    """A failure that the user can understand and fix; its message is one line.

    `exit_code` is that of a command which fails with it.
    """

    exit_code = 1

    @property
    def kind(self) -> str:
        """Short stable name in error records: "media" for `MediaError`."""
        return type(self).__name__.removesuffix("Error").lower()


class MediaError(AvsceneError):
    """A media file cannot be opened or has nothing that can be decoded."""


class StorageError(MediaError):
    """An object in object storage or on a web server cannot be read, listed or written, now or at all."""


class ModalityError(AvsceneError):
    """A recording has no modality that the system needs."""


class DataError(AvsceneError):
    """A data set, table or split is malformed."""

    exit_code = 2


class UsageError(AvsceneError):
    """A name, label set or option is wrong."""

    exit_code = 2


class CheckpointError(AvsceneError):
    """A checkpoint directory is incomplete, changed or made for something else."""

    exit_code = 2


class ProcessError(AvsceneError):
    """A process or a run that others work with has ended or does not answer."""


class WeightsError(AvsceneError):
    """Weights, or a package that provides them, are missing or do not have the expected content."""

    exit_code = 4


class PackageError(AvsceneError):
    """An optional package is not installed."""

    exit_code = 4


def error_class(kind: str) -> type[AvsceneError]:
    """Return the class of errors of this `kind`; the base class for a kind that is not defined (any longer)."""
    return next((found for found in _subclasses(AvsceneError) if found("").kind == kind), AvsceneError)


def _subclasses(base: type[AvsceneError]) -> Iterator[type[AvsceneError]]:
    for found in base.__subclasses__():
        yield found
        yield from _subclasses(found)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean NAME?` with the known name that is most like `word`, or nothing if none is like it."""
    from difflib import get_close_matches  # takes a while to import

    by_lower = {name.lower(): name for name in reversed(list(known))}
    near = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return f"; did you mean {by_lower[near[0]]}?" if near else ""


def first_validation_error(error: "ValidationError") -> str:
    """Return the position and the message of the first error, such as `models.0.name: Field required`."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"

"""Copy the files of a recording that are in object storage or in memory to temporary files while they are decoded."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from avscene.errors import MediaError
from avscene.storage.connections import StoppedError
from avscene.storage.contents import Content, temporary_copy
from avscene.storage.urls import is_remote, shown

_OPTION = "--limit download=NUMBER"


@contextmanager
def local_copies(
    files: Sequence[str | Path | Content | None],
    versions: Sequence[str] = (),
    limit: int = 2**34,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[list[str | Path | None]]:
    """Yield `files` with temporary copies of URLs and contents; a MediaError in the block names these, not the copies.

    Args:
        files: The files of a recording; those that are None stay so.
        versions: For each file that is not None, the version (`ObjectState.version`) that it must have if it is a URL;
            empty for any.
        limit: The most bytes that a URL or a content may have.
        stopped: Once it returns True, copying ends.

    Raises:
        MediaError: a URL or a content cannot be read, or is larger than the limit.
        UsageError: an open file returns something other than bytes.
        PackageError: the package for the scheme of a URL is not installed.
    """
    names: dict[str, str] = {}  # of the objects, by copy
    found: list[str | Path | None] = []
    versions_left = iter(versions)
    with ExitStack() as stack:
        for file in files:
            version = "" if file is None else next(versions_left, "")
            if isinstance(file, Content):
                copy = stack.enter_context(temporary_copy(file, limit, stopped))
                names[copy] = file.name
            elif file is not None and is_remote(file):
                copy = stack.enter_context(_copy_of_object(str(file), limit, stopped, version))
                names[copy] = shown(str(file))
            else:
                found.append(file)
                continue
            found.append(copy)
        try:
            yield found
        except MediaError as error:
            if not names:
                raise
            message = str(error)
            for copy, name in names.items():
                message = message.replace(copy, name)
            raise MediaError(message) from error


@contextmanager
def _copy_of_object(url: str, limit: int, stopped: Callable[[], bool], version: str) -> Iterator[str]:
    from avscene.storage.spooling import spooled

    try:
        with spooled(url, limit, stopped, version=version, option=_OPTION) as copy:
            yield copy
    except StoppedError:
        raise MediaError(f"{shown(url)}: copying was stopped") from None

"""Copy the files of a recording that are in object storage to temporary files while they are decoded."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from avscene.errors import MediaError
from avscene.storage.connections import StoppedError
from avscene.storage.urls import is_remote, shown

_OPTION = "--limit download=NUMBER"


@contextmanager
def local_copies(
    files: Sequence[str | Path | None],
    versions: Sequence[str] = (),
    limit: int = 2**34,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[list[str | Path | None]]:
    """Yield `files` with temporary copies in place of URLs; a MediaError in the block names the URL, not the copy.

    Args:
        files: The files of a recording; those that are None stay so.
        versions: For each file that is not None, the version (`ObjectState.version`) that it must have if it is a URL;
            empty for any.
        limit: The most bytes that a URL may have.
        stopped: Once it returns True, copying ends.

    Raises:
        MediaError: a URL cannot be read, or is larger than the limit.
        PackageError: the package for its scheme is not installed.
    """
    if not any(file is not None and is_remote(file) for file in files):
        yield list(files)
        return
    from avscene.storage.spooling import spooled

    names: dict[str, str] = {}  # of the objects, by copy
    found: list[str | Path | None] = []
    versions_left = iter(versions)
    with ExitStack() as stack:
        for file in files:
            version = "" if file is None else next(versions_left, "")
            if file is None or not is_remote(file):
                found.append(file)
                continue
            url = str(file)
            try:
                copy = stack.enter_context(spooled(url, limit, stopped, version=version, option=_OPTION))
            except StoppedError:
                raise MediaError(f"{shown(url)}: copying was stopped") from None
            names[copy] = shown(url)
            found.append(copy)
        try:
            yield found
        except MediaError as error:
            message = str(error)
            for copy, name in names.items():
                message = message.replace(copy, name)
            raise MediaError(message) from error

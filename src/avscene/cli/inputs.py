"""Expand command-line paths and URLs (files, folders, globs, lists) to media files."""

import codecs
import glob
import os
import stat
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO

from avscene.cli.input_list import InputList
from avscene.datasets.media_folder import find_media, only_media, walk_media
from avscene.errors import MediaError, StorageError
from avscene.outputs import Location, check_outputs
from avscene.records import Failure
from avscene.storage.listing import find_matches, list_objects
from avscene.storage.objects import object_state
from avscene.storage.spooling import spooled
from avscene.storage.urls import WEB_SCHEMES, is_remote, local_path, name_of, scheme_of, shown

if TYPE_CHECKING:
    from avscene.cli.output.results import ResultDestination

STDIN = "-"
LIST_SUFFIX = ".txt"
LIST_LIMIT = 256 * 2**20  # bytes of a list, a few million paths
_BLOCK = 2**20
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def expand(arguments: Sequence[str]) -> InputList:
    """Return the media files that arguments name, see `find_inputs`."""
    ignored: Counter[str] = Counter()
    return InputList(find_inputs(arguments, ignored), ignored)


def names_one_file(arguments: Sequence[str]) -> bool:
    """Return whether arguments name a single file, and no folder, glob or list."""
    if len(arguments) != 1:
        return False
    argument = arguments[0]
    if argument == STDIN or argument.lower().endswith(LIST_SUFFIX):
        return False
    if is_remote(argument):
        is_folder = argument.endswith("/") or "/" not in argument.partition("://")[2]
        return scheme_of(argument) in WEB_SCHEMES or not (is_folder or glob.has_magic(argument))
    path = str(local_path(argument))
    return not os.path.isdir(path) and (os.path.lexists(path) or not glob.has_magic(path))  # noqa: PTH112  # never raise


def find_inputs(arguments: Sequence[str], ignored: Counter[str] | None = None) -> Iterator[str | Failure]:
    """Yield media files in the order given: files as they are, folders and globs searched, lists (`-`, `.txt`) read.

    Paths in a list are relative to the working directory; they name files. Folders are searched at any depth, without
    hidden files and without following links to folders. A file that is given several times is yielded several times.
    An argument without media files, and a folder in it that cannot be read, become failures.

    A URL of object storage names an object; one that ends with `/`, or is only a bucket, names all media files below.
    Files in folders that are no media files are counted in `ignored`, by their suffix.

    Raises:
        PackageError: the package for the scheme of a URL is not installed.
    """
    for argument in arguments:
        try:
            yield from _files(argument, Counter() if ignored is None else ignored)
        except MediaError as error:
            yield Failure(shown(argument), error)
        except OSError:
            yield argument  # a name too long, or not readable: opening it raises the error


def check_result_files(
    arguments: Sequence[str], inputs: InputList, system: str | None, destination: "ResultDestination"
) -> None:
    """Check before any work that the results of `inputs`, expanded from `arguments`, can be written and replace none.

    Raises:
        UsageError: a file of results is an input, a list of inputs or part of the system, or cannot be written.
    """
    from avscene.cli.output.results import partial_beside

    files = map(destination.file_of, inputs.paths()) if destination.is_single else [destination.output]
    outputs = set(files)
    journal = destination.journal(len(inputs))
    if journal is not None or destination.format == "parquet":
        outputs |= {partial_beside(output) for output in outputs if output is not None}
    lists: list[Location] = [argument for argument in arguments if argument.lower().endswith(LIST_SUFFIX)]
    # A list on standard input is number 0.
    check_outputs([*outputs, journal], chain([0 if STDIN in arguments else None, *lists, system], inputs.paths()))


def _files(argument: str, ignored: Counter[str]) -> Iterable[str | Failure]:
    if argument == STDIN:
        return _read_standard_input()
    if not argument:
        raise MediaError("'': an empty name; give a file or folder")
    if is_remote(argument):
        return _in_storage(argument, ignored)
    argument = str(local_path(argument))
    try:
        mode = os.stat(argument).st_mode  # noqa: PTH116  # Path("") and Path("f/") are other names
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(argument):  # noqa: PTH114
            raise MediaError(f"{argument}: is a link to a file that does not exist") from None
        return _matches(argument) if glob.has_magic(argument) else [argument]
    except ValueError:  # a null character
        return [argument]
    if stat.S_ISDIR(mode):
        return _in_folder(argument, ignored)
    if stat.S_ISREG(mode):
        return _read_list_file(argument) if argument.lower().endswith(LIST_SUFFIX) else [argument]
    raise MediaError(f"{argument}: is {_KINDS.get(stat.S_IFMT(mode), 'not a file')}, a media file is needed")


def _in_folder(folder: str, ignored: Counter[str]) -> Iterator[str | Failure]:
    is_empty = True
    for found in walk_media(folder, ignored=ignored):
        is_empty = False
        yield Failure(*found) if isinstance(found, tuple) else found
    if is_empty:
        raise MediaError(f"{folder}: no media files in this folder")


def _in_storage(url: str, ignored: Counter[str]) -> Iterator[str | Failure]:
    """Yield the URLs of media files that a URL names."""
    name = name_of(url)
    if name.lower().endswith(LIST_SUFFIX):
        with spooled(url, LIST_LIMIT) as copy, open(copy, "rb") as file:  # noqa: PTH123
            yield from _read_list(shown(url), file)
    elif scheme_of(url) in WEB_SCHEMES:
        yield url
    elif url.endswith("/") or "/" not in url.partition("://")[2]:
        found = only_media(list_objects(url.rstrip("/") + "/"), ignored)
        yield from _non_empty(found, f"{shown(url)}: no media files")
    elif glob.has_magic(url) and not _exists(url):
        yield from _non_empty(find_matches(url), f"{shown(url)}: no matching object")
    else:
        yield url


def _non_empty(urls: Iterator[str], message: str) -> Iterator[str]:
    """Yield the URLs; raise MediaError with this message if there are none."""
    is_empty = True
    for url in urls:
        is_empty = False
        yield url
    if is_empty:
        raise MediaError(message)


def _exists(url: str) -> bool:
    try:
        object_state(url)
    except StorageError:
        return False
    return True


def _matches(pattern: str) -> list[str | Failure]:
    """Return the files that match a pattern, sorted; `**` stands for any folders, without following links to them."""
    failures: dict[str, Failure] = {}
    found = {match for match in _glob(pattern, failures) if os.path.isfile(match)}  # noqa: PTH113  # never raises
    if not found and not failures:
        raise MediaError(f"{pattern}: no matching file")
    return [failures.get(path, path) for path in sorted([*found, *failures])]


def _glob(pattern: str, failures: dict[str, Failure]) -> Iterator[str]:
    """Yield what matches, and add the folders that cannot be read to `failures`."""
    before, recursive, after = f"/{pattern}/".partition("/**/")
    if not recursive:
        yield from glob.iglob(pattern)  # noqa: PTH207  # keeps the path as typed
        return
    # Python's own `**` follows links: where two of them lead in circles, it does not end within a lifetime.
    roots = ["/" if pattern.startswith("/") else "."] if before in ("", "/") else glob.glob(before[1:])  # noqa: PTH207
    for root in filter(os.path.isdir, roots):
        search = find_media(root)
        failures |= {path: Failure(path, error) for path, error in search.unreadable.items()}
        for folder in search.folders:
            inside = "" if folder == "." else os.path.join(glob.escape(folder), "")  # noqa: PTH118
            yield from _glob(inside + (after.removesuffix("/") or "*"), failures)


def _read_standard_input() -> Iterator[str]:
    if sys.stdin is None:
        raise MediaError("standard input: is closed; give the list on it, or files and folders")
    try:
        yield from _read_list("standard input", sys.stdin.buffer)
    except OSError as error:
        raise MediaError(f"standard input: cannot be read ({error.strerror or error})") from error


def _read_list_file(path: str) -> Iterator[str]:
    with open(path, "rb") as file:  # noqa: PTH123
        yield from _read_list(path, file)


def _read_list(name: str, file: BinaryIO) -> Iterator[str]:
    """Yield the paths of a list, after a copy of all of it has been checked."""
    with tempfile.TemporaryFile() as copy:
        while block := file.read(_BLOCK):
            if b"\0" in block:
                raise MediaError(f"{name}: not a list of paths, one per line")
            if copy.write(block) and copy.tell() > LIST_LIMIT:
                raise MediaError(f"{name}: larger than {LIST_LIMIT >> 20} MiB, the most that is read; split the list")
        copy.seek(0)
        is_empty = True
        for number, line in enumerate(copy):
            content = line.removeprefix(codecs.BOM_UTF8) if number == 0 else line
            if path := content.decode("utf-8", errors="surrogateescape").strip():
                is_empty = False
                yield str(local_path(path))
        if is_empty:
            raise MediaError(f"{name}: the list has no paths")

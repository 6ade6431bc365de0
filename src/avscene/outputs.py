"""Check before any work begins that outputs can be written and that none of them is an input; name their journals."""

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from avscene.errors import UsageError
from avscene.files import link_target
from avscene.storage.urls import REMOTE_SCHEMES

JOURNAL_SUFFIX = ".journal"  # of the outcomes of a run, beside its output
Location = str | Path | int  # a path, or the number of an open file
STANDARD_OUTPUT = Path("standard output")  # in messages
Identity = tuple[object, ...]  # of a file; equal for all its names and links


def is_device(path: Path) -> bool:
    """Return whether `path` is a device or a pipe, to which results are only passed on."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def journal_beside(output: Path) -> Path | None:
    """Return the path of the journal of a run that writes `output`; None if that is a device, a pipe or a folder."""
    if is_device(output) or os.path.isdir(output):  # noqa: PTH112  # never raises
        return None
    target = link_target(output)
    return target.with_name(target.name + JOURNAL_SUFFIX)


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[Location | None], *, overwrite: bool = True) -> None:
    """Check that files can be written, that no two of them are one file, and that none is an input.

    The file that standard output is redirected to must not be an input either (`>> FILE`; `> FILE` has emptied it).
    Files are compared by device and inode, so that other spellings and links, symbolic or hard, are found.

    Args:
        outputs: Files that will be written or replaced.
        inputs: What is read. Of a directory, such as a checkpoint, all files are inputs.
        overwrite: Whether files that exist may be replaced. Empty files may always be.

    Raises:
        UsageError: an output is an input, another output, a folder, or cannot be written; or it exists.
    """
    existing: dict[Identity, Path] = {}
    new: set[Identity] = set()
    probed: set[Path] = set()
    for output in outputs:
        if output is None:
            continue
        state = _check_writable(output, probed)
        if state is None:
            identity = _new_identity(output)
        elif stat.S_ISREG(state.st_mode):
            identity = (state.st_dev, state.st_ino)
        else:
            continue  # a device or a pipe may be written to twice
        if identity in existing or identity in new:
            raise UsageError(f"{output}: is given for two outputs; name another file for one of them")
        if state is None:
            new.add(identity)
        else:
            existing[identity] = output
    printed = _standard_output_file()
    if printed is not None:
        existing.setdefault(printed, STANDARD_OUTPUT)
    _check_distinct(existing, inputs)
    for output in () if overwrite else existing.values():
        if output != STANDARD_OUTPUT:
            refuse_existing(output)


def refuse_existing(output: Path) -> None:
    """Raise UsageError if `output` is a file with content."""
    try:
        state = output.stat()
    except (OSError, ValueError):
        return
    if stat.S_ISREG(state.st_mode) and state.st_size:
        raise UsageError(f"{output}: already exists; try: --overwrite, or another name")


def check_output_directory(
    directory: Path, inputs: Iterable[Location | None], *, sealed: Path | None = None, removed: bool = False
) -> None:
    """Check that a directory can be written to and is no input.

    Args:
        directory: The directory that will be made or filled.
        inputs: Files and directories that are read.
        sealed: A directory in which no directory may be made: each folder in it has a meaning.
        removed: Whether the directory is removed at the end, so that no input may be in it.

    Raises:
        UsageError: the directory is an input, a file, inside `sealed`, or cannot be written.
    """
    _refuse_url(directory)
    inputs = list(inputs)
    identity = _identity(directory)
    if identity is not None and identity in map(_identity, inputs):
        raise UsageError(f"{directory}: is one of the inputs; give another directory for the output")
    for location in inputs if removed and identity is not None else ():
        if isinstance(location, str | Path) and identity in map(_identity, Path(os.path.realpath(location)).parents):
            raise UsageError(f"{directory}: has the input {location}, and is removed at the end; give another --output")
    try:
        if not stat.S_ISDIR(directory.stat().st_mode):
            raise UsageError(f"{directory}: is not a directory; give another one for the output")
        _probe(directory, set())
    except FileNotFoundError:
        _check_can_be_made(directory, set())
    except (OSError, ValueError) as error:
        raise _not_writable(directory, error) from error
    if sealed is not None and _identity(sealed) in map(_identity, Path(os.path.realpath(directory)).parents):
        raise UsageError(f"{directory}: is inside {sealed}, whose folders are scenes; give a directory elsewhere")


def _standard_output_file() -> Identity | None:
    """Return the identity of the regular file that standard output is redirected to; None if it is none."""
    try:
        state = os.fstat(1)
    except OSError:
        return None
    return (state.st_dev, state.st_ino) if stat.S_ISREG(state.st_mode) else None


def _check_distinct(outputs: dict[Identity, Path], inputs: Iterable[Location | None]) -> None:
    if not outputs:  # a new file is no input: the inputs need not be looked up
        return
    for location in inputs:
        for identity in _identities(location):
            if identity in outputs:
                raise UsageError(f"{outputs[identity]}: is one of the inputs; give another file for the output")


def _identities(location: Location | None) -> Iterator[Identity]:
    """Yield the identity of a file, or of all files in a directory."""
    identity = _identity(location)
    if identity is None:
        return
    yield identity
    if isinstance(location, int) or location is None or not os.path.isdir(location):  # noqa: PTH112  # never raises
        return
    for folder, _, names in os.walk(location):
        for name in names:
            found = _identity(os.path.join(folder, name))  # noqa: PTH118  # of millions of files
            if found is not None:
                yield found


def _identity(location: Location | None) -> Identity | None:
    """Return device and inode of a file or directory; None if it cannot be looked up."""
    if location is None:
        return None
    try:
        state = os.stat(location)  # noqa: PTH116  # of a number too
    except (OSError, ValueError):
        return None
    return state.st_dev, state.st_ino


def _new_identity(path: Path) -> Identity:
    """Return what is equal for all spellings of a file that does not exist yet."""
    real = Path(os.path.realpath(path))
    parent = _identity(real.parent)
    return (str(real),) if parent is None else (*parent, real.name)


def _check_writable(path: Path, probed: set[Path]) -> os.stat_result | None:
    """Return the state of `path`, or None if there is no such file.

    Raises:
        UsageError: it is a folder, or the file cannot be written.
    """
    _refuse_url(path)
    try:
        state = path.stat()
        if stat.S_ISDIR(state.st_mode):
            raise UsageError(f"{path}: is a folder; give the name of a file")
        if stat.S_ISSOCK(state.st_mode):
            raise UsageError(f"{path}: is a socket; give the name of a file")
        if stat.S_ISREG(state.st_mode):
            _probe(link_target(path).parent, probed)
    except FileNotFoundError:
        _check_can_be_made(path, probed)
        return None
    except (OSError, ValueError) as error:
        raise _not_writable(path, error) from error
    return state


def _check_can_be_made(path: Path, probed: set[Path]) -> None:
    """Raise UsageError unless a file or directory `path`, which does not exist, can be made."""
    target = link_target(path)
    ancestor = target.parent
    try:
        while not ancestor.exists():
            ancestor = ancestor.parent
        longest = os.pathconf(ancestor, "PC_NAME_MAX")
        for name in target.relative_to(ancestor).parts:
            if len(os.fsencode(name)) > longest:
                raise UsageError(f"{path}: cannot be written (File name too long)")
        _probe(ancestor, probed)
    except OSError as error:
        raise _not_writable(path, error) from error


def _probe(directory: Path, probed: set[Path]) -> None:
    """Make a file without a name in `directory`, once; permissions alone do not show all that can prevent it."""
    if directory not in probed:
        with tempfile.TemporaryFile(dir=directory):
            probed.add(directory)


def _refuse_url(path: Path) -> None:
    """Raise UsageError for a path that was a URL: there would be folders called `s3:` otherwise."""
    if path.parts and path.parts[0].removesuffix(":").lower() in REMOTE_SCHEMES and path.parts[0].endswith(":"):
        raise UsageError(f"{path}: is a URL, to which this is not written; give a path")


def _not_writable(path: Path, error: OSError | ValueError) -> UsageError:
    return UsageError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error})")

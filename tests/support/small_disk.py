"""Mount a file system of a few kilobytes, so that tests meet a disk that is really full."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

PAGE = 4096  # bytes; the size of a tmpfs is a multiple of it


@contextmanager
def mounted(path: Path, size: int) -> Iterator[Path]:
    """Mount a tmpfs of about `size` bytes at `path`; skip the test if this process may not."""
    path.mkdir(parents=True)
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={-(-size // PAGE) * PAGE}", "tmpfs", str(path)],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"only a process that may mount a tmpfs has a small disk ({error})")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True, capture_output=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Make disks: called with a size in bytes, returns the path of a file system of about that size."""
    with ExitStack() as stack:
        count = 0

        def disk(size: int) -> Path:
            nonlocal count
            count += 1
            return stack.enter_context(mounted(tmp_path / f"disk {count}", size))

        yield disk


def fill(disk: Path, *, leave: int = 0) -> Path:
    """Fill `disk` with one file except for at most `leave` bytes; return the file."""
    file = disk / "filler"
    pages = -(-(shutil.disk_usage(disk).free - leave) // PAGE)
    file.write_bytes(bytes(pages * PAGE))
    return file

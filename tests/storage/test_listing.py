"""Test that objects are listed in pages, whatever the service does, and that memory does not grow with their number."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from avscene.errors import StorageError
from avscene.storage import listing
from avscene.storage.listing import find_matches, list_objects
from tests.support.object_server import BUCKET, ObjectServer

logger = logging.getLogger(__name__)  # figures: pytest --log-cli-level=INFO
FOLDER = f"s3://{BUCKET}/folder/"
LISTING = f"/{BUCKET}"  # for which faults are planned
GROWTH = 8.0  # MiB from 1,000 to 200,000 objects: pages of allocators, and 8 bytes of each input
MEASURE = """
import os, sys
from avscene.cli.inputs import expand
from tests.support.listing_server import start_listing_server

os.environ["AWS_ENDPOINT_URL"] = start_listing_server(int(sys.argv[1]))
inputs = expand(["s3://bucket/archive/"])
assert len(inputs) == int(sys.argv[1]), list(inputs)[:2]
assert inputs[len(inputs) - 1].endswith(f"/archive/{len(inputs) - 1:012d}.mp4")
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(int(peak.split()[1]) / 1024)
"""


@pytest.fixture
def names(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Seven objects in pages of two, in the order of their UTF-8 names."""
    monkeypatch.setattr(listing, "PAGE", 2)
    found = ["0.mp4", "a b+&.mp4", "b/1.mp4", "b/2.mp4", "c/d/e.mp4", "ü.mp4", "映.mp4"]
    for name in reversed(found):
        server.put(f"folder/{name}", b"x")
    for name in ("folder/.hidden/a.mp4", "folder/b/.a.mp4", "other.mp4", "folder2/a.mp4", "folder/empty/"):
        server.put(name, b"x")
    server.requests.clear()
    return found


def pages(server: ObjectServer) -> int:
    return sum("list-type=2" in path for _, path, _ in server.requests)


def test_pages_are_read_as_they_are_needed(server: ObjectServer, names: list[str]) -> None:
    found = list_objects(FOLDER)
    assert next(found) == f"{FOLDER}{names[0]}"
    assert pages(server) == 1
    assert list(found) == [f"{FOLDER}{name}" for name in names[1:]]
    assert pages(server) == 5


@pytest.mark.parametrize("fault", ["503", "cut", "reset", "dropped", "stall"])
def test_a_page_is_asked_for_again(server: ObjectServer, names: list[str], fault: str) -> None:
    found = list_objects(FOLDER)
    first = next(found)
    server.faults[LISTING] = [fault, fault]
    assert [first, *found] == [f"{FOLDER}{name}" for name in names]
    assert server.faults[LISTING] == []


def test_a_listing_that_fails_for_good_is_an_error(server: ObjectServer, names: list[str]) -> None:
    found = list_objects(FOLDER)
    next(found)
    server.faults[LISTING] = ["503", ...]
    with pytest.raises(StorageError, match=r"cannot be reached after 6 attempts \(HTTP 503\)"):
        list(found)
    server.faults[LISTING] = ["403"]
    with pytest.raises(StorageError, match=f"^{FOLDER}: access denied"):
        list(list_objects(FOLDER))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", ["0.mp4", "a b+&.mp4", "ü.mp4", "映.mp4"]),
        ("b/?.mp4", ["b/1.mp4", "b/2.mp4"]),
        ("**/*.mp4", ["0.mp4", "a b+&.mp4", "b/1.mp4", "b/2.mp4", "c/d/e.mp4", "ü.mp4", "映.mp4"]),
        ("[0b]*", ["0.mp4"]),
        ("c/*", []),
    ],
)
def test_patterns(server: ObjectServer, names: list[str], pattern: str, expected: list[str]) -> None:
    assert list(find_matches(FOLDER + pattern)) == [f"{FOLDER}{name}" for name in expected]


def test_a_web_server_is_not_listed() -> None:
    with pytest.raises(StorageError, match=r"cannot be listed; name them in a \.txt list"):
        list(list_objects("http://127.0.0.1:9/folder/"))


def peak_memory(n_objects: int) -> float:
    """Return the peak of the memory of a process that expands a folder of so many objects, in MiB."""
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_DEFAULT_REGION": "us-east-1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(n_objects)],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_objects() -> None:
    few, many = peak_memory(1000), peak_memory(200_000)
    logger.info(f"{few:.1f} MiB for 1,000 objects, {many:.1f} MiB for 200,000")
    assert many < few + GROWTH

"""Test that an archive of 100,000 recordings starts, lists and grows in bounded time and memory."""

import resource
import time
from pathlib import Path

import pytest

from avscene.records import json_line
from avscene.server.archive import Archive, ArchiveQuery
from tests.support.results import LABELS, prediction

COUNT = 100_000
# Of a busy machine: about five times what was measured.
START_SECONDS, RESTART_SECONDS, LIST_SECONDS, GROWTH_MB = 150, 2.0, 1.0, 150


def source(number: int) -> str:
    return f"archive/{number % 100:02}/{number:06}.mp4"


def write_results(path: Path) -> None:
    lines = [json_line(prediction("SOURCE", scene, 0.6, duration=10)) for scene in LABELS]
    with path.open("w") as file:
        for number in range(COUNT):
            file.write(lines[number % len(lines)].replace("SOURCE", source(number)))


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_100_000_recordings(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    write_results(path)
    memory, begin = peak_megabytes(), time.process_time()
    archive = Archive(path)
    assert time.process_time() - begin < START_SECONDS
    archive.close()
    begin = time.process_time()
    archive = Archive(path)
    assert time.process_time() - begin < RESTART_SECONDS
    for query, total in (
        (ArchiveQuery(limit=100), COUNT),
        (ArchiveQuery(search="0099", order="score"), sum("0099" in source(number) for number in range(COUNT))),
        (ArchiveQuery(scene="tram", min_score=0.5, order="-duration", offset=20_000), COUNT // len(LABELS)),
        (ArchiveQuery(failed=True), 0),
    ):
        begin = time.process_time()
        assert archive.page(query).total == total
        assert time.process_time() - begin < LIST_SECONDS
    with path.open("a") as file:
        file.write(json_line(prediction("new.mp4")))
    begin = time.process_time()
    archive.update()
    assert archive.page(ArchiveQuery(search="new")).total == 1
    assert time.process_time() - begin < LIST_SECONDS
    assert peak_megabytes() - memory < GROWTH_MB

"""Test runs over archives through the command line: damaged files, failing decoders, killed processes, resources.

Real recordings and processes that are really killed; what was decoded is counted by the worker processes' notes.
"""

import contextlib
import csv
import json
import logging
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

import avscene
from avscene.inference.reading import WINDOW
from avscene.media.workers import __main__ as workers
from tests.support import faulty_worker
from tests.support.archives import Archive, real_recordings, write_archive
from tests.support.media_files import write_media
from tests.support.observed_runs import ObservedRuns, Resources, children, recorded, resources
from tests.support.processes import wait_until

logger = logging.getLogger(__name__)  # figures: pytest --log-cli-level=INFO

SEED = 20211
N_SAMPLE, SAMPLE_BYTES = 25, 100_000
N_WORKERS = 2
N_KILLS = 10
MEMORY_GROWTH = 16.0  # MiB in 1,000 recordings: what allocators keep
COMMITTED = 3.0  # seconds after which the outcome of a decoded recording is in the journal also on a busy machine; 0.5
CONSE = ("--system", "conse", "--device", "cpu", "--precision", "float32", "--workers", str(N_WORKERS))


def line(inputs: Path | str, output: str, *options: str) -> list[str]:
    return ["classify", str(inputs), *CONSE, "--format", Path(output).suffix[1:], "--output", output, *options]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    short = [file for file in real_recordings() if file.stat().st_size <= SAMPLE_BYTES]
    return write_archive(tmp_path_factory.mktemp("sample") / "files", random.Random(SEED).sample(short, N_SAMPLE), SEED)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return write_archive(tmp_path_factory.mktemp("whole") / "files", real_recordings(), SEED)


@pytest.fixture
def runs(tmp_path: Path) -> ObservedRuns:
    return ObservedRuns(tmp_path / "run")


def assert_nothing_left(runs: ObservedRuns, *outputs: str) -> None:
    """No process of the run is left, and no file but the outputs, their journals and what the test itself wrote."""
    assert runs.processes() == []
    assert list(runs.temporary.iterdir()) == []
    journals = [f"{output}.journal" for output in outputs]
    assert {file.name for file in runs.folder.iterdir()} - {runs.log.name} == {
        runs.temporary.name,
        runs.messages.name,
        *outputs,
        *journals,
    }


# --- damaged files ---


def record_alone(system: avscene.System, path: Path) -> dict[str, object]:
    """Return the record of a recording that is classified alone in this process."""
    try:
        return system.classify(path).to_dict()
    except avscene.AvsceneError as error:
        return {
            "schema": "avscene/1",
            "source": str(path),
            "error": {"type": error.kind, "message": str(error)},
        }


def check_records(archive: Archive, runs: ObservedRuns) -> None:
    assert runs.run(*line(archive.list, "out.jsonl")) == 3
    found = [json.loads(text) for text in (runs.folder / "out.jsonl").read_text().splitlines()]
    assert [record["source"] for record in found] == [str(path) for path in archive.paths]
    assert_nothing_left(runs, "out.jsonl")
    system = avscene.load("conse", device="cpu", precision="float32")
    kinds = Counter()
    for path, record in zip(archive.paths, found, strict=True):
        assert ("error" in record) != ("scores" in record)
        kinds[path in archive.damaged, "error" in record] += 1
        if path not in archive.damaged:
            assert record == record_alone(system, path)
    assert kinds[True, True] >= len(archive.damaged) / 2  # text and zeros are no recordings
    assert kinds[False, False] > len(archive.paths) / 2
    logger.info(f"(damaged, failed): {dict(kinds)}")


def test_damaged_files_in_an_archive_cost_only_themselves(sample: Archive, runs: ObservedRuns) -> None:
    check_records(sample, runs)


@pytest.mark.slow
def test_damaged_files_in_a_large_archive_cost_only_themselves(whole: Archive, runs: ObservedRuns) -> None:
    check_records(whole, runs)


# --- decoders that fail ---

STALL = 8  # seconds: long enough to start a worker process on a busy machine
FAULTS = {
    "allocate": "needs more than 0.5 GiB of memory; to allow more: --limit memory=NUMBER",
    "crash": "the decoder crashed (signal 11)",
    "garbage": "the decoder returned damaged data",
    "hang": f"the decoder made no progress for {STALL} s and was stopped; to allow more: --limit stall=NUMBER",
}
NAMES = [f"{fault}-{when}.mp4" for fault in FAULTS for when in ("early", "later")]
NAMES += [f"{name}-good.mp4" for name in ("a", "b", "d", "h", "i", "z")]  # between them, in the order of names


@pytest.fixture(scope="module")
def faulty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of recordings that a decoder without faults can decode."""
    folder = tmp_path_factory.mktemp("faulty") / "files"
    folder.mkdir()
    for number, name in enumerate(sorted(NAMES)):
        write_media(folder / name, 2.0 + 0.2 * number, fps=5)
    return folder


def lines_by_source(output: Path) -> list[tuple[str, str]]:
    """Return name of the recording and text of each line of JSON or CSV."""
    lines = output.read_text().splitlines()
    if output.suffix == ".jsonl":
        return [(Path(json.loads(text)["source"]).name, text) for text in lines]
    return [(Path(next(csv.reader([text]))[0]).name, text) for text in lines]


@pytest.mark.parametrize("output", ["out.jsonl", pytest.param("out.csv", marks=pytest.mark.slow)])
def test_decoders_that_fail_cost_only_their_recordings(faulty_folder: Path, tmp_path: Path, output: str) -> None:
    undisturbed = ObservedRuns(tmp_path / "undisturbed", workers.__file__)
    assert undisturbed.run(*line(faulty_folder, output)) == 0
    runs = ObservedRuns(tmp_path / "faulty", faulty_worker.__file__)
    assert runs.run(*line(faulty_folder, output, "--limit", f"stall={STALL}", "--limit", "memory=0.5")) == 3
    expected, found = (lines_by_source(run.folder / output) for run in (undisturbed, runs))
    fault_of = {name: FAULTS.get(name.split("-")[0]) for name in NAMES}
    assert [row for row in found if not fault_of.get(row[0])] == [row for row in expected if not fault_of.get(row[0])]
    problems = {str(faulty_folder / name): fault for name, fault in sorted(fault_of.items()) if fault}
    if output == "out.jsonl":
        assert [name for name, _ in found] == sorted(NAMES)
        errors = [json.loads(text) for name, text in found if fault_of[name]]
        assert [error["error"] for error in errors] == [
            {"type": "media", "message": f"{path}: {problem}"} for path, problem in problems.items()
        ]
    messages = runs.messages.read_text().splitlines()
    assert messages[1:-2] == [f"avscene: {path}: {problem}" for path, problem in problems.items()]
    assert messages[-1].startswith(f"avscene: {len(NAMES) - 8} of {len(NAMES)} recordings done, 8 failed (8 media); ")
    for run in (undisturbed, runs):
        assert_nothing_left(run, output)
    assert sorted(file.name for file in faulty_folder.iterdir()) == sorted(NAMES)  # no core dump


# --- processes that are killed ---


def check_in_flight(runs: ObservedRuns, killed: float, n_before: int) -> set[str]:
    """Check what a run lost that was killed at the time `killed`; return the recordings that its journal knows.

    Lost are at most the recordings that were begun before the first of them was finished, and those of the time since
    the journal was last written. `n_before` is the number of notes of earlier runs.
    """
    known = recorded(runs.folder / "out.jsonl.journal")
    notes = runs.notes()[n_before:]
    lost = {note.path for note in notes} - known
    recent = {note.path for note in notes if note.event == "end" and note.time > killed - COMMITTED}
    assert len(lost - recent) <= WINDOW * N_WORKERS
    return known


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_that_is_killed_ten_times_gives_the_same_bytes(whole: Archive, tmp_path: Path) -> None:
    undisturbed, runs = ObservedRuns(tmp_path / "undisturbed"), ObservedRuns(tmp_path / "killed")
    command = line(whole.list, "out.jsonl")
    assert undisturbed.run(*command) == 3
    n_files = len(whole.paths)
    assert Counter(undisturbed.opened()) == Counter(map(str, whole.paths))
    rng = random.Random(SEED)
    moments = [0, *sorted(rng.sample(range(1, n_files * 9 // 10), N_KILLS - 1))]  # in recordings begun by all runs
    known: set[str] = set()
    n_lost = []
    for moment in moments:
        n_before = len(runs.notes())
        with runs.running(*command) as process:
            wait_until(lambda moment=moment: len(runs.opened()) >= moment, process)
            time.sleep(rng.uniform(0, 0.5))
            process.kill()
            killed = time.monotonic()
            assert process.wait() == -signal.SIGKILL
        while runs.processes():  # the workers notice it
            time.sleep(0.01)
        assert not known & {note.path for note in runs.notes()[n_before:]}  # none is decoded that was known
        found = check_in_flight(runs, killed, n_before)
        n_lost.append(len({note.path for note in runs.notes()[n_before:]} - found))
        assert known <= found
        known = found
    n_before = len(runs.notes())
    assert runs.run(*command) == 3
    assert not known & {note.path for note in runs.notes()[n_before:]}
    assert stable_lines(runs, whole) == stable_lines(undisturbed, whole)
    assert len(runs.opened()) <= n_files + sum(n_lost)
    for run in (undisturbed, runs):
        assert_nothing_left(run, "out.jsonl")
    logger.info(f"{n_files} files, {len(runs.opened())} decodings, lost by each kill: {n_lost}")


def stable_lines(runs: ObservedRuns, archive: Archive) -> list[bytes]:
    """Return the lines of the output, of damaged recordings the sources: FFmpeg conceals errors as its threads come."""
    lines = (runs.folder / "out.jsonl").read_bytes().splitlines(keepends=True)
    sources = [json.loads(text)["source"] for text in lines]
    damaged = {str(path) for path in archive.damaged}
    return [os.fsencode(source) if source in damaged else text for source, text in zip(sources, lines, strict=True)]


def kill_while_decoding(runs: ObservedRuns, workers: list[int]) -> bool:
    """Kill one of the worker processes if it is certain that it decodes a recording now; return whether it was."""
    for worker in runs.decoding() & set(workers):
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            os.kill(worker, signal.SIGSTOP)
            while Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0] not in "TZ":
                time.sleep(0.001)
            is_decoding = worker in runs.decoding()
            os.kill(worker, signal.SIGKILL if is_decoding else signal.SIGCONT)
            if is_decoding:
                return True
    return False


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_workers_that_are_killed_change_nothing(whole: Archive, tmp_path: Path) -> None:
    undisturbed, runs = ObservedRuns(tmp_path / "undisturbed"), ObservedRuns(tmp_path / "killed")
    command = line(whole.list, "out.jsonl")
    assert undisturbed.run(*command) == 3
    n_files = len(whole.paths)
    rng = random.Random(SEED)
    # So far apart that no recording is hit twice, which would be an error: it is finished before so many others begin.
    space = n_files // N_KILLS
    moments = [space * number + rng.randrange(1, space - 2 * WINDOW * N_WORKERS) for number in range(N_KILLS)]
    idle_or_not = set(moments[::2])  # the other workers are killed while they decode
    with runs.running(*command) as process:
        for moment in moments:
            wait_until(lambda moment=moment: len(runs.opened()) >= moment, process)
            time.sleep(rng.uniform(0, 0.1))
            if moment in idle_or_not:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rng.choice(children(process.pid)), signal.SIGKILL)
            else:
                wait_until(lambda: kill_while_decoding(runs, children(process.pid)), process)
        assert process.wait() == 3
    assert stable_lines(runs, whole) == stable_lines(undisturbed, whole)
    again = Counter(runs.opened()) - Counter(map(str, whole.paths))
    assert set(runs.opened()) == set(map(str, whole.paths))
    assert N_KILLS / 2 <= again.total() <= N_KILLS
    assert set(again.values()) == {1}
    for run in (undisturbed, runs):
        assert_nothing_left(run, "out.jsonl")
    logger.info(f"{n_files} files, {len(runs.opened())} decodings, {N_KILLS} workers killed")


# --- resources ---


def is_open(folder: Path, pid: int) -> bool:
    """Return whether a process has a file in `folder` open."""
    return any(Path(target).parent == folder for target in resources(pid).descriptors)


def resources_between(folder: Path, runs: ObservedRuns, n_files: int) -> tuple[Resources, Resources]:
    """Classify recordings, every tenth of which crashes its worker; return resources near the beginning and the end.

    At these two moments all workers wait, so the run is at rest once the outcomes before are in the journal.
    """
    folder.mkdir()
    for number in range(4):
        write_media(folder / f"source-{number}.mp4", 1.0 + 0.04 * number, fps=25, size=(320, 240))
    stops = (n_files // 6, n_files - N_WORKERS - 1)  # the first by then has met every kind of file
    paths = []
    for number in range(n_files):
        waits = any(stop <= number < stop + N_WORKERS for stop in stops)
        kind = "wait" if waits else "crash" if number % 10 == 5 else "good"
        paths.append(folder / f"{kind}-{number:04}.mp4")
        os.link(folder / f"source-{number % 4}.mp4", paths[-1])
    (folder.parent / "list.txt").write_text("".join(f"{path}\n" for path in paths))
    found = []
    with runs.running(*line(folder.parent / "list.txt", "out.jsonl")) as process:
        for stop in stops:
            waiting = [str(path) for path in paths[stop : stop + N_WORKERS]]
            wait_until(lambda waiting=waiting: set(waiting) <= set(runs.opened()), process)
            output = runs.folder / "out.jsonl"
            wait_until(lambda output=output, stop=stop: output.read_bytes().count(b"\n") == stop, process)
            wait_until(lambda: not is_open(folder, process.pid), process)  # no hash is computed
            found.append(resources(process.pid))
            for path in waiting:
                Path(f"{path}.go").touch()
        assert process.wait() == 3
    assert_nothing_left(runs, "out.jsonl")
    return found[0], found[1]


def test_descriptors_threads_and_workers_stay_the_same(tmp_path: Path, runs: ObservedRuns) -> None:
    first, last = resources_between(tmp_path / "files", runs, 60)
    assert first.n_children == N_WORKERS
    assert last.n_children == N_WORKERS
    assert last.n_threads == first.n_threads
    assert last.descriptors == first.descriptors


@pytest.mark.slow
def test_memory_stays_the_same(tmp_path: Path, runs: ObservedRuns) -> None:
    first, last = resources_between(tmp_path / "files", runs, 1200)
    logger.info(f"MiB: {first.memory:.1f} after 200 recordings, {last.memory:.1f} after 1,200")
    assert last.memory < first.memory + MEMORY_GROWTH
    assert last.n_threads == first.n_threads
    assert last.descriptors == first.descriptors

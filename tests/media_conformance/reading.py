"""Read files of the corpus in every way that avscene offers: Python, `avscene classify` and `avscene prepare`."""

import csv
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from avscene.errors import AvsceneError
from avscene.media.decode import MediaFile
from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
from avscene.media.workers.recording import IsolatedRecording
from avscene.records import Segment
from tests.media_conformance.case import Expected
from tests.media_conformance.checking import RATE, Reading, deviations, time_deviations, warning_deviations

FRAME_SIZE = 96  # pixels of the shorter side
HOLE_IN_AUDIO = "the audio is missing"  # in a warning, where audio is decoded
CLASSIFY = ("--system", "conse", "--labels", "office,street", "--format", "jsonl", "--device", "cpu", "--offline")
PREPARE = ("--sample-rate", str(RATE), "--frame-size", str(FRAME_SIZE), "--frames-per-second", "1")
TIMEOUT = 1200  # seconds for the whole corpus


def read_with_threads(path: Path, keyframes: bool, threads: int) -> Reading:
    """Read a file in this process with so many decoder threads."""
    sampling = Sampling(sample_rate=RATE, frame_size=FRAME_SIZE, keyframes_only=keyframes)
    try:
        with Recording(path) as recording:
            for file in (file for file in recording._files if isinstance(file, MediaFile)):
                for stream in file.streams.values():
                    stream.codec_context.thread_count = threads
            segments = tuple(recording.segments(sampling))
            return Reading(recording.duration, segments, recording.warnings)
    except AvsceneError as error:
        return Reading(0.0, (), (), str(error))


def read_in_worker(path: Path, keyframes: bool) -> Reading:
    """Read a file in a worker process, as avscene does."""
    sampling = Sampling(sample_rate=RATE, frame_size=FRAME_SIZE, keyframes_only=keyframes)
    try:
        with IsolatedRecording(path) as recording:
            segments = tuple(recording.segments(sampling))
        return Reading(recording.duration, segments, recording.warnings)
    except AvsceneError as error:
        return Reading(0.0, (), (), str(error))


def digest(reading: Reading) -> str:
    """Return a checksum of all that was read."""
    total = hashlib.sha256(repr((reading.duration, reading.warnings, reading.error)).encode())
    for segment in reading.segments:
        total.update(repr((segment.start, segment.end, [f.time for f in segment.frames])).encode())
        total.update(b"".join(frame.pixels.tobytes() for frame in segment.frames))
        total.update(b"" if segment.waveform is None else segment.waveform.tobytes())
    return total.hexdigest()


def _avscene(*arguments: str | Path) -> str:
    """Run `avscene ARGUMENTS`; return its output and its messages."""
    command = [sys.executable, "-m", "avscene", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT, env=environment)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def classify(paths: Mapping[str, Path], cases: Mapping[str, Expected], keyframes: bool) -> dict[str, list[str]]:
    """Classify all files with one command; return by name what is wrong."""
    by_path = {str(path): name for name, path in paths.items()}
    mode = ("--frames", "keyframes" if keyframes else "exact")
    found: dict[str, list[str]] = {name: ["has no result"] for name in paths}
    if keyframes:
        cases = {name: replace(case, frames=case.keyframes or case.frames) for name, case in cases.items()}
    for line in _avscene("classify", *paths.values(), *CLASSIFY, *mode).splitlines():
        result = json.loads(line)
        name = by_path[result["source"]]
        found[name] = _classified_deviations(result, cases[name])
    return found


def _classified_deviations(result: dict, expected: Expected) -> list[str]:
    error = result["error"]["message"] if "error" in result else None
    if error is not None or expected.error is not None:
        # Conse scores video alone; a file without video is refused for that, and one of a single colour.
        lacks = "video" if not expected.frames else "of a single colour"
        if error is not None and expected.error is None and lacks in error:
            return []
        return deviations(Reading(0.0, (), (), error), expected, keyframes=False)
    spans = [(segment["start"], segment["end"]) for segment in result["segments"]]
    found = time_deviations(result["duration"], spans, expected, video_only=True)
    # The system adds warnings of its own on segments without video.
    warnings = [warning for warning in result["warnings"] if "not scored" not in warning]
    if expected.warnings is not None:
        of_video = () if expected.warnings_of_audio else expected.warnings
        expected = replace(expected, warnings=tuple(part for part in of_video if HOLE_IN_AUDIO not in part))
    found += warning_deviations(warnings, expected)
    if result["modalities"]["video"] != bool(expected.frames):
        found.append(f"modalities {result['modalities']}")
    return found


def prepare(paths: Mapping[str, Path], cases: Mapping[str, Expected], folder: Path) -> dict[str, list[str]]:
    """Write all files, which lie below `folder`, to a segment store; return by name what is wrong with its rows."""
    from avscene.datasets.store.reader import SegmentStore

    with (folder / "meta.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "group"))
        writer.writerows((path.relative_to(folder), "office", name) for name, path in paths.items())
    with TemporaryDirectory() as output:
        _avscene("prepare", folder, "--output", Path(output) / "store", *PREPARE)
        store = SegmentStore.open(Path(output) / "store")
        rows: dict[str, list[Segment]] = {name: [] for name in paths}
        for example, row in zip(store.examples, store.raw(range(len(store))), strict=True):
            rows[example.group].append(row.decoded())
    return {name: _stored_deviations(rows[name], cases[name]) for name in paths}


def _stored_deviations(segments: list[Segment], expected: Expected) -> list[str]:
    if not segments or expected.error is not None:
        return [] if bool(segments) == (expected.error is None) else ["has no rows" if not segments else "has rows"]
    reading = Reading(None, tuple(segments), expected.warnings or ())
    return deviations(reading, expected, keyframes=False)

"""Time decoding in worker processes beside decoding in the process itself: `python -m benchmarks.isolation`.

Rows: what isolation costs on one long video; what a second worker gains on several videos; the start of a worker.
"""

from collections.abc import Iterator
from pathlib import Path

from avscene.inference import BatchReader, Source
from avscene.media.workers import IsolatedRecording
from benchmarks.harness import Row, comparison_row, main, time_in_turn
from benchmarks.reading import ONE_FRAME, segments
from benchmarks.videos import benchmark_video

N_VIDEOS = 4
TARGET = 0.97


def isolated(path: Path) -> int:
    with IsolatedRecording(path) as recording:
        return sum(1 for _ in recording.segments(ONE_FRAME))


def read_all(paths: list[Path], workers: int) -> int:
    reader = BatchReader([Source(path) for path in paths], ONE_FRAME, workers=workers)
    return sum(len(batch.segments) for batch in reader)


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    path = benchmark_video(40, quick=quick)
    videos = [path] * N_VIDEOS
    times = time_in_turn(
        {
            "in a worker process": lambda: isolated(path),
            "in the process itself": lambda: segments(path, ONE_FRAME),
            "two workers": lambda: read_all(videos, 2),
            "one worker": lambda: read_all(videos, 1),
        },
        rounds,
    )
    name = f"{len(segments(path, ONE_FRAME))} s of {'360p' if quick else '720p'}, one frame per second"
    yield comparison_row(name, times, "in a worker process", "in the process itself", TARGET)
    yield comparison_row(f"{N_VIDEOS} x {name}", times, "two workers", "one worker", 1.0, "decoding alone")


if __name__ == "__main__":
    main(rows, __doc__)

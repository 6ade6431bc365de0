"""Classify many files with one system, and return an outcome for each in their order."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing

from avscene.errors import AvsceneError
from avscene.inference.reading import Source
from avscene.inference.system import System
from avscene.media.sampling import CPU
from avscene.records import Failure, Prediction


def classify_files(
    system: System,
    inputs: Sequence[str | Failure],
    *,
    hop: float | None = None,
    keyframes: bool = False,
    decoder: str = CPU,
    progress: Callable[[str, float], None] | None = None,
) -> Generator[Prediction | Failure, None, None]:
    """Classify each path of `inputs`; an input that is a failure already is its own outcome.

    Args:
        system: the system that classifies.
        inputs: paths of media files, or failures in place of inputs that are not files.
        hop: length of a segment in seconds; by default that of the system.
        keyframes: decode key frames only.
        decoder: cpu, or a device that decodes video.
        progress: called with a path and the end of its last scored segment, in seconds.

    Raises:
        UsageError: the system cannot work with such segments, or there is no such decoder.
    """
    paths = [item for item in inputs if isinstance(item, str)]

    def show(position: int, seconds: float) -> None:
        if progress is not None:
            progress(paths[position], seconds)

    sources = [Source(path) for path in paths]
    with closing(
        system.classify_all(sources, hop=hop, keyframes=keyframes, decoder=decoder, progress=show)
    ) as classified:
        for item in inputs:
            if isinstance(item, Failure):
                yield item
                continue
            outcome = next(classified)
            yield Failure(item, outcome) if isinstance(outcome, AvsceneError) else outcome

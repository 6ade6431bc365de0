"""A film's segments as avscene reads them."""

from pathlib import Path

from avscene.media.segments import Recording, Sampling
from avscene.records import Segment


def segments(path: Path, sampling: Sampling) -> list[Segment]:
    with Recording(path) as recording:
        return list(recording.segments(sampling))

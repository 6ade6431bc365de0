"""Read the segments of a video with avscene."""

from pathlib import Path

from avscene.media.sampling import CPU, Sampling
from avscene.media.segments import Recording
from avscene.records import Segment

SIDE = 256  # pixels of the shorter side
ONE_FRAME = Sampling(frame_size=SIDE)


def segments(path: Path, sampling: Sampling, decoder: str = CPU) -> list[Segment]:
    with Recording(path, decoder=decoder) as recording:
        return list(recording.segments(sampling))

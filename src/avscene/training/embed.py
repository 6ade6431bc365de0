"""A data set to embeddings: every recording decoded once, every segment encoded once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avscene.datasets.split import DataSet, Example
from avscene.errors import MediaError
from avscene.media.segments import Recording, Sampling
from avscene.models.frozen import SegmentEncoder
from avscene.pipeline import BATCH, ahead, batched
from avscene.records import FloatArray, Segment

Progress = Callable[[int, int], None]  # recordings done, recordings in all


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Segments of a data set as rows: `by_encoder` maps a name to embeddings (n, size), NaN where there are none.

    `examples` holds each row's recording and `starts` (n,) its time in seconds; `failures` what could not be read.
    """

    by_encoder: dict[str, FloatArray]
    examples: tuple[Example, ...]
    starts: FloatArray
    failures: tuple[str, ...]

    @property
    def labels(self) -> list[str]:
        """Scene of each row."""
        return [example.label for example in self.examples]

    @property
    def groups(self) -> list[str]:
        """Group of each row."""
        return [example.group for example in self.examples]

    def truth(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """(n,) position of each row's scene in `names`."""
        position = {name: index for index, name in enumerate(names)}
        return np.array([position[label] for label in self.labels])


def embed_dataset(
    data: DataSet,
    encoders: Mapping[str, SegmentEncoder],
    sampling: Sampling,
    progress: Progress | None = None,
) -> Embeddings:
    """Embed every segment of every recording. One that cannot be decoded is left out and reported.

    Raises:
        MediaError: no recording could be read.
    """
    failures: list[str] = []
    rows: list[tuple[Example, float]] = []
    parts: dict[str, list[FloatArray]] = {name: [] for name in encoders}
    done: set[str] = set()
    for batch in ahead(batched(_read_all(data, sampling, failures), BATCH)):
        segments = [segment for _, segment in batch]
        for name, encoder in encoders.items():
            parts[name].append(encoder.embed(segments))
        rows += [(example, segment.start) for example, segment in batch]
        done.update(example.name for example, _ in batch)
        if progress is not None:
            progress(len(done) + len(failures), len(data.examples))
    if not rows:
        count = len(data.examples)
        raise MediaError(f"{data.source}: none of its {count} recordings can be read; first: {failures[0]}")
    return Embeddings(
        {name: np.concatenate(arrays) for name, arrays in parts.items()},
        tuple(example for example, _ in rows),
        np.array([start for _, start in rows]),
        tuple(failures),
    )


def _read_all(data: DataSet, sampling: Sampling, failures: list[str]) -> Iterator[tuple[Example, Segment]]:
    for example in data.examples:
        try:
            with Recording(example.path, example.sound) as recording:
                for segment in recording.segments(sampling):
                    yield example, segment
        except MediaError as error:
            failures.append(str(error))

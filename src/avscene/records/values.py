"""Define examples, segments and probabilities of scenes: the values that the stages before a prediction exchange."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from avscene.labels import LabelSet

Modality = Literal["audio", "video"]
Needs = Modality | Literal["both"]  # what a model cannot do without
MODALITY_NAMES: dict[Needs, str] = {"audio": "audio", "video": "video", "both": "audio and video"}  # in messages
# Networks that a reproduction trains: the paper's, or small ones whose weights are installed with the package.
Backbones = Literal["paper", "small"]
FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
ByteArray = npt.NDArray[np.uint8]

SUM_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Example:
    """One recording of a data set; `label` is its scene, empty if it is not known.

    `name` identifies it in tables: its path relative to the data set. `audio` is a separate file with its audio. A file
    may be a URL, as a string.
    Recordings of one `group` (a place, a session) resemble each other and stay on one side of every split. `columns`
    holds further columns of the data set, such as `split` or `fold`.
    """

    name: str
    path: str | Path
    label: str
    group: str
    audio: str | Path | None = None
    columns: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of the video: `pixels` (height, width, 3), upright RGB, first shown at `time` seconds."""

    time: float
    pixels: ByteArray


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A span of a recording: `[start, end)` in seconds from its beginning.

    `waveform` (hop x sample_rate,) is mono in [-1, 1], None if the segment has no audio; `frames` is empty if it has no
    video. `padded` marks a last segment that is shorter than the hop: its waveform was padded with zeros.

    Raises:
        ValueError: the start is negative or after the end.
    """

    start: float
    end: float
    frames: tuple[Frame, ...]
    waveform: FloatArray | None
    padded: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"segment [{self.start}, {self.end}) is not a span of time")

    def has(self, modality: Modality) -> bool:
        """Whether this segment has `modality`."""
        return self.waveform is not None if modality == "audio" else bool(self.frames)


@dataclass(frozen=True, slots=True)
class AudioSource:
    """How a recording stores its audio: the sample `rate` in Hz, and the `bits` of a sample where these are few."""

    rate: int
    bits: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SceneProbabilities:
    """Probabilities (n_segments, n_scenes) in the order of `labels`.

    A row of NaN means "not scored": the segment lacks a modality that the model needs. Every other row sums to 1.
    `familiarity` (n_segments,), if the model measures it, is the share of held-out segments of training that are as
    unlike the others; NaN where not scored.

    Raises:
        ValueError: the shape does not fit the labels, or a row is neither NaN nor a probability distribution.
    """

    labels: LabelSet
    probabilities: FloatArray
    familiarity: FloatArray | None = None

    def __post_init__(self) -> None:
        values = self.probabilities
        if values.ndim != 2 or values.shape[1] != len(self.labels):
            raise ValueError(f"probabilities of shape {values.shape} do not fit {len(self.labels)} scenes")
        scored = values[self.scored]
        if not np.isfinite(scored).all() or (scored < 0).any():
            raise ValueError("probabilities must be finite and not negative")
        if not np.allclose(scored.sum(axis=1), 1, atol=SUM_TOLERANCE):
            raise ValueError("each row of probabilities must sum to 1")

    @property
    def scored(self) -> npt.NDArray[np.bool_]:
        """Whether each segment was scored (n_segments,)."""
        return np.asarray(~np.isnan(self.probabilities).all(axis=1))

    def column(self, scene: str) -> FloatArray:
        """Return the probabilities (n_segments,) of one scene, by its name."""
        return self.probabilities[:, self.labels.index(scene)]

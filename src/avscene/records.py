"""Frozen, validated values that pass between the stages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from avscene.errors import AvsceneError
from avscene.labels import LabelSet

Modality = Literal["audio", "video"]
Needs = Modality | Literal["both"]  # of a model: one, or the two of them together
MODALITY_NAMES: dict[Needs, str] = {"audio": "audio", "video": "video", "both": "audio and video"}  # as messages say it
# Networks that a reproduction trains: the paper's, or small ones whose weights are installed with the package.
Backbones = Literal["paper", "small"]
FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
ByteArray = npt.NDArray[np.uint8]

SCHEMA = "avscene/1"
SUM_TOLERANCE = 1e-4
DECIMALS = 6  # of every number written as JSON; a row of ten scenes still sums to 1 within 1e-5


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled recording of a data set.

    `name` identifies it in tables: its path relative to the data set. `audio` is a separate file with its audio.
    Recordings of one `group` (a place, a session) resemble each other and stay on one side of every split. `columns`
    holds further columns of the data set, such as `split` or `fold`.
    """

    name: str
    path: Path
    label: str
    group: str
    audio: Path | None = None
    columns: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image: `pixels` (height, width, 3) RGB, upright, and the time in seconds at which it was shown."""

    time: float
    pixels: ByteArray


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A stretch of a recording: `[start, end)` in seconds from its beginning.

    `waveform` (hop x sample_rate,) is mono in [-1, 1], or None where the recording has no sound here; `frames` is empty
    where it has no picture. `padded` marks a last part shorter than the hop: its waveform was filled with silence.
    """

    start: float
    end: float
    frames: tuple[Frame, ...]
    waveform: FloatArray | None
    padded: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"segment [{self.start}, {self.end}) is not a stretch of time")

    def has(self, modality: Modality) -> bool:
        """Whether this segment carries `modality`."""
        return self.waveform is not None if modality == "audio" else bool(self.frames)


@dataclass(frozen=True, slots=True, eq=False)
class SceneProbabilities:
    """Probabilities (n_segments, n_scenes) in the order of `labels`.

    A row of NaN says "not scored": the segment lacked what the model needs. Every other row sums to 1.
    """

    labels: LabelSet
    probabilities: FloatArray

    def __post_init__(self) -> None:
        values = self.probabilities
        if values.ndim != 2 or values.shape[1] != len(self.labels):
            raise ValueError(f"scores of shape {values.shape} do not fit {len(self.labels)} scenes")
        scored = values[self.scored]
        if not np.isfinite(scored).all() or (scored < 0).any():
            raise ValueError("scores must be finite and not negative")
        if not np.allclose(scored.sum(axis=1), 1, atol=SUM_TOLERANCE):
            raise ValueError("each row of scores must sum to 1")

    @property
    def scored(self) -> npt.NDArray[np.bool_]:
        """(n_segments,) whether each segment was scored."""
        return np.asarray(~np.isnan(self.probabilities).all(axis=1))

    def column(self, scene: str) -> FloatArray:
        """(n_segments,) probabilities of one scene, by its name."""
        return self.probabilities[:, self.labels.index(scene)]


def _named(labels: LabelSet, probabilities: FloatArray) -> dict[str, float]:
    return {name: round(float(value), DECIMALS) for name, value in zip(labels, probabilities, strict=True)}


def _best(labels: LabelSet, probabilities: FloatArray, *, accepted: bool) -> dict[str, Any]:
    top = int(probabilities.argmax())
    return {
        "scene": labels.names[top] if accepted else None,
        "score": round(float(probabilities[top]), DECIMALS),
        "scores": _named(labels, probabilities),
    }


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The probability `score` that sound and picture do not belong together, and whether it is called a mismatch.

    Raises:
        ValueError: the score is no probability.
    """

    score: float
    verdict: bool

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 1:
            raise ValueError(f"a mismatch of {self.score} is no probability")

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return {"score": round(self.score, DECIMALS), "verdict": self.verdict}


@dataclass(frozen=True, slots=True, eq=False)
class SegmentPrediction:
    """Fused probabilities (n_scenes,) of one segment and, by model name, what each model said of it.

    `mismatch` is None where nothing is known of it. Unless `accepted`, the segment is of no known scene.
    """

    start: float
    end: float
    probabilities: FloatArray
    by_model: Mapping[str, FloatArray] = field(default_factory=dict)
    mismatch: Mismatch | None = None
    accepted: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a system says of one recording; `probabilities` (n_scenes,) are those of the whole recording.

    `modalities` tells what the recording has; `duration` is in seconds, 0 for a photograph. `mismatch` and `accepted`
    are as in its segments.
    """

    source: str
    duration: float
    system: str
    labels: LabelSet
    modalities: Mapping[Modality, bool]
    probabilities: FloatArray
    segments: tuple[SegmentPrediction, ...]
    warnings: tuple[str, ...] = ()
    mismatch: Mismatch | None = None
    accepted: bool = True

    @property
    def scene(self) -> str | None:
        """The most probable scene; None where its probability does not do."""
        return self.labels.names[int(self.probabilities.argmax())] if self.accepted else None

    @property
    def score(self) -> float:
        """The probability of the most probable scene."""
        return float(self.probabilities.max())

    @property
    def scores(self) -> dict[str, float]:
        """Probability of each scene, by name."""
        return _named(self.labels, self.probabilities)

    def to_dict(self) -> dict[str, Any]:
        """The prediction as plain values, schema `avscene/1`: what every door hands out as JSON."""
        return {
            "schema": SCHEMA,
            "source": self.source,
            "duration": round(self.duration, DECIMALS),
            "system": self.system,
            "labels": list(self.labels),
            "modalities": dict(self.modalities),
            **_best(self.labels, self.probabilities, accepted=self.accepted),
            "mismatch": self.mismatch and self.mismatch.to_dict(),
            "segments": [
                {
                    "start": round(segment.start, DECIMALS),
                    "end": round(segment.end, DECIMALS),
                    **_best(self.labels, segment.probabilities, accepted=segment.accepted),
                    "mismatch": segment.mismatch and segment.mismatch.to_dict(),
                    "by_model": {name: _named(self.labels, values) for name, values in segment.by_model.items()},
                }
                for segment in self.segments
            ],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one recording of a batch has no prediction."""

    source: str
    error: AvsceneError

    def to_dict(self) -> dict[str, Any]:
        """The failure as plain values, schema `avscene/1`."""
        return {
            "schema": SCHEMA,
            "source": self.source,
            "error": {"type": self.error.kind, "message": str(self.error)},
        }

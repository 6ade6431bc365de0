"""Define the frozen, validated values that pass between the stages, from examples and segments to predictions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from avscene.errors import AvsceneError
from avscene.labels import LabelSet
from avscene.verdicts import DECIMALS, Familiarity, Mismatch, RecordingMismatch

Modality = Literal["audio", "video"]
Needs = Modality | Literal["both"]  # what a model cannot do without
MODALITY_NAMES: dict[Needs, str] = {"audio": "audio", "video": "video", "both": "audio and video"}  # in messages
# Networks that a reproduction trains: the paper's, or small ones whose weights are installed with the package.
Backbones = Literal["paper", "small"]
FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
ByteArray = npt.NDArray[np.uint8]

SCHEMA = "avscene/1"
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


def _by_scene(labels: LabelSet, probabilities: FloatArray) -> dict[str, float]:
    return {name: round(value, DECIMALS) for name, value in zip(labels, probabilities.tolist(), strict=True)}


def _scene_fields(labels: LabelSet, probabilities: FloatArray, *, accepted: bool) -> dict[str, Any]:
    top = int(probabilities.argmax())
    return {
        "scene": labels.names[top] if accepted else None,
        "score": round(float(probabilities[top]), DECIMALS),
        "scores": _by_scene(labels, probabilities),
    }


@dataclass(frozen=True, slots=True, eq=False)
class SegmentPrediction:
    """Fused probabilities (n_scenes,) of one segment, and those of each model by its name.

    `mismatch` is None if the system has no detector, or if a modality is missing or the segment is unfamiliar.
    `familiarity` is None if no model measures it. If `accepted` is False, no scene is predicted: its probability is too
    low, or the segment is unfamiliar and a bound of the risk was asked for.
    """

    start: float
    end: float
    probabilities: FloatArray
    by_model: Mapping[str, FloatArray] = field(default_factory=dict)
    mismatch: Mismatch | None = None
    accepted: bool = True
    familiarity: Familiarity | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The prediction of a system for one recording; `probabilities` (n_scenes,) are those of the whole recording.

    `modalities` states which the recording has; one that the system uses must hold content in a segment. `duration` is
    in seconds, 0 for a photograph. `mismatch`, `accepted` and `familiarity` are as in its segments.
    """

    source: str
    duration: float
    system: str
    labels: LabelSet
    modalities: Mapping[Modality, bool]
    probabilities: FloatArray
    segments: tuple[SegmentPrediction, ...]
    warnings: tuple[str, ...] = ()
    mismatch: RecordingMismatch | None = None
    accepted: bool = True
    familiarity: Familiarity | None = None

    @property
    def scene(self) -> str | None:
        """The most probable scene; None if its probability is too low to accept."""
        return self.labels.names[int(self.probabilities.argmax())] if self.accepted else None

    @property
    def score(self) -> float:
        """The probability of the most probable scene."""
        return float(self.probabilities.max())

    @property
    def scores(self) -> dict[str, float]:
        """Probability of each scene, by its name."""
        return _by_scene(self.labels, self.probabilities)

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as plain values, schema `avscene/1`: the same JSON from every interface."""
        return {
            "schema": SCHEMA,
            "source": self.source,
            "duration": round(self.duration, DECIMALS),
            "system": self.system,
            "labels": list(self.labels),
            "modalities": dict(self.modalities),
            **_scene_fields(self.labels, self.probabilities, accepted=self.accepted),
            "mismatch": self.mismatch and self.mismatch.to_dict(),
            "familiarity": self.familiarity and self.familiarity.to_dict(),
            "segments": [
                {
                    "start": round(segment.start, DECIMALS),
                    "end": round(segment.end, DECIMALS),
                    **_scene_fields(self.labels, segment.probabilities, accepted=segment.accepted),
                    "mismatch": segment.mismatch and segment.mismatch.to_dict(),
                    "familiarity": segment.familiarity and segment.familiarity.to_dict(),
                    "by_model": {name: _by_scene(self.labels, values) for name, values in segment.by_model.items()},
                }
                for segment in self.segments
            ],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class Failure:
    """The error because of which one recording of a batch has no prediction."""

    source: str
    error: AvsceneError

    def to_dict(self) -> dict[str, Any]:
        """Return the failure as plain values, schema `avscene/1`."""
        return {
            "schema": SCHEMA,
            "source": self.source,
            "error": {"type": self.error.kind, "message": str(self.error)},
        }


def json_line(outcome: Prediction | Failure) -> str:
    """Return an outcome as JSON on one line, with its line break."""
    return json.dumps(outcome.to_dict()) + "\n"

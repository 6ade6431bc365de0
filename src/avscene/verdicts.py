"""Define whether audio and video belong together and how familiar they are, as predictions contain it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DECIMALS = 6  # of numbers in JSON; a row of ten scenes still sums to 1 within 1e-5
FAMILIAR_SHARE = 0.05  # of segments like those of training that are called unfamiliar


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The probability `score` that audio and video do not belong together, and the decision `verdict`.

    Raises:
        ValueError: the score is not a probability.
    """

    score: float
    verdict: bool

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 1:
            raise ValueError(f"a mismatch score of {self.score} is not a probability")

    def to_dict(self) -> dict[str, Any]:
        """Return the mismatch as plain values."""
        return {"score": round(self.score, DECIMALS), "verdict": self.verdict}


@dataclass(frozen=True, slots=True)
class MismatchSpan:
    """A span `[start, end)` in seconds in which audio and video do not belong together; `score` is its probability."""

    start: float
    end: float
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Return the span as plain values."""
        return {name: round(getattr(self, name), DECIMALS) for name in ("start", "end", "score")}


@dataclass(frozen=True, slots=True)
class RecordingMismatch:
    """The probability `score` that the audio of a recording does not belong to its video, and the decision `verdict`.

    The score holds for recordings that are a mismatch with probability `prior`; the verdict is whether it reaches
    `threshold`. `false_alarms` of a hundred intact recordings are expected, None if unknown. `spans` are the parts that
    do not belong together; there may be some without a verdict on the whole.

    Raises:
        ValueError: the score is not a probability.
    """

    score: float
    verdict: bool
    prior: float
    threshold: float
    false_alarms: float | None = None
    spans: tuple[MismatchSpan, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 1:
            raise ValueError(f"a mismatch score of {self.score} is not a probability")

    def to_dict(self) -> dict[str, Any]:
        """Return the mismatch as plain values."""
        return {
            "score": round(self.score, DECIMALS),
            "verdict": self.verdict,
            "prior": self.prior,
            "threshold": round(self.threshold, DECIMALS),
            "false_alarms": None if self.false_alarms is None else round(self.false_alarms, DECIMALS),
            "spans": [span.to_dict() for span in self.spans],
        }


@dataclass(frozen=True, slots=True)
class Familiarity:
    """How much a segment, or a recording, is like those of training.

    `score` is the share of held-out segments of training that are as unlike the others, over all models; that of a
    recording is the median of its segments. `by_model` has the share of each model of a segment.

    Raises:
        ValueError: the score is not a share.
    """

    score: float
    by_model: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 1:
            raise ValueError(f"a familiarity of {self.score} is not a share")

    @property
    def familiar(self) -> bool:
        """Whether so many segments of training are as unlike the others that this one may be of a trained scene."""
        return self.score >= FAMILIAR_SHARE

    def to_dict(self) -> dict[str, Any]:
        """Return the familiarity as plain values."""
        return {"score": round(self.score, DECIMALS), "familiar": self.familiar}

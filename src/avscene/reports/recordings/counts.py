"""Count the outcomes of many recordings: failures by kind, hours, scenes, and answers that are open."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from avscene.records import Failure, Prediction
from avscene.reports.recordings.notes import is_unfamiliar
from avscene.reports.recordings.spans import Outcome, is_unsure, mismatch_spans, recording_scenes

MOST_SCENES = 5  # listed in a line of text
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class OutcomeSummary:
    """What is counted of an outcome: the `seconds` of a prediction, its scene if it has one, and its states.

    `failed` is the kind of the error of a failure.
    """

    seconds: float = 0.0
    scene: str | None = None
    states: tuple[str, ...] = ()
    failed: str | None = None

    @classmethod
    def of(cls, outcome: Outcome) -> "OutcomeSummary":
        """Return the summary of an outcome."""
        if isinstance(outcome, Failure):
            return cls(states=("failed",), failed=outcome.error.kind)
        scenes = recording_scenes(outcome)
        scene = scenes[0] if len(scenes) == 1 else None
        return cls(outcome.duration, scene, tuple(states_of(outcome, scenes)))


class OutcomeCounts:
    """Counts of outcomes, which are added one by one.

    `scenes` counts recordings with one scene, `states` those that are `several` scenes, `unsure`, `unknown`,
    `unfamiliar`, a `mismatch` (all or a part) or `failed`.
    """

    def __init__(self) -> None:
        self.n_outcomes = 0
        self.seconds = 0.0  # of the recordings that were classified
        self.failed: Counter[str] = Counter()  # by the kind of the error
        self.scenes: Counter[str] = Counter()
        self.states: Counter[str] = Counter()

    @property
    def n_classified(self) -> int:
        """Number of recordings with a prediction."""
        return self.n_outcomes - self.failed.total()

    @property
    def hours(self) -> str:
        """Duration of the classified recordings as text, in hours; in minutes if it is less than one."""
        if self.seconds < SECONDS_PER_HOUR:
            return f"{self.seconds / 60:.1f} minutes"
        return f"{self.seconds / SECONDS_PER_HOUR:,.1f} hours"

    def add(self, summary: OutcomeSummary) -> None:
        """Count an outcome."""
        self.n_outcomes += 1
        self.states.update(summary.states)
        self.seconds += summary.seconds
        if summary.failed is not None:
            self.failed[summary.failed] += 1
        if summary.scene is not None:
            self.scenes[summary.scene] += 1

    def scenes_text(self) -> str:
        """Return how many recordings have which scene, and which answers are open, on one line."""
        most = self.scenes.most_common(MOST_SCENES)
        rest = self.scenes.total() - sum(count for _, count in most)
        named = [f"{scene} {count:,}" for scene, count in most] + ([f"others {rest:,}"] if rest else [])
        several = [f"several scenes {self.states['several']:,}"] if self.states["several"] else []
        states = [
            f"{state} {self.states[state]:,}"
            for state in ("unsure", "unknown", "unfamiliar", "mismatch")
            if self.states[state]
        ]
        return "; ".join(", ".join(part) for part in (named + several, states) if part)


def states_of(prediction: Prediction, scenes: Sequence[str]) -> list[str]:
    """Return what is special about a prediction: several, unknown, unsure, unfamiliar, mismatch.

    Args:
        prediction: that of the recording.
        scenes: its `recording_scenes`.
    """
    found = {
        "several": len(scenes) > 1,
        "unknown": not scenes,
        "unsure": is_unsure(prediction, scenes),
        "unfamiliar": is_unfamiliar(prediction),
        "mismatch": bool(mismatch_spans(prediction)),
    }
    return [state for state, holds in found.items() if holds]

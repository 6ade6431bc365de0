"""Summarise the scores of intact recordings, to state how many false alarms a threshold gives."""

from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from avscene.records import FloatArray

N_SCORES = 200  # kept at most: all of the highest ones, and fewer and fewer of the others


class FalseAlarms(BaseModel):
    """Scores of `n` intact rows in falling order: `scores[k]` is the one of rank `ranks[k]`, from 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n: Annotated[int, Field(ge=0)]
    ranks: tuple[int, ...]
    scores: tuple[float, ...]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.ranks) != len(self.scores):
            raise ValueError("a rank and a score belong together")
        return self

    @classmethod
    def of(cls, scores: FloatArray) -> "FalseAlarms":
        """Summarise the scores (n,)."""
        ordered = np.sort(scores)[::-1]
        ranks = np.unique(np.geomspace(1, max(len(ordered), 1), N_SCORES).round().astype(int))[: len(ordered)]
        return cls(n=len(ordered), ranks=tuple(ranks.tolist()), scores=tuple(ordered[ranks - 1].tolist()))

    def expected_rate(self, threshold: float) -> float:
        """Return the expected share of intact rows whose score reaches `threshold`.

        With k of n it is (k + 1) / (n + 2), Laplace's rule of succession: a rate that was measured as 0 is not 0.
        """
        ranked = zip(self.ranks, self.scores, strict=True)
        first_below = next((rank for rank, score in ranked if score < threshold), self.n + 1)
        return first_below / (self.n + 2)

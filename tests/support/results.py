"""Make results as `classify` writes them, without classifying anything."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from avscene.errors import MediaError
from avscene.labels import LabelSet
from avscene.records import Failure, Prediction, SegmentPrediction, json_line
from avscene.verdicts import Familiarity, RecordingMismatch

LABELS = LabelSet(("park", "tram", "bus", "metro station"))
_HAS = {"audio": True, "video": True}


def prediction(
    source: str,
    scene: str = "park",
    score: float = 0.75,
    *,
    duration: int = 4,
    system: str = "fast",
    mismatch: bool | None = None,
    share: float | None = None,
    accepted: bool = True,
) -> Prediction:
    """Return a prediction of one scene with this probability; `share` is that of familiar segments."""
    row = np.full(len(LABELS), (1 - score) / (len(LABELS) - 1))
    row[LABELS.index(scene)] = score
    return of_rows(
        source, np.tile(row, (duration, 1)), system=system, mismatch=mismatch, share=share, accepted=accepted
    )


def of_rows(
    source: str,
    rows: np.ndarray,
    *,
    system: str = "fast",
    mismatch: bool | None = None,
    share: float | None = None,
    accepted: bool = True,
) -> Prediction:
    """Return a prediction with these probabilities (n_segments, n_scenes), a segment a second."""
    segments = tuple(
        SegmentPrediction(float(k), k + 1.0, row, {"audio": row, "video": row}, accepted=accepted)
        for k, row in enumerate(rows)
    )
    found = None
    if mismatch is not None:
        found = RecordingMismatch(0.9 if mismatch else 0.1, verdict=mismatch, prior=0.01, threshold=0.5)
    familiarity = None if share is None else Familiarity(share)
    return Prediction(
        *(source, float(len(rows)), system, LABELS, _HAS, rows.mean(axis=0), segments, (), found, accepted, familiarity)
    )


def failure(source: str, problem: str = "is not a media file") -> Failure:
    """Return the failure of a recording."""
    return Failure(source, MediaError(f"{source}: {problem}"))


def write_lines(path: Path, outcomes: Iterable[Prediction | Failure], *, mode: str = "w") -> Path:
    """Write outcomes as JSON lines, or with mode `a` append them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open(mode, encoding="utf-8") as file:
        file.writelines(json_line(outcome) for outcome in outcomes)
    return path

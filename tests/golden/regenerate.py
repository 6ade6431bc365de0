"""Write the golden tables and their metrics: `python tests/golden/regenerate.py [DIR]`.

Run it only after an intended change of a convention, and read the difference before committing it.
"""

import json
import sys
from pathlib import Path

import numpy as np

from avscene.evaluation.metrics import compute_metrics
from avscene.labels import TAU_SCENES, LabelSet
from avscene.tables.prediction_table import read_table, write_table
from avscene.tables.score_table import ScoreTable

HERE = Path(__file__).parent / "metrics"


def segments() -> ScoreTable:
    """Ten scenes, 12 recordings of 5 segments: predictions that are mostly right and underconfident."""
    rng = np.random.default_rng(7)
    recordings = [f"{TAU_SCENES.names[index % 10]}-lisbon-{index}-{index}.mp4" for index in range(12)]
    truth = np.repeat(np.arange(12) % 10, 5)
    logits = rng.normal(size=(60, 10)) + 1.5 * np.eye(10)[truth]
    return ScoreTable(
        labels=TAU_SCENES,
        filenames=tuple(np.repeat(recordings, 5).tolist()),
        probabilities=_softmax(logits).round(6),
        starts=np.tile(np.arange(5.0), 12),
        groups=tuple(str(index) for index in np.repeat(np.arange(12), 5)),
        truth=tuple(TAU_SCENES.names[index] for index in truth),
    )


def ties() -> ScoreTable:
    """Equal probabilities, certain predictions, right and wrong, and exact zeros."""
    labels = LabelSet(("park", "tram", "bus"))
    third = 1 / 3
    rows = [
        [0.5, 0.5, 0],
        [0, 0.5, 0.5],
        [third, third, third],
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [0.4, 0.4, 0.2],
    ]
    return ScoreTable(
        labels=labels,
        filenames=tuple(f"{index}.wav" for index in range(len(rows))),
        probabilities=np.array(rows),
        truth=("park", "bus", "bus", "park", "tram", "park", "tram"),
    )


def absent() -> ScoreTable:
    """Four scenes: one has no row and another is never predicted."""
    rng = np.random.default_rng(11)
    truth = rng.integers(0, 3, 40)
    logits = rng.normal(size=(40, 4)) + 2 * np.eye(4)[truth] - np.array([0, 0, 9, 0])
    labels = LabelSet(("kitchen", "living room", "office", "coast"))
    return ScoreTable(
        labels=labels,
        filenames=tuple(f"clip {index:02d}.mp4" for index in range(40)),
        probabilities=_softmax(logits).round(6),
        truth=tuple(labels.names[index] for index in truth),
    )


TABLES = {"segments": segments, "ties": ties, "absent": absent}


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def regenerate(folder: Path = HERE) -> None:
    """Write NAME.tsv and NAME.json for every table; the metrics are those of the table as read back."""
    for name, make in TABLES.items():
        write_table(folder / f"{name}.tsv", make())
        metrics = compute_metrics(read_table(folder / f"{name}.tsv")).to_dict()
        (folder / f"{name}.json").write_text(json.dumps(metrics, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    regenerate(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)

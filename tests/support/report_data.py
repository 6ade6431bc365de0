"""A random prediction table and a timeline for tests of reports."""

import numpy as np

from avscene.labels import LabelSet
from avscene.reports.timeline import Timeline
from avscene.tables.score_table import ScoreTable

LABELS = LabelSet(("park", "tram", "2024-01-01"))  # a scene like a date must not make an axis of dates


def random_table(labels: LabelSet = LABELS, seed: int = 0) -> ScoreTable:
    """Return 40 segments of 20 recordings with random probabilities; the last scene is never true."""
    rng = np.random.default_rng(seed)
    truth = tuple(labels.names[index] for index in rng.integers(0, 2, 40))
    probabilities = rng.dirichlet(np.ones(len(labels)), 40)
    filenames = tuple(f"{row // 2}.mp4" for row in range(40))
    return ScoreTable(labels, filenames, probabilities, np.arange(40.0) % 2, truth=truth)


def build_timeline(**changes) -> Timeline:
    """Return a timeline of four segments with frames; the second segment is not scored."""
    values = {
        "title": "a.mp4",
        "labels": LABELS,
        "starts": np.arange(4.0),
        "ends": np.arange(4.0) + 1,
        "probabilities": np.array([[0.7, 0.2, 0.1], [np.nan] * 3, [0.1, 0.8, 0.1], [0.6, 0.2, 0.2]]),
        "truth": "park",
        "frames": [np.full((90, 120, 3), (10 * index, 200, 30), np.uint8) for index in range(4)],
    }
    return Timeline(**(values | changes))

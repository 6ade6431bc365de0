"""Write prediction tables of two systems, for tests of commands that read tables."""

from pathlib import Path

import numpy as np

from avscene.labels import TAU_SCENES
from avscene.tables.prediction_table import write_table
from avscene.tables.score_table import ScoreTable

N_ROWS = 60


def write_system_tables(root: Path) -> Path:
    """Write tables of two systems, a.tsv and b.tsv, and of the same systems on other groups, c.tsv and d.tsv."""
    random = np.random.default_rng(0)
    for name, first in {"a": 0, "b": 0, "c": 100, "d": 100}.items():
        groups = [first + row // 2 for row in range(N_ROWS)]
        truth = tuple(TAU_SCENES.names[group % len(TAU_SCENES)] for group in groups)
        logits = random.normal(size=(N_ROWS, len(TAU_SCENES)))
        logits[np.arange(N_ROWS), [TAU_SCENES.index(scene) for scene in truth]] += 2
        values = np.exp(logits)
        table = ScoreTable(
            TAU_SCENES,
            tuple(f"rec-{first}-{row}.mp4" for row in range(N_ROWS)),
            values / values.sum(1, keepdims=True),
            groups=tuple(map(str, groups)),
            truth=truth,
        )
        write_table(root / f"{name}.tsv", table)
    return root

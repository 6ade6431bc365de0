"""Write two small tables of systems as Markdown and JSON: `python tests/golden/regenerate_reproduction.py [DIR]`.

Run it only when the table changes on purpose, and read the difference before committing it.
"""

import json
import sys
from pathlib import Path

import numpy as np

from avscene.labels import LabelSet
from avscene.reports.reproduction.reproduction import (
    Absent,
    Published,
    Reproduction,
    ReproductionRow,
    measure,
    to_dict,
    to_markdown,
)
from avscene.tables.score_table import ScoreTable

HERE = Path(__file__).parent / "reproduction"
LABELS = LabelSet(("park", "shopping_mall", "tram"))
CITIES = ("lisbon", "london", "lyon")
SEEN = {(scene, city) for scene in LABELS for city in CITIES} - {("shopping_mall", "london")}
FITTED, MEASURED = "training locations", "test locations (split=test)"


def table(seed: int, strength: float, locations: int = 10, segments: int = 4) -> ScoreTable:
    """Two recordings at each location, one location in turn for each scene and city; better with `strength`."""
    rng = np.random.default_rng(seed)
    scene = np.arange(locations) % len(LABELS)
    city = np.arange(locations) // len(LABELS) % len(CITIES)
    names = [
        f"{LABELS.names[scene[at]]}-{CITIES[city[at]]}-{at}-{clip}.mp4" for at in range(locations) for clip in "12"
    ]
    truth = np.repeat(scene, 2 * segments)
    logits = rng.normal(size=(len(truth), len(LABELS))) + np.repeat(rng.normal(size=(locations, 3)), 2 * segments, 0)
    odds = np.exp(logits + strength * np.eye(len(LABELS))[truth])
    return ScoreTable(
        labels=LABELS,
        filenames=tuple(np.repeat(names, segments).tolist()),
        probabilities=(odds / odds.sum(axis=1, keepdims=True)).round(6),
        starts=np.tile(np.arange(float(segments)), 2 * locations),
        groups=tuple(str(at) for at in np.repeat(np.arange(locations), 2 * segments)),
        truth=tuple(LABELS.names[index] for index in truth),
    )


def history(epochs: int = 4) -> list[dict[str, float]]:
    """Training goes on falling, validation turns after the third epoch."""
    return [
        {"epoch": epoch, "train_loss": 1.0 / epoch, "valid_log_loss": 0.6 + 0.05 * (epoch - 3) ** 2, "rate": 1e-3}
        for epoch in range(1, epochs + 1)
    ]


def rows(stand_in: str = "") -> tuple[ReproductionRow, ...]:
    """A trained row, one without weights, the two that are reconstructed, and one of ours."""
    parts = {"fitted_on": FITTED, "measured_on": MEASURED, "needs": "both"}
    return (
        ReproductionRow(
            **parts | {"needs": "audio"},
            index="A01",
            title="RegNet-6.4F",
            notes="log-mel of 1 s",
            published=Published.of_percent(0.711, 76.6),
            measured=measure(table(1, 1.0), seen=SEEN),
            stand_in=stand_in,
            history=history(),
        ),
        ReproductionRow(
            **parts | {"needs": "video"},
            index="C01",
            title="CLIP ResNet-101",
            published=Published.of_percent(0.671, 76.7),
            absent=Absent("weights absent", "fetch timm/resnet101_clip.openai: avscene classify --system C01 FILE"),
        ),
        ReproductionRow(
            **parts,
            index="E01",
            title="A04, V04, C04",
            published=Published.of_percent(0.238, 95.8),
            measured=measure(table(2, 3.0), seen=SEEN),
            reconstructs=("class-wise confidences",),
        ),
        ReproductionRow(
            **parts,
            index="E02",
            title="E01 with post-processing",
            published=Published.of_percent(0.149, 96.1),
            measured=measure(table(3, 4.0), seen=SEEN),
            reconstructs=("class-wise confidences", "post-processing"),
        ),
        ReproductionRow(
            **parts, index="E03", title="Log-linear pool", measured=measure(table(4, 5.0), seen=SEEN), ours=True
        ),
    )


def plain() -> Reproduction:
    """With the seed's networks, on the data of the published figures."""
    versions = {"avscene": "0.1.0", "torch": "2.15.0"}
    return Reproduction("TAU Urban Audio-Visual Scenes 2021", "paper", True, "2026-01-02", versions, rows())


def stand_ins() -> Reproduction:
    """With small networks in their place, on other data."""
    return Reproduction("toytown", "small", False, "2026-01-02", {"avscene": "0.1.0"}, rows("EfficientNet-Lite0"))


REPRODUCTIONS = {"plain": plain, "stand_ins": stand_ins}


def regenerate(directory: Path) -> None:
    """Write NAME.md and NAME.json for each."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, make in REPRODUCTIONS.items():
        made = make()
        (directory / f"{name}.md").write_text(to_markdown(made), encoding="utf-8", newline="")
        text = json.dumps(to_dict(made), indent=2, ensure_ascii=False) + "\n"
        (directory / f"{name}.json").write_text(text, encoding="utf-8", newline="")


if __name__ == "__main__":
    regenerate(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)

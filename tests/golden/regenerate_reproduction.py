"""Write two small reproductions as Markdown and JSON: `python tests/golden/regenerate_reproduction.py [DIR]`.

Run it only after an intended change of the reports, and read the difference before you commit it.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from avscene.evaluation.measurement import measure
from avscene.reports.reproduction.markdown import reproduction_markdown
from avscene.reports.reproduction.rows import Absent, Published, Reproduction, ReproductionRow
from avscene.reports.reproduction.values import reproduction_to_dict
from tests.support.location_tables import SEEN, location_table

DIRECTORY = Path(__file__).parent / "reproduction"
FITTED, MEASURED = "training locations", "test locations (split=test)"


def history(epochs: int = 4) -> list[dict[str, float]]:
    """Return losses by epoch: the training loss decreases, the validation loss has its minimum at epoch 3."""
    return [
        {"epoch": epoch, "train_loss": 1.0 / epoch, "valid_log_loss": 0.6 + 0.05 * (epoch - 3) ** 2, "rate": 1e-3}
        for epoch in range(1, epochs + 1)
    ]


def rows(stand_in: str = "") -> tuple[ReproductionRow, ...]:
    """Return a trained row, one without weights, two with reconstructed parts, and one that is not in the paper."""
    parts = {"fitted_on": FITTED, "measured_on": MEASURED, "needs": "both"}
    return (
        ReproductionRow(
            **parts | {"needs": "audio"},
            index="A01",
            title="RegNet-6.4F",
            notes="log-mel of 1 s",
            published=Published.of_percent(0.711, 76.6),
            measured=measure(location_table(1, 1.0), seen=SEEN),
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
            measured=measure(location_table(2, 3.0), seen=SEEN),
            reconstructs=("class-wise confidences",),
        ),
        ReproductionRow(
            **parts,
            index="E02",
            title="E01 with post-processing",
            published=Published.of_percent(0.149, 96.1),
            measured=measure(location_table(3, 4.0), seen=SEEN),
            reconstructs=("class-wise confidences", "post-processing"),
        ),
        ReproductionRow(
            **parts,
            index="E03",
            title="Log-linear pool",
            measured=measure(location_table(4, 5.0), seen=SEEN),
            ours=True,
        ),
    )


def paper() -> Reproduction:
    """Return a reproduction with the networks and the data of the paper."""
    versions = {"avscene": "0.1.0", "torch": "2.15.0"}
    return Reproduction("TAU Urban Audio-Visual Scenes 2021", "paper", True, "2026-01-02", versions, rows())


def small() -> Reproduction:
    """Return a reproduction with small networks on different data."""
    return Reproduction("toytown", "small", False, "2026-01-02", {"avscene": "0.1.0"}, rows("EfficientNet-Lite0"))


REPRODUCTIONS = {"paper": paper, "small": small}


def regenerate(directory: Path) -> None:
    """Write NAME.md and NAME.json of each reproduction."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, build in REPRODUCTIONS.items():
        reproduction = build()
        (directory / f"{name}.md").write_text(reproduction_markdown(reproduction), encoding="utf-8", newline="")
        text = json.dumps(reproduction_to_dict(reproduction), indent=2, ensure_ascii=False) + "\n"
        (directory / f"{name}.json").write_text(text, encoding="utf-8", newline="")


if __name__ == "__main__":
    regenerate(Path(sys.argv[1]) if len(sys.argv) > 1 else DIRECTORY)

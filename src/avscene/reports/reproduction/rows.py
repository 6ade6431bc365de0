"""Define the rows of a reproduction of the paper, published and measured or absent, and the texts about all of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from avscene.evaluation.measurement import Measurement
from avscene.records import Backbones
from avscene.tables.names import SceneCity

Epoch = Mapping[str, float]  # `epoch`, `valid_log_loss`, a training loss, and other values that training recorded

PUBLISHED_IN = (
    "S. Okazaki, Q. Kong, T. Yoshinaga: A Multi-Modal Fusion Approach for Audio-Visual Scene Classification Enhanced "
    "by CLIP Variants. DCASE 2021 Workshop"
)
PUBLISHED_ON = "36,450 one-second segments of TAU Urban Audio-Visual Scenes 2021, fold 1 test"
INTRODUCTION = (
    "Each row is a system that predicts the scene of a recording from one second of it. Systems and published metrics "
    "are those of the paper cited at the end."
)
PAPER_HEADING = "Audio-visual scene classification: systems of the paper, published and measured"
SMALL_HEADING = "Small networks in place of the paper's: results are not comparable with the published ones"
SELECTION_LOSS = "valid_log_loss"  # the best epoch has the lowest


@dataclass(frozen=True, slots=True)
class Published:
    """Metrics in the paper: natural log loss, and accuracy as a share of 1."""

    log_loss: float
    accuracy: float

    @classmethod
    def of_percent(cls, log_loss: float, accuracy: float) -> "Published":
        """Convert the accuracy from per cent, as printed in the paper."""
        return cls(log_loss, round(accuracy / 100, 6))


@dataclass(frozen=True, slots=True)
class Absent:
    """The reason why a row was not measured, in a few words such as `weights absent`, and its remedy."""

    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class ReproductionRow:
    """One system, either `measured` or `absent`; `fitted_on` and `measured_on` describe the data in words.

    Args:
        index: the name of the system.
        title: what it is, in a few words.
        needs: audio, video or both.
        fitted_on: what weights, fusion and post-processing were fitted on.
        measured_on: what the metrics are of.
        notes: a remark.
        published: the metrics in the paper, if it has the system.
        measured: the metrics.
        absent: why there are none.
        stand_in: the small networks that were used in place of the paper's, empty if none were.
        reconstructs: the parts that the paper does not describe (`post-processing`).
        ours: whether the paper does not have the system.
        history: one entry for each epoch of training.

    Raises:
        ValueError: it is both measured and absent, or neither.
    """

    index: str
    title: str
    needs: str
    fitted_on: str
    measured_on: str
    notes: str = ""
    published: Published | None = None
    measured: Measurement | None = None
    absent: Absent | None = None
    stand_in: str = ""
    reconstructs: tuple[str, ...] = ()
    ours: bool = False
    history: Sequence[Epoch] = ()

    def __post_init__(self) -> None:
        if (self.measured is None) == (self.absent is None):
            raise ValueError(f"row {self.index!r} must be either measured or absent")

    @property
    def remarks(self) -> tuple[str, ...]:
        """The lines under the title: origin, small networks, reconstructed parts, notes."""
        lines = [
            "ours, not in the paper" if self.ours else "",
            f"with small networks: {self.stand_in}" if self.stand_in else "",
            f"our reconstruction of {' and '.join(self.reconstructs)}" if self.reconstructs else "",
            self.notes,
        ]
        return tuple(line for line in lines if line)


def best_epoch(history: Sequence[Epoch]) -> Epoch | None:
    """Return the epoch of lowest validation log loss, whose weights are used; None if none was recorded."""
    validated = [epoch for epoch in history if math.isfinite(epoch.get(SELECTION_LOSS, math.nan))]
    return min(validated, key=lambda epoch: epoch[SELECTION_LOSS], default=None)


@dataclass(frozen=True, slots=True)
class Reproduction:
    """All rows of a table, with the `data`, the `backbones`, the date and the `versions` of packages of the run.

    `same_data` is whether the rows were measured on the segments of the paper, as far as their number shows.

    Raises:
        ValueError: two rows have one index.
    """

    data: str
    backbones: Backbones
    same_data: bool
    date: str
    versions: Mapping[str, str]
    rows: tuple[ReproductionRow, ...]

    def __post_init__(self) -> None:
        indices = [row.index for row in self.rows]
        if repeated := [index for index in indices if indices.count(index) > 1]:
            raise ValueError(f"row {repeated[0]!r} is given twice")

    @property
    def comparable(self) -> bool:
        """Whether measured and published metrics can be compared."""
        return self.backbones == "paper" and self.same_data

    def difference(self, row: ReproductionRow) -> tuple[float, float] | None:
        """Return measured minus published log loss and accuracy per segment; None if they cannot be compared."""
        if not self.comparable or row.published is None or row.measured is None:
            return None
        metrics = row.measured.segments
        return metrics.log_loss - row.published.log_loss, metrics.accuracy - row.published.accuracy

    @property
    def heading(self) -> str:
        """The title of the report."""
        return PAPER_HEADING if self.backbones == "paper" else SMALL_HEADING

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons why metrics must not be compared, for a reader to see first."""
        warnings = []
        if self.backbones == "small":
            warnings.append(
                f"{SMALL_HEADING}. The small networks run all steps without downloads; each row names its own. "
                "Differences are not shown."
            )
        if not self.same_data:
            warnings.append(
                f"Measured on {self.data}; published on {PUBLISHED_ON}. Metrics of different recordings are not "
                "comparable: differences are not shown."
            )
        counts = {measured.segments.n for _, measured in self.measured}
        if len(counts) > 1:
            warnings.append(
                f"Rows were measured on different numbers of segments ({min(counts):,} to {max(counts):,}): compare "
                "them with care."
            )
        return tuple(warnings)

    @property
    def notes(self) -> tuple[str, ...]:
        """The source of the published metrics, and the parts that are reconstructions or additions."""
        notes = [
            f"Published: {PUBLISHED_IN}; {PUBLISHED_ON}; log loss with the natural logarithm. "
            "The paper does not state whether its averages are micro (over segments) or macro (over scenes)."
        ]
        reconstructed = [row.index for row in self.rows if row.reconstructs]
        if reconstructed:
            notes.append(
                'The paper names "class-wise confidences" and a "post-processing" but does not describe them. Those '
                f"used here (in {', '.join(reconstructed)}) are our reconstruction, as are the preprocessing and the "
                "training of the networks."
            )
        if ours := [row.index for row in self.rows if row.ours]:
            notes.append(f"{', '.join(ours)}: ours, not in the paper.")
        return tuple(notes)

    @property
    def measured(self) -> tuple[tuple[ReproductionRow, Measurement], ...]:
        """The measured rows with their metrics."""
        return tuple((row, row.measured) for row in self.rows if row.measured is not None)

    @property
    def extent(self) -> str:
        """The number of measured rows, segments, recordings and groups, in a sentence."""
        rows = f"{len(self.measured)} of {len(self.rows)} rows measured on {self.data}"
        if not self.measured:
            return f"{rows}."
        largest = max((measured for _, measured in self.measured), key=lambda measured: measured.segments.n)
        extent = f"{largest.segments.n:,} segments"
        if largest.recordings is not None:
            extent += f" of {largest.recordings.n:,} recordings"
        if largest.groups:
            extent += f" in {largest.groups:,} groups"
        return f"{rows}: {extent}."

    @property
    def scenes(self) -> tuple[str, ...]:
        """Every scene of the measured rows, in their order."""
        return tuple(dict.fromkeys(scene for _, measured in self.measured for scene in measured.segments.per_class))

    @property
    def cities(self) -> tuple[str, ...]:
        """Every city of the measured rows, sorted."""
        return tuple(sorted({city for _, measured in self.measured for city in measured.by_city}))

    @property
    def unseen_pairs(self) -> tuple[SceneCity, ...]:
        """Every pair of scene and city that a row was measured on and that training did not have, sorted."""
        unseen = [measured.unseen for _, measured in self.measured if measured.unseen]
        return tuple(sorted({pair for subset in unseen for pair in subset.pairs}))

"""The rows of a reproduction, each published, measured or absent, and what has to be said of all of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from avscene.evaluation.measurement import Measurement
from avscene.records import Backbones
from avscene.tables.names import SceneCity

Epoch = Mapping[str, float]  # `epoch`, `valid_log_loss`, a training loss, and whatever else training recorded

PUBLISHED_IN = (
    "S. Okazaki, Q. Kong, T. Yoshinaga: A Multi-Modal Fusion Approach for Audio-Visual Scene Classification Enhanced "
    "by CLIP Variants. DCASE 2021 Workshop"
)
PUBLISHED_ON = "36,450 one-second segments of TAU Urban Audio-Visual Scenes 2021, fold 1 test"
INTRODUCTION = (
    "Each row is a system that tells the scene of a recording from one second of it. The seed is the poster from which "
    "the rows and the published figures come; its source is named at the end."
)
PLAIN_HEADING = "Audio-visual scene classification: the seed's systems, published and measured"
STAND_IN_HEADING = "Stand-in backbones: not the seed's networks; nothing here is comparable with the published figures"


@dataclass(frozen=True, slots=True)
class Published:
    """What the seed reports: natural log loss, and accuracy as a share of 1."""

    log_loss: float
    accuracy: float

    @classmethod
    def of_percent(cls, log_loss: float, accuracy: float) -> "Published":
        """From the accuracy in per cent, as it is printed."""
        return cls(log_loss, round(accuracy / 100, 6))


@dataclass(frozen=True, slots=True)
class Absent:
    """Why a row was not measured, in a few words such as `weights absent`, and what to do about it."""

    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class ReproductionRow:
    """One system: either `measured` or `absent`, and in words what it was `fitted_on` and `measured_on`.

    `needs` is audio, video or both. `stand_in` names what ran in place of the networks of the `title`; `reconstructs`
    names what the seed leaves undescribed in it (`post-processing`); `ours` marks rows that the seed does not have;
    `history` has one entry per epoch of training.

    Raises:
        ValueError: both measured and absent, or neither.
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
        """What stands under the title: whose row it is, what ran, what is reconstructed, the notes."""
        said = [
            "ours, not the seed's" if self.ours else "",
            f"stand-in: {self.stand_in}" if self.stand_in else "",
            f"our reconstruction of {' and '.join(self.reconstructs)}" if self.reconstructs else "",
            self.notes,
        ]
        return tuple(text for text in said if text)

    @property
    def best_epoch(self) -> Epoch | None:
        """The epoch of least validation log loss, whose weights were kept; None where nothing was recorded."""
        judged = [epoch for epoch in self.history if math.isfinite(epoch.get("valid_log_loss", math.nan))]
        return min(judged, key=lambda epoch: epoch["valid_log_loss"], default=None)


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A whole table: on which `data`, with which `backbones`, when and with which `versions`.

    `same_data` says that the rows were measured on the segments of the published figures, as far as counts can tell.

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
        if doubled := [index for index in indices if indices.count(index) > 1]:
            raise ValueError(f"row {doubled[0]!r} is given twice")

    @property
    def comparable(self) -> bool:
        """Whether a measured figure may be held against the published one."""
        return self.backbones == "paper" and self.same_data

    def difference(self, row: ReproductionRow) -> tuple[float, float] | None:
        """Log loss and accuracy per segment, measured minus published; None where they cannot be compared."""
        if not self.comparable or row.published is None or row.measured is None:
            return None
        found = row.measured.segments
        return found.log_loss - row.published.log_loss, found.accuracy - row.published.accuracy

    @property
    def heading(self) -> str:
        """What this table is."""
        return PLAIN_HEADING if self.backbones == "paper" else STAND_IN_HEADING

    @property
    def warnings(self) -> tuple[str, ...]:
        """What must be read before any figure."""
        said = []
        if self.backbones == "small":
            said.append(
                f"{STAND_IN_HEADING}. Small networks ran in place of the seed's, to exercise the whole machinery "
                "without downloads; each row names what ran. Differences are left out."
            )
        if not self.same_data:
            said.append(
                f"Measured on {self.data}; published on {PUBLISHED_ON}. Figures of different recordings are not "
                "comparable, and differences are left out."
            )
        counts = {figures.segments.n for _, figures in self.measured}
        if len(counts) > 1:
            said.append(
                f"The rows were measured on different numbers of segments ({min(counts):,} to {max(counts):,}): "
                "compare them with care."
            )
        return tuple(said)

    @property
    def notes(self) -> tuple[str, ...]:
        """Where the figures come from, and what is reconstructed."""
        said = [
            f"Published: {PUBLISHED_IN}; {PUBLISHED_ON}; log loss with the natural logarithm. "
            "Whether its means are over segments or over scenes it does not say."
        ]
        reconstructed = [row.index for row in self.rows if row.reconstructs]
        if reconstructed:
            said.append(
                'The seed names "class-wise confidences" and a "post-processing" and describes neither. What stands '
                f"for them here (in {', '.join(reconstructed)}) is our reconstruction. So are the front ends and the "
                "training of the networks."
            )
        if ours := [row.index for row in self.rows if row.ours]:
            said.append(f"{', '.join(ours)}: ours; the seed has no such row.")
        return tuple(said)

    @property
    def measured(self) -> tuple[tuple[ReproductionRow, Measurement], ...]:
        """The measured rows with their figures."""
        return tuple((row, row.measured) for row in self.rows if row.measured is not None)

    @property
    def extent(self) -> str:
        """How much was measured, of how many rows."""
        found = [figures for _, figures in self.measured]
        counted = f"{len(found)} of {len(self.rows)} rows measured on {self.data}"
        if not found:
            return f"{counted}."
        most = max(found, key=lambda figures: figures.segments.n)
        extent = f"{most.segments.n:,} segments"
        if most.recordings is not None:
            extent += f" of {most.recordings.n:,} recordings"
        if most.groups:
            extent += f" at {most.groups:,} places"
        return f"{counted}: {extent}."

    @property
    def scenes(self) -> tuple[str, ...]:
        """Every scene of the measured rows, in their order."""
        return tuple(dict.fromkeys(scene for _, figures in self.measured for scene in figures.segments.per_class))

    @property
    def cities(self) -> tuple[str, ...]:
        """Every city of the measured rows."""
        return tuple(sorted({city for _, figures in self.measured for city in figures.by_city}))

    @property
    def unseen_pairs(self) -> tuple[SceneCity, ...]:
        """Every pair of scene and city that some row was tested on and training had not."""
        unseen = [figures.unseen for _, figures in self.measured if figures.unseen]
        return tuple(sorted({pair for found in unseen for pair in found.pairs}))

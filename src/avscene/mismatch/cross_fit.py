"""Cross-fit a mismatch detector: judge each pair by a detector fitted on neither the group of its audio nor its video.

Swapped pairs have audio and video of two groups, which may be in two folds. So there is a detector for each fold and
for each two folds that are left out together.
"""

from dataclasses import dataclass, field

import numpy as np

from avscene.errors import DataError, UsageError
from avscene.groups import shuffled_folds
from avscene.mismatch.detector import Assessment, Level, MismatchDetector
from avscene.mismatch.pairs import PairedScores

MIN_FOLDS = 3  # two are left out together
SEED = 0  # of the assignment of groups to folds

Folds = frozenset[int]


@dataclass(frozen=True, slots=True, eq=False)
class CrossFittedDetector:
    """Detectors by the folds of groups that they were not fitted on, each fitted when it is first needed.

    Attributes:
        intact: recordings with their own audio, with true scenes and groups: what is fitted on.
        n_folds: the number of folds.
        fold_of: the fold of each group.
        detectors: the detectors that were fitted so far.
    """

    intact: PairedScores
    n_folds: int
    fold_of: dict[str, int]
    detectors: dict[Folds, MismatchDetector] = field(default_factory=dict)

    @classmethod
    def of(cls, intact: PairedScores, n_folds: int) -> "CrossFittedDetector":
        """Assign the groups of `intact` recordings to folds; groups of each scene are spread over the folds.

        Raises:
            UsageError: there are fewer than MIN_FOLDS folds.
            DataError: the recordings have no true scenes or groups, fewer groups than folds, or a recording has one
                group in the table of audio and another in that of video.
        """
        if n_folds < MIN_FOLDS:
            raise UsageError(
                f"cross-fit of {n_folds} folds: give at least {MIN_FOLDS}, for a pair with swapped audio has groups of "
                "two folds, and the detector is fitted on the others"
            )
        if intact.truth is None or intact.groups is None or intact.audio_groups is None:
            raise DataError("to cross-fit a detector, both tables need the columns 'true_label' and 'group'")
        for pair, video, audio in zip(intact.pairs, intact.groups, intact.audio_groups, strict=True):
            if video != audio:
                raise DataError(f"the group of {pair.name!r} is {audio!r} in one table and {video!r} in the other")
        folds = shuffled_folds(intact.groups, intact.truth, n_folds, SEED)
        return cls(intact, n_folds, dict(zip(intact.groups, folds.tolist(), strict=True)))

    def assess(self, paired: PairedScores, level: Level) -> Assessment:
        """Return log-odds and thresholds of each row, by the detector without the folds of its audio and video.

        Raises:
            DataError: the rows have no groups, or a detector cannot be fitted on the other folds.
        """
        log_odds, thresholds = np.full((2, len(paired.pairs)), np.nan)
        for folds, rows in self._rows_by_folds(paired).items():
            found = self.detector_without(folds).assess(paired.select(np.array(rows)), level)
            log_odds[rows], thresholds[rows] = found.log_odds, found.thresholds
        return Assessment(log_odds, thresholds)

    def detector_without(self, folds: Folds) -> MismatchDetector:
        """Return the detector that was fitted on the recordings of all other folds.

        Raises:
            DataError: no recording of them has another one of another scene and group.
        """
        if folds not in self.detectors:
            assert self.intact.groups is not None
            fold_of_row = np.array([self.fold_of[group] for group in self.intact.groups])
            rows = np.flatnonzero(~np.isin(fold_of_row, list(folds)))
            try:
                self.detectors[folds] = MismatchDetector.fit(self.intact.select(rows))
            except DataError as error:
                others = self.n_folds - len(folds)
                raise DataError(f"{error}, in {others} of {self.n_folds} folds; try: --cross-fit with fewer") from error
        return self.detectors[folds]

    def describe(self) -> str:
        """Return in words what was fitted on what."""
        return (
            f"each pair was judged by a detector fitted on other groups than those of its audio and of its video, in "
            f"{self.n_folds} folds of {len(self.fold_of)} groups; the stored detector was fitted on all"
        )

    def _rows_by_folds(self, paired: PairedScores) -> dict[Folds, list[int]]:
        """The rows by the folds of the groups of their audio and of their video."""
        if paired.groups is None or paired.audio_groups is None:
            raise DataError("to cross-fit a detector, both tables need the column 'group'")
        rows: dict[Folds, list[int]] = {}
        for row, groups in enumerate(zip(paired.groups, paired.audio_groups, strict=True)):
            rows.setdefault(frozenset(self.fold_of[group] for group in groups), []).append(row)
        return rows

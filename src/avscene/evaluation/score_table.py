"""Scene probabilities of many segments or recordings, in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from avscene.errors import DataError
from avscene.labels import LabelSet
from avscene.records import SUM_TOLERANCE, FloatArray

ROUNDING = 1e-12  # a sum this near to 1 is 1; dividing by it would only disturb last digits


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """Scene probabilities (n, n_scenes) in the order of `labels`, one row per segment or recording.

    Held as float64, read-only; rows that sum to 1 within `SUM_TOLERANCE` are rescaled to do so to `ROUNDING`.
    `starts` (n,) are in seconds; `truth` holds the true scene names; `source` names the table in messages.

    Raises:
        ValueError: shapes that do not fit, no rows, values that are no probabilities, a truth outside
            `labels`.
    """

    labels: LabelSet
    filenames: tuple[str, ...]
    probabilities: FloatArray
    starts: FloatArray | None = None
    groups: tuple[str, ...] | None = None
    truth: tuple[str, ...] | None = None
    source: str = "the table"

    def __post_init__(self) -> None:
        values = np.asarray(self.probabilities, dtype=np.float64)
        if not self.filenames or values.shape != (len(self.filenames), len(self.labels)):
            raise ValueError(
                f"probabilities of shape {values.shape} do not fit "
                f"{len(self.filenames)} rows of {len(self.labels)} scenes"
            )
        for name, column in (("starts", self.starts), ("groups", self.groups), ("truth", self.truth)):
            if column is not None and len(column) != len(self.filenames):
                raise ValueError(f"{len(column)} {name} do not fit {len(self.filenames)} rows")
        for name, numbers in (
            ("probabilities", values),
            ("starts", np.asarray(0.0 if self.starts is None else self.starts)),
        ):
            if not np.isfinite(numbers).all() or (numbers < 0).any():
                raise ValueError(f"{name} must be finite and not negative")
        sums = values.sum(axis=1, keepdims=True)
        if not np.allclose(sums, 1, rtol=0, atol=SUM_TOLERANCE):
            raise ValueError("each row of probabilities must sum to 1")
        if foreign := sorted(set(self.truth or ()) - set(self.labels)):
            raise ValueError(f"true scene {foreign[0]!r} is not one of {', '.join(self.labels)}")
        values = np.where(np.abs(sums - 1) > ROUNDING, values / sums, values)
        values.setflags(write=False)
        object.__setattr__(self, "probabilities", values)

    def __len__(self) -> int:
        return len(self.filenames)

    @property
    def truth_index(self) -> npt.NDArray[np.intp]:
        """(n,) column of the true scene of every row.

        Raises:
            DataError: the table has no truth.
        """
        if self.truth is None:
            raise DataError(f"{self.source} has no true_label column; give --truth meta.csv")
        column = {name: index for index, name in enumerate(self.labels)}
        return np.array([column[name] for name in self.truth], dtype=np.intp)

    def by_recording(self) -> "ScoreTable":
        """One row per file name, in order of first appearance: the mean of its rows, without starts.

        Raises:
            DataError: rows of one file name differ in truth or group.
        """
        names = tuple(dict.fromkeys(self.filenames))
        position = {name: index for index, name in enumerate(names)}
        rows = np.array([position[name] for name in self.filenames])
        sums = np.zeros((len(names), len(self.labels)))
        np.add.at(sums, rows, self.probabilities)
        return replace(
            self,
            filenames=names,
            probabilities=sums / np.bincount(rows)[:, None],
            starts=None,
            groups=self._one_each("group", self.groups),
            truth=self._one_each("true scene", self.truth),
        )

    def _one_each(self, what: str, column: Sequence[str] | None) -> tuple[str, ...] | None:
        if column is None:
            return None
        found: dict[str, str] = {}
        for name, value in zip(self.filenames, column, strict=True):
            if found.setdefault(name, value) != value:
                raise DataError(f"{self.source}: {name!r} has more than one {what}: {found[name]!r} and {value!r}")
        return tuple(found.values())

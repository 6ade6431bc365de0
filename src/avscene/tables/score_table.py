"""Scene probabilities of many segments or recordings, in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from avscene.errors import DataError
from avscene.labels import LabelSet
from avscene.records import SUM_TOLERANCE, FloatArray, Needs
from avscene.tables.names import tau_place
from avscene.tables.rounding import floored, rescaled, sum_error


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """Scene probabilities (n, n_scenes) in the order of `labels`, one row per segment or recording.

    Held as float64, read-only. `resolution` is the step that they were rounded to as text, 0 for full precision. Rows
    whose sums it explains are as printed, so that figures are those of the text; others are divided by their sums.
    `starts` (n,) are in seconds; `truth` holds the true scene names; `source` names the table in messages; `modality`
    is what the system looks at, where that is known.

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
    resolution: float = 0.0
    modality: Needs | None = None

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
        tolerance = max(SUM_TOLERANCE, sum_error(len(self.labels), self.resolution))
        if not np.allclose(values.sum(axis=1), 1, rtol=0, atol=tolerance):
            raise ValueError("each row of probabilities must sum to 1")
        if foreign := sorted(set(self.truth or ()) - set(self.labels)):
            raise ValueError(f"true scene {foreign[0]!r} is not one of {', '.join(self.labels)}")
        held = rescaled(values, self.resolution)
        held.setflags(write=False)
        object.__setattr__(self, "probabilities", held)

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

    @property
    def floored(self) -> FloatArray:
        """(n, n_scenes) for rules that multiply: zeros raised to half of `resolution`, rows summing to 1."""
        return floored(self.probabilities, self.resolution)

    @property
    def cities(self) -> tuple[str, ...]:
        """(n,) city of every row, by a file name like TAU's; empty where it is not like those."""
        places = {name: tau_place(name) for name in dict.fromkeys(self.filenames)}
        return tuple(place.city if (place := places[name]) else "" for name in self.filenames)

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

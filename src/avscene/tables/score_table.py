"""Hold the scene probabilities of many segments or recordings in memory, with their names, groups and true scenes."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from avscene.errors import DataError, PackageError
from avscene.labels import LabelSet
from avscene.records import SUM_TOLERANCE, BoolArray, FloatArray, IntArray, Needs
from avscene.tables.names import parse_tau_name
from avscene.tables.rounding import max_sum_error, raise_zeros, rescale_rows
from avscene.verdicts import FAMILIAR_SHARE

DEFAULT_SOURCE = "the table"
SAME_COLUMN = {"source": "source_label", "device": "source_label"}  # TAU's mobile data sets call the device so
SHOWN_ROWS = 5  # in a notebook


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """Scene probabilities (n, n_scenes) in the order of `labels`, one row per segment or recording.

    Attributes:
        labels: the scenes, in the order of the columns.
        filenames: (n,) the recording of each row.
        probabilities: (n, n_scenes) float64, read-only. Rows whose sum `resolution` explains are as printed, so that
            metrics are those of the text; other rows are divided by their sums.
        starts: (n,) seconds.
        groups: (n,) the group of each row.
        truth: (n,) true scene names.
        source: the name of the table in messages.
        resolution: the step that probabilities were rounded to as text; 0 for full precision.
        modality: what the system takes as input, if known.
        familiarity: (n,) share of held-out segments of training that are as unlike the others as each row, if measured.
        carried: (n,) texts of further columns by name, such as `device`.
        labels_only: whether the table has no probabilities; those of the predicted scenes are then 1.
        by_model: the table of each model of the system, by its name, if `predict` made this one.
        failures: why recordings of the data set have no rows, if `predict` made this table.

    Raises:
        ValueError: shapes do not fit, there are no rows, values are not probabilities, or a true scene is not in
            `labels`.
    """

    labels: LabelSet
    filenames: tuple[str, ...]
    probabilities: FloatArray
    starts: FloatArray | None = None
    groups: tuple[str, ...] | None = None
    truth: tuple[str, ...] | None = None
    source: str = DEFAULT_SOURCE
    resolution: float = 0.0
    modality: Needs | None = None
    familiarity: FloatArray | None = None
    carried: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels_only: bool = False
    by_model: Mapping[str, "ScoreTable"] = field(default_factory=dict)
    failures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        values = np.asarray(self.probabilities, dtype=np.float64)
        if not self.filenames or values.shape != (len(self.filenames), len(self.labels)):
            raise ValueError(
                f"probabilities of shape {values.shape} do not fit "
                f"{len(self.filenames)} rows of {len(self.labels)} scenes"
            )
        columns = {"starts": self.starts, "groups": self.groups, "truth": self.truth, "familiarity": self.familiarity}
        for name, column in (*columns.items(), *self.carried.items()):
            if column is not None and len(column) != len(self.filenames):
                raise ValueError(f"{len(column)} {name} do not fit {len(self.filenames)} rows")
        for name, numbers in (
            ("probabilities", values),
            ("starts", np.asarray(0.0 if self.starts is None else self.starts)),
        ):
            if not np.isfinite(numbers).all() or (numbers < 0).any():
                raise ValueError(f"{name} must be finite and not negative")
        tolerance = max(SUM_TOLERANCE, max_sum_error(len(self.labels), self.resolution))
        if not np.allclose(values.sum(axis=1), 1, rtol=0, atol=tolerance):
            raise ValueError("each row of probabilities must sum to 1")
        if foreign := sorted(set(self.truth or ()) - set(self.labels)):
            raise ValueError(f"true scene {foreign[0]!r} is not one of {', '.join(self.labels)}")
        rescaled = rescale_rows(values, self.resolution)
        rescaled.setflags(write=False)
        object.__setattr__(self, "probabilities", rescaled)

    def __len__(self) -> int:
        return len(self.filenames)

    @property
    def familiar(self) -> BoolArray:
        """(n,) whether each row is familiar; all are where it was not measured."""
        shares = np.ones(len(self)) if self.familiarity is None else self.familiarity
        return np.asarray(shares >= FAMILIAR_SHARE)

    @property
    def truth_index(self) -> npt.NDArray[np.intp]:
        """(n,) column of the true scene of every row.

        Raises:
            DataError: the table has no truth.
        """
        if self.truth is None:
            raise DataError(f"{self.source}: {self.why_no_truth}")
        column = {name: index for index, name in enumerate(self.labels)}
        return np.array([column[name] for name in self.truth], dtype=np.intp)

    @property
    def floored(self) -> FloatArray:
        """(n, n_scenes) for rules that multiply: zeros raised to half of `resolution`, rows summing to 1."""
        return raise_zeros(self.probabilities, self.resolution)

    @property
    def cities(self) -> tuple[str, ...]:
        """(n,) city of every row, from file names like TAU's; empty for other names."""
        return self._from_names("city")

    def texts(self, column: str) -> tuple[str, ...]:
        """Return the texts (n,) of `group`, of a carried column, or of `city` or `device` in names like TAU's.

        Raises:
            DataError: the table has no such column.
        """
        known = self._text_columns()
        name = column if column in known else SAME_COLUMN.get(column, column)
        if name not in known:
            found = f"found: {', '.join(known)}" if known else "it has no column of text"
            raise DataError(f"{self.source}: no column {column!r} to group rows by; {found}")
        return known[name]

    def _text_columns(self) -> dict[str, tuple[str, ...]]:
        from_names = {name: self._from_names(name) for name in ("city", "device")}
        columns = {name: texts for name, texts in from_names.items() if any(texts)}
        return columns | ({} if self.groups is None else {"group": self.groups}) | dict(self.carried)

    def _from_names(self, part: str) -> tuple[str, ...]:
        parsed = {name: parse_tau_name(name) for name in dict.fromkeys(self.filenames)}
        return tuple(getattr(found, part) if (found := parsed[name]) else "" for name in self.filenames)

    def __repr__(self) -> str:
        """Return what the table holds, in one line."""
        return f"<PredictionTable {self.source}: {self._extent()}>"

    def _repr_html_(self) -> str:
        """Return the extent and the first rows, for a notebook."""
        columns = self.columns()
        cells = [
            [f"{value:.3f}" if isinstance(value, float) else html.escape(str(value)) for value in row]
            for row in islice(zip(*columns.values(), strict=True), SHOWN_ROWS)
        ]
        head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
        rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in cells)
        more = f"<p>and {len(self) - len(cells):,} more rows</p>" if len(self) > len(cells) else ""
        return (
            f"<p><b>{html.escape(self.source)}</b>: {html.escape(self._extent())}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"
        )

    def _extent(self) -> str:
        recordings = len(set(self.filenames))
        rows = f"{recordings:,} recordings"
        if recordings < len(self):
            rows = f"{len(self):,} segments of {rows}"
        known = "true scenes known" if self.truth is not None else "true scenes unknown"
        return f"{rows}, {len(self.labels)} scenes, {known}"

    def columns(self) -> dict[str, Sequence[str | float]]:
        """Return all columns (n,) as in a file: `filename`, what else is known of each row, and its probabilities."""
        known: dict[str, Sequence[str | float] | None] = {
            "filename": self.filenames,
            "start": None if self.starts is None else self.starts.tolist(),
            "group": self.groups,
            "true_label": self.truth,
            "modality": None if self.modality is None else [self.modality] * len(self),
            "familiarity": None if self.familiarity is None else self.familiarity.tolist(),
            "scene_label": [self.labels.names[index] for index in self.probabilities.argmax(axis=1)],
        }
        scenes = dict(zip(self.labels, self.probabilities.T.tolist(), strict=True))
        return {name: column for name, column in known.items() if column is not None} | scenes

    def to_arrow(self) -> Any:
        """Return the columns as a `pyarrow.Table`."""
        import pyarrow as pa

        return pa.table({name: list(column) for name, column in self.columns().items()})

    def to_pandas(self) -> Any:
        """Return the columns as a `pandas.DataFrame`.

        Raises:
            PackageError: pandas is not installed.
        """
        try:
            return self.to_arrow().to_pandas()
        except ModuleNotFoundError as error:
            raise PackageError("pandas is not installed; try: pip install pandas") from error

    def by_recording(self) -> "ScoreTable":
        """Return one row per file name, in order of first appearance: the mean of its rows, without starts.

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
            groups=self._one_per_name("group", self.groups),
            truth=self._one_per_name("true scene", self.truth),
            familiarity=None if self.familiarity is None else _upper_medians(self.familiarity, rows),
            carried=self._carried_by_recording(),
        )

    def _carried_by_recording(self) -> dict[str, tuple[str, ...]]:
        """The carried columns that are equal in all rows of a file name, one text for each name."""
        kept = {}
        for column, texts in self.carried.items():
            pairs = list(zip(self.filenames, texts, strict=True))
            if len(set(pairs)) == len(by_name := dict(pairs)):
                kept[column] = tuple(by_name.values())
        return kept

    def _one_per_name(self, what: str, column: Sequence[str] | None) -> tuple[str, ...] | None:
        if column is None:
            return None
        found: dict[str, str] = {}
        for name, value in zip(self.filenames, column, strict=True):
            if found.setdefault(name, value) != value:
                raise DataError(f"{self.source}: {name!r} has more than one {what}: {found[name]!r} and {value!r}")
        return tuple(found.values())

    @property
    def why_no_truth(self) -> str:
        """Why the true scenes are unknown, where `truth` is None."""
        names = dict.fromkeys(self.filenames)
        parsed = [found for found in map(parse_tau_name, names) if found is not None]
        unknown = next((found.scene for found in parsed if found.scene not in self.labels), None)
        if unknown is None or len(parsed) < len(names):
            return "no column 'true_label'; fix: give --truth meta.csv"
        return f"file names say scene {unknown!r}, but there is no column {unknown!r}; found: {', '.join(self.labels)}"


PredictionTable = ScoreTable  # its public name


def _upper_medians(values: FloatArray, rows: IntArray) -> FloatArray:
    """Return the median of the `values` (n,) of each of `rows` (n,), the upper one of two."""
    order = np.lexsort((values, rows))
    counts = np.bincount(rows)
    return np.asarray(values[order][counts.cumsum() - counts + counts // 2])

"""Represent a data set as a table of recordings and select parts of it by conditions such as `fold=5`."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from avscene.errors import DataError, did_you_mean
from avscene.groups import Side, check_apart
from avscene.labels import LabelSet
from avscene.records import Example

MEDIA_SUFFIXES = frozenset(
    "3g2 3gp aac ac3 ac4 adts aif aiff amr apng ape asf au avi avif bmp caf dv eac3 f4v flac flv gif heic heif ivf "
    "jpeg jpg latm m2ts m2v m4a m4v mjpeg mka mkv mov mp2 mp3 mp4 mpeg mpg mts mxf oga ogg ogv opus png tif tiff ts "
    "vob w64 wav webm webp wma wmv wv".split()
)


def is_media(name: str | Path) -> bool:
    """Return whether a file name or path has the suffix of a media file."""
    return os.path.splitext(name)[1].lower().lstrip(".") in MEDIA_SUFFIXES  # noqa: PTH122  # of 100,000 names


@dataclass(frozen=True, slots=True)
class DataSet:
    """The recordings of a data set; `source` is where they were read from, `lists` are further tables of it.

    Either all recordings have a label or none has one.
    """

    source: Path
    examples: tuple[Example, ...]
    lists: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if not self.examples:
            raise DataError(f"{self.source}: holds no recordings")

    @property
    def is_labelled(self) -> bool:
        """Whether the scenes of the recordings are known."""
        return bool(self.examples[0].label)

    @property
    def labels(self) -> LabelSet:
        """The scenes that occur, sorted by name.

        Raises:
            DataError: there are fewer than two, or the recordings have no labels.
        """
        if not self.is_labelled:
            raise DataError(f"{self.source}: has no labels")
        names = {example.label for example in self.examples}
        if len(names) < 2:
            raise DataError(
                f"{self.source}: all recordings are of one scene ({names.pop()}); at least two scenes are needed"
            )
        return LabelSet.of(names)

    @property
    def files(self) -> list[str | Path]:
        """The files that the data set was read from: its tables and the media of its recordings."""
        media = [path for example in self.examples for path in (example.path, example.audio) if path is not None]
        tables = [] if self.source.is_dir() else [self.source]
        return [*tables, *self.lists, *media]

    def values(self, column: str) -> tuple[str, ...]:
        """Return the distinct values of a column such as `fold`, sorted; empty if no recording has it."""
        return tuple(sorted({example.columns[column] for example in self.examples if column in example.columns}))

    def parts(self, column: str) -> tuple[str, ...]:
        """Return the values of a column such as `fold`, `city` or `group`, sorted; the empty value is none.

        Raises:
            DataError: no such column, or fewer than two values.
        """
        self._check_column(column)
        found = sorted({_value(example, column) for example in self.examples} - {""})
        if len(found) < 2:
            values = f"only the value {found[0]!r}" if found else "no values"
            raise DataError(f"{self.source}: column {column!r} has {values}; at least two are needed")
        return tuple(found)

    def unlabelled(self) -> "DataSet":
        """Return the same recordings without their labels."""
        return replace(self, examples=tuple(replace(example, label="") for example in self.examples))

    def only(self, condition: str) -> "DataSet":
        """Select the recordings that meet a condition such as `fold=5`.

        Raises:
            DataError: no such column or value.
        """
        column, value = self._parse_condition(condition)
        return self._filter(lambda example: _value(example, column) == value)

    def hold_out(self, condition: str) -> tuple["DataSet", "DataSet"]:
        """Split into the recordings that do not meet a condition such as `fold=5`, and those that do.

        Raises:
            DataError: no such column or value, nothing left, or a group on both sides.
        """
        column, value = self._parse_condition(condition)
        held = self._filter(lambda example: _value(example, column) == value)
        if len(held.examples) == len(self.examples):
            raise DataError(f"{self.source}: every recording has {condition}; nothing is left to train on")
        rest = self._filter(lambda example: _value(example, column) != value)
        check_apart(
            rest._side(f"{self.source} without {condition}"),
            held._side(f"{self.source} with {condition}"),
            "recordings of one group must stay together",
        )
        return rest, held

    def _side(self, name: str) -> Side:
        groups = [example.group for example in self.examples]
        return Side(name, groups, [example.name for example in self.examples])

    def _filter(self, keep: Callable[[Example], bool]) -> "DataSet":
        return replace(self, examples=tuple(example for example in self.examples if keep(example)))

    def _parse_condition(self, condition: str) -> tuple[str, str]:
        column, equals, value = condition.partition("=")
        if not equals or not column or not value:
            raise DataError(f"{condition!r} is not COLUMN=VALUE, such as fold=5")
        self._check_column(column)
        if all(_value(example, column) != value for example in self.examples):
            values = sorted({_value(example, column) for example in self.examples})
            near = did_you_mean(value, values)
            listed = ", ".join(values[:12]) + (", ..." if len(values) > 12 else "")
            raise DataError(f"{self.source}: no recording has {condition}; {column} is one of {listed}{near}")
        return column, value

    def _check_column(self, column: str) -> None:
        columns = {"label", "group"}.union(*(example.columns for example in self.examples))
        if column not in columns:
            near = did_you_mean(column, columns)
            raise DataError(f"{self.source}: has no column {column!r}; it has {', '.join(sorted(columns))}{near}")


def _value(example: Example, column: str) -> str:
    if column in ("label", "group"):
        return str(getattr(example, column))
    return example.columns.get(column, "")

"""Define label sets: the scenes that a system predicts, in a fixed order."""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from avscene.arguments import check_type
from avscene.errors import UsageError
from avscene.files import read_text

LIST_SUFFIXES = (".txt", ".csv", ".tsv", ".list")  # of a name without commas that is meant as a file


@dataclass(frozen=True, slots=True)
class LabelSet:
    """An ordered tuple of distinct scene names; the order is that of the columns of probabilities.

    Raises:
        UsageError: fewer than two names, an empty one, one given twice, or names that are no texts.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        check_type("names", self.names, (tuple, list), "a tuple of scene names; a text is for LabelSet.parse")
        for name in self.names:
            check_type("a scene name", name, str, "a str")
        object.__setattr__(self, "names", tuple(self.names))
        for position, name in enumerate(self.names, start=1):
            if not name.strip():
                raise UsageError(f"label {position} of {len(self.names)} is empty")
            if re.search(r"[\t\r\n]", name) or name != name.strip():
                raise UsageError(f"label {name!r} has a tab, a line break or spaces around it")
            if name in self.names[: position - 1]:
                raise UsageError(f"label {name!r} is given twice")
        if len(self.names) < 2:
            raise UsageError(f"a label set needs at least two scenes, got {len(self.names)}")

    @classmethod
    def parse(cls, text: str) -> "LabelSet":
        """Return the label set of a list such as `park,tram,living room`, or of a file with one, or with a name a line.

        Raises:
            UsageError: `named` refuses the names, or there is no such file.
            DataError: the file cannot be read.
        """
        if os.path.isfile(text):  # noqa: PTH113  # never raises, whatever the text
            return cls.named(filter(str.strip, re.split(r"[,\n]", read_text(Path(text)))))
        if "," not in text and text.lower().endswith(LIST_SUFFIXES):
            raise UsageError(f"{text}: no such file of labels; try: --labels a,b,c")
        return cls.named(text.split(","))

    @classmethod
    def named(cls, names: Iterable[str]) -> "LabelSet":
        """Return the label set of names that a user gives, without spaces around them and an empty one at the end.

        Raises:
            UsageError: the names are no label set, or two of them differ only in case or in `_` for a space.
        """
        given = tuple(names)
        for name in given:
            check_type("a scene name", name, str, "a str")
        trimmed = [name.strip() for name in given]
        if len(trimmed) > 1 and not trimmed[-1]:
            trimmed.pop()
        labels = cls(tuple(trimmed))
        first: dict[str, str] = {}
        for name in labels:
            other = first.setdefault(name.replace("_", " ").casefold(), name)
            if other != name:
                raise UsageError(f"labels {other!r} and {name!r} are one name to a model; leave one of them out")
        return labels

    @classmethod
    def of(cls, names: Iterable[str]) -> "LabelSet":
        """Return the distinct names in `names`, sorted: the label set of a data set."""
        return cls(tuple(sorted(set(names))))

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def index(self, name: str) -> int:
        """Return the column of scene `name`.

        Raises:
            UsageError: the name is not in the set.
        """
        if name not in self.names:
            raise UsageError(f"scene {name!r} is not one of {', '.join(self.names)}")
        return self.names.index(name)


def not_english(labels: Iterable[str]) -> list[str]:
    """Return the names that cannot be English words: with letters that are not Latin, or without letters and digits."""

    def is_english(name: str) -> bool:
        letters = [character for character in name if character.isalpha()]
        return all("LATIN" in unicodedata.name(letter, "") for letter in letters) and any(map(str.isalnum, name))

    return [name for name in labels if not is_english(name)]


# The ten scenes of the TAU Urban data sets, in the challenge's (alphabetical) order.
TAU_SCENES = LabelSet(
    (
        "airport",
        "bus",
        "metro",
        "metro_station",
        "park",
        "public_square",
        "shopping_mall",
        "street_pedestrian",
        "street_traffic",
        "tram",
    )
)

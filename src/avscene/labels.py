"""Define label sets: the scenes that a system predicts, in a fixed order."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from avscene.arguments import check_type
from avscene.errors import UsageError


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
        """Return the label set of a comma-separated list such as `park,tram,living room`."""
        return cls(tuple(name.strip() for name in text.split(",")))

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

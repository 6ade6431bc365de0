"""List the named systems, with what they need and whether their weights are on this machine. Imports no torch."""

from dataclasses import asdict, dataclass
from typing import Any

from avscene.models import presence, registry
from avscene.records import Needs


@dataclass(frozen=True, slots=True, repr=False)
class NamedSystem:
    """A system that has a name.

    `needs` are the modalities that it classifies by. `trained` is whether it must be trained before it can classify;
    `present` whether the weights that it starts from are on this machine, and `weights` where, or what happens instead.
    `log_loss` and `accuracy` (in per cent) are those of the paper, None for systems that it does not have.
    """

    name: str
    title: str
    needs: Needs
    trained: bool
    present: bool
    weights: str
    log_loss: float | None = None
    accuracy: float | None = None

    def __repr__(self) -> str:
        return f"NamedSystem({self.name!r}: {self.title})"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


def list_systems() -> list[NamedSystem]:
    """Return the named systems: those of the paper in the order of its tables, then further ones.

    The `name` of one that is not `trained` can be given to `avscene.load`; the others are trained first, by
    `avscene train NAME`. Nothing is downloaded.
    """
    found = []
    for name, row in registry.systems().items():
        present, weights = presence.presence(name)
        published = (None, None) if row.paper is None else (row.paper.log_loss, row.paper.accuracy)
        found.append(NamedSystem(name, row.title, row.needs, row.trained, present, weights, *published))
    return found

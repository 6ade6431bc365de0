"""Which system answers where none is named, said every time and never changed in silence."""

from avscene.errors import DataError
from avscene.files import cache_directory, write_text
from avscene.models import registry
from avscene.models.weights import presence


def choose(*, offline: bool) -> tuple[str, list[str]]:
    """The default system and what to tell the user of it.

    The choice is remembered: where weights have come or gone since, the lines say that the default is another one now.

    Raises:
        WeightsError: no system has its weights here.
    """
    name = presence.best_available(offline=offline)
    told = [f"system {name}: {registry.find(name).title} (name another with --system)"]
    before = _remembered()
    if before is not None and before != name:
        told.append(
            f"the default system was {before} in the last run and is {name} now; --system {before} keeps the old one"
        )
    if before != name:
        _remember(name)
    return name, told


def _remembered() -> str | None:
    try:
        name = (cache_directory() / "default_system").read_text(encoding="utf-8").strip()
        return registry.ALIASES.get(name, name) or None
    except OSError:
        return None


def _remember(name: str) -> None:
    try:
        write_text(cache_directory() / "default_system", name + "\n")
    except DataError:
        return  # a read-only home: the choice is still said on every run

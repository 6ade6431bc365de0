"""Choose the system to use if the user names none, and log the choice and every change of it."""

import logging

from avscene.errors import DataError
from avscene.files import cache_directory, write_text
from avscene.models import presence, registry

logger = logging.getLogger(__name__)


def choose_default_system(*, offline: bool) -> str:
    """Return the best system whose weights are available, and log it; log also if it differs from the last choice.

    Raises:
        WeightsError: no system has its weights on this machine.
    """
    name = presence.best_available(offline=offline)
    logger.info(f"system {name}: {registry.find(name).title} (select another with --system)")
    last = _read_last_choice()
    if last is not None and last != name:
        logger.warning(
            f"the default system was {last} in the last run and is {name} now; use --system {last} to keep it"
        )
    if last != name:
        _write_last_choice(name)
    return name


def _read_last_choice() -> str | None:
    try:
        name = (cache_directory() / "default_system").read_text(encoding="utf-8").strip()
        return registry.ALIASES.get(name, name) or None
    except OSError:
        return None


def _write_last_choice(name: str) -> None:
    try:
        write_text(cache_directory() / "default_system", name + "\n")
    except DataError:
        return  # the home directory is read-only: only a later change of the default cannot be reported

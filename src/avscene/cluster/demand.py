"""Ask Ray's autoscaler for nodes while there is work for more actors."""

import logging
from collections.abc import Collection

from avscene.cluster.nodes import Place

logger = logging.getLogger(__name__)


class Demand:
    """What is asked of the autoscaler; a cluster without one ignores it.

    Asked for is room for as many actors again as there are, so that a cluster doubles until it has its `max_workers`.
    """

    def __init__(self) -> None:
        self._asked: list[dict[str, int]] = []

    def update(self, places: Collection[Place], *, has_work: bool) -> None:
        """Ask for room for more actors than those at `places` if there is work for them, else for none."""
        gpus, cores = sum(place.gpus for place in places), sum(place.cores for place in places)
        bundles = [{"GPU": 1}] * (2 * gpus) if gpus else [{"CPU": 1}] * max(1, 2 * cores)
        self._ask(bundles if has_work else [])

    def withdraw(self) -> None:
        """Ask for no more nodes: those that are idle may end."""
        self._ask([])

    def _ask(self, bundles: list[dict[str, int]]) -> None:
        if bundles == self._asked:
            return
        from ray.autoscaler.sdk import request_resources

        self._asked = bundles
        try:
            request_resources(bundles=bundles)
        except Exception as error:  # noqa: BLE001  # of any kind, while a cluster ends; the run goes on without
            logger.debug(f"the autoscaler cannot be asked for nodes: {error}")

"""Divide the nodes of a cluster into actors."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

CORES = 4  # of a node without GPUs for each actor: one network uses few more well, and each actor loads its own
THREADS = 4  # of an actor: its start, its work, its progress, its stop


@dataclass(frozen=True, slots=True)
class Place:
    """What an actor has of a node: `number` counts the actors of the node, `gpus` is 1 or 0."""

    node: str
    number: int
    cores: int
    gpus: int

    def options(self) -> dict[str, Any]:
        """Return Ray's options of an actor here."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return {
            "num_cpus": self.cores,
            "num_gpus": self.gpus,
            "max_concurrency": THREADS,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(self.node, soft=False),
        }


def places(nodes: list[dict[str, Any]]) -> Iterator[Place]:
    """Yield the places for actors: one for each GPU of a node, else one for every CORES processors.

    Args:
        nodes: what `ray.nodes()` returns.
    """
    for node in nodes:
        if not node["Alive"]:
            continue
        cores, gpus = int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0))
        if not cores:
            continue
        count = min(gpus, cores) or max(1, cores // CORES)
        for number in range(count):
            yield Place(node["NodeID"], number, cores // count, int(gpus > 0))

"""Compute the embeddings of a segment store on the nodes of a Ray cluster."""

import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from avscene.cluster import Scheduler
from avscene.datasets.store.reader import SegmentStore
from avscene.errors import DataError, UsageError
from avscene.media.limits import DEFAULT_LIMITS
from avscene.models import SegmentEncoder
from avscene.models.device import Runtime
from avscene.models.encoders import build_encoder
from avscene.records import FloatArray

Compute = Callable[[SegmentStore, str, SegmentEncoder, Iterable[int]], Generator[FloatArray]]


@dataclass(frozen=True, slots=True)
class ClusterEmbedding:
    """Computes batches of embeddings in the actors of the connected cluster; all must see the store.

    `compute` computes them in an actor, from the first rows of batches; `device` and `offline` are for the encoder.
    """

    compute: Compute
    device: str = "auto"
    offline: bool = False

    def __call__(
        self, store: SegmentStore, name: str, encoder: SegmentEncoder, starts: Iterable[int]
    ) -> Generator[FloatArray]:
        """Yield the batches that begin at the rows `starts`, in their order.

        Raises:
            UsageError: no node can compute them.
            DataError: two actors were lost with one batch.
        """
        directory = store.directory.absolute()
        spec = _EmbeddingSpec(self.compute, directory, store.version, name, encoder.key, self.device, self.offline)

        def give_up(row: int) -> FloatArray:
            raise DataError(f"{directory}: two processes were lost at row {row}; see Ray's logs")

        return Scheduler(spec, enumerate(starts), DEFAULT_LIMITS.stall, threading.Event()).in_order(give_up)


@dataclass(frozen=True, slots=True)
class _EmbeddingSpec:
    compute: Compute
    directory: Path
    version: int
    name: str
    key: str  # of the encoder: its weights and its front end
    device: str
    offline: bool

    def __call__(self) -> "_EmbeddingTask":
        """Load the encoder in an actor.

        Raises:
            UsageError: this node has another encoder, or does not see this version of the store.
            AvsceneError: the encoder cannot be loaded.
        """
        encoder = build_encoder(self.name, Runtime.choose(self.device, "float32", offline=self.offline))
        if encoder.key != self.key:
            raise UsageError(f"a node has other weights of {self.name}; install the same on all nodes")
        try:
            store = SegmentStore.open(self.directory)
        except DataError as error:
            raise UsageError(f"{error}; use a folder that all nodes see") from error
        if store.version != self.version:
            raise UsageError(f"{self.directory}: a node sees another version of it; use a folder that all nodes see")
        return _EmbeddingTask(self.compute, store, self.name, encoder)


@dataclass(frozen=True, slots=True)
class _EmbeddingTask:
    compute: Compute
    store: SegmentStore
    name: str
    encoder: SegmentEncoder

    def run(
        self, items: Sequence[tuple[int, int]], report: Callable[[], None], stop: threading.Event
    ) -> list[FloatArray]:
        """Compute the batches that begin at the rows of `items`, which are given with their numbers."""
        batches = []
        for batch in self.compute(self.store, self.name, self.encoder, [start for _, start in items]):
            if stop.is_set():
                break
            batches.append(batch)
            report()
        return batches

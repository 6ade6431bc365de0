"""Classify recordings: take paths and a system's name, return predictions or prediction tables."""

from avscene.inference.loading import load
from avscene.inference.reading import BatchReader, batched, prefetch
from avscene.inference.scoring.batches import BATCH_SIZE
from avscene.inference.sources import Source
from avscene.inference.system import System
from avscene.media.sampling import check_hop

__all__ = ["BATCH_SIZE", "BatchReader", "Source", "System", "batched", "check_hop", "load", "prefetch"]

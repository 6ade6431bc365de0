"""Path in, prediction out: `reading` decodes ahead, `system` scores and fuses, `loading` finds systems by name."""

from avscene.inference.loading import load
from avscene.inference.reading import BATCH, Source, ahead, batched
from avscene.inference.system import System, check_hop

__all__ = ["BATCH", "Source", "System", "ahead", "batched", "check_hop", "load"]

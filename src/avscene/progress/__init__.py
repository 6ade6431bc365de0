"""Report the progress of long work: bars in a terminal or a notebook, elsewhere a line now and then."""

from avscene.progress.reporter import Progress, Reporter, StageProgress, reporting, silent
from avscene.progress.status import short_time

__all__ = ["Progress", "Reporter", "StageProgress", "reporting", "short_time", "silent"]

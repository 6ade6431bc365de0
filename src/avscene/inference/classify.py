"""Classify many files with one system, and return an outcome for each in their order."""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing

from avscene.inference.journal.database import Journal
from avscene.inference.journal.outcomes import Outcome
from avscene.inference.reading import Source
from avscene.inference.resumable import Classified, ResumableRun, Settings
from avscene.inference.system import System
from avscene.records import Failure


class FileRun:
    """The classification of each path of `inputs`; an input that is a failure already is its own outcome.

    Args:
        system: the system that classifies.
        inputs: paths of media files, or failures in place of inputs that are not files.
        settings: how the files are decoded.
        journal: outcomes that are known from earlier runs; those of this run are added.
        retry_failed: compute files again that the journal has as failed.
        stop: once set, no further file is begun.
    """

    def __init__(
        self,
        system: System,
        inputs: Sequence[str | Failure],
        settings: Settings,
        journal: Journal | None = None,
        *,
        retry_failed: bool = False,
        stop: threading.Event | None = None,
    ) -> None:
        self._inputs = inputs
        self._paths = [item for item in inputs if isinstance(item, str)]
        sources = [Source(path) for path in self._paths]
        self._run = ResumableRun(system, sources, settings, journal, retry_failed=retry_failed, stop=stop)

    def outcomes(self, progress: Callable[[str, float], None] | None = None) -> Generator[Classified, None, None]:
        """Yield the outcome of each input, in order; fewer if the run is stopped.

        `progress` is called with a path and the end of its last scored segment, in seconds.

        Raises:
            UsageError: the system cannot work with such settings; the journal cannot be written.
            DataError: the journal is damaged.
        """

        def show(position: int, seconds: float) -> None:
            if progress is not None:
                progress(self._paths[position], seconds)

        with closing(self._run.outcomes(show)) as classified:
            for item in self._inputs:
                found = Classified(item) if isinstance(item, Failure) else next(classified, None)
                if found is None:
                    return
                yield found
            next(classified, None)  # the journal is complete now

    def replay(self) -> Iterator[Outcome]:
        """Yield the outcomes of a complete run with a journal again, in order, without keeping them in memory."""
        classified = self._run.replay()
        for item in self._inputs:
            yield item if isinstance(item, Failure) else next(classified)

    def n_recorded(self) -> int:
        """Return the number of files that have an outcome in the journal, so far."""
        return self._run.n_recorded()

"""Classify many files with one system, and return an outcome for each in their order."""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import overload

from avscene.inference.journal.database import Journal
from avscene.inference.journal.outcomes import Outcome
from avscene.inference.runs.computing import Settings
from avscene.inference.runs.remote import RemoteComputing
from avscene.inference.runs.resumable import Classified, ResumableRun
from avscene.inference.sources import Source
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
        remote: computes the outcomes in place of this machine; needs a journal.
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
        remote: RemoteComputing | None = None,
    ) -> None:
        self._inputs = inputs
        self._run = ResumableRun(
            system, _Sources(inputs), settings, journal, retry_failed=retry_failed, stop=stop, remote=remote
        )

    def outcomes(self, progress: Callable[[str, float], None] | None = None) -> Generator[Classified, None, None]:
        """Yield the outcome of each input, in order; fewer if the run is stopped.

        `progress` is called with a path and the end of its last scored segment, in seconds.

        Raises:
            UsageError: the system cannot work with such settings; the journal cannot be written.
            DataError: the journal is damaged.
        """

        def show(position: int, seconds: float) -> None:
            if progress is not None:
                progress(str(self._inputs[position]), seconds)

        return self._run.outcomes(show)

    def replay(self) -> Iterator[Outcome]:
        """Yield the outcomes of a complete run with a journal again, in order, without keeping them in memory."""
        return self._run.replay()

    def n_recorded(self) -> int:
        """Return the number of files that have an outcome in the journal, so far."""
        return self._run.n_recorded()


class _Sources(Sequence[Source | Failure]):
    """The recording of each input, made when it is taken."""

    def __init__(self, inputs: Sequence[str | Failure]) -> None:
        self._inputs = inputs

    def __len__(self) -> int:
        return len(self._inputs)

    @overload
    def __getitem__(self, position: int) -> Source | Failure: ...

    @overload
    def __getitem__(self, position: slice) -> Sequence[Source | Failure]: ...

    def __getitem__(self, position: int | slice) -> Source | Failure | Sequence[Source | Failure]:
        if isinstance(position, slice):
            return _Sources(self._inputs[position])
        item = self._inputs[position]
        return item if isinstance(item, Failure) else Source(item)

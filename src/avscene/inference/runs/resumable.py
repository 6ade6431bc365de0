"""Classify recordings with a journal: take known outcomes from it, compute the others, and record them at once."""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice

from avscene.errors import DataError
from avscene.inference.journal.content import BackgroundHashes, key_of, paths_of
from avscene.inference.journal.database import Journal, NewRecord
from avscene.inference.journal.known import KnownRecords
from avscene.inference.journal.outcomes import Outcome, pack, unpack
from avscene.inference.journal.sqlite_file import JOURNAL
from avscene.inference.runs.computing import Computed, Settings, compute_outcomes
from avscene.inference.runs.remote import ReadyLine, RemoteComputing
from avscene.inference.sources import Source
from avscene.inference.system import System
from avscene.records import Failure
from avscene.reports.recordings.counts import OutcomeSummary
from avscene.storage.urls import shown

PAGE = 4096  # recordings that are looked up at a time, which bounds the memory of a run
MAX_LINE_BYTES = 2**28  # of lines that wait for their turn; the journal has the outcomes of those beyond


class Classified:
    """The outcome of a recording, and whether it was taken from the journal (`reused`).

    Args:
        outcome: the outcome, or what reads it when it is used.
        reused: whether an earlier run computed it.
        line: that of a prediction, if another machine has made it.
    """

    __slots__ = ("_outcome", "line", "reused")

    def __init__(
        self, outcome: Outcome | Callable[[], Outcome], *, reused: bool = False, line: ReadyLine | None = None
    ) -> None:
        self._outcome = outcome
        self.reused = reused
        self.line = line

    @property
    def outcome(self) -> Outcome:
        """The prediction or failure."""
        if callable(self._outcome):
            self._outcome = self._outcome()
        return self._outcome

    @property
    def failure(self) -> Failure | None:
        """The outcome if it is a failure."""
        return self.outcome if self.line is None and isinstance(self.outcome, Failure) else None

    @property
    def summary(self) -> OutcomeSummary:
        """What is counted of the outcome."""
        return OutcomeSummary.of(self.outcome) if self.line is None else self.line.summary


class ResumableRun:
    """The classification of `sources` with a journal, or without one.

    With a journal, recordings are looked up in it in pages, so that memory does not grow with their number.

    Args:
        system: the system that classifies.
        sources: the recordings; one that is a failure already is its own outcome.
        settings: how they are decoded.
        journal: known outcomes; those of this run are added.
        retry_failed: compute recordings again that the journal has as failed.
        stop: once set, no further recording is begun.
        remote: computes the outcomes in place of this machine; needs a journal.
    """

    def __init__(
        self,
        system: System,
        sources: Sequence[Source | Failure],
        settings: Settings,
        journal: Journal | None = None,
        *,
        retry_failed: bool = False,
        stop: threading.Event | None = None,
        remote: RemoteComputing | None = None,
    ) -> None:
        if remote is not None and journal is None:
            raise ValueError("outcomes of other machines need a journal")
        self._system = system
        self._sources = sources
        self._settings = settings
        self._failure_conditions = settings.failure_conditions()
        self._journal = journal
        self._retry_failed = retry_failed
        self._stop = threading.Event() if stop is None else stop
        self._remote = remote
        self._n_recorded = 0

    def outcomes(self, progress: Callable[[int, float], None] | None = None) -> Generator[Classified, None, None]:
        """Yield the outcome of each recording, in order; fewer if the run is stopped.

        `progress` is called with the position of a source and the end of its last scored segment, in seconds.

        Raises:
            UsageError: the system does not support these settings; the journal cannot be written.
            DataError: the journal is damaged.
        """
        if self._journal is None:
            yield from self._without_journal(progress)
            return
        hashes: BackgroundHashes[int] = BackgroundHashes()
        with closing(hashes):
            conditions = None if self._retry_failed else self._failure_conditions
            known = KnownRecords(self._journal, hashes, conditions, self._stop)
            if self._remote is None:
                yield from self._with_journal(self._journal, known, hashes, progress)
            else:
                yield from _RemoteRun(self._journal, self._sources, known, self._stop).outcomes(
                    self._remote, self._recorded, self._count
                )
            for record, sha256 in hashes.finished(wait=not self._stop.is_set()):
                self._journal.set_sha256(record, sha256)
            self._journal.commit()

    def replay(self) -> Iterator[Outcome]:
        """Yield the outcomes of a complete run with a journal again, in order, without keeping them in memory."""
        for source in self._sources:
            yield self._recorded(source)

    def n_recorded(self) -> int:
        """Return the number of recordings that have an outcome in the journal, so far."""
        return self._n_recorded

    def _count(self, n_more: int) -> None:
        self._n_recorded += n_more

    def _without_journal(self, progress: Callable[[int, float], None] | None) -> Iterator[Classified]:
        """Compute all outcomes; those of failures among the sources come in their order, too."""
        numbered = [(position, item) for position, item in enumerate(self._sources) if isinstance(item, Source)]
        with closing(self._computed(numbered, progress)) as computed:
            for item in self._sources:
                if isinstance(item, Failure):
                    yield Classified(item)
                    continue
                found = next(computed, None)
                if found is None:
                    return
                yield Classified(found.outcome)

    def _with_journal(
        self,
        journal: Journal,
        known: KnownRecords,
        hashes: BackgroundHashes[int],
        progress: Callable[[int, float], None] | None,
    ) -> Iterator[Classified]:
        for page in _pages(self._sources):
            in_page = [(position, item) for position, item in page if isinstance(item, Source)]
            positions = known.find(in_page)
            self._count(len(positions))
            first: dict[bytes, int] = {}  # position at which a recording that is not known is first named
            missing = []
            for position, source in in_page:
                if position not in positions and first.setdefault(key_of(source), position) == position:
                    missing.append((position, source))
            with closing(self._computed(missing, progress)) as computed:
                for position, item in page:
                    if isinstance(item, Source) and first.get(key_of(item)) == position:
                        found = next(computed, None)
                        if found is None:
                            return
                        yield Classified(self._record(journal, hashes, item, found))
                        for record, sha256 in hashes.finished():
                            journal.set_sha256(record, sha256)
                    else:
                        yield Classified(self._recorded(item), reused=position in positions)

    def _record(self, journal: Journal, hashes: BackgroundHashes[int], source: Source, computed: Computed) -> Outcome:
        failed = self._failure_conditions if isinstance(computed.outcome, Failure) else None
        if computed.state is None:
            journal.set_aside(key_of(source), pack(computed.outcome))
        else:
            self._count(1)
            record = journal.add(NewRecord(key_of(source), computed.state, pack(computed.outcome), failed))
            hashes.start(record, paths_of(source), computed.state)
        return computed.outcome

    def _recorded(self, source: Source | Failure) -> Outcome:
        if isinstance(source, Failure):
            return source
        assert self._journal is not None
        content = self._journal.outcome(key_of(source))
        try:
            return unpack(content, shown(source.path), self._system.name, self._system.labels)
        except ValueError as error:
            raise JOURNAL.damaged(self._journal.path, str(error)) from error

    def _computed(
        self, numbered: list[tuple[int, Source]], progress: Callable[[int, float], None] | None
    ) -> Generator[Computed, None, None]:
        """Yield what is computed of recordings, given with their positions, until the run is stopped."""

        def show(index: int, seconds: float) -> None:
            if progress is not None:
                progress(numbered[index][0], seconds)

        sources = [source for _, source in numbered]
        return compute_outcomes(self._system, sources, self._settings, self._stop, show)


class _RemoteRun:
    """A run whose outcomes other machines compute, in any order; the journal has them until their turn comes."""

    def __init__(
        self, journal: Journal, sources: Sequence[Source | Failure], known: KnownRecords, stop: threading.Event
    ) -> None:
        self._journal = journal
        self._sources = sources
        self._known = known
        self._stop = stop
        self._done = bytearray(len(sources))  # by position: _COMPUTED, or _REUSED from the journal
        self._named_again: dict[int, list[int]] = {}  # positions of the same recording, by that of the first
        self._lines: dict[int, ReadyLine] = {}  # that wait for their turn, by position
        self._line_bytes = 0
        self._n_known = 0
        self._n_yielded = 0

    def outcomes(
        self,
        remote: RemoteComputing,
        recorded: Callable[[Source | Failure], Outcome],
        count: Callable[[int], None],
    ) -> Iterator[Classified]:
        with closing(remote.records(self._missing())) as parts:
            for part in parts:
                self._journal.add_many([found.record for _, found in part])
                count(sum(found.record.state is not None for _, found in part) + self._n_known)
                self._n_known = 0
                for position, found in part:
                    if found.line is not None and self._line_bytes < MAX_LINE_BYTES:
                        self._lines[position] = found.line
                        self._line_bytes += len(found.line.content)
                    for named in (position, *self._named_again.pop(position, ())):
                        self._done[named] = _COMPUTED
                yield from self._ready(recorded)
        count(self._n_known)
        yield from self._ready(recorded)
        n_missing = self._done.count(0)
        if n_missing and not self._stop.is_set():
            raise DataError(f"{self._journal.path}: lacks {n_missing} outcomes; run the same command again")

    def _ready(self, recorded: Callable[[Source | Failure], Outcome]) -> Iterator[Classified]:
        """Yield the outcomes whose turn has come."""
        while self._n_yielded < len(self._done) and (done := self._done[self._n_yielded]):
            line = self._lines.pop(self._n_yielded, None)
            if line is not None:
                self._line_bytes -= len(line.content)
            load = partial(recorded, self._sources[self._n_yielded])
            self._n_yielded += 1
            yield Classified(load, reused=done == _REUSED, line=line)

    def _missing(self) -> Iterator[tuple[int, Source]]:
        """Yield the recordings that the journal does not know, with their positions."""
        for page in _pages(self._sources):
            if self._stop.is_set():
                return
            in_page = [(position, item) for position, item in page if isinstance(item, Source)]
            positions = self._known.find(in_page)
            self._n_known += len(positions)
            first: dict[bytes, int] = {}
            for position, item in page:
                if isinstance(item, Failure) or position in positions:
                    self._done[position] = _COMPUTED if isinstance(item, Failure) else _REUSED
            for position, source in in_page:
                if position in positions:
                    continue
                named_first = first.setdefault(key_of(source), position)
                if named_first != position:
                    self._named_again.setdefault(named_first, []).append(position)
            # After the whole page was looked through: a recording may be done before the next one is asked for.
            yield from ((position, source) for position, source in in_page if first.get(key_of(source)) == position)


_COMPUTED, _REUSED = 1, 2


def _pages(sources: Sequence[Source | Failure]) -> Iterator[list[tuple[int, Source | Failure]]]:
    """Yield recordings with their positions, PAGE at a time."""
    numbered = enumerate(sources)
    while page := list(islice(numbered, PAGE)):
        yield page

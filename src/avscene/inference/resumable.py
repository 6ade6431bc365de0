"""Classify recordings with a journal: take known outcomes from it, compute the others, and record them at once."""

import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import overload

from avscene.errors import AvsceneError, MediaError
from avscene.inference.fingerprint import decoder_versions, fingerprint
from avscene.inference.journal.content import (
    BackgroundHashes,
    FileState,
    key_of,
    paths_of,
    paths_of_key,
    sha256_in_state,
    state_of,
)
from avscene.inference.journal.database import Journal, Record, damaged
from avscene.inference.journal.outcomes import Outcome, pack, unpack
from avscene.inference.reading import Source
from avscene.inference.system import System
from avscene.media.limits import DEFAULT_LIMITS, Limits
from avscene.media.sampling import CPU
from avscene.records import Failure


@dataclass(frozen=True, slots=True)
class Settings:
    """How recordings are decoded: `program` of each `Source`, and the arguments of `System.classify_all`."""

    hop: float | None = None
    keyframes: bool = False
    decoder: str = CPU
    limits: Limits = DEFAULT_LIMITS
    workers: int | None = None
    program: int | None = None

    def fingerprint(self, system: System) -> str:
        """Return what decides the probabilities that `system` computes with these settings, as a SHA-256."""
        hop = system.hop if self.hop is None else float(self.hop)
        return fingerprint(system.fingerprint, hop, self.keyframes, self.program)

    def failure_conditions(self) -> str:
        """Return what decides whether a recording fails: the limits, and the versions of the decoding packages."""
        return f"{self.limits}, {decoder_versions()}"


DEFAULT_SETTINGS = Settings()


@dataclass(frozen=True, slots=True)
class Classified:
    """The outcome of a recording, and whether it was taken from the journal."""

    outcome: Outcome
    reused: bool = False


class ResumableRun:
    """The classification of `sources` with a journal, or without one.

    Args:
        system: the system that classifies.
        sources: the recordings.
        settings: how they are decoded.
        journal: known outcomes; those of this run are added.
        retry_failed: compute recordings again that the journal has as failed.
        stop: once set, no further recording is begun.
    """

    def __init__(
        self,
        system: System,
        sources: Sequence[Source],
        settings: Settings,
        journal: Journal | None = None,
        *,
        retry_failed: bool = False,
        stop: threading.Event | None = None,
    ) -> None:
        self._system = system
        self._sources = sources
        self._settings = settings
        self._failure_conditions = settings.failure_conditions()
        self._journal = journal
        self._retry_failed = retry_failed
        self._stop = threading.Event() if stop is None else stop
        self._n_recorded = 0
        self._not_recorded: dict[int, Outcome] = {}  # outcomes without a record, by position: no file, or it changed

    def outcomes(self, progress: Callable[[int, float], None] | None = None) -> Generator[Classified, None, None]:
        """Yield the outcome of each recording, in order; fewer if the run is stopped.

        `progress` is called with the position of a source and the end of its last scored segment, in seconds.

        Raises:
            UsageError: the system does not support these settings; the journal cannot be written.
            DataError: the journal is damaged.
        """
        if self._journal is None:
            missing = list(range(len(self._sources)))
            yield from (Classified(outcome) for _, outcome, _ in self._computed(missing, progress))
            return
        hashes: BackgroundHashes[int] = BackgroundHashes()
        with closing(hashes):
            yield from self._with_journal(self._journal, hashes, progress)
            for record, sha256 in hashes.finished(wait=not self._stop.is_set()):
                self._journal.set_sha256(record, sha256)
            self._journal.commit()

    def replay(self) -> Iterator[Outcome]:
        """Yield the outcomes of a complete run with a journal again, in order, without keeping them in memory."""
        assert self._journal is not None
        for position in range(len(self._sources)):
            yield self._not_recorded.get(position) or self._recorded(self._journal, position)

    def n_recorded(self) -> int:
        """Return the number of recordings that have an outcome in the journal, so far."""
        return self._n_recorded

    def _with_journal(
        self, journal: Journal, hashes: BackgroundHashes[int], progress: Callable[[int, float], None] | None
    ) -> Iterator[Classified]:
        known = _KnownRecords(
            journal, self._sources, hashes, None if self._retry_failed else self._failure_conditions, self._stop
        )
        self._n_recorded = len(known.positions)
        first: dict[bytes, int] = {}  # position at which a recording that is not known is first named
        for position, source in enumerate(self._sources):
            if position not in known.positions:
                first.setdefault(key_of(source), position)
        with closing(self._computed(list(first.values()), progress)) as computed:
            for position, source in enumerate(self._sources):
                if position in known.positions:
                    yield Classified(self._recorded(journal, position), reused=True)
                    continue
                key = key_of(source)
                if first[key] != position:  # named again
                    if first[key] in self._not_recorded:
                        self._not_recorded[position] = self._not_recorded[first[key]]
                    yield Classified(self._not_recorded.get(position) or self._recorded(journal, position))
                    continue
                found = next(computed, None)
                if found is None:
                    return
                yield Classified(self._record(journal, hashes, *found))
                for record, sha256 in hashes.finished():
                    journal.set_sha256(record, sha256)

    def _record(
        self, journal: Journal, hashes: BackgroundHashes[int], position: int, outcome: Outcome, state: FileState | None
    ) -> Outcome:
        failed = self._failure_conditions if isinstance(outcome, Failure) else None
        paths = paths_of(self._sources[position])
        if state is None or (failed is not None and not all(os.access(path, os.R_OK) for path in paths)):
            self._not_recorded[position] = outcome  # of a failure: it may be repaired without a change of the content
        else:
            self._n_recorded += 1
            record = journal.add(key_of(self._sources[position]), state, pack(outcome), failed)
            hashes.start(record, paths, state)
        return outcome

    def _recorded(self, journal: Journal, position: int) -> Outcome:
        source = self._sources[position]
        content = journal.outcome(key_of(source))
        try:
            return unpack(content, os.fspath(source.path), self._system.name, self._system.labels)
        except ValueError as error:
            raise damaged(journal.path, str(error)) from error

    def _computed(
        self, positions: list[int], progress: Callable[[int, float], None] | None
    ) -> Generator[tuple[int, Outcome, FileState | None], None, None]:
        """Yield position, outcome and state of the files of recordings, until the run is stopped."""

        def show(index: int, seconds: float) -> None:
            if progress is not None:
                progress(positions[index], seconds)

        settings = self._settings
        sources = _ObservedSources([replace(self._sources[p], program=settings.program) for p in positions])
        outcomes = self._system.classify_all(
            sources,
            hop=settings.hop,
            keyframes=settings.keyframes,
            decoder=settings.decoder,
            limits=settings.limits,
            workers=settings.workers,
            stop=self._stop,
            progress=show,
        )
        with closing(outcomes):
            for index, (position, outcome) in enumerate(zip(positions, outcomes, strict=False)):
                path = os.fspath(self._sources[position].path)
                after = state_of(paths_of(self._sources[position]))
                before = sources.states.pop(index, after)
                state = after if before == after else None
                if before is not None and before != after:
                    changed = MediaError(f"{path}: changed while it was read; try: run the same command again")
                    yield position, Failure(path, changed), None
                else:
                    yield position, Failure(path, outcome) if isinstance(outcome, AvsceneError) else outcome, state


class _KnownRecords:
    """Find the recordings that a journal knows; `positions` are theirs.

    A file with the path, the size and the modification time of a record is known without reading it. One of the same
    size is known if its SHA-256 is that of a record whose file was touched, or is no longer where it was. A failure is
    known if it was under the same conditions (see `Settings.failure_conditions`); with None, no failure is.
    """

    def __init__(
        self,
        journal: Journal,
        sources: Sequence[Source],
        hashes: BackgroundHashes[int],
        failure_conditions: str | None,
        stop: threading.Event,
    ) -> None:
        self._journal = journal
        self._hashes = hashes
        self._failure_conditions = failure_conditions
        self.positions: set[int] = set()
        others = [position for position, source in enumerate(sources) if not self._find_unread(position, source)]
        moved = self._moved_by_size() if others else {}
        found = []
        for position in others:
            if stop.is_set():
                break
            found += self._find_by_content(position, sources[position], moved)
        journal.move(found)

    def _find_unread(self, position: int, source: Source) -> bool:
        paths, key = paths_of(source), key_of(source)
        state, record = state_of(paths), self._journal.find(key)
        if state is None or record is None or record.state != state:
            return False
        if self._counts(record):
            self.positions.add(position)
            if record.sha256 is None:  # the run ended before it was computed
                self._hashes.start(record.id, paths, state)
        return True

    def _counts(self, record: Record) -> bool:
        return record.failed is None or record.failed == self._failure_conditions

    def _moved_by_size(self) -> dict[str, dict[str, list[int]]]:
        """Ids of records whose files are no longer where they were or were touched, by size and SHA-256."""
        moved: dict[str, dict[str, list[int]]] = {}
        for record in self._journal.records():
            if not self._counts(record) or record.sha256 is None:
                continue
            if state_of(paths_of_key(record.source)) != record.state:
                moved.setdefault(record.state.sizes, {}).setdefault(record.sha256, []).append(record.id)
        return moved

    def _find_by_content(
        self, position: int, source: Source, moved: dict[str, dict[str, list[int]]]
    ) -> list[tuple[int, bytes, FileState]]:
        """The record with the content of a recording, if there is one, as an argument of `Journal.move`."""
        paths = paths_of(source)
        state = state_of(paths)
        if state is None or not (same_size := moved.get(state.sizes)):
            return []
        records = same_size.get(sha256_in_state(paths, state) or "")
        if not records:
            return []
        self.positions.add(position)
        return [(records.pop(), key_of(source), state)]


class _ObservedSources(Sequence[Source]):
    """Sources that note the state of the files of each when it is taken, which is when its decoding begins."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self.states: dict[int, FileState | None] = {}  # by position

    def __len__(self) -> int:
        return len(self._sources)

    @overload
    def __getitem__(self, position: int) -> Source: ...

    @overload
    def __getitem__(self, position: slice) -> Sequence[Source]: ...

    def __getitem__(self, position: int | slice) -> Source | Sequence[Source]:
        found = self._sources[position]
        if isinstance(position, int):
            assert isinstance(found, Source)
            self.states.setdefault(position, state_of(paths_of(found)))
        return found

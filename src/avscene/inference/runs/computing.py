"""Compute the outcomes of recordings on this machine, with the state of the files that each was computed from."""

import os
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import overload

from avscene.errors import AvsceneError, MediaError, StorageError
from avscene.inference.fingerprint import decoder_versions, fingerprint
from avscene.inference.journal.content import FileState, paths_of, state_of
from avscene.inference.journal.outcomes import Outcome
from avscene.inference.sources import Source
from avscene.inference.system import System
from avscene.media.limits import DEFAULT_LIMITS, Limits
from avscene.media.sampling import CPU
from avscene.records import Failure
from avscene.storage.urls import is_remote, shown


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
class Computed:
    """The outcome of the recording at `index` of the sources.

    `state` is that of its files; None if they cannot be read, or if they changed meanwhile: then it is not to be kept.
    """

    index: int
    outcome: Outcome
    state: FileState | None


def compute_outcomes(
    system: System,
    sources: Sequence[Source],
    settings: Settings,
    stop: threading.Event | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> Generator[Computed, None, None]:
    """Classify recordings and yield their outcomes in order; fewer once `stop` is set.

    A file that changes while it is read is a failure. `progress` is called with the position of a source and the end of
    its last scored segment, in seconds.

    Raises:
        UsageError: the system does not support these settings.
        WeightsError: no worker process can be started.
    """
    observed = _ObservedSources(sources, settings.program)
    outcomes = system.classify_all(
        observed,
        hop=settings.hop,
        keyframes=settings.keyframes,
        decoder=settings.decoder,
        limits=settings.limits,
        workers=settings.workers,
        stop=stop,
        progress=progress,
    )
    with closing(outcomes):
        for index, outcome in enumerate(outcomes):
            paths = paths_of(sources[index])
            path = shown(paths[0])
            # Of an object, the version that was looked up is read, or none.
            after = observed.states.get(index) if any(map(is_remote, paths)) else state_of(paths)
            before = observed.states.pop(index, after)
            if before is not None and before != after:
                changed = MediaError(f"{path}: changed while it was read; try: run the same command again")
                yield Computed(index, Failure(path, changed), None)
            else:
                # A file that cannot be opened may be repaired without a change of its content.
                kept = not isinstance(outcome, AvsceneError) or _were_readable(paths, outcome)
                state = after if before == after and kept else None
                yield Computed(index, Failure(path, outcome) if isinstance(outcome, AvsceneError) else outcome, state)


def _were_readable(paths: Sequence[str], error: AvsceneError) -> bool:
    """Return whether the files of a recording that failed could be read."""
    return not isinstance(error, StorageError) and all(is_remote(path) or os.access(path, os.R_OK) for path in paths)


class _ObservedSources(Sequence[Source]):
    """Sources that note the state of the files of each when it is taken, which is when its decoding begins."""

    def __init__(self, sources: Sequence[Source], program: int | None) -> None:
        self._sources = sources
        self._program = program
        self.states: dict[int, FileState | None] = {}  # by position

    def __len__(self) -> int:
        return len(self._sources)

    @overload
    def __getitem__(self, position: int) -> Source: ...

    @overload
    def __getitem__(self, position: slice) -> Sequence[Source]: ...

    def __getitem__(self, position: int | slice) -> Source | Sequence[Source]:
        found = self._sources[position]
        if not isinstance(position, int):
            return found
        assert isinstance(found, Source)
        if position not in self.states:
            self.states[position] = state_of(paths_of(found))
        state = self.states[position]
        versions = () if state is None else tuple(state.mtimes.split("+"))
        return replace(found, program=self._program, versions=versions)

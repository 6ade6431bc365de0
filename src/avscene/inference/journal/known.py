"""Find the recordings whose outcomes a journal has, by the state or the content of their files."""

import threading
from collections.abc import Sequence

from avscene.inference.journal.content import (
    BackgroundHashes,
    FileState,
    key_of,
    paths_of,
    paths_of_key,
    sha256_in_state,
    state_of,
    states_of,
)
from avscene.inference.journal.database import Journal, Record
from avscene.inference.sources import Source
from avscene.storage.urls import is_remote


class KnownRecords:
    """Find the recordings that a journal knows, a page of them at a time.

    A file with the path, the size and the modification time of a record is known without reading it. One of the same
    size is known if its SHA-256 is that of a record whose file was touched, or is no longer where it was. A failure is
    known if it was under the same conditions (see `Settings.failure_conditions`). An object in object storage is known
    by its URL, size and version.

    Args:
        journal: the journal.
        hashes: computes the SHA-256 that records lack.
        failure_conditions: those of this run; with None, no failure is known.
        stop: once set, no further file is read.
    """

    def __init__(
        self, journal: Journal, hashes: BackgroundHashes[int], failure_conditions: str | None, stop: threading.Event
    ) -> None:
        self._journal = journal
        self._hashes = hashes
        self._failure_conditions = failure_conditions
        self._stop = stop
        self._moved: dict[str, dict[str, list[int]]] | None = None  # looked up when it is needed

    def find(self, page: Sequence[tuple[int, Source]]) -> set[int]:
        """Return the positions of those recordings, given with their positions, that are known."""
        recorded = [
            (position, source, record)
            for position, source in page
            if (record := self._journal.find(key_of(source))) is not None
        ]
        states = states_of([paths_of(source) for _, source, _ in recorded])
        known = {
            position
            for (position, source, record), state in zip(recorded, states, strict=True)
            if self._is_unchanged(source, record, state)
        }
        others = [(position, source) for position, source in page if position not in known]
        if others and self._moved is None:
            self._moved = self._moved_by_size()
        found = []
        for position, source in others:
            if self._stop.is_set():
                break
            move = self._move(source)
            if move is not None:
                found.append(move)
                known.add(position)
        self._journal.move(found)
        return known

    def _is_unchanged(self, source: Source, record: Record, state: FileState | None) -> bool:
        """Whether the files of a recording, which are in `state`, are those of its record."""
        if state is None or record.state != state:
            return False
        known = self._counts(record)
        if known and record.sha256 is None:  # the run ended before it was computed
            self._hashes.start(record.id, paths_of(source), state)
        return known

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

    def _move(self, source: Source) -> tuple[int, bytes, FileState] | None:
        """The record with the content of a recording, if there is one, as an argument of `Journal.move`."""
        paths = paths_of(source)
        if not self._moved or any(map(is_remote, paths)):
            return None
        state = state_of(paths)
        if state is None or not (same_size := self._moved.get(state.sizes)):
            return None
        records = same_size.get(sha256_in_state(paths, state) or "")
        return (records.pop(), key_of(source), state) if records else None

"""Let a cluster compute outcomes, and take its files into the journal."""

import logging
import threading
import uuid
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avscene.cluster import Finished, Scheduler
from avscene.errors import MediaError
from avscene.files import write_text
from avscene.inference.journal.content import key_of, paths_of, paths_of_key, state_of
from avscene.inference.journal.database import Journal, NewRecord
from avscene.inference.journal.outcomes import pack
from avscene.inference.ledger.parts import LEDGER_SUFFIX, MARKER, parts_in, read_part
from avscene.inference.ledger.task import ClassificationSpec
from avscene.inference.runs.computing import Settings
from avscene.inference.runs.remote import RemoteRecord
from avscene.inference.sources import Source
from avscene.records import Failure
from avscene.storage.urls import shown

logger = logging.getLogger(__name__)

STALL_MARGIN = 60.0  # seconds on top of the limit of a recording, for the networks


@dataclass(frozen=True, slots=True)
class ClusterComputing:
    """Computes outcomes in the actors of the connected cluster, each unit of them as a file in the ledger.

    The ledger is a directory beside the journal, with a directory for each fingerprint. A file in it is removed once
    its records are in the journal; files that an earlier run left are taken in at the beginning.

    Args:
        system: name of the system, or directory of its checkpoint, as all nodes see it.
        options: arguments of `avscene.load`, with the same precision for all nodes.
        settings: how recordings are decoded.
        fingerprint: that of the system and the settings.
        journal: takes the outcomes.
        stop: once set, no further recording is begun.
        lines: whether the actors make the JSON lines too, which takes most of the driver's time otherwise.
    """

    system: str
    options: dict[str, Any]
    settings: Settings
    fingerprint: str
    journal: Journal
    stop: threading.Event
    lines: bool = False

    def records(self, missing: Iterator[tuple[int, Source]]) -> Generator[list[tuple[int, RemoteRecord]], None, None]:
        """Yield the records of recordings, given with their positions, a unit at a time.

        Raises:
            UsageError: no node can compute them, or the ledger cannot be written.
        """
        marker = uuid.uuid4().hex
        write_text(self.ledger / MARKER, marker)
        spec = ClassificationSpec(
            Path.cwd(), self.system, self.options, self.settings, self.fingerprint, self.ledger, marker, self.lines
        )
        self._take_left_over()
        scheduler = Scheduler(spec, missing, self.settings.limits.stall + STALL_MARGIN, self.stop)
        with closing(scheduler.results()) as results:
            for result in results:
                if isinstance(result, Finished):
                    part = self.ledger / result.value
                    positions = {key_of(source): position for position, source in result.items}
                    yield [(positions[found.record.source], found) for found in read_part(part)]
                    part.unlink()
                else:
                    yield [self._given_up(*result.item)]
        (self.ledger / MARKER).unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            self.ledger.rmdir()
            self.ledger.parent.rmdir()

    def _take_left_over(self) -> None:
        """Take in what an earlier run left: files whose records are of recordings that have not changed since."""
        for path in parts_in(self.ledger):
            try:
                records = [found.record for found in read_part(path)]
            except (OSError, ValueError) as error:
                logger.warning(f"{path}: is not a file of outcomes ({error}); it is left as it is")
                continue
            kept = [record for record in records if record.state == state_of(paths_of_key(record.source))]
            self.journal.add_many([record for record in kept if record.state is not None])
            path.unlink()

    @property
    def ledger(self) -> Path:
        """The directory for the outcomes of this system and these settings."""
        path = self.journal.path.absolute()
        return path.with_name(path.name.removesuffix(".journal") + LEDGER_SUFFIX) / f"system={self.fingerprint[:16]}"

    def _given_up(self, position: int, source: Source) -> tuple[int, RemoteRecord]:
        path = shown(source.path)
        error = MediaError(f"{path}: the process that reads it ended or hung twice; try: avscene classify on it alone")
        state = state_of(paths_of(source))
        failed = self.settings.failure_conditions()
        return position, RemoteRecord(NewRecord(key_of(source), state, pack(Failure(path, error)), failed))

"""Define what computes outcomes on other machines, and the records that it returns."""

import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Protocol

from avscene.inference.journal.database import NewRecord
from avscene.inference.sources import Source
from avscene.records import Prediction, json_line
from avscene.reports.recordings.counts import OutcomeSummary

_LEVEL = 1  # of compression: the actors have the time, but higher ones save little


@dataclass(frozen=True, slots=True)
class ReadyLine:
    """The compressed JSON line of a prediction, and what is counted of it."""

    content: bytes
    summary: OutcomeSummary

    @classmethod
    def of(cls, prediction: Prediction) -> "ReadyLine":
        """Make the line of a prediction."""
        return cls(zlib.compress(json_line(prediction).encode(), _LEVEL), OutcomeSummary.of(prediction))

    def text(self) -> str:
        """Return the line, as `json_line` does."""
        return zlib.decompress(self.content).decode()


@dataclass(frozen=True, slots=True)
class RemoteRecord:
    """A record for the journal and, if it is of a prediction and lines are made, its line."""

    record: NewRecord
    line: ReadyLine | None = None


class RemoteComputing(Protocol):
    """Computes outcomes on other machines."""

    def records(self, missing: Iterator[tuple[int, Source]]) -> Generator[list[tuple[int, RemoteRecord]], None, None]:
        """Yield the records of recordings, given with their positions, in any order and number at a time."""
        ...

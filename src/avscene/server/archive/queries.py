"""List the results of an index that meet conditions, in an order, with counts of their scenes."""

# ruff: noqa: S608  # statements consist of texts of this module; values of clients are parameters

import json
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from avscene.errors import UsageError
from avscene.server.archive.entries import Entry
from avscene.server.jobs.rows import searchable, storable

_ORDERS = {
    "name": "folded ASC, number ASC",
    "score": "score DESC NULLS LAST, number ASC",
    "duration": "duration DESC NULLS LAST, number ASC",
    "-name": "folded DESC, number DESC",
    "-score": "score ASC NULLS LAST, number ASC",
    "-duration": "duration ASC NULLS LAST, number ASC",
}
ORDERS = tuple(_ORDERS)
_SELECT = "SELECT recordings.*, files.path FROM recordings JOIN files ON files.id = file"
_HAS_SCENE = "number IN (SELECT number FROM scenes WHERE name = :scene)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveQuery:
    """Which results are listed, in which order, and which part of the list.

    Attributes:
        search: Part of the source, without regard to case; empty: all.
        scene: One of the scenes that head the recording, or "unknown".
        min_score: Smallest probability of the most probable scene.
        max_score: Largest one.
        mismatch: Whether audio and video do not belong together.
        failed: Whether there is no prediction.
        order: One of ORDERS; by score and duration the largest come first, with a minus the smallest.
        limit: Length of the part of the list.
        offset: Number of results before it.

    Raises:
        UsageError: there is no such order, or a number is negative.
    """

    search: str = ""
    scene: str | None = None
    min_score: float | None = None
    max_score: float | None = None
    mismatch: bool | None = None
    failed: bool | None = None
    order: str = "name"
    limit: int = 50
    offset: int = 0

    def __post_init__(self) -> None:
        if self.order not in _ORDERS:
            raise UsageError(f"order {self.order!r} is not one of {', '.join(_ORDERS)}")
        if self.limit < 0 or self.offset < 0:
            raise UsageError(f"limit {self.limit}, offset {self.offset}: must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedRecording:
    """A result of the index: its number, what a list shows, and where it is: bytes of the file `path`."""

    number: int
    entry: Entry
    path: Path
    start: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPage:
    """Results of an index: how many meet the conditions, a part of them, and the number of each scene.

    `scenes` counts results that meet the other conditions whatever their scene, the most frequent first. `broken` is
    the number of records of all files that are no results.
    """

    total: int
    recordings: list[IndexedRecording]
    scenes: dict[str, int]
    broken: int


def read_page(connection: sqlite3.Connection, query: ArchiveQuery) -> IndexPage:
    """Return the part of the list that a query asks for; all of it is of one state of the index."""
    values = _values(query)
    others = " AND ".join(_conditions(query))
    condition = others if query.scene is None else f"{others} AND {_HAS_SCENE}"

    def select(text: str) -> list[sqlite3.Row]:
        return connection.execute(text, values).fetchall()

    connection.execute("BEGIN")
    try:
        counts = {
            row["name"]: row["n"]
            for row in select(
                f"SELECT name, count(*) AS n FROM recordings JOIN scenes USING (number) WHERE {others} "
                "GROUP BY name ORDER BY n DESC, name"
            )
        }
        total = select(f"SELECT count(*) FROM recordings WHERE {condition}")[0][0]
        broken = select("SELECT coalesce(sum(n_broken), 0) FROM files")[0][0]
        rows = select(f"{_SELECT} WHERE {condition} ORDER BY {_ORDERS[query.order]} LIMIT :limit OFFSET :offset")
    finally:
        connection.execute("COMMIT")
    return IndexPage(
        total=total,
        recordings=list(map(_recording, rows)),
        scenes=counts,
        broken=broken,
    )


def find_recording(connection: sqlite3.Connection, number: int) -> IndexedRecording:
    """Return a result by its number.

    Raises:
        KeyError: there is no such result.
    """
    row = connection.execute(f"{_SELECT} WHERE number = ?", (number,)).fetchone()
    if row is None:
        raise KeyError(number)
    return _recording(row)


def _recording(row: sqlite3.Row) -> IndexedRecording:
    entry = Entry(
        source=json.loads(row["source"]),
        system=row["system"],
        duration=row["duration"],
        scene=row["scene"],
        scenes=tuple(json.loads(row["scenes"])),
        score=row["score"],
        unsure=bool(row["unsure"]),
        mismatch=_verdict(row["mismatch"]),
        unfamiliar=_verdict(row["unfamiliar"]),
        error=None if row["error"] is None else (row["error_type"], row["error"]),
    )
    path = Path(os.fsdecode(row["path"]))
    return IndexedRecording(number=row["number"], entry=entry, path=path, start=row["start"], length=row["length"])


def _conditions(query: ArchiveQuery) -> list[str]:
    conditions = ["listed"]
    if query.search:
        conditions.append("instr(folded, :search) > 0")
    if query.min_score is not None:
        conditions.append("score >= :min_score")
    if query.max_score is not None:
        conditions.append("score <= :max_score")
    if query.mismatch is not None:
        conditions.append("mismatch = :mismatch")
    if query.failed is not None:
        conditions.append("error IS NOT NULL" if query.failed else "error IS NULL")
    return conditions


def _values(query: ArchiveQuery) -> dict[str, object]:
    return {
        "search": searchable([query.search]),
        "scene": None if query.scene is None else storable(query.scene),
        "min_score": query.min_score,
        "max_score": query.max_score,
        "mismatch": query.mismatch,
        "limit": query.limit,
        "offset": query.offset,
    }


def _verdict(value: int | None) -> bool | None:
    return None if value is None else bool(value)

"""List jobs page by page, the newest first, by file name, scene and state."""

from avscene.errors import UsageError
from avscene.server.jobs.database import Database
from avscene.server.jobs.record import Job, JobState
from avscene.server.jobs.rows import job_of, searchable

_CURSOR_DIGITS = 18  # fewer than an integer of SQLite has


def list_jobs(
    database: Database, search: str, scene: str | None, state: JobState | None, limit: int, before: str | None
) -> tuple[list[Job], str | None]:
    """Return a page of jobs and the cursor of the next page; arguments and errors are those of `JobTable.list`."""
    if limit < 1:
        raise UsageError(f"limit {limit}: must be a positive number")
    conditions, values = ["listed"], dict[str, object](limit=limit + 1)
    if search:
        conditions.append("instr(words, :search) > 0")
        values["search"] = searchable([search])
    if scene is not None:
        conditions.append("EXISTS (SELECT 1 FROM json_each(outline, '$.scenes') WHERE value = :scene)")
        values["scene"] = scene
    if state is not None:
        conditions.append("state = :state")
        values["state"] = str(state)
    if before is not None:
        conditions.append("number < :before")
        values["before"] = _number_of(before)
    query = f"SELECT * FROM jobs WHERE {' AND '.join(conditions)} ORDER BY number DESC LIMIT :limit"  # noqa: S608
    rows = database.select(query, values)
    page = rows[:limit]
    return [job_of(row) for row in page], str(page[-1]["number"]) if len(rows) > limit else None


def _number_of(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _CURSOR_DIGITS):
        raise UsageError(f"before {cursor[:50]!r}: is not a cursor of a previous page")
    return int(cursor)

"""Turn jobs into rows of the table and back."""

import json
import sqlite3
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from avscene.server.jobs.record import Job, JobError, JobRequest, JobState, Outline

_PLAIN = ("id", "version", "created", "started", "finished", "size", "attempts", "reached", "duration")


def to_json(value: JobRequest | Outline | JobError) -> str:
    """Return a part of a job as JSON, which has only ASCII characters, so that any file name can be stored."""
    return json.dumps(asdict(value))


def job_of(row: sqlite3.Row) -> Job:
    """Return the job of a row."""
    return Job(
        request=_request(json.loads(row["request"])),
        state=JobState(row["state"]),
        outline=None if row["outline"] is None else _outline(json.loads(row["outline"])),
        error=None if row["error"] is None else JobError(**json.loads(row["error"])),
        **{name: row[name] for name in _PLAIN},
    )


def searchable(texts: Iterable[str]) -> str:
    """Return texts, each on a line, in the form in which they are searched, without regard to case."""
    return storable(unicodedata.normalize("NFC", "\n".join(texts)).casefold())


def storable(text: str) -> str:
    """Return text without lone surrogates, which SQLite does not store."""
    return text.encode(errors="replace").decode()


def _request(values: dict[str, Any]) -> JobRequest:
    labels = values["labels"]
    return JobRequest(**values | {"labels": None if labels is None else tuple(labels)})


def _outline(values: dict[str, Any]) -> Outline:
    return Outline(**values | {"scenes": tuple(values["scenes"])})

"""Parse references to checkpoints on the hub, such as `hf://user/repo@revision`. Imports neither torch nor the hub."""

import os
import re
from dataclasses import dataclass, replace

from avscene.errors import UsageError

SCHEME = "hf://"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_REPOSITORY = re.compile(rf"{_NAME}/{_NAME}")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]{0,199}")  # a branch, a tag or a commit
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubReference:
    """A repository on the hub and one of its revisions: a branch, a tag or a commit."""

    repo_id: str
    revision: str = "main"

    @classmethod
    def parse(cls, text: str) -> "HubReference":
        """Parse `hf://user/repo` or `hf://user/repo@revision`.

        Raises:
            UsageError: the text is neither.
        """
        repo_id, at, revision = text.removeprefix(SCHEME).partition("@")
        if not text.startswith(SCHEME) or (at and not is_revision(revision)):
            raise UsageError(f"{text}: is not hf://USER/REPO or hf://USER/REPO@REVISION")
        return cls(check_repository(repo_id), revision or "main")

    def __str__(self) -> str:
        return f"{SCHEME}{self.repo_id}@{self.revision}"

    def at(self, commit: str) -> "HubReference":
        """Return the reference to a commit of the same repository."""
        return replace(self, revision=commit)

    @property
    def is_commit(self) -> bool:
        """Whether the revision is a commit, whose content never changes."""
        return is_commit(self.revision)


def is_hub_reference(system: str | os.PathLike[str]) -> bool:
    """Return whether a system is named by a reference to the hub."""
    return isinstance(system, str) and system.startswith(SCHEME)


def is_commit(revision: str) -> bool:
    """Return whether a revision is the full hash of a commit."""
    return _COMMIT.fullmatch(revision) is not None


def is_revision(revision: str) -> bool:
    """Return whether a text can be a revision; it becomes part of a path in the cache."""
    parts = revision.split("/")
    return _REVISION.fullmatch(revision) is not None and not any(part in ("", ".", "..") for part in parts)


def check_repository(repo_id: str) -> str:
    """Return the name of a repository.

    Raises:
        UsageError: it is not `user/repo`.
    """
    repo_id = repo_id.removeprefix(SCHEME)
    if not _REPOSITORY.fullmatch(repo_id) or ".." in repo_id or "--" in repo_id or repo_id.endswith((".git", ".", "-")):
        raise UsageError(f"{repo_id!r} is not the name of a repository; write it as USER/REPO")
    return repo_id

"""Ask the hub for the commit of a revision and for the files in it, with their sizes and hashes."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError

from avscene.errors import AvsceneError, CheckpointError, StorageError, WeightsError
from avscene.models.sharing.reference import HubReference, is_commit
from avscene.models.weights import hub
from avscene.models.weights.transfer import quiet_hub

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

NO_ACCESS = (401, 403)


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file in a repository: its size in bytes, and its SHA-256 (of large files) or Git hash (of small ones)."""

    path: str
    size: int
    sha256: str | None
    git_hash: str | None

    def fits(self, content: bytes) -> bool:
        """Return whether this is the content of the file, by its hash where the hub states one."""
        if self.sha256 is not None:
            return hashlib.sha256(content).hexdigest() == self.sha256
        git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        return len(content) == self.size and self.git_hash in (None, git)


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of one commit, by their paths."""

    commit: str
    files: dict[str, HubFile]


def list_files(reference: HubReference) -> Listing:
    """Return the commit of a revision now, and its files.

    Raises:
        WeightsError: the hub cannot be reached, or has no such repository or revision.
        CheckpointError: its answer states no size of a file.
    """

    def ask() -> "ModelInfo":
        return HfApi(endpoint=constants.ENDPOINT).model_info(
            reference.repo_id, revision=reference.revision, files_metadata=True, timeout=hub.FIRST_ANSWER_SECONDS
        )

    with quiet_hub():
        info = hub.answer_within(hub.FIRST_ANSWER_SECONDS, ask)
    if isinstance(info, Exception):
        why, remedy = hub.failure_reason(info)
        raise WeightsError(f"{reference}: was not fetched: {why}; {remedy}") from info
    return listing_of(info, str(reference))


def listing_of(info: "ModelInfo", name: str) -> Listing:
    """Return the files in an answer of the hub; `name` is for messages.

    Raises:
        CheckpointError: the answer names no commit, or states no size of a file.
    """
    files = {}
    for sibling in info.siblings or ():
        sha256 = None if sibling.lfs is None else sibling.lfs.sha256
        if sibling.size is None:
            raise CheckpointError(f"{name}: the hub states no size of {sibling.rfilename!r}")
        files[sibling.rfilename] = HubFile(sibling.rfilename, sibling.size, sha256, sibling.blob_id)
    if not is_commit(info.sha or ""):
        raise CheckpointError(f"{name}: the hub names no commit")
    return Listing(str(info.sha), files)


@contextmanager
def upload_errors(repo_id: str, token: str) -> Iterator[None]:
    """Turn errors of an upload into one line that never contains the token.

    Raises:
        StorageError: an error of the hub or of the connection.
    """
    try:
        yield
    except AvsceneError:
        raise
    except Exception as error:  # noqa: BLE001  # as in `hub.answer_within`
        if isinstance(error, HfHubHTTPError) and error.response.status_code in NO_ACCESS:
            why, remedy = "the token has no write access to it", "make one at https://huggingface.co/settings/tokens"
        else:
            why, remedy = hub.failure_reason(error)
        raise StorageError(f"{repo_id}: was not pushed: {why.replace(token, '***')}; {remedy}") from None

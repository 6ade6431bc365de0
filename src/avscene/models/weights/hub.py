"""Repo and file names in, a verified directory of weights out: all that talks to the Hugging Face hub.

Environment variables are huggingface_hub's own, read when it is first imported: `HF_ENDPOINT` (a mirror),
`HF_HOME` or `HF_HUB_CACHE` (where files are kept), `HF_HUB_OFFLINE`.
"""

import errno
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    FileMetadataError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from avscene.errors import WeightsError
from avscene.files import sha256_of

CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"
OPEN_CLIP_FILES = (CONFIG_FILE, WEIGHTS_FILE)  # what open_clip keeps in a repo

SAFE_SUFFIXES = (".safetensors", ".json")  # plain data; a .bin or .pt is a pickle and can run code
LOOK_SECONDS = 10.0  # for the hub's first answer; huggingface_hub alone would retry for half a minute
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


def fetch(repo_id: str, filenames: Sequence[str], *, offline: bool) -> Path:
    """The directory that holds `filenames` of `repo_id`, downloaded if need be and verified.

    Files in the cache are taken from there without asking the hub. What the hub stores by its SHA-256 is
    hashed on every call: 0.7 s for 600 MB, less than building the model takes; no record of it can go stale.

    Raises:
        WeightsError: a file is neither cached nor to be had, no safetensors or JSON, or fails its checksum.
    """
    for filename in filenames:
        if not filename.endswith(SAFE_SUFFIXES):
            raise WeightsError(f"{repo_id}: {filename} is refused: only safetensors and JSON are opened")
    snapshot = _cached(repo_id, filenames)
    if snapshot is None:
        if offline or constants.HF_HUB_OFFLINE:
            absent = [name for name in filenames if not is_cached(repo_id, [name])]
            raise WeightsError(
                f"{repo_id}: {', '.join(absent)} is not in {constants.HF_HUB_CACHE} and no hub is asked: "
                f"run once without --offline and HF_HUB_OFFLINE"
            )
        snapshot = _download(repo_id, filenames)
    for filename in filenames:
        _verify(repo_id, snapshot / filename)
    return snapshot


def is_cached(repo_id: str, filenames: Sequence[str]) -> bool:
    """Whether every file of `filenames` is on this machine; asks no network and reads no file."""
    return _cached(repo_id, filenames) is not None


def can_fetch(repo_id: str, filenames: Sequence[str], timeout: float = 3.0) -> bool:
    """Whether the hub offers all of `filenames`: one look of at most `timeout` seconds; never raises."""
    return _look(repo_id, filenames, timeout) is None


def _cached(repo_id: str, filenames: Sequence[str]) -> Path | None:
    snapshot = None
    for filename in filenames:
        try:
            path = try_to_load_from_cache(repo_id, filename, cache_dir=constants.HF_HUB_CACHE)
        except HFValidationError:
            return None
        if not isinstance(path, str):  # None, or a mark that the repo was seen without this file
            return None
        snapshot = _snapshot(path, filename)
    return snapshot


def _snapshot(path: str, filename: str) -> Path:
    """The snapshot directory above the cached `path` of `filename`, which may name folders."""
    return Path(path).parents[len(PurePosixPath(filename).parts) - 1]


def _look(repo_id: str, filenames: Sequence[str], timeout: float) -> Exception | None:
    """Ask the hub for the headers of each file; None if it has them all, else what went wrong.

    In a thread of its own: a name lookup or a server that trickles can outlast any timeout of the transport.
    """
    outcome: list[Exception | None] = []

    def ask() -> None:
        try:
            for filename in filenames:
                url = hf_hub_url(repo_id, filename, endpoint=constants.ENDPOINT)
                if get_hf_file_metadata(url, timeout=timeout).commit_hash is None:
                    raise FileMetadataError(f"{url} names no commit")  # a captive portal, say
            outcome.append(None)
        # huggingface_hub has changed its transport twice: the errors of the three share no base but this.
        except Exception as error:  # noqa: BLE001
            outcome.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    return outcome[0] if outcome else TimeoutError(f"no answer within {timeout:g} s")


def _download(repo_id: str, filenames: Sequence[str]) -> Path:
    if error := _look(repo_id, filenames, LOOK_SECONDS):
        raise _explained(repo_id, ", ".join(filenames), error) from error
    revision, snapshot = constants.DEFAULT_REVISION, Path()
    for filename in filenames:
        try:
            path = hf_hub_download(
                repo_id,
                filename,
                revision=revision,
                cache_dir=constants.HF_HUB_CACHE,
                endpoint=constants.ENDPOINT,
            )
        except Exception as error:  # as in _look
            raise _explained(repo_id, filename, error) from error
        snapshot = _snapshot(path, filename)
        revision = snapshot.name  # the commit: every further file comes from the same one
    return snapshot


def _explained(repo_id: str, filename: str, error: Exception) -> WeightsError:
    """`error` as one line: which file, why, and what to do next."""
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # the wrapper only says that something went wrong
    why, then = _reason(error)
    return WeightsError(f"{repo_id}: {filename} was not fetched: {why}; {then}")


def _reason(error: Exception) -> tuple[str, str]:
    """Why a fetch failed, and the next thing to do."""
    hub, cache = constants.ENDPOINT, constants.HF_HUB_CACHE
    said = " ".join(str(error).split())[:200] or type(error).__name__
    mirror = "run again, or set HF_ENDPOINT to a mirror that can be reached"
    code = error.errno if isinstance(error, OSError) else None
    match error:
        case HFValidationError():
            why, then = f"no name of a repo: {said}", "write it as owner/name"
        case RepositoryNotFoundError():
            why, then = f"{hub} has no such repo, or a private one", "check the name and HF_ENDPOINT"
        case EntryNotFoundError():
            why, then = f"{hub} has the repo but no such file", "check the name and HF_ENDPOINT"
        case HfHubHTTPError():
            why, then = f"{hub} answered with HTTP {error.response.status_code}", mirror
        case FileMetadataError():
            why, then = f"{hub} does not answer as a hub does", "check the network and HF_ENDPOINT"
        case OSError() if code in DISK_FULL:
            why, then = f"no space left under {cache}", "free some, or set HF_HOME to another disk"
        case OSError() if code in NOT_WRITABLE:
            why, then = f"{cache} cannot be written", "set HF_HOME to a directory that can"
        case _:
            why, then = f"{hub} cannot be reached or broke off ({said})", mirror
    return why, then


def _verify(repo_id: str, path: Path) -> None:
    """Compare a cached file with the SHA-256 by which the hub stores it.

    The cache names each blob after its ETag. Only 64 hex digits are a checksum: small files go by their Git
    id, which mirrors replace. Where links are not to be had (Windows) the name is lost, and only the
    safetensors header, which gives the length, stands guard.
    """
    if not path.is_symlink():
        return
    blob = path.parent / path.readlink()  # one step only: a blob may itself link to a store shared by repos
    if not re.fullmatch(r"[0-9a-f]{64}", blob.name):
        return
    found = sha256_of(path)
    if found != blob.name:
        raise WeightsError(
            f"{repo_id}: {path.name} is damaged: its SHA-256 is {found[:12]}..., not {blob.name[:12]}...; "
            f"delete {os.path.normpath(blob)} and run again"
        )

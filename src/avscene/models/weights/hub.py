"""Fetch files of a Hugging Face hub repository, verify them, and return their directory.

Environment variables are huggingface_hub's own, read when it is first imported: `HF_ENDPOINT` (a mirror),
`HF_HOME` or `HF_HUB_CACHE` (where files are stored), `HF_HUB_OFFLINE`.
"""

import errno
import os
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

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
    RevisionNotFoundError,
)

from avscene.errors import WeightsError
from avscene.files import sha256_of
from avscene.models.weights.transfer import bar_class, quiet_hub
from avscene.progress import StageProgress, silent

CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"
OPEN_CLIP_FILES = (CONFIG_FILE, WEIGHTS_FILE)  # open_clip's files in a repository

SAFE_SUFFIXES = (".safetensors", ".json")  # plain data; a .bin or .pt is a pickle and can run code
CHECK_SECONDS = 3.0  # time limit of `can_fetch`
FIRST_ANSWER_SECONDS = 10.0  # time limit of the hub's first answer; huggingface_hub retries for half a minute
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)

Answer = TypeVar("Answer")


def fetch(
    repo_id: str,
    filenames: Sequence[str],
    *,
    offline: bool,
    progress: StageProgress = silent,
    revision: str = constants.DEFAULT_REVISION,
) -> Path:
    """Return the directory that contains `filenames` of `repo_id`; download them if needed, and verify them.

    Files in the cache are used without a request to the hub. Files that the hub stores by their SHA-256 are hashed on
    every call: 0.7 s for 600 MB, less than building the model takes. `progress` is called with each file that is
    downloaded, and with megabytes.

    Raises:
        WeightsError: a file cannot be fetched, is neither safetensors nor JSON, or fails its checksum.
    """
    for filename in filenames:
        if not filename.endswith(SAFE_SUFFIXES):
            raise WeightsError(f"{repo_id}: {filename} is refused: only safetensors and JSON files are opened")
    snapshot = cached(repo_id, filenames, revision)
    if snapshot is None:
        if offline or constants.HF_HUB_OFFLINE:
            absent = [name for name in filenames if cached(repo_id, [name], revision) is None]
            raise WeightsError(
                f"{repo_id}: {', '.join(absent)} is not in {constants.HF_HUB_CACHE}, "
                f"and --offline or HF_HUB_OFFLINE is set: run once without --offline and HF_HUB_OFFLINE"
            )
        with quiet_hub():
            snapshot = _download(repo_id, filenames, revision, progress)
    for filename in filenames:
        _verify(repo_id, snapshot / filename)
    return snapshot


def is_cached(repo_id: str, filenames: Sequence[str]) -> bool:
    """Return whether all of `filenames` are on this machine; uses no network and reads no file."""
    return cached(repo_id, filenames) is not None


def checksums(repo_id: str, filenames: Sequence[str]) -> list[str]:
    """Return the SHA-256 of each file of `repo_id` in the cache: that by which the hub stores it, or computed.

    Raises:
        WeightsError: a file is not in the cache.
    """
    snapshot = cached(repo_id, filenames)
    if snapshot is None:
        raise WeightsError(f"{repo_id}: {', '.join(filenames)} is not in {constants.HF_HUB_CACHE}")
    return [_stored_checksum(snapshot / name) or sha256_of(snapshot / name) for name in filenames]


def can_fetch(repo_id: str, filenames: Sequence[str]) -> bool:
    """Return whether the hub has all of `filenames`, within `CHECK_SECONDS`; never raises."""
    return _check_hub(repo_id, filenames, CHECK_SECONDS) is None


def cached(repo_id: str, filenames: Sequence[str], revision: str = constants.DEFAULT_REVISION) -> Path | None:
    """Return the directory of the cache that contains `filenames` of a revision; None if it lacks one."""
    snapshot = None
    for filename in filenames:
        try:
            path = try_to_load_from_cache(repo_id, filename, cache_dir=constants.HF_HUB_CACHE, revision=revision)
        except HFValidationError:
            return None
        if not isinstance(path, str):  # None, or a mark that the repository lacks this file
            return None
        snapshot = _snapshot(path, filename)
    return snapshot


def _snapshot(path: str, filename: str) -> Path:
    """Return the snapshot directory of the cached `path` of `filename`, which may contain folders."""
    return Path(path).parents[len(PurePosixPath(filename).parts) - 1]


def _check_hub(
    repo_id: str, filenames: Sequence[str], timeout: float, revision: str = constants.DEFAULT_REVISION
) -> Exception | None:
    """Request the headers of each file from the hub; return the error, or None if it has all files."""

    def request_headers() -> None:
        for filename in filenames:
            url = hf_hub_url(repo_id, filename, revision=revision, endpoint=constants.ENDPOINT)
            if get_hf_file_metadata(url, timeout=timeout).commit_hash is None:
                raise FileMetadataError(f"{url} names no commit")  # such as a captive portal

    outcome = answer_within(timeout, request_headers)
    return outcome if isinstance(outcome, Exception) else None


def answer_within(seconds: float, ask: Callable[[], Answer]) -> Answer | Exception:
    """Call a function that asks the hub; return its answer, the error that it raised, or a TimeoutError.

    It runs in a thread: a name lookup or a slow server can take longer than the transport's timeout.
    """
    outcome: list[Answer | Exception] = []

    def run() -> None:
        try:
            outcome.append(ask())
        # huggingface_hub has changed its transport twice: the errors of the three have only this base in common.
        except Exception as error:  # noqa: BLE001
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return outcome[0] if outcome else TimeoutError(f"no answer within {seconds:g} s")


def _download(repo_id: str, filenames: Sequence[str], revision: str, progress: StageProgress) -> Path:
    if error := _check_hub(repo_id, filenames, FIRST_ANSWER_SECONDS, revision):
        raise _weights_error(repo_id, ", ".join(filenames), error) from error
    snapshot = Path()
    for filename in filenames:
        try:
            path = hf_hub_download(
                repo_id,
                filename,
                revision=revision,
                cache_dir=constants.HF_HUB_CACHE,
                endpoint=constants.ENDPOINT,
                tqdm_class=bar_class(progress(f"downloading {repo_id}/{filename} (MB)")),
            )
        except Exception as error:  # as in answer_within
            raise _weights_error(repo_id, filename, error) from error
        snapshot = _snapshot(path, filename)
        revision = snapshot.name  # the commit: every further file comes from the same one
    return snapshot


def _weights_error(repo_id: str, filename: str, error: Exception) -> WeightsError:
    """Turn `error` into one line: which file, why, and what to do next."""
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # the wrapper does not contain the reason
    why, remedy = failure_reason(error)
    return WeightsError(f"{repo_id}: {filename} was not fetched: {why}; {remedy}")


def failure_reason(error: Exception) -> tuple[str, str]:
    """Return why a request to the hub failed, and what to do next."""
    hub, cache = constants.ENDPOINT, constants.HF_HUB_CACHE
    detail = " ".join(str(error).split())[:200] or type(error).__name__
    mirror = "run again, or set HF_ENDPOINT to a mirror that can be reached"
    code = error.errno if isinstance(error, OSError) else None
    match error:
        case HFValidationError():
            why, remedy = f"not a repository name: {detail}", "write it as owner/name"
        case RevisionNotFoundError():
            why, remedy = f"{hub} has the repository but not this revision", "check the name after @"
        case RepositoryNotFoundError():
            why, remedy = f"{hub} has no such repository, or it is private", "check the name and HF_ENDPOINT"
        case EntryNotFoundError():
            why, remedy = f"{hub} has the repository but not this file", "check the name and HF_ENDPOINT"
        case HfHubHTTPError():
            why, remedy = f"{hub} answered with HTTP {error.response.status_code}", mirror
        case FileMetadataError():
            why, remedy = f"the answer of {hub} is not that of a hub", "check the network and HF_ENDPOINT"
        case OSError() if code in DISK_FULL:
            why, remedy = f"no space left under {cache}", "free some space, or set HF_HOME to another disk"
        case OSError() if code in NOT_WRITABLE:
            why, remedy = f"{cache} cannot be written", "set HF_HOME to a writable directory"
        case _:
            why, remedy = f"{hub} cannot be reached, or the connection was lost ({detail})", mirror
    return why, remedy


def _verify(repo_id: str, path: Path) -> None:
    """Compare a cached file with the SHA-256 by which the hub stores it.

    Without symbolic links (Windows) it is not known, and only the length in the safetensors header protects against
    truncation.
    """
    expected = _stored_checksum(path)
    if expected is None:
        return
    found = sha256_of(path)
    if found != expected:
        blob = path.parent / path.readlink()
        raise WeightsError(
            f"{repo_id}: {path.name} is damaged: its SHA-256 is {found[:12]}..., not {expected[:12]}...; "
            f"delete {os.path.normpath(blob)} and run again"
        )


def _stored_checksum(path: Path) -> str | None:
    """The SHA-256 by which the hub stores a cached file; None if it stores it otherwise or the cache lost it.

    The cache names each blob after its ETag. Only 64 hex digits are a checksum: small files have their Git id, which
    mirrors replace.
    """
    if not path.is_symlink():
        return None
    name = path.readlink().name  # one step only: a blob may be a link into a store shared by repositories
    return name if re.fullmatch(r"[0-9a-f]{64}", name) else None

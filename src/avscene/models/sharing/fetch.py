"""Fetch a checkpoint from the hub strictly: only its own files, bounded, of one commit, with the hashes stated.

Only safetensors and JSON files are downloaded. The configuration states the SHA-256 of the weights and of the members,
the hub those of its files; both must fit. A repository with any other file is refused before its weights are fetched.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from huggingface_hub import constants, file_download

from avscene.errors import CheckpointError, UsageError, WeightsError
from avscene.files import sha256_of, write_text
from avscene.models.checkpoint import CARD, CONFIG, WEIGHTS, Config, read_config, read_member
from avscene.models.sharing.contents import MAX_CONFIG, MAX_WEIGHTS, file_in, members, named_files
from avscene.models.sharing.reference import HubReference
from avscene.models.sharing.repository import Listing, list_files
from avscene.models.weights import hub
from avscene.progress import StageProgress, silent

NOT_FETCHED = (".gitattributes", "LICENSE", "LICENSE.md", "LICENSE.txt")  # files that may be there beside a checkpoint


@dataclass(frozen=True, slots=True)
class FetchedCheckpoint:
    """A checkpoint in the cache of the hub: its directory, and the reference to its commit."""

    directory: Path
    reference: HubReference

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Name the reference in errors in place of the directory."""
        try:
            yield
        except (CheckpointError, UsageError) as error:
            text = str(error).removeprefix(str(self.directory)).lstrip("/\\").removeprefix(": ")
            raise type(error)(f"{self.reference}: {text}") from error


def fetch_checkpoint(reference: str, *, offline: bool, progress: StageProgress = silent) -> FetchedCheckpoint:
    """Return the directory of a checkpoint on the hub; download what is not in the cache.

    A branch or a tag means its commit now, or offline the one that was fetched last. A commit that is in the cache
    completely needs no network. The card is not downloaded.

    Args:
        reference: `hf://user/repo` or `hf://user/repo@revision`.
        offline: use only the cache.
        progress: called with the name of each file that is downloaded, and megabytes.

    Raises:
        UsageError: the reference is malformed.
        WeightsError: files cannot be fetched, or offline are not in the cache.
        CheckpointError: the repository has other files, files that are too large, or files with another SHA-256.
    """
    wanted = HubReference.parse(reference)
    if offline or constants.HF_HUB_OFFLINE:
        return _fetch(_cached_commit(wanted), None, offline=True, progress=progress)
    if wanted.is_commit:
        try:
            return _fetch(wanted, None, offline=True, progress=progress)
        except WeightsError:  # not all of it is in the cache
            pass
    try:
        listing = list_files(wanted)
    except WeightsError as error:
        if hub.cached(wanted.repo_id, [CONFIG], wanted.revision) is None:
            raise
        raise WeightsError(f"{error}; or use what was fetched last: --offline") from error
    fetched = _fetch(wanted.at(listing.commit), listing, offline=False, progress=progress)
    if not wanted.is_commit:
        _remember(wanted, listing.commit)
    return fetched


def _cached_commit(wanted: HubReference) -> HubReference:
    """Return the reference to the commit of a revision that was fetched last.

    Raises:
        WeightsError: none is in the cache.
    """
    snapshot = hub.cached(wanted.repo_id, [CONFIG], wanted.revision)
    if snapshot is None:
        raise WeightsError(
            f"{wanted}: {CONFIG} is not in {constants.HF_HUB_CACHE}, and --offline or HF_HUB_OFFLINE is set: run once "
            "without them"
        )
    return wanted.at(snapshot.name)


def _remember(wanted: HubReference, commit: str) -> None:
    """Note in the cache, as huggingface_hub does, which commit a branch or tag was last."""
    folder = file_download.repo_folder_name(repo_id=wanted.repo_id, repo_type="model")
    write_text(Path(constants.HF_HUB_CACHE, folder, "refs", wanted.revision), commit)


def _fetch(
    pinned: HubReference, listing: Listing | None, *, offline: bool, progress: StageProgress
) -> FetchedCheckpoint:
    """Fetch the files of a commit; without a listing all must be in the cache."""
    get = partial(hub.fetch, pinned.repo_id, offline=offline, progress=progress, revision=pinned.revision)

    def fetch_config(path: str) -> Path:
        _check_listed(listing, path, MAX_CONFIG)
        snapshot = get([path])
        if listing is not None and not listing.files[path].fits((snapshot / path).read_bytes()):
            raise CheckpointError(f"{path}: is not what the hub states (hash); try again")
        return snapshot

    with FetchedCheckpoint(Path(), pinned).errors():
        snapshot = fetch_config(CONFIG)
    fetched = FetchedCheckpoint(snapshot, pinned)

    def read(folder: PurePosixPath, ensemble: Config, name: str) -> Config:
        fetch_config(file_in(folder, CONFIG))
        return read_member(snapshot / folder, ensemble, name)

    with fetched.errors():
        found = list(members(read_config(snapshot), read))
        weights = {file_in(folder, WEIGHTS): config for folder, config in found}
        if listing is not None:
            _check_listing(listing, [folder for folder, _ in found], weights)
        for path, config in weights.items():
            get([path])
            if sha256_of(snapshot / path) != config.weights_sha256:
                raise CheckpointError(f"{path}: has another SHA-256 than {CONFIG} states; it is refused")
    return fetched


def _check_listed(listing: Listing | None, path: str, limit: int) -> None:
    """Check that the hub has a file of at most `limit` bytes."""
    if listing is None:
        return
    if path not in listing.files:
        raise CheckpointError(f"{path}: the repository has no such file; it is no checkpoint of avscene")
    if listing.files[path].size > limit:
        raise CheckpointError(f"{path}: has {listing.files[path].size} bytes; at most {limit} are loaded")


def _check_listing(listing: Listing, folders: list[PurePosixPath], weights: dict[str, Config]) -> None:
    """Check all files of a commit before the weights are downloaded.

    Raises:
        CheckpointError: there are others than those of the checkpoint, weights are too large, or the hub states another
            SHA-256 than the configuration.
    """
    known = {file_in(folder, name) for folder in folders for name in (CONFIG, WEIGHTS, CARD)}
    others = sorted(listing.files.keys() - known - set(NOT_FETCHED))
    if others:
        named = named_files(others)
        raise CheckpointError(
            f"the repository has files that are not of the checkpoint: {named}; nothing of it is loaded: ask its "
            "owner to remove them"
        )
    for path, config in weights.items():
        _check_listed(listing, path, MAX_WEIGHTS)
        if listing.files[path].sha256 not in (None, config.weights_sha256):
            raise CheckpointError(f"{path}: the hub states another SHA-256 than {CONFIG}; it is refused")
    total = sum(listing.files[path].size for path in weights)
    if total > MAX_WEIGHTS:
        raise CheckpointError(f"its weights have {total} bytes; at most {MAX_WEIGHTS} are loaded")

"""Push a checkpoint to a repository of the hub: plan what goes up, upload it, and compare what arrived."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from avscene.errors import CheckpointError, StorageError, UsageError
from avscene.files import read_text, sha256_of
from avscene.models.checkpoint import CARD, CONFIG, WEIGHTS, Config, read_config, read_member
from avscene.models.sharing.contents import MAX_WEIGHTS, file_in, members, named_files
from avscene.models.sharing.metadata import with_metadata
from avscene.models.sharing.reference import HubReference, check_repository
from avscene.progress import StageProgress, silent

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TABLES = ("validation.tsv", "out_of_fold/*.tsv", "held_out/*.tsv")  # they name recordings, and are not pushed
OF_THE_HUB = (".gitattributes",)  # files that the hub makes


@dataclass(frozen=True, slots=True)
class PushedFile:
    """A file that goes up: its path in the repository, size in bytes, SHA-256, and content (or where it is)."""

    path: str
    size: int
    sha256: str
    content: bytes | Path


@dataclass(frozen=True, slots=True)
class PushPlan:
    """What a push uploads to a repository, and the files of the directory that it leaves out."""

    directory: Path
    repo_id: str
    files: tuple[PushedFile, ...]
    left_out: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def plan_push(directory: Path, repository: str, license_id: str | None = None) -> PushPlan:
    """Check a checkpoint completely and return what a push uploads. No network is used.

    Args:
        directory: directory of the checkpoint.
        repository: `user/repo`.
        license_id: the hub's identifier of a licence for the metadata of the card; by default what the card has.

    Raises:
        UsageError: the name is not one of a repository, or there is no such directory.
        CheckpointError: the checkpoint is incomplete or was changed, or the directory has other files.
    """
    repo_id = check_repository(repository)
    if not directory.is_dir():
        raise UsageError(f"{directory}: no such directory")
    files: list[PushedFile] = []
    config = read_config(directory)
    for folder, part in members(config, lambda path, whole, name: read_member(directory / path, whole, name)):
        files += _files_of(directory, folder, part, license_id)
    left_out = tuple(_check_others(directory, {file.path for file in files}))
    plan = PushPlan(directory, repo_id, tuple(files), left_out)
    if plan.size > MAX_WEIGHTS:
        raise CheckpointError(f"{directory}: has more than {MAX_WEIGHTS >> 30} GiB, the most that is loaded")
    return plan


def push(plan: PushPlan, *, private: bool = False, progress: StageProgress = silent) -> HubReference:
    """Upload the files of a plan in one commit, and return the reference to it.

    The token is huggingface_hub's: `HF_TOKEN`, or that of `hf auth login`.

    Args:
        plan: what is uploaded.
        private: make a private repository; one that exists must be private.
        progress: called with the stage and bytes.

    Raises:
        UsageError: there is no token, or the repository has other files or is public.
        StorageError: the hub cannot be reached, refuses the upload, or has other files afterwards.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, constants, get_token

    from avscene.models.sharing.repository import upload_errors
    from avscene.models.weights.transfer import quiet_hub

    token = get_token()
    if constants.HF_HUB_OFFLINE:
        raise UsageError(f"{plan.repo_id}: HF_HUB_OFFLINE is set; try: unset it, or --dry-run")
    if not token:
        raise UsageError("there is no token for the hub: set HF_TOKEN to one that may write, or run: hf auth login")
    api = HfApi(endpoint=constants.ENDPOINT, token=token)
    with quiet_hub(), upload_errors(plan.repo_id, token):
        api.create_repo(plan.repo_id, private=True if private else None, exist_ok=True)
        before = api.model_info(plan.repo_id)
        _check_repository(plan, before, private=private)
        operations = [CommitOperationAdd(file.path, file.content) for file in plan.files]
        show, done = progress("uploading"), 0
        for file, operation in zip(plan.files, operations, strict=True):
            api.preupload_lfs_files(plan.repo_id, [operation], free_memory=False)
            done += file.size
            show(done, plan.size)
        message = f"Add {plan.directory.absolute().name} by avscene"
        commit = api.create_commit(plan.repo_id, operations, commit_message=message, parent_commit=before.sha)
        _check_pushed(api, plan, commit.oid)
    return HubReference(plan.repo_id, commit.oid)


def _files_of(directory: Path, folder: PurePosixPath, config: Config, license_id: str | None) -> Iterator[PushedFile]:
    """Yield the files of a checkpoint or a member after checking them; a member may lack the card."""
    place = directory / folder
    weights, card = place / WEIGHTS, place / CARD
    if not weights.is_file():
        raise CheckpointError(f"{weights}: is missing; the checkpoint is not complete")
    yield PushedFile(file_in(folder, WEIGHTS), weights.stat().st_size, _checked_weights(weights, config), weights)
    yield _in_memory(file_in(folder, CONFIG), (place / CONFIG).read_bytes())
    if card.is_file():
        text = read_text(card)
        try:
            text = text if folder.parts else with_metadata(text, config, license_id)
        except CheckpointError as error:
            raise CheckpointError(f"{directory}: {error}") from error
        yield _in_memory(file_in(folder, CARD), text.encode())
    elif not folder.parts:
        raise CheckpointError(f"{card}: is missing; the checkpoint is not complete")


def _in_memory(path: str, content: bytes) -> PushedFile:
    return PushedFile(path, len(content), hashlib.sha256(content).hexdigest(), content)


def _checked_weights(path: Path, config: Config) -> str:
    """Return the SHA-256 of weights after checking it, and that they are a safetensors file."""
    from safetensors import SafetensorError, safe_open

    found = sha256_of(path)
    if found != config.weights_sha256:
        raise CheckpointError(f"{path}: was changed after it was written (SHA-256); train again or restore it")
    try:
        with safe_open(path, framework="numpy"):
            return found
    except SafetensorError as error:
        raise CheckpointError(f"{path}: is not a safetensors file") from error


def _check_others(directory: Path, pushed: set[str]) -> Iterator[str]:
    """Yield the tables in the directory, which are not pushed; raise CheckpointError for any other file."""
    others = []
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if name in pushed or (path.is_dir() and not path.is_symlink()):
            continue
        if any(PurePosixPath(name).match(table) for table in TABLES):
            yield name
        else:
            others.append(name)
    if others:
        raise CheckpointError(
            f"{directory}: has files that are not of the checkpoint: {named_files(others)}; "
            f"only {WEIGHTS}, {CONFIG} and {CARD} are pushed: remove the others"
        )


def _check_repository(plan: PushPlan, info: Any, *, private: bool) -> None:
    """Raise UsageError if a repository has files that the push does not replace, or is public and must not be."""
    if private and info.private is False:
        raise UsageError(f"{plan.repo_id}: exists and is public; make it private on the hub, or name another one")
    kept = {sibling.rfilename for sibling in info.siblings or ()} - {file.path for file in plan.files}
    if others := sorted(kept.difference(OF_THE_HUB)):
        raise UsageError(
            f"{plan.repo_id}: has other files ({named_files(others)}); name another repository, or delete them there"
        )


def _check_pushed(api: "HfApi", plan: PushPlan, commit: str) -> None:
    """Compare sizes and hashes of what arrived with those of the plan.

    Raises:
        StorageError: a file is missing or has another content.
    """
    from avscene.models.sharing.repository import listing_of

    info = api.model_info(plan.repo_id, revision=commit, files_metadata=True)
    arrived = listing_of(info, plan.repo_id).files
    for file in plan.files:
        found = arrived.get(file.path)
        same = found is not None and found.size == file.size
        if found is not None and found.sha256 is not None:
            same = same and found.sha256 == file.sha256
        elif found is not None and same:
            same = found.fits(file.content if isinstance(file.content, bytes) else file.content.read_bytes())
        if not same:
            raise StorageError(
                f"{plan.repo_id}: {file.path} did not arrive as it was sent; it may have changed meanwhile: push again"
            )

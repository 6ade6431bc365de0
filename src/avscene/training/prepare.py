"""Make the segment store of a data set and add embeddings to it."""

import logging
import os
from collections.abc import Sequence
from math import ceil
from pathlib import Path

from pydantic import ValidationError

from avscene.datasets.layout import read_dataset
from avscene.datasets.store.manifest import StoreSpec, is_store
from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.writer import Prepared, prepare
from avscene.errors import UsageError
from avscene.inference import check_hop
from avscene.models.device import Runtime
from avscene.models.encoders import build_encoder
from avscene.progress import StageProgress
from avscene.training.embed import State, check_rate, compute_batches, embed_store, embeddings_state
from avscene.training.embed_on_cluster import ClusterEmbedding

logger = logging.getLogger(__name__)

MAX_MESSAGES = 20  # of one kind; the rest are counted


def store_spec(hop: float, frames_per_second: float, sample_rate: int, frame_size: int) -> StoreSpec:
    """Return the settings of a store with at least so many frames per second; a segment has an odd number of them.

    Raises:
        UsageError: a number is out of range.
    """
    check_hop(hop)
    if not 0 < frames_per_second <= 1000:
        raise UsageError(f"--frames-per-second {frames_per_second:g} is not a number from 0 to 1000")
    wanted = ceil(frames_per_second * hop)
    try:
        return StoreSpec(
            hop=hop, sample_rate=sample_rate, frames_per_segment=wanted + 1 - wanted % 2, frame_size=frame_size
        )
    except ValidationError as error:
        first = error.errors()[0]
        setting = "".join(f"{place} " for place in first["loc"]).replace("_", "-")
        raise UsageError(f"{setting}{first['input']}: {first['msg']}") from error


def ensure_store(
    path: Path, directory: Path, hop: float, progress: StageProgress
) -> tuple[SegmentStore, tuple[str, ...]]:
    """Open the store at `path`, or make one under `directory` of the data set at `path`.

    Returns:
        The store, and for each recording that is missing in it the reason.

    Raises:
        DataError: `path` is neither a store nor a data set.
        MediaError: no recording can be read.
        UsageError: several processes would each make a store.
    """
    if is_store(path):
        store = SegmentStore.open(path)
        _log_some(store.losses)
        return store, store.missing
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(f"{path}: several processes train from a store; run: avscene prepare {path} --output STORE")
    check_hop(hop)
    prepared = prepare(read_dataset(path), directory / "store", StoreSpec(hop=hop), progress("preparing"))
    return prepared.store, prepared.failures


def prepare_store(
    data: Path, output: Path, spec: StoreSpec, progress: StageProgress, *, on_cluster: bool = False
) -> Prepared:
    """Make or complete the store `output` of a data set; log which recordings are missing in it.

    With `on_cluster`, the nodes of the connected Ray cluster decode.

    Raises:
        DataError: the data set is malformed, or the store has other settings or cannot be written.
        MediaError: no recording can be read.
    """
    made = prepare(read_dataset(data), output, spec, progress("preparing"), on_cluster=on_cluster)
    _log_some(made.notes)
    _log_some([f"left out: {failure}" for failure in made.failures])
    if made.removed:
        logger.info(f"{made.removed} recordings are no longer in the data set and were removed")
    return made


def embed_with(
    directory: Path, name: str, *, device: str, offline: bool, progress: StageProgress, on_cluster: bool = False
) -> tuple[SegmentStore, State]:
    """Add the embeddings of encoder `name`, computed in float32, to the store in `directory`.

    With `on_cluster`, the nodes of the connected Ray cluster compute; all must see `directory`.

    Returns:
        The store with the embeddings, and the state that they were in before.

    Raises:
        DataError: there is no store, or it does not fit the encoder.
        UsageError: no such encoder or device.
        WeightsError: the encoder's weights are absent.
    """
    store = SegmentStore.open(directory)
    for note in store.notes:
        logger.info(note)
    encoder = build_encoder(name, Runtime.choose(device, "float32", offline=offline, progress=progress))
    check_rate(store, name, encoder)
    if (encoder.frame_size or 0) > store.spec.frame_size:
        logger.warning(
            f"{name} takes frames of {encoder.frame_size} pixels, those of {directory} have at most "
            f"{store.spec.frame_size} and are scaled up"
        )
    state = embeddings_state(store, name, encoder)
    if state == "outdated":
        logger.warning(
            f"{directory}: its embeddings of {name} were made by other weights or settings; computing them again"
        )
    compute = ClusterEmbedding(compute_batches, device, offline) if on_cluster else None
    return embed_store(store, name, encoder, progress(f"embedding with {name}"), compute), state


def _log_some(lines: Sequence[str]) -> None:
    for line in lines[:MAX_MESSAGES]:
        logger.warning(line)
    if len(lines) > MAX_MESSAGES:
        logger.warning(f"... and {len(lines) - MAX_MESSAGES} more of these")

"""What `prepare` and `embed` do and say: a data set to a segment store, a store to one with embeddings."""

import logging
from math import ceil
from pathlib import Path

from pydantic import ValidationError

from avscene.cli.progress import stage_bars
from avscene.datasets.layout import read_dataset
from avscene.datasets.store.manifest import StoreSpec
from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.writer import prepare
from avscene.errors import UsageError
from avscene.inference import check_hop

logger = logging.getLogger(__name__)

AT_MOST = 20  # lines of one kind; the rest are counted


def spec_of(hop: float, frames_per_second: float, sample_rate: int, frame_size: int) -> StoreSpec:
    """The settings of a store with at least so many frames a second; a segment has an odd number of them.

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


def prepare_store(data: Path, output: Path, spec: StoreSpec) -> bool:
    """Make or complete the store `output` of a data set, and say what came of it; whether all of it could be read.

    Raises:
        DataError: the data set is malformed, or the store has other settings or cannot be written.
        MediaError: no recording can be read.
    """
    dataset = read_dataset(data)
    with stage_bars() as watch:
        made = prepare(dataset, output, spec, watch("preparing"))
    _tell_some(made.notes)
    _tell_some([f"left out: {failure}" for failure in made.failures])
    if made.removed:
        logger.info(f"{made.removed} recordings are no longer in the data set and were removed")
    recordings = len(made.store.data.examples)
    print(
        f"{output}: {len(made.store)} segments of {recordings} recordings, {made.decoded} of them decoded now; "
        f"next: avscene embed {output} --encoder NAME"
    )
    return not made.failures


def embed_encoder(directory: Path, name: str, *, device: str, offline: bool) -> None:
    """Add the embeddings of encoder `name` to a store, in float32, and say what was there before.

    Raises:
        DataError: there is no store, or it does not fit the encoder. UsageError: no such encoder or device.
        WeightsError: the encoder's weights are absent.
    """
    from avscene.models.device import Runtime
    from avscene.models.encoders import build_encoder
    from avscene.training.embed import check_rate, embed_store, embeddings_state

    store = SegmentStore.open(directory)
    for note in store.notes:
        logger.info(note)
    encoder = build_encoder(name, Runtime.choose(device, "float32", offline=offline))
    check_rate(store, name, encoder)
    if (encoder.frame_size or 0) > store.spec.frame_size:
        logger.info(
            f"{name} takes frames of {encoder.frame_size} pixels, those of {directory} have at most "
            f"{store.spec.frame_size} and are scaled up"
        )
    state = embeddings_state(store, name, encoder)
    if state == "outdated":
        logger.info(
            f"{directory}: its embeddings of {name} were made by other weights or settings; computing them again"
        )
    with stage_bars() as watch:
        store = embed_store(store, name, encoder, watch(f"embedding with {name}"))
    size = store.embeddings(name).shape[1]
    what = "there already" if state == "current" else "written"
    print(f"{directory}: {len(store)} embeddings of {name}, {size} numbers each: {what}")


def _tell_some(lines: list[str] | tuple[str, ...]) -> None:
    for line in lines[:AT_MOST]:
        logger.info(line)
    if len(lines) > AT_MOST:
        logger.info(f"... and {len(lines) - AT_MOST} more of these")

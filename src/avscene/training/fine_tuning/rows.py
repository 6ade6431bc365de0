"""Select the rows of a store to train and validate a network on, and compute a key of what the training depends on."""

import hashlib
import json
import logging
from collections.abc import Sequence

from avscene.datasets.store.reader import SegmentStore
from avscene.errors import DataError
from avscene.features.content import DEFAULT_CONTENT, with_content
from avscene.groups import Side, check_apart
from avscene.labels import LabelSet
from avscene.records import IntArray, Modality
from avscene.training.fine_tuning.plan import NetworkPlan

logger = logging.getLogger(__name__)

_CHUNK = 64  # rows read at a time
_MIN_TRAINING_ROWS = 2  # batch norms need two
_MAX_GAP = 0.01  # between adjacent segments, as a share of the hop


def usable_rows(
    store: SegmentStore, train: Sequence[int] | IntArray, valid: Sequence[int] | IntArray, plan: NetworkPlan
) -> tuple[list[int], list[int]]:
    """Return those rows of `train` and of `valid` that have the plan's input.

    Raises:
        DataError: too few have it, a recording or group is on both sides, or the store's audio has another sample rate.
    """
    where = store.directory
    if plan.input == "audio" and store.spec.sample_rate != plan.log_mel.sample_rate:
        raise DataError(
            f"{where}: has audio at {store.spec.sample_rate} Hz and {plan.name} needs {plan.log_mel.sample_rate} Hz; "
            "run: avscene prepare DATA --output ANOTHER --sample-rate "
            f"{plan.log_mel.sample_rate}"
        )
    check_apart(
        _side(store, train, f"the training rows of {where}"),
        _side(store, valid, f"the validation rows of {where}"),
        "recordings of one group must stay together",
    )
    with_input = tuple(_rows_with(store, [int(row) for row in rows], plan.input) for rows in (train, valid))
    for rows, least, purpose in zip(with_input, (_MIN_TRAINING_ROWS, 1), ("train on", "validate on"), strict=True):
        if len(rows) < least:
            raise DataError(f"{where}: {len(rows)} segments with {plan.input} to {purpose}; at least {least} needed")
    return with_input[0], with_input[1]


def training_digest(
    store: SegmentStore, train: Sequence[int], valid: Sequence[int], plan: NetworkPlan, labels: LabelSet
) -> str:
    """Return the SHA-256 of everything that the result of a training depends on."""
    truth = store.truth(labels.names)
    content = {
        "plan": plan.model_dump(mode="json", by_alias=True),
        "labels": labels.names,
        "segments": store.content_key,
        "train": [(row, int(truth[row])) for row in train],
        "valid": [(row, int(truth[row])) for row in valid],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def adjacent_pairs(store: SegmentStore, rows: Sequence[int]) -> dict[int, tuple[tuple[int, int], ...]]:
    """Return for each row its pairs with the rows before and after it that are in `rows` and adjacent in time."""
    known = frozenset(rows)
    pairs: dict[int, tuple[tuple[int, int], ...]] = {}
    for row in rows:
        after = row + 1
        if after not in known or store.examples[row].name != store.examples[after].name:
            continue
        if abs(store.starts[after] - store.starts[row] - store.spec.hop) < _MAX_GAP * store.spec.hop:
            pairs[row] = (*pairs.get(row, ()), (row, after))
            pairs[after] = (*pairs.get(after, ()), (row, after))
    return pairs


def _side(store: SegmentStore, rows: Sequence[int] | IntArray, name: str) -> Side:
    examples = [store.examples[row] for row in rows]
    return Side(name, [example.group for example in examples], [example.name for example in examples])


def _rows_with(store: SegmentStore, rows: list[int], modality: Modality) -> list[int]:
    """Return those of `rows` whose audio or middle frame holds content, in the same order."""
    kept: list[int] = []
    for first in range(0, len(rows), _CHUNK):
        chunk = rows[first : first + _CHUNK]
        segments = store.segments(chunk, modalities=(modality,))
        kept += [
            row
            for row, segment in zip(chunk, segments, strict=True)
            if with_content(segment, DEFAULT_CONTENT).has(modality)
        ]
    if n_missing := len(rows) - len(kept):
        logger.info(f"{store.directory}: {n_missing} of {len(rows)} segments have no {modality} that holds content")
    return kept

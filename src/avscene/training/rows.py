"""Which rows of a store a network learns from and is judged on, and which follow each other."""

import hashlib
import json
from collections.abc import Sequence

from avscene.datasets.store.reader import SegmentStore
from avscene.errors import DataError
from avscene.groups import Side, check_apart
from avscene.labels import LabelSet
from avscene.records import IntArray, Modality
from avscene.training.fine_tuning.plan import NetworkPlan

_CHUNK = 64  # rows read at a time
_LEAST_TRAINING = 2  # rows: batch norms need two
_GAP = 0.01  # of a hop, by which segments that follow each other may be apart


def usable_rows(
    store: SegmentStore, train: Sequence[int] | IntArray, valid: Sequence[int] | IntArray, plan: NetworkPlan
) -> tuple[list[int], list[int]]:
    """Those rows of `train` and of `valid` that have the plan's input.

    Raises:
        DataError: too few have it, a recording or group is on both sides, or the store's sound is at another rate.
    """
    where = store.directory
    if plan.input == "audio" and store.spec.sample_rate != plan.log_mel.sample_rate:
        raise DataError(
            f"{where}: holds sound at {store.spec.sample_rate} Hz and {plan.name} takes {plan.log_mel.sample_rate} Hz; "
            "prepare a store at that rate"
        )
    check_apart(
        _side(store, train, f"the training rows of {where}"),
        _side(store, valid, f"the validation rows of {where}"),
        "recordings of one group must stay together",
    )
    learnt, judged = (_rows_with(store, [int(row) for row in rows], plan.input) for rows in (train, valid))
    for rows, least, purpose in ((learnt, _LEAST_TRAINING, "train on"), (judged, 1, "validate on")):
        if len(rows) < least:
            raise DataError(f"{where}: {len(rows)} segments with {plan.input} to {purpose}; {least} are the least")
    return learnt, judged


def training_digest(
    store: SegmentStore, train: Sequence[int], valid: Sequence[int], plan: NetworkPlan, labels: LabelSet
) -> str:
    """SHA-256 of all that decides the result of a training."""
    truth = store.truth(labels.names)
    decisive = {
        "plan": plan.model_dump(mode="json"),
        "labels": labels.names,
        "segments": store.content_key,
        "train": [(row, int(truth[row])) for row in train],
        "valid": [(row, int(truth[row])) for row in valid],
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def rows_key(store: SegmentStore) -> str:
    """SHA-256 of all that the results depend on in a store: its segments, their scenes, groups and columns."""
    digest = hashlib.sha256(store.content_key.encode())
    for example in store.examples:
        digest.update(repr((example.label, example.group, sorted(example.columns.items()))).encode())
    return digest.hexdigest()


def stretches(store: SegmentStore, rows: Sequence[int]) -> dict[int, tuple[tuple[int, int], ...]]:
    """For each row, its pairs with the rows before and after it that are in `rows` and follow without a gap."""
    known = frozenset(rows)
    pairs: dict[int, tuple[tuple[int, int], ...]] = {}
    for row in rows:
        after = row + 1
        if after not in known or store.examples[row].name != store.examples[after].name:
            continue
        if abs(store.starts[after] - store.starts[row] - store.spec.hop) < _GAP * store.spec.hop:
            pairs[row] = (*pairs.get(row, ()), (row, after))
            pairs[after] = (*pairs.get(after, ()), (row, after))
    return pairs


def _side(store: SegmentStore, rows: Sequence[int] | IntArray, name: str) -> Side:
    examples = [store.examples[row] for row in rows]
    return Side(name, [example.group for example in examples], [example.name for example in examples])


def _rows_with(store: SegmentStore, rows: list[int], modality: Modality) -> list[int]:
    """Those of `rows` that have the modality, in the same order."""
    kept = []
    for first in range(0, len(rows), _CHUNK):
        chunk = rows[first : first + _CHUNK]
        for row, segment in zip(chunk, store.raw(chunk, (modality,)), strict=True):
            if segment.waveform is not None if modality == "audio" else segment.frames:
                kept.append(row)
    return kept

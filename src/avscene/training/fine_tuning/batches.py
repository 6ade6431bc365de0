"""Load training and validation batches, ahead of the training where there are processors for it."""

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from avscene.cores import usable_cores
from avscene.errors import AvsceneError
from avscene.records import IntArray
from avscene.training.fine_tuning.readers import InputReader
from avscene.training.fine_tuning.schedule import MicroBatch

MAX_WORKERS = 8
VALIDATION_BATCH = 32
VALIDATION_WORKERS = 2


class TrainingBatch(NamedTuple):
    """`inputs` (n, ...) of a network and the `truth` (n,), scene indices."""

    inputs: Tensor
    truth: Tensor


class _AugmentedInputs(Dataset["TrainingBatch | AvsceneError"]):
    def __init__(self, reader: InputReader, truth: IntArray) -> None:
        self._reader = reader
        self._truth = truth

    def __getitem__(self, micro: MicroBatch) -> TrainingBatch | AvsceneError:
        try:
            return TrainingBatch(self._reader.augmented(micro), torch.from_numpy(self._truth[list(micro.rows)]))
        except AvsceneError as error:  # as a value: torch would wrap it in the traceback of its worker
            return error


class _CleanInputs(Dataset["Tensor | AvsceneError"]):
    def __init__(self, reader: InputReader) -> None:
        self._reader = reader

    def __getitem__(self, rows: Sequence[int]) -> Tensor | AvsceneError:
        try:
            return self._reader.clean(rows)
        except AvsceneError as error:
            return error


def training_batches(
    reader: InputReader, truth: IntArray, micro_batches: Iterable[MicroBatch]
) -> Iterator[TrainingBatch]:
    """Yield the augmented batch of each micro-batch, in order; `truth` (n_rows,) is that of the whole store.

    Raises:
        AvsceneError: a row cannot be read.
    """
    for batch in _loader(_AugmentedInputs(reader, truth), micro_batches, worker_count()):
        if isinstance(batch, AvsceneError):
            raise batch
        yield batch


class CleanBatches:
    """Inputs of fixed `parts`, lists of rows, without augmentation; iterated once an epoch.

    Iteration raises an AvsceneError if a row cannot be read.
    """

    def __init__(self, reader: InputReader, parts: Sequence[Sequence[int]]) -> None:
        self._loader = _loader(_CleanInputs(reader), parts, min(worker_count(), VALIDATION_WORKERS))

    def __iter__(self) -> Iterator[Tensor]:
        for inputs in self._loader:
            if isinstance(inputs, AvsceneError):
                raise inputs
            yield inputs


def worker_count() -> int:
    """Return how many processes read ahead for this one: none with two processors or fewer per training process."""
    processors = usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return 0 if processors <= 2 else min(MAX_WORKERS, processors - 1)


def _loader(dataset: Dataset[object], order: Iterable[object], workers: int) -> DataLoader[object]:
    return DataLoader(
        dataset,
        batch_size=None,  # an item is a batch
        sampler=order,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,  # the store's handle does not survive a fork
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )

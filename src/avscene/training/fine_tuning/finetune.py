"""A segment store to a fine-tuned network: one loop (loop.py) for log-mels and for frames.

Everything random is a pure function of the plan's seed and of where in the training it is drawn (schedule.py), and the
whole state is on disk (state.py): a training that was killed goes on and ends with the very weights it would have had.
Several processes (processes.py) come to the same weights as one, to rounding (gradients.py).
"""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from avscene.datasets.store.reader import SegmentStore
from avscene.errors import UsageError
from avscene.labels import LabelSet
from avscene.models.device import Runtime
from avscene.progress import Progress
from avscene.records import IntArray
from avscene.training.fine_tuning.linear_probe import fit_probe, plain_features
from avscene.training.fine_tuning.loop import Training
from avscene.training.fine_tuning.metrics_log import MetricsLog
from avscene.training.fine_tuning.networks import averaged_network, initial_network, optimiser_for, reader_for
from avscene.training.fine_tuning.plan import NetworkPlan
from avscene.training.fine_tuning.processes import Processes
from avscene.training.fine_tuning.schedule import Schedule
from avscene.training.fine_tuning.state import STATE, Position, TrainingState, write_state
from avscene.training.result import TrainedModel
from avscene.training.rows import training_digest, usable_rows

SAVE_SECONDS = 120.0  # between two states within an epoch: what a kill costs at most
REFITTED = "refitted_on"  # in the figures of a network that has learnt from the validation rows too: rows in all
AGAIN = "again"  # directory of the state of a training on all rows, within that of the first one


def finetune(
    store: SegmentStore,
    train_rows: Sequence[int] | IntArray,
    valid_rows: Sequence[int] | IntArray,
    plan: NetworkPlan,
    labels: LabelSet,
    directory_for_state: Path,
    runtime: Runtime,
    progress: Progress | None = None,
) -> TrainedModel:
    """Fine-tune the plan's network on `train_rows` and keep the epoch of least log loss on `valid_rows`.

    A plan with `probe` is for few data: there the network is trained again on all of these rows, to the end of its
    schedule, where averages have settled. The one that had not seen `valid_rows` is returned as `apart`.

    Rows without the plan's input are left out. What was begun in `directory_for_state` is gone on with; the caller
    removes it once the result is safe. Under torchrun every process calls this and gets the same result; the first one
    writes. Network and optimiser are float32; products are computed in `training_precision` (autocast).

    Raises:
        DataError: too few rows have the input, a group is on both sides, or the store does not fit the plan.
        CheckpointError: the state on disk is damaged, of another training, or cannot be written.
        UsageError: no such network, more processes than micro-batches, or the loss is no longer a number.
        WeightsError: the network's published weights are absent.
    """
    processes = Processes.join(runtime)
    train, valid = usable_rows(store, train_rows, valid_rows, plan)
    work = _Work(store, plan, labels, runtime, processes)
    work.check_shares(len(train))
    first = work.train(train, valid, directory_for_state, progress)
    chosen = first.result()
    if not plan.probe:
        return chosen
    position = first.state.position
    again = work.train(sorted(train + valid), [], directory_for_state / AGAIN, progress, position)
    figures = chosen.figures | {REFITTED: len(again.schedule.rows), "temperature": 1 / position.exponent}
    return replace(chosen, tensors=again.last_weights(position.exponent), figures=figures, apart=chosen.tensors)


@dataclass(frozen=True, slots=True)
class _Work:
    """What all trainings of one call share."""

    store: SegmentStore
    plan: NetworkPlan
    labels: LabelSet
    runtime: Runtime
    processes: Processes

    def check_shares(self, n_rows: int) -> None:
        """Make sure that there is a micro-batch of a step for every process."""
        micro_batches = Schedule(self.plan, range(n_rows)).micro_batches
        if self.processes.count > micro_batches:
            raise UsageError(
                f"{self.processes.count} processes cannot share steps of {micro_batches} micro-batches (batch "
                f"{self.plan.batch}, micro_batch {self.plan.micro_batch}); start fewer or make micro-batches smaller"
            )

    def train(
        self,
        rows: list[int],
        valid: list[int],
        directory: Path,
        progress: Progress | None,
        found: Position | None = None,
    ) -> Training:
        """Train on `rows`, judged on `valid`; without these from a probe with the ridge that was `found` before."""
        digest = training_digest(self.store, rows, valid, self.plan, self.labels)
        with torch.backends.cudnn.flags(deterministic=True, benchmark=False):
            network = initial_network(self.plan, self.labels, self.store, rows, self.runtime)
            position = Position()
            if self.plan.probe and self.processes.is_first and not (directory / STATE).is_file():
                position.ridge = self._probe(network, rows, valid, None if found is None else found.ridge)
            state = _begun(network, self.plan, position)
            _resume(state, directory / STATE, digest, self.processes)
            schedule = Schedule(self.plan, rows)
            training = Training(self.store, schedule, valid, self.labels, state, self.runtime, self.processes)
            _run(training, directory, digest, progress)
        return training

    def _probe(self, network: nn.Module, rows: list[int], valid: list[int], ridge: float | None) -> float:
        """Let the network begin as a linear probe of `rows`; the ridge, chosen on `valid` where it is not known."""
        reader, truth = reader_for(self.plan, network, self.store, rows), self.store.truth(self.labels.names)
        features = plain_features(network, reader, rows, self.runtime)
        held = None if ridge is not None else (plain_features(network, reader, valid, self.runtime), truth[valid])
        return fit_probe(network, features, truth[rows], len(self.labels), held, ridge)


def _begun(network: nn.Module, plan: NetworkPlan, position: Position) -> TrainingState:
    averaged = averaged_network(plan, network)
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()} if plan.probe else {}
    return TrainingState(network, averaged, optimiser_for(plan, network), start, {}, position)


def _resume(state: TrainingState, path: Path, digest: str, processes: Processes) -> None:
    """Take on what is on disk, or all processes the beginnings of the first one."""
    content = path.read_bytes() if processes.is_first and path.is_file() else None
    if processes.count > 1:
        content = processes.share_bytes(content or (state.to_bytes(digest) if processes.is_first else None))
    if content is not None:
        state.restore(content, digest, path)


def _run(training: Training, directory: Path, digest: str, progress: Progress | None) -> None:
    """All steps that are left; the first process tells of them and saves the state."""
    state, schedule, first = training.state, training.schedule, training.processes.is_first
    with MetricsLog(directory, state.position.step) if first else nullcontext() as journal:
        saved = time.monotonic()
        for figures in training.steps():
            ends_epoch = state.position.step % schedule.steps_per_epoch == 0
            lines = [figures, training.end_epoch()] if ends_epoch else [figures]
            if journal is None:
                continue
            for line in lines:
                journal.write(line)
            if ends_epoch or time.monotonic() - saved >= SAVE_SECONDS:
                write_state(directory / STATE, state.to_bytes(digest))
                saved = time.monotonic()
            if progress is not None:
                progress(state.position.step, schedule.n_steps)

"""Fine-tune a network on log-mels or frames of a segment store; an interrupted run resumes exactly.

All random numbers are pure functions of the plan's seed and the point of the training (schedule.py), and the state is
on disk (state.py): a training that was killed resumes and ends with the same weights. Several processes (processes.py)
get the weights of one process, up to rounding (gradients.py).
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
from avscene.training.fine_tuning.linear_probe import clean_features, fit_linear_probe
from avscene.training.fine_tuning.loop import Training
from avscene.training.fine_tuning.metrics_log import MetricsLog
from avscene.training.fine_tuning.networks import averaged_network, initial_network, optimiser_for, reader_for
from avscene.training.fine_tuning.plan import NetworkPlan
from avscene.training.fine_tuning.rows import training_digest, usable_rows
from avscene.training.fine_tuning.schedule import Schedule, pieces_for
from avscene.training.fine_tuning.state import STATE, Position, TrainingState, write_state
from avscene.training.processes import Processes
from avscene.training.result import TrainedModel

SAVE_SECONDS = 120.0  # between two states within an epoch: a kill loses this much time at most
REFITTED = "refitted_on"  # in the details of a network that was trained on the validation rows too: number of rows
REFIT_DIRECTORY = "again"  # directory of the state of the training on all rows, within that of the first training


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

    With `linear_probe` in the plan, the network is then trained again on all of these rows, to the end of its schedule.
    The first network, which was not trained on `valid_rows`, is returned as `validation_tensors`.

    Rows without the plan's input are left out. A training that was begun in `directory_for_state` is resumed; the
    caller removes the directory once the result is saved. Under torchrun every process calls this and gets the same
    result; the first one writes. Network and optimiser are float32; products are computed in `training_precision`
    (autocast).

    Raises:
        DataError: too few rows have the input, a group is on both sides, or the store does not fit the plan.
        CheckpointError: the state on disk is damaged, of another training, or cannot be written.
        UsageError: no such network, more processes than micro-batches, or the loss is not a finite number.
        WeightsError: the network's published weights are absent.
        ProcessError: another process of this training has ended or does not answer.
    """
    processes = Processes.join(runtime)
    train, valid = usable_rows(store, train_rows, valid_rows, plan)
    work = _Setup(store, plan, labels, runtime, processes)
    work.check_shares(len(train))
    first = work.train(train, valid, directory_for_state, progress)
    chosen = first.result()
    if not plan.linear_probe:
        return chosen
    position = first.state.position
    again = work.train(sorted(train + valid), [], directory_for_state / REFIT_DIRECTORY, progress, position)
    details = chosen.details | {REFITTED: len(again.schedule.rows), "temperature": 1 / position.exponent}
    tensors = again.final_weights(position.exponent)
    return replace(chosen, tensors=tensors, details=details, validation_tensors=chosen.tensors)


@dataclass(frozen=True, slots=True)
class _Setup:
    """The values that all trainings of one call share."""

    store: SegmentStore
    plan: NetworkPlan
    labels: LabelSet
    runtime: Runtime
    processes: Processes

    def schedule(self, rows: Sequence[int]) -> Schedule:
        """Return the schedule of a training on `rows` in these processes."""
        return Schedule(self.plan, rows, pieces_for(self.plan, self.processes.count))

    def check_shares(self, n_rows: int) -> None:
        """Make sure that every process gets a micro-batch of each step."""
        micro_batches = self.schedule(range(n_rows)).micro_batches
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
        """Train on `rows`; without validation rows, with the ridge of the position `found` by the first training."""
        digest = training_digest(self.store, rows, valid, self.plan, self.labels)
        with torch.backends.cudnn.flags(deterministic=True, benchmark=False):
            network = initial_network(self.plan, self.labels, self.store, rows, self.runtime)
            position = Position()
            if self.plan.linear_probe and self.processes.is_first and not (directory / STATE).is_file():
                position.ridge = self._probe(network, rows, valid, None if found is None else found.ridge)
            state = _initial_state(network, self.plan, position)
            _resume(state, directory / STATE, digest, self.processes)
            training = Training(
                self.store, self.schedule(rows), valid, self.labels, state, self.runtime, self.processes
            )
            _run(training, directory, digest, progress)
        return training

    def _probe(self, network: nn.Module, rows: list[int], valid: list[int], ridge: float | None) -> float:
        """Fit the linear probe on `rows` and return its ridge, chosen on `valid` if it is not given."""
        reader, truth = reader_for(self.plan, network, self.store, rows), self.store.truth(self.labels.names)
        features = clean_features(network, reader, rows, self.runtime)
        validation = None
        if ridge is None:
            validation = clean_features(network, reader, valid, self.runtime), truth[valid]
        return fit_linear_probe(network, features, truth[rows], len(self.labels), validation, ridge)


def _initial_state(network: nn.Module, plan: NetworkPlan, position: Position) -> TrainingState:
    averaged = averaged_network(plan, network)
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()} if plan.linear_probe else {}
    return TrainingState(network, averaged, optimiser_for(plan, network), start, {}, position)


def _resume(state: TrainingState, path: Path, digest: str, processes: Processes) -> None:
    """Restore the state on disk; without one, all processes start from the state of the first."""
    content = path.read_bytes() if processes.is_first and path.is_file() else None
    if processes.count > 1:
        content = processes.broadcast(content or (state.to_bytes(digest) if processes.is_first else None))
    if content is not None:
        state.restore(content, digest, path)


def _run(training: Training, directory: Path, digest: str, progress: Progress | None) -> None:
    """Run the remaining steps; the first process logs metrics and saves the state."""
    state, schedule, first = training.state, training.schedule, training.processes.is_first
    with MetricsLog(directory, state.position.step) if first else nullcontext() as metrics_log:
        saved = time.monotonic()
        for metrics in training.steps():
            ends_epoch = state.position.step % schedule.steps_per_epoch == 0
            lines = [metrics, training.end_epoch()] if ends_epoch else [metrics]
            if metrics_log is None:
                continue
            for line in lines:
                metrics_log.write(line)
            if ends_epoch or time.monotonic() - saved >= SAVE_SECONDS:
                write_state(directory / STATE, state.to_bytes(digest))
                saved = time.monotonic()
            if progress is not None:
                progress(state.position.step, schedule.n_steps)

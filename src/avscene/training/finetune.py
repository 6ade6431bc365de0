"""A segment store to a fine-tuned network: one loop for log-mels and for frames.

Everything random is a pure function of the plan's seed and of where in the training it is drawn (schedule.py), and the
whole state is on disk (state.py): a training that was killed goes on and ends with the very weights it would have had.
Several processes (processes.py) come to the same weights as one, to rounding (gradients.py).
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from avscene.datasets.store import SegmentStore
from avscene.errors import UsageError
from avscene.evaluation.metrics import accuracy, log_loss
from avscene.fusion.ensemble import IntArray
from avscene.fusion.postprocess import fit_power, power
from avscene.labels import LabelSet
from avscene.models.device import Runtime
from avscene.pipeline import batched
from avscene.records import FloatArray
from avscene.training import augment
from avscene.training.batch_norms import estimate_statistics
from avscene.training.batches import Batch, PlainBatches, training_batches
from avscene.training.gradients import GradientSum
from avscene.training.journal import Journal
from avscene.training.networks import (
    averaged_network,
    classifier_names,
    initial_network,
    optimiser_for,
    part_of,
    reader_for,
    training_precision,
)
from avscene.training.plan import NetworkPlan
from avscene.training.probe import go_half_way, start_from_probe
from avscene.training.processes import Processes
from avscene.training.result import TrainedModel
from avscene.training.rows import training_digest, usable_rows
from avscene.training.schedule import Draw, MicroBatch, Schedule, random_for
from avscene.training.state import STATE, Position, TrainingState, write_state

Progress = Callable[[int, int], None]  # steps done, steps in all
SAVE_SECONDS = 120.0  # between two states within an epoch: what a kill costs at most
VALIDATION_BATCH = 32


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
    schedule = Schedule(plan, train)
    if processes.count > schedule.micro_batches:
        raise UsageError(
            f"{processes.count} processes cannot share steps of {schedule.micro_batches} micro-batches (batch "
            f"{plan.batch}, micro_batch {plan.micro_batch}); start fewer or make micro-batches smaller"
        )
    digest = training_digest(store, train, valid, plan, labels)
    with torch.backends.cudnn.flags(deterministic=True, benchmark=False):
        network = initial_network(plan, labels, store, train, runtime)
        if plan.probe and processes.is_first and not (directory_for_state / STATE).is_file():
            _probe(network, plan, store, (train, valid), labels, runtime)
        state = _begun(network, plan)
        _resume(state, directory_for_state / STATE, digest, processes)
        training = _Training(store, schedule, valid, labels, state, runtime, processes)
        _run(training, directory_for_state, digest, progress)
    return training.result()


def _probe(
    network: nn.Module,
    plan: NetworkPlan,
    store: SegmentStore,
    rows: tuple[list[int], list[int]],
    labels: LabelSet,
    runtime: Runtime,
) -> None:
    """Let the network begin as a linear probe, fitted on the first of `rows` and chosen by the second."""
    reader, truth = reader_for(plan, network, store, rows[0]), store.truth(labels.names)
    learnt, judged = ((PlainBatches(reader, list(batched(part, VALIDATION_BATCH))), truth[part]) for part in rows)
    start_from_probe(network, learnt, judged, len(labels), runtime)


def _begun(network: nn.Module, plan: NetworkPlan) -> TrainingState:
    averaged = averaged_network(plan, network)
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()} if plan.probe else {}
    return TrainingState(network, averaged, optimiser_for(plan, network), start, {}, Position())


def _resume(state: TrainingState, path: Path, digest: str, processes: Processes) -> None:
    """Take on what is on disk, or all processes the beginnings of the first one."""
    content = path.read_bytes() if processes.is_first and path.is_file() else None
    if processes.count > 1:
        content = processes.share_bytes(content or (state.to_bytes(digest) if processes.is_first else None))
    if content is not None:
        state.restore(content, digest, path)


def _run(training: "_Training", directory: Path, digest: str, progress: Progress | None) -> None:
    """All steps that are left; the first process tells of them and saves the state."""
    state, schedule, first = training.state, training.schedule, training.processes.is_first
    with Journal(directory, state.position.step) if first else nullcontext() as journal:
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


class _Training:
    """The loop itself: what it reads, the state it changes, the processes it shares the work with."""

    def __init__(
        self,
        store: SegmentStore,
        schedule: Schedule,
        valid_rows: Sequence[int],
        labels: LabelSet,
        state: TrainingState,
        runtime: Runtime,
        processes: Processes,
    ) -> None:
        self.schedule = schedule
        self.state = state
        self.processes = processes
        self._plan = schedule.plan
        self._labels = labels
        self._runtime = runtime
        self._precision = training_precision(state.network, runtime)
        self._truth = store.truth(labels.names)
        self._valid_rows = valid_rows
        self._reader = reader_for(self._plan, state.network, store, schedule.rows)
        self._settling = [] if self._plan.probe else processes.share_of(schedule.settling())
        self._validation = processes.share_of(list(batched(valid_rows, VALIDATION_BATCH)))
        self._plain = PlainBatches(self._reader, [*self._settling, *self._validation])
        self._gradients = GradientSum(state.network.parameters())
        averaged = state.averaged.module
        self._judged = copy.deepcopy(averaged).eval() if self._plan.probe else averaged

    def steps(self) -> Iterator[dict[str, float]]:
        """Take the steps that are left, one at a time; figures of each once it is taken."""
        first = self.state.position.step
        own = (micro for step in self.schedule.steps(first) for micro in self.processes.share_of(step))
        batches = training_batches(self._reader, self._truth, own)
        for step in self.schedule.steps(first):
            yield self._step(step, batches)

    def end_epoch(self) -> dict[str, float]:
        """Validate the weights that would be kept, keep them if they are the best yet; figures of the epoch."""
        position = self.state.position
        scores, truth = self._validate(), self._truth[self._valid_rows]
        if not np.isfinite(scores).all():
            raise self._diverged()
        exponent = 1.0
        if self._plan.probe:
            exponent = fit_power(scores, truth)
            scores = power(scores, exponent)
        figures: dict[str, float] = {
            "step": position.step,
            "epoch": position.step // self.schedule.steps_per_epoch,
            "train_loss": position.epoch_loss / position.epoch_rows,
            "valid_log_loss": log_loss(truth, scores),
            "valid_accuracy": accuracy(truth, scores),
        }
        position.epoch_loss, position.epoch_rows = 0.0, 0
        position.history.append(figures)
        if position.best_log_loss is None or figures["valid_log_loss"] < position.best_log_loss:
            position.best_log_loss, position.best_epoch = figures["valid_log_loss"], int(figures["epoch"])
            sharpened = classifier_names(self._judged)
            self.state.best = {
                name: tensor * exponent if name in sharpened else tensor.clone()
                for name, tensor in self._judged.state_dict().items()
            }
        return figures

    def result(self) -> TrainedModel:
        """The best epoch's averaged weights and how they were come by."""
        position = self.state.position
        best = position.history[position.best_epoch - 1]
        figures = {
            "plan": self._plan.model_dump(mode="json"),
            "parameters": sum(parameter.numel() for parameter in self.state.network.parameters()),
            "train_segments": len(self.schedule.rows),
            "valid_segments": len(self._valid_rows),
            "steps": position.step,
            "best_epoch": position.best_epoch,
            "valid_log_loss": best["valid_log_loss"],
            "valid_accuracy": best["valid_accuracy"],
        }
        tensors = {name: tensor.cpu().contiguous() for name, tensor in self.state.best.items()}
        return TrainedModel(part_of(self._plan), tensors, figures, position.history)

    def _step(self, step: tuple[MicroBatch, ...], batches: Iterator[Batch]) -> dict[str, float]:
        state, position = self.state, self.state.position
        for micro in self.processes.share_of(step):
            self._learn(micro, next(batches))
        n_rows = sum(len(micro.rows) for micro in step)
        loss = self._gradients.finish(self.processes, n_rows)
        if not math.isfinite(loss):
            raise self._diverged()
        rate = self.schedule.learning_rate(position.step)
        for group in state.optimiser.param_groups:
            group["lr"] = rate * group["factor"]
        state.optimiser.step()
        state.optimiser.zero_grad()
        position.step += 1
        state.averaged.update(state.network, position.step)
        position.epoch_loss += loss * n_rows
        position.epoch_rows += n_rows
        return {"step": position.step, "step_loss": loss, "learning_rate": rate}

    def _learn(self, micro: MicroBatch, batch: Batch) -> None:
        """One micro-batch, forwards and backwards."""
        device, seed = self._runtime.device, (self._plan.seed, micro.epoch, micro.step, micro.index)
        inputs = batch.inputs.to(device, non_blocking=True)
        targets = functional.one_hot(batch.truth.to(device), len(self._labels)).float()
        if self._plan.mixup:
            inputs, targets = augment.mixup(inputs, targets, self._plan.mixup, random_for(Draw.MIXUP, *seed))
        if inputs.dim() == 4:
            inputs = inputs.to(memory_format=torch.channels_last)
        torch.manual_seed(int(random_for(Draw.NETWORK, *seed).integers(2**63)))
        with self._autocast():
            logits = self.state.network(inputs)
        self._gradients.add(functional.cross_entropy(logits.float(), targets, reduction="sum"))

    @torch.no_grad()
    def _validate(self) -> FloatArray:
        """Probabilities (n_valid, n_scenes) by the weights that would be kept, each process judging its share."""
        scores = torch.zeros(len(self._valid_rows), len(self._labels), dtype=torch.float64, device=self._runtime.device)
        place = {row: index for index, row in enumerate(self._valid_rows)}
        inputs = (plain.to(self._runtime.device) for plain in self._plain)
        with self._autocast():
            if self._plan.probe:
                go_half_way(self._judged, self.state.start, self.state.averaged.module)
            else:
                estimate_statistics(self._judged, islice(inputs, len(self._settling)), self.processes)
            for rows, batch in zip(self._validation, inputs, strict=True):
                scores[[place[row] for row in rows]] = self._judged(batch).double().softmax(dim=1)
        self.processes.add_up(scores)
        probabilities: FloatArray = scores.cpu().numpy()
        return probabilities

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self._runtime.device.type, dtype=self._precision, enabled=self._precision != torch.float32
        )

    def _diverged(self) -> UsageError:
        step = self.state.position.step
        return UsageError(
            f"{self._plan.name}: the loss is no longer a number in epoch {step // self.schedule.steps_per_epoch + 1} "
            f"(step {step + 1}); train anew with a learning_rate below {self._plan.learning_rate:g}"
        )

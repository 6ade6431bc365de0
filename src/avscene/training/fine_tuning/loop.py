"""Run the steps and epochs of a fine-tuning, validate, and keep the best weights."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from avscene.datasets.store.reader import SegmentStore
from avscene.errors import UsageError
from avscene.evaluation.metrics import accuracy, log_loss
from avscene.fusion.pooling import group_weights
from avscene.fusion.postprocess import apply_power, fit_power
from avscene.inference import batched
from avscene.labels import LabelSet
from avscene.models.device import Runtime
from avscene.records import FloatArray
from avscene.training import augment
from avscene.training.fine_tuning.batch_norms import estimate_statistics
from avscene.training.fine_tuning.batches import VALIDATION_BATCH, CleanBatches, TrainingBatch, training_batches
from avscene.training.fine_tuning.gradients import GradientSum
from avscene.training.fine_tuning.linear_probe import interpolate_weights
from avscene.training.fine_tuning.networks import classifier_names, part_of, reader_for, training_precision
from avscene.training.fine_tuning.schedule import MicroBatch, RandomStream, Schedule, random_for
from avscene.training.fine_tuning.state import TrainingState
from avscene.training.processes import Processes
from avscene.training.result import TrainedModel


class Training:
    """The training loop over a schedule, which changes `state` and shares its work with other processes."""

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
        self._valid_weights = group_weights([store.examples[row].group for row in valid_rows])
        self._reader = reader_for(self._plan, state.network, store, schedule.rows)
        self._statistics_batches = [] if self._plan.linear_probe else processes.shard(schedule.statistics_batches())
        self._validation = processes.shard(list(batched(valid_rows, VALIDATION_BATCH)))
        self._clean_batches = CleanBatches(self._reader, [*self._statistics_batches, *self._validation])
        self._gradients = GradientSum(state.network.parameters())
        averaged = state.averaged.module
        self._candidate = copy.deepcopy(averaged).eval() if self._plan.linear_probe else averaged

    def steps(self) -> Iterator[dict[str, float]]:
        """Run the remaining steps, and yield the metrics of each when it is done."""
        first = self.state.position.step
        own = (micro for step in self.schedule.steps(first) for micro in self.processes.shard(step))
        batches = training_batches(self._reader, self._truth, own)
        for step in self.schedule.steps(first):
            yield self._step(step, batches)

    def end_epoch(self) -> dict[str, float]:
        """Validate the current candidate, keep it if it is the best so far, and return the metrics of the epoch.

        The candidate is the moving average of the weights, with a linear probe its mean with the starting weights.
        Without validation rows, the metrics have the training loss only.
        """
        position = self.state.position
        metrics: dict[str, float] = {
            "step": position.step,
            "epoch": position.step // self.schedule.steps_per_epoch,
            "train_loss": position.epoch_loss / position.epoch_rows,
        }
        position.epoch_loss, position.epoch_rows = 0.0, 0
        if self._valid_rows:
            metrics |= self._validate_epoch(int(metrics["epoch"]))
        position.history.append(metrics)
        return metrics

    def _validate_epoch(self, epoch: int) -> dict[str, float]:
        position, truth = self.state.position, self._truth[self._valid_rows]
        scores, exponent = self._validate(), 1.0
        if not np.isfinite(scores).all():
            raise self._diverged()
        if self._plan.linear_probe:
            exponent = fit_power(scores, truth, self._valid_weights)
            scores = apply_power(scores, exponent)
        loss = log_loss(truth, scores)
        if position.best_log_loss is None or loss < position.best_log_loss:
            position.best_log_loss, position.best_epoch, position.exponent = loss, epoch, exponent
            self.state.best = self._scaled(exponent)
        return {"valid_log_loss": loss, "valid_accuracy": accuracy(truth, scores)}

    def result(self) -> TrainedModel:
        """Return the weights of the best epoch and the details of their training."""
        position = self.state.position
        best = position.history[position.best_epoch - 1]
        details = {
            "plan": self._plan.model_dump(mode="json", by_alias=True),
            "parameters": sum(parameter.numel() for parameter in self.state.network.parameters()),
            "train_segments": len(self.schedule.rows),
            "valid_segments": len(self._valid_rows),
            "steps": position.step,
            "best_epoch": position.best_epoch,
            "valid_log_loss": best["valid_log_loss"],
            "valid_accuracy": best["valid_accuracy"],
        }
        return TrainedModel(part_of(self._plan), _on_cpu(self.state.best), details, position.history)

    def final_weights(self, exponent: float) -> dict[str, Tensor]:
        """Return the weights of the current candidate, the classifier's multiplied by `exponent`."""
        interpolate_weights(self._candidate, self.state.start, self.state.averaged.module)
        return _on_cpu(self._scaled(exponent))

    def _scaled(self, exponent: float) -> dict[str, Tensor]:
        classifier = classifier_names(self._candidate)
        return {
            name: tensor * exponent if name in classifier else tensor.clone()
            for name, tensor in self._candidate.state_dict().items()
        }

    def _step(self, step: tuple[MicroBatch, ...], batches: Iterator[TrainingBatch]) -> dict[str, float]:
        state, position = self.state, self.state.position
        for micro in self.processes.shard(step):
            self._add_gradients(micro, next(batches))
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

    def _add_gradients(self, micro: MicroBatch, batch: TrainingBatch) -> None:
        """Run one micro-batch forwards and backwards."""
        device, seed = self._runtime.device, (self._plan.seed, micro.epoch, micro.step, micro.index)
        inputs = batch.inputs.to(device, non_blocking=True)
        targets = functional.one_hot(batch.truth.to(device), len(self._labels)).float()
        if self._plan.mixup:
            inputs, targets = augment.mixup(inputs, targets, self._plan.mixup, random_for(RandomStream.MIXUP, *seed))
        if inputs.dim() == 4:
            inputs = inputs.to(memory_format=torch.channels_last)
        torch.manual_seed(int(random_for(RandomStream.NETWORK, *seed).integers(2**63)))
        with self._autocast():
            logits = self.state.network(inputs)
        self._gradients.add(functional.cross_entropy(logits.float(), targets, reduction="sum"))

    @torch.no_grad()
    def _validate(self) -> FloatArray:
        """Return probabilities (n_valid, n_scenes) by the current candidate; each process scores its share of rows."""
        scores = torch.zeros(len(self._valid_rows), len(self._labels), dtype=torch.float64, device=self._runtime.device)
        position = {row: index for index, row in enumerate(self._valid_rows)}
        inputs = (batch.to(self._runtime.device) for batch in self._clean_batches)
        with self._autocast():
            if self._plan.linear_probe:
                interpolate_weights(self._candidate, self.state.start, self.state.averaged.module)
            else:
                estimate_statistics(self._candidate, islice(inputs, len(self._statistics_batches)), self.processes)
            for rows, batch in zip(self._validation, inputs, strict=True):
                scores[[position[row] for row in rows]] = self._candidate(batch).double().softmax(dim=1)
        self.processes.all_reduce(scores)
        probabilities: FloatArray = scores.cpu().numpy()
        return probabilities

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self._runtime.device.type, dtype=self._precision, enabled=self._precision != torch.float32
        )

    def _diverged(self) -> UsageError:
        step = self.state.position.step
        return UsageError(
            f"{self._plan.name}: the loss is not a finite number in epoch {step // self.schedule.steps_per_epoch + 1} "
            f"(step {step + 1}); train again with a learning_rate below {self._plan.learning_rate:g}"
        )


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}

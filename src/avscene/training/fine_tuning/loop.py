"""The loop of fine-tuning: batches in, steps taken, epochs judged, weights kept."""

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
from avscene.fusion.postprocess import apply_power, fit_power
from avscene.inference import batched
from avscene.labels import LabelSet
from avscene.models.device import Runtime
from avscene.records import FloatArray
from avscene.training.fine_tuning import augment
from avscene.training.fine_tuning.batch_norms import estimate_statistics
from avscene.training.fine_tuning.batches import VALIDATION_BATCH, PlainBatches, TrainingBatch, training_batches
from avscene.training.fine_tuning.gradients import GradientSum
from avscene.training.fine_tuning.linear_probe import interpolate_weights
from avscene.training.fine_tuning.networks import classifier_names, part_of, reader_for, training_precision
from avscene.training.fine_tuning.processes import Processes
from avscene.training.fine_tuning.schedule import Draw, MicroBatch, Schedule, random_for
from avscene.training.fine_tuning.state import TrainingState
from avscene.training.result import TrainedModel

SHARPEST = 2.0  # exponent of answers: few validation rows, all of them right, would ask for certainty without end


class Training:
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
        """Validate the weights that would be kept, keep them if they are the best yet; figures of the epoch.

        Where there are no rows to validate on, only what was seen in training is told.
        """
        position = self.state.position
        figures: dict[str, float] = {
            "step": position.step,
            "epoch": position.step // self.schedule.steps_per_epoch,
            "train_loss": position.epoch_loss / position.epoch_rows,
        }
        position.epoch_loss, position.epoch_rows = 0.0, 0
        if self._valid_rows:
            figures |= self._judge(int(figures["epoch"]))
        position.history.append(figures)
        return figures

    def _judge(self, epoch: int) -> dict[str, float]:
        position, truth = self.state.position, self._truth[self._valid_rows]
        scores, exponent = self._validate(), 1.0
        if not np.isfinite(scores).all():
            raise self._diverged()
        if self._plan.probe:
            exponent = min(fit_power(scores, truth), SHARPEST)
            scores = apply_power(scores, exponent)
        loss = log_loss(truth, scores)
        if position.best_log_loss is None or loss < position.best_log_loss:
            position.best_log_loss, position.best_epoch, position.exponent = loss, epoch, exponent
            self.state.best = self._sharpened(exponent)
        return {"valid_log_loss": loss, "valid_accuracy": accuracy(truth, scores)}

    def result(self) -> TrainedModel:
        """The best epoch's weights and how they were come by."""
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
        return TrainedModel(part_of(self._plan), _at_rest(self.state.best), figures, position.history)

    def last_weights(self, exponent: float) -> dict[str, Tensor]:
        """Those that would be kept now, the classifier's sharpened by `exponent`."""
        interpolate_weights(self._judged, self.state.start, self.state.averaged.module)
        return _at_rest(self._sharpened(exponent))

    def _sharpened(self, exponent: float) -> dict[str, Tensor]:
        classifier = classifier_names(self._judged)
        return {
            name: tensor * exponent if name in classifier else tensor.clone()
            for name, tensor in self._judged.state_dict().items()
        }

    def _step(self, step: tuple[MicroBatch, ...], batches: Iterator[TrainingBatch]) -> dict[str, float]:
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

    def _learn(self, micro: MicroBatch, batch: TrainingBatch) -> None:
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
                interpolate_weights(self._judged, self.state.start, self.state.averaged.module)
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


def _at_rest(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}

"""Hold the result of training one model, the same for every kind of network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from avscene.models.checkpoint import Part


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """A trained model as a checkpoint holds it: `part` describes it, `tensors` are its weights by the part's names.

    If `tensors` were trained on the validation rows too, `validation_tensors` are those of a network that was not: its
    predictions of the validation rows are used for fitting. `details` of the training go into the checkpoint's
    configuration and the model card; `history` has the metrics of each epoch.
    """

    part: Part
    tensors: dict[str, Tensor]
    details: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    validation_tensors: dict[str, Tensor] | None = None

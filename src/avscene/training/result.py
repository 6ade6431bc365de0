"""What every training leaves behind, whatever the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from avscene.models.checkpoint import Part


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """A model as a checkpoint holds it: `part` says what it is, `tensors` what it learnt, by the part's own names.

    `apart`, where there are such tensors, are those of a network that was not trained on the validation rows, while
    `tensors` were: what is fitted on these rows is fitted on what it says. `figures` is what the training found out,
    for the checkpoint's configuration and the model card; `history` has a row for each epoch: what a learning curve
    shows.
    """

    part: Part
    tensors: dict[str, Tensor]
    figures: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    apart: dict[str, Tensor] | None = None

"""Run one training in several processes, on one machine or more, as `torchrun` starts them."""

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, distributed

from avscene.models.device import Runtime

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Processes:
    """This process and the `count` of all; the one of rank 0 writes and reports."""

    rank: int
    count: int
    device: torch.device

    @classmethod
    def join(cls, runtime: Runtime) -> "Processes":
        """Join the processes that torchrun's environment variables describe; without them, this process is alone.

        Tensors are exchanged by NCCL between GPUs and by gloo between processors.
        """
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count > 1 and not distributed.is_initialized():
            if runtime.device.type == "cuda":
                torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
            distributed.init_process_group("nccl" if runtime.device.type == "cuda" else "gloo")
            atexit.register(distributed.destroy_process_group)
        return cls(distributed.get_rank() if count > 1 else 0, count, runtime.device)

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def shard(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return this process's contiguous part of `items`; parts differ by one item at most."""
        return items[len(items) * self.rank // self.count : len(items) * (self.rank + 1) // self.count]

    def all_reduce(self, tensor: Tensor) -> None:
        """Replace `tensor` by its sum over all processes."""
        if self.count > 1:
            distributed.all_reduce(tensor)

    def broadcast(self, content: bytes | None) -> bytes | None:
        """Return the `content` of the first process in all processes."""
        if self.count == 1:
            return content
        length = torch.tensor([-1 if content is None else len(content)], device=self.device)
        distributed.broadcast(length, src=0)
        if int(length) < 0:
            return None
        held = np.frombuffer(content or b"", np.uint8) if self.is_first else np.zeros(int(length), np.uint8)
        data = torch.from_numpy(held.copy()).to(self.device)
        distributed.broadcast(data, src=0)
        return data.cpu().numpy().tobytes()

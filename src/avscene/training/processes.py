"""Run one training in several processes, on one machine or more, as `torchrun` starts them."""

import atexit
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, distributed

from avscene.errors import ProcessError, UsageError
from avscene.models.device import Runtime

Item = TypeVar("Item")

TIMEOUT = "AVSCENE_PROCESS_TIMEOUT"  # environment variable: the most seconds to wait for another process in a step
DEFAULT_TIMEOUT = 1800.0
ALONE_SECONDS = 24 * 3600.0  # the longest time that the first process may work while the others wait for it


@dataclass(frozen=True, slots=True)
class Processes:
    """This process and the `count` of all; the one of rank 0 writes and reports."""

    rank: int
    count: int
    device: torch.device

    @classmethod
    def join(cls, runtime: Runtime) -> "Processes":
        """Join the processes that torchrun's environment variables describe; without them, this process is alone.

        Tensors are exchanged by NCCL between GPUs and by gloo between processors, in the process group that a launcher
        such as Ray Train has made, else in one made here.

        Raises:
            ProcessError: another process did not come in time.
            UsageError: the environment variable AVSCENE_PROCESS_TIMEOUT is not a number of seconds.
        """
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return cls(0, 1, runtime.device)
        with _errors_named():
            if runtime.device.type == "cuda":
                torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
            if not distributed.is_initialized():
                backend = "nccl" if runtime.device.type == "cuda" else "gloo"
                distributed.init_process_group(backend, timeout=_timeout())
                atexit.register(distributed.destroy_process_group)
            _patient_group()
        return cls(distributed.get_rank(), count, runtime.device)

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def shard(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return this process's contiguous part of `items`; parts differ by one item at most."""
        return items[len(items) * self.rank // self.count : len(items) * (self.rank + 1) // self.count]

    def all_reduce(self, tensor: Tensor) -> None:
        """Replace `tensor` by its sum over all processes.

        Raises:
            ProcessError: another process has ended, or did not come in time.
        """
        if self.count > 1:
            with _errors_named():
                distributed.all_reduce(tensor)

    def broadcast(self, content: bytes | None) -> bytes | None:
        """Return the `content` of the first process in all processes, which may wait long for it.

        Raises:
            ProcessError: another process has ended, or did not come in time.
        """
        if self.count == 1:
            return content
        length = torch.tensor([-1 if content is None else len(content)])
        with _errors_named():
            distributed.broadcast(length, src=0, group=_patient_group())
            if int(length) < 0:
                return None
            held = np.frombuffer(content or b"", np.uint8) if self.is_first else np.zeros(int(length), np.uint8)
            data = torch.from_numpy(held.copy())
            distributed.broadcast(data, src=0, group=_patient_group())
        return data.numpy().tobytes()


@cache
def _patient_group() -> distributed.ProcessGroup:
    """Return the group in which processes wait for work that the first one does alone, such as a linear probe.

    It is of gloo on GPUs too, which notices at once that a process has ended.
    """
    group = distributed.new_group(backend="gloo", timeout=timedelta(seconds=ALONE_SECONDS))
    assert not isinstance(group, int)  # a number is returned to processes outside a group
    return group


def _timeout() -> timedelta:
    text = os.environ.get(TIMEOUT, str(DEFAULT_TIMEOUT))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= ALONE_SECONDS:
        raise UsageError(f"{TIMEOUT}={text}: not a number of seconds above 0 and up to {ALONE_SECONDS:.0f}")
    return timedelta(seconds=seconds)


@contextmanager
def _errors_named() -> Iterator[None]:
    """Raise errors of the exchange with other processes as errors that state what to do."""
    try:
        yield
    except RuntimeError as error:  # of torch.distributed, and of gloo without a class of its own
        reason = " ".join(str(error).split())[:200]
        raise ProcessError(
            "another process of this training has ended or did not answer in time; its own message says why. Run the "
            f"same command again on all machines: it continues from the last saved state ({reason})"
        ) from error

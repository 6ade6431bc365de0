"""Run a training as a process, to be killed or to be one of several: STORE STATE RESULT INPUT [KILL_AT].

INPUT is audio or video, or audio-probe or video-probe. Writes the tensors to RESULT and the history beside it; kills
itself by SIGKILL after KILL_AT steps. States are saved after every second step, so that a kill loses one. With the
environment variable STEP_SECONDS, the first process waits so long after each step.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

from avscene.datasets.store.reader import SegmentStore
from avscene.models.device import Runtime
from avscene.training.fine_tuning import finetune as loop
from avscene.training.result import TrainedModel
from tests.support.small_store import plan, train_and_validation_rows


def train(store: Path, state: Path, kind: str, kill_at: int = 0) -> TrainedModel:
    """Run the small training with one thread."""
    opened = SegmentStore.open(store)
    write, steps, reports = loop.write_state, [0], [0]
    modality, _, probe = kind.partition("-")

    def write_sometimes(path: Path, content: bytes) -> None:
        if steps[0] % 2:
            write(path, content)
        steps[0] += 1

    def progress(_done: int, _all: int) -> None:
        reports[0] += 1
        if reports[0] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(float(os.environ.get("STEP_SECONDS", "0")))

    threads, seconds = torch.get_num_threads(), loop.SAVE_SECONDS
    loop.write_state, loop.SAVE_SECONDS = write_sometimes, 0.0
    torch.set_num_threads(1)
    try:
        runtime = Runtime.choose("cpu", "float32")
        wanted = plan(modality, linear_probe=bool(probe))
        return loop.finetune(
            opened, *train_and_validation_rows(opened), wanted, opened.labels, state, runtime, progress
        )
    finally:
        loop.write_state, loop.SAVE_SECONDS = write, seconds
        torch.set_num_threads(threads)


if __name__ == "__main__":
    store, state, result = map(Path, sys.argv[1:4])
    trained = train(store, state, sys.argv[4], int(sys.argv[5]) if len(sys.argv) > 5 else 0)
    if os.environ.get("RANK", "0") == "0":
        save_file(trained.tensors, result)
        result.with_suffix(".json").write_text(json.dumps(trained.history))

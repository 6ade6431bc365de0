"""Log the metrics of a training to `metrics.jsonl` and for TensorBoard."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from avscene.errors import CheckpointError
from avscene.files import write_text

METRICS = "metrics.jsonl"
TENSORBOARD = "tensorboard"


class MetricsLog:
    """A log with one line of metrics per step, each written at once; a context manager.

    A training that resumes from step `step` drops the lines after it, and an incomplete line.
    """

    def __init__(self, directory: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # takes a second to import

        self._path = directory / METRICS
        write_text(self._path, "".join(line + "\n" for line in _lines_until(self._path, step)))
        self._file = self._path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(directory / TENSORBOARD), purge_step=step + 1)

    def write(self, metrics: Mapping[str, float]) -> None:
        """Append a line; `metrics` has a `step`.

        Raises:
            CheckpointError: it cannot be written.
        """
        try:
            self._file.write(json.dumps(metrics) + "\n")
            self._file.flush()
            for name, value in metrics.items():
                if name != "step":
                    self._board.add_scalar(name, value, int(metrics["step"]))
        except OSError as error:
            raise CheckpointError(
                f"{self._path}: cannot be written ({error.strerror or error}); the last saved state stays: "
                "free some space and run again"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # `write` has raised it before
            self._file.close()
            self._board.close()


def _lines_until(path: Path, step: int) -> list[str]:
    """Return the complete lines of the file at `path` up to step `step`."""
    if not path.is_file():
        return []
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            metrics = json.loads(line)
        except ValueError:  # incomplete: the process was killed
            continue
        if metrics["step"] <= step:
            kept.append(line)
    return kept

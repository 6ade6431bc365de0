"""What a training says of itself on the way: `metrics.jsonl`, and the same for TensorBoard."""

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
    """Lines of figures, each with its `step`, appended at once; a context manager.

    A training that goes on from step `step` takes back what was written after it, and a line that was cut off.
    """

    def __init__(self, directory: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # takes a second to import

        self._path = directory / METRICS
        write_text(self._path, "".join(line + "\n" for line in _lines_until(self._path, step)))
        self._file = self._path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(directory / TENSORBOARD), purge_step=step + 1)

    def write(self, figures: Mapping[str, float]) -> None:
        """Append a line; `figures` has a `step`.

        Raises:
            CheckpointError: it cannot be written.
        """
        try:
            self._file.write(json.dumps(figures) + "\n")
            self._file.flush()
            for name, value in figures.items():
                if name != "step":
                    self._board.add_scalar(name, value, int(figures["step"]))
        except OSError as error:
            raise CheckpointError(
                f"{self._path}: cannot be written ({error.strerror or error}); the last saved state stays: "
                "make room and run again"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # what could not be written was told of
            self._file.close()
            self._board.close()


def _lines_until(path: Path, step: int) -> list[str]:
    """The whole lines of the file at `path` up to step `step`."""
    if not path.is_file():
        return []
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            figures = json.loads(line)
        except ValueError:  # a kill cut it off
            continue
        if figures["step"] <= step:
            kept.append(line)
    return kept

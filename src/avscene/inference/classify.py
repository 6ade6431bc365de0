"""Many files through one system: predictions written as they come, failures told, nothing lost."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

from rich.progress import Progress, TaskID

from avscene.cli.output import formats, timeline
from avscene.cli.output.files import Sink, is_folder, printable
from avscene.cli.output.formats import Format, Outcome
from avscene.cli.progress import progress_bar
from avscene.errors import AvsceneError, UsageError
from avscene.inference import Source, System
from avscene.media.hardware import CPU
from avscene.records import Failure, Prediction

ALL_GOOD, ALL_FAILED, SOME_FAILED = 0, 1, 3


@dataclass(frozen=True, slots=True)
class Destination:
    """The format of the results and where they go (None: standard output)."""

    format: Format
    output: Path | None

    def check(self, n_inputs: int) -> None:
        """Make sure that the results of `n_inputs` files have a place to go.

        Raises:
            UsageError: several subtitle files are to go into one.
        """
        in_folder = self.output is not None and is_folder(self.output)
        if self.format in formats.SINGLE and n_inputs > 1 and not in_folder:
            raise UsageError(
                f"--format {self.format} of {n_inputs} files needs --output FOLDER, a folder that is there"
            )

    def single(self, source: str) -> Path | None:
        """The file for one recording of a format that holds one: in the folder, or the output itself."""
        if self.output is None or not is_folder(self.output):
            return self.output
        return self.output / (Path(source).name + formats.SUFFIXES[self.format])

    def check_apart(self, sources: Sequence[str]) -> None:
        """Make sure that no two recordings would have their subtitles in the same file.

        Raises:
            UsageError: two would.
        """
        if self.format not in formats.SINGLE or self.output is None:
            return
        owners: dict[Path | None, str] = {}
        for source in sources:
            file = self.single(source)
            owner = owners.setdefault(file, source)
            if owner != source:
                raise UsageError(f"{owner} and {source} would both be written to {file}; name them in separate runs")


def classify_all(
    system: System,
    inputs: Sequence[str | Failure],
    destination: Destination,
    *,
    hop: float | None,
    keyframes: bool,
    decoder: str = CPU,
) -> int:
    """Classify every input and write each result at once; the exit code tells whether all, some or none failed."""
    paths = [item for item in inputs if isinstance(item, str)]
    destination.check_apart(paths)
    failed = 0
    with ExitStack() as stack:
        writer = stack.enter_context(_Writer(destination, len(inputs)))
        progress = stack.enter_context(progress_bar())
        task = progress.add_task("", total=len(inputs))
        show = partial(_show_position, progress, task, paths)
        sources = [Source(path) for path in paths]
        classified = system.classify_all(sources, hop=hop, keyframes=keyframes, decoder=decoder, progress=show)
        stack.enter_context(closing(classified))
        for outcome in _in_order(inputs, classified):
            if isinstance(outcome, Failure):
                failed += 1
                line = printable(f"avscene: {outcome.error}")
                progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
            progress.stop()  # on a terminal the bar gives way to the result
            writer.write(outcome)
            progress.start()
            progress.advance(task)
    return ALL_GOOD if not failed else ALL_FAILED if failed == len(inputs) else SOME_FAILED


def _show_position(progress: Progress, task: TaskID, paths: Sequence[str], position: int, seconds: float) -> None:
    progress.update(task, description=f"{printable(Path(paths[position]).name)} {timeline.clock(seconds)}")


def _in_order(
    inputs: Sequence[str | Failure], classified: Iterator[Prediction | AvsceneError]
) -> Iterator[Prediction | Failure]:
    """An outcome for each input: what was made of its file, or the failure that it is already."""
    for item in inputs:
        if isinstance(item, Failure):
            yield item
            continue
        outcome = next(classified)
        yield Failure(item, outcome) if isinstance(outcome, AvsceneError) else outcome


class _Writer:
    """Outcomes to their destination as they come; a context manager. Several outcomes make one JSON list."""

    def __init__(self, destination: Destination, n_inputs: int) -> None:
        self._to = destination
        self._is_list = destination.format == "json" and n_inputs > 1
        self._sink = None if destination.format in formats.SINGLE else Sink(destination.output)
        self._written = 0

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sink is None:
            return
        if self._is_list and (kind is None or (issubclass(kind, KeyboardInterrupt) and self._written)):
            self._sink.write("\n]\n")  # several inputs have several outcomes: at least one was written
        self._sink.__exit__(kind, error, trace)

    def write(self, outcome: Outcome) -> None:
        text = self._text(outcome)
        if text is None:
            return
        if self._sink is None:
            with Sink(self._to.single(outcome.source)) as sink:
                sink.write(text)
        else:
            self._sink.write(text)
        self._written += 1

    def _text(self, outcome: Outcome) -> str | None:
        """The outcome in the format asked for; None for a failure in a format that has no place for it."""
        match self._to.format:
            case "jsonl":
                return formats.jsonl(outcome)
            case "json":
                before = "" if not self._is_list else ",\n" if self._written else "[\n"
                return before + formats.json_text(outcome) + ("" if self._is_list else "\n")
        if isinstance(outcome, Failure):
            return None
        match self._to.format:
            case "csv" | "tsv" as kind:
                delimiter = "," if kind == "csv" else "\t"
                return formats.separated(outcome, delimiter=delimiter, header=not self._written)
            case "table":
                return timeline.rendered(outcome, coloured=self._to.output is None and sys.stdout.isatty())
            case kind:
                return formats.SINGLE[kind](outcome)

"""Write the outcomes of `classify` in one of the output formats, each as soon as it is ready."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from avscene.cli.output import formats
from avscene.cli.output.files import TextOutput, is_folder
from avscene.cli.output.formats import Outcome
from avscene.cli.output.timeline import timeline_text
from avscene.errors import UsageError
from avscene.records import Failure


@dataclass(frozen=True, slots=True)
class ResultDestination:
    """The format of the results, one of FORMATS, and the file or folder for them (None: standard output)."""

    format: str
    output: Path | None

    @property
    def is_single(self) -> bool:
        """Whether a file of this format holds a single recording."""
        return self.format in formats.SINGLE_RECORDING

    def check_output(self, n_inputs: int) -> None:
        """Check that the results of `n_inputs` files fit into the output.

        Raises:
            UsageError: subtitles of several recordings would go into one file.
        """
        in_folder = self.output is not None and is_folder(self.output)
        if self.format in formats.SINGLE_RECORDING and n_inputs > 1 and not in_folder:
            raise UsageError(f"--format {self.format} of {n_inputs} files needs --output FOLDER, an existing folder")

    def check_collisions(self, sources: Sequence[str]) -> None:
        """Check that every recording has a subtitle file of its own.

        Raises:
            UsageError: two recordings would have the same file.
        """
        if self.format not in formats.SINGLE_RECORDING or self.output is None:
            return
        owners: dict[Path | None, str] = {}
        for source in sources:
            file = self.file_of(source)
            owner = owners.setdefault(file, source)
            if owner != source:
                raise UsageError(f"{owner} and {source} would both be written to {file}; name them in separate runs")

    def file_of(self, source: str) -> Path | None:
        """Return the file for one recording, in a format whose files hold a single recording."""
        if self.output is None or not is_folder(self.output):
            return self.output
        return self.output / (Path(source).name + formats.SINGLE_RECORDING[self.format].extension)


class ResultWriter:
    """A context manager that writes outcomes to their destination; several outcomes make one JSON list."""

    def __init__(self, destination: ResultDestination, n_inputs: int) -> None:
        self._destination = destination
        self._is_list = destination.format == "json" and n_inputs > 1
        single = destination.format in formats.SINGLE_RECORDING
        self._out = None if single else TextOutput(destination.output)
        self.n_written = 0

    def __enter__(self) -> "ResultWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._out is None:
            return
        if self._is_list and (kind is None or (issubclass(kind, KeyboardInterrupt) and self.n_written)):
            self._out.write("\n]\n")
        self._out.__exit__(kind, error, trace)

    def write(self, outcome: Outcome) -> None:
        """Write one outcome; a failure is written only in formats that have a record for it (JSON)."""
        text = self._text(outcome)
        if text is None:
            return
        if self._out is None:
            with TextOutput(self._destination.file_of(outcome.source)) as out:
                out.write(text)
        else:
            self._out.write(text)
        self.n_written += 1

    @property
    def place(self) -> str:
        """Where the results are, in words."""
        output = self._destination.output
        return "printed" if output is None else f"in {output}"

    def _text(self, outcome: Outcome) -> str | None:
        match self._destination.format:
            case "jsonl":
                return formats.jsonl(outcome)
            case "json":
                before = "" if not self._is_list else ",\n" if self.n_written else "[\n"
                return before + formats.json_text(outcome) + ("" if self._is_list else "\n")
        if isinstance(outcome, Failure):
            return None
        match self._destination.format:
            case "csv" | "tsv" as kind:
                delimiter = "," if kind == "csv" else "\t"
                return formats.delimited_text(outcome, delimiter=delimiter, header=not self.n_written)
            case "table":
                return timeline_text(outcome, colored=self._destination.output is None and sys.stdout.isatty())
            case kind:
                return formats.SINGLE_RECORDING[kind].to_text(outcome)

"""Write the outcomes of a run as they come, or when it is complete; each kind of output has its writer."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Protocol

from avscene.cli.output import formats
from avscene.cli.output.files import CONTINUES, TextOutput, is_folder
from avscene.cli.output.formats import Outcome
from avscene.cli.output.json_lines import JsonLinesFile
from avscene.cli.output.results import ResultDestination
from avscene.cli.output.timeline import timeline_text
from avscene.errors import UsageError
from avscene.inference.journal import Journal
from avscene.inference.resumable import Classified
from avscene.records import Failure, Prediction, json_line


class ResultWriter(Protocol):
    """Takes the outcomes of a run one by one."""

    def write(self, classified: Classified) -> None:
        """Take one outcome; a failure is written only in formats that have a record for it (JSON)."""
        ...

    def finish(self) -> None:
        """Complete the output, once all outcomes were written."""
        ...

    def kept(self) -> str | None:
        """Return how many results an interrupted run leaves, and where, such as `12 of 40 results are in out.jsonl`."""
        ...


@contextmanager
def result_writer(
    destination: ResultDestination,
    n_inputs: int,
    journal: Journal | None,
    replay: Callable[[], Iterator[Outcome]],
    n_recorded: Callable[[], int],
) -> Iterator[ResultWriter]:
    """Open the writer for a destination.

    Args:
        destination: the format and the place.
        n_inputs: number of outcomes to come.
        journal: the journal of the run, where it has one.
        replay: yields the outcomes of the complete run again, from the journal.
        n_recorded: returns the number of outcomes in the journal.

    Raises:
        UsageError: the output cannot be written.
    """
    output = destination.output
    with ExitStack() as stack:
        writer: ResultWriter
        if destination.format in formats.SINGLE_RECORDING and (n_inputs == 1 or output is not None):
            writer = _RecordingFiles(destination, n_inputs)
        elif journal is not None and destination.format == "jsonl" and output is not None:
            lines = stack.enter_context(closing(JsonLinesFile(output, journal)))
            writer = _Lines(lines, n_inputs, output, journal, n_recorded)
        elif journal is not None:
            writer = _AtTheEnd(destination, n_inputs, journal, replay, n_recorded)
        elif destination.format == "parquet":
            writer = _SingleParquet(destination)
        else:
            texts = stack.enter_context(TextOutput(output))
            writer = _Stream(destination, n_inputs, texts)
        yield writer


class _Texts:
    """The parts of one text with all outcomes; several outcomes make one JSON list."""

    def __init__(self, destination: ResultDestination, n_inputs: int) -> None:
        self._destination = destination
        self._is_list = destination.format == "json" and n_inputs > 1
        self.n_written = 0

    def of(self, outcome: Outcome) -> str | None:
        """Return the text of the next outcome; None if the format has none for it."""
        text = self._text(outcome)
        self.n_written += text is not None
        return text

    def end(self) -> str:
        """Return the text after the last outcome."""
        return "\n]\n" if self._is_list else ""

    def _text(self, outcome: Outcome) -> str | None:
        match self._destination.format:
            case "jsonl":
                return json_line(outcome)
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
                colored = self._destination.output is None and sys.stdout.isatty()
                return timeline_text(outcome, colored=colored)
            case kind:
                return formats.SINGLE_RECORDING[kind].to_text(outcome)


class _Stream:
    """Writes each outcome at once to standard output or a device; the file of a single recording appears complete."""

    def __init__(self, destination: ResultDestination, n_inputs: int, out: TextOutput) -> None:
        self._output = destination.output
        self._n_inputs = n_inputs
        self._texts = _Texts(destination, n_inputs)
        self._out = out

    def write(self, classified: Classified) -> None:
        text = self._texts.of(classified.outcome)
        if text is not None:
            self._out.write(text)

    def finish(self) -> None:
        if end := self._texts.end():
            self._out.write(end)

    def kept(self) -> str | None:
        if self._n_inputs == 1:
            return None
        if self._texts.n_written:
            self.finish()  # a list that is valid JSON
        place = "printed" if self._output is None else f"in {self._output}"
        return f"{self._texts.n_written} of {self._n_inputs} results are {place}"


class _RecordingFiles:
    """Writes a file for each recording, at once."""

    def __init__(self, destination: ResultDestination, n_inputs: int) -> None:
        self._destination = destination
        self._n_inputs = n_inputs
        self._n_written = 0

    def write(self, classified: Classified) -> None:
        outcome = classified.outcome
        if isinstance(outcome, Failure):
            return
        text = formats.SINGLE_RECORDING[self._destination.format].to_text(outcome)
        file = self._destination.file_of(outcome.source)
        if file is None or self._n_inputs == 1 or not _has_content(file, text):
            with TextOutput(file, one_writer=self._n_inputs > 1) as out:
                out.write(text)
        self._n_written += 1

    def finish(self) -> None:
        """Do nothing: every file is complete."""

    def kept(self) -> str | None:
        if self._n_inputs == 1:
            return None
        place = f"in {self._destination.output}; {CONTINUES}"
        return f"{self._n_written} of {self._n_inputs} results are {place}"


class _Lines:
    """Writes JSON lines, each at once."""

    def __init__(
        self, file: JsonLinesFile, n_inputs: int, output: Path, journal: Journal, n_recorded: Callable[[], int]
    ) -> None:
        self._file = file
        self._n_inputs = n_inputs
        self._output = output
        self._journal = journal
        self._n_recorded = n_recorded

    def write(self, classified: Classified) -> None:
        self._file.write(json_line(classified.outcome) if classified.line is None else classified.line.text())

    def finish(self) -> None:
        self._file.finish()

    def kept(self) -> str | None:
        if self._file.replaces:
            return _kept_in_journal(self._n_recorded(), self._n_inputs, self._journal)
        self._file.close()
        return f"{self._file.n_lines} of {self._n_inputs} results are in {self._output}; {CONTINUES}"


class _AtTheEnd:
    """Writes a file with all outcomes from the journal, when the run is complete."""

    def __init__(
        self,
        destination: ResultDestination,
        n_inputs: int,
        journal: Journal,
        replay: Callable[[], Iterator[Outcome]],
        n_recorded: Callable[[], int],
    ) -> None:
        assert destination.output is not None
        self._destination = destination
        self._output = destination.output
        self._n_inputs = n_inputs
        self._journal = journal
        self._replay = replay
        self._n_recorded = n_recorded

    def write(self, classified: Classified) -> None:
        """Do nothing: the outcome is in the journal."""

    def finish(self) -> None:
        if self._destination.format == "parquet":
            _write_parquet(self._output, self._replay())
            return
        texts = _Texts(self._destination, self._n_inputs)
        with TextOutput(self._output, one_writer=True) as out:
            for outcome in self._replay():
                text = texts.of(outcome)
                if text is not None:
                    out.write(text)
            if texts.n_written and (end := texts.end()):
                out.write(end)

    def kept(self) -> str | None:
        return _kept_in_journal(self._n_recorded(), self._n_inputs, self._journal)


class _SingleParquet:
    """Writes the Parquet file of a single recording."""

    def __init__(self, destination: ResultDestination) -> None:
        assert destination.output is not None
        if is_folder(destination.output):
            raise UsageError(f"{destination.output}: is a folder; give the name of a file")
        self._output = destination.output

    def write(self, classified: Classified) -> None:
        _write_parquet(self._output, [classified.outcome])

    def finish(self) -> None:
        """Do nothing: the file is complete."""

    def kept(self) -> str | None:
        return None


def _write_parquet(path: Path, outcomes: Iterable[Outcome]) -> None:
    from avscene.cli.output.parquet import write_parquet  # takes a while to import

    write_parquet(path, (outcome for outcome in outcomes if isinstance(outcome, Prediction)))


def _has_content(path: Path, text: str) -> bool:
    """Whether a file has this content already, from an earlier run."""
    content = text.encode("utf-8", "surrogateescape")
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False


def _kept_in_journal(n_kept: int, n_inputs: int, journal: Journal) -> str:
    return f"{n_kept} of {n_inputs} results are kept in {journal.path}; {CONTINUES}"

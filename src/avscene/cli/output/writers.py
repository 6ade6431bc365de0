"""Write the outcomes of a run as they come, or when it is complete; each kind of output has its writer."""

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from avscene.cli.output.files import CONTINUES, TextOutput
from avscene.cli.output.json_lines import JsonLinesFile
from avscene.cli.output.results import ResultDestination
from avscene.cli.output.timeline import timeline_text
from avscene.inference.journal import Journal
from avscene.inference.runs.resumable import Classified
from avscene.media.limits import Limits
from avscene.outputs import is_device
from avscene.records import Failure, json_line
from avscene.reports.recordings import formats
from avscene.reports.recordings.formats import DelimitedRows
from avscene.reports.recordings.markup import SystemInfo
from avscene.reports.recordings.spans import Outcome


class ResultWriter(Protocol):
    """Takes the outcomes of a run one by one."""

    def write(self, classified: Classified) -> None:
        """Take one outcome; a failure is written only in formats that have a record for it ."""
        ...

    def finish(self) -> None:
        """Complete the output, once all outcomes were written."""
        ...

    def kept(self) -> str | None:
        """Return how many results an interrupted run leaves, and where, such as `12 of 40 results are in out.jsonl`."""
        ...


class CompleteRun(Protocol):
    """A run whose outcomes are in a journal."""

    def replay(self) -> Iterator[Outcome]:
        """Yield the outcomes of the complete run again."""
        ...

    def n_recorded(self) -> int:
        """Return the number of outcomes in the journal, so far."""
        ...


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """Where results are written, what they need to know of the system, and how thumbnails are read.

    `limits` and `program` are those of the run. Once `stop` is set, nothing more is read.
    """

    destination: ResultDestination
    system: SystemInfo
    limits: Limits
    program: int | None
    stop: threading.Event


@contextmanager
def result_writer(
    settings: WriterSettings, n_inputs: int, journal: Journal | None, run: CompleteRun
) -> Iterator[ResultWriter]:
    """Open the writer for a destination.

    Args:
        settings: the destination, the system, and how thumbnails are read.
        n_inputs: number of outcomes to come.
        journal: the journal of the run, where it has one.
        run: has the outcomes again once it is complete.

    Raises:
        UsageError: the output cannot be written.
    """
    destination = settings.destination
    output = destination.output
    with ExitStack() as stack:
        writer: ResultWriter
        if destination.is_single and (n_inputs == 1 or output is not None):
            writer = _RecordingFiles(destination, n_inputs)
        elif journal is not None and destination.format == "jsonl" and output is not None:
            lines = stack.enter_context(closing(JsonLinesFile(output, journal)))
            writer = _Lines(lines, n_inputs, output, journal, run)
        elif journal is not None:
            writer = _AtTheEnd(settings, n_inputs, journal, run)
        elif destination.format in ("parquet", "html"):
            writer = _SingleDocument(settings)
        else:
            texts = stack.enter_context(TextOutput(output))
            writer = _Stream(settings, n_inputs, texts)
        yield writer


class _Texts:
    """The parts of one text with all outcomes."""

    def __init__(self, settings: WriterSettings) -> None:
        self._destination = destination = settings.destination
        self._system = settings.system
        delimiter = "," if destination.format == "csv" else "\t"
        self._rows = DelimitedRows(destination.rows, settings.system.labels, delimiter)
        is_file = destination.output is not None and not is_device(destination.output)
        self._mark = formats.BYTE_ORDER_MARK if destination.format == "csv" and is_file else ""
        self._is_list = destination.format == "json" and destination.is_list
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
            case "csv" | "tsv":
                return ("" if self.n_written else self._mark + self._rows.header()) + self._rows.rows(outcome)
        if isinstance(outcome, Failure):
            return None
        if self._destination.format == "table":
            colored = self._destination.output is None and sys.stdout.isatty()
            return timeline_text(outcome, self._system.needs, colored=colored)
        return formats.SINGLE_RECORDING[self._destination.format].to_text(outcome)


class _Stream:
    """Writes each outcome at once to standard output or a device; the file of a single recording appears complete."""

    def __init__(self, settings: WriterSettings, n_inputs: int, out: TextOutput) -> None:
        self._output = settings.destination.output
        self._n_inputs = n_inputs
        self._texts = _Texts(settings)
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

    def __init__(self, file: JsonLinesFile, n_inputs: int, output: Path, journal: Journal, run: CompleteRun) -> None:
        self._file = file
        self._n_inputs = n_inputs
        self._output = output
        self._journal = journal
        self._run = run

    def write(self, classified: Classified) -> None:
        self._file.write(json_line(classified.outcome) if classified.line is None else classified.line.text())

    def finish(self) -> None:
        self._file.finish()

    def kept(self) -> str | None:
        if self._file.replaces:
            return _kept_in_journal(self._run.n_recorded(), self._n_inputs, self._journal)
        self._file.close()
        return f"{self._file.n_lines} of {self._n_inputs} results are in {self._output}; {CONTINUES}"


class _AtTheEnd:
    """Writes a file with all outcomes from the journal, when the run is complete."""

    def __init__(self, settings: WriterSettings, n_inputs: int, journal: Journal, run: CompleteRun) -> None:
        self._settings = settings
        self._n_inputs = n_inputs
        self._journal = journal
        self._run = run

    def write(self, classified: Classified) -> None:
        """Do nothing: the outcome is in the journal."""

    def finish(self) -> None:
        _write_all(self._settings, self._run.replay())

    def kept(self) -> str | None:
        return _kept_in_journal(self._run.n_recorded(), self._n_inputs, self._journal)


class _SingleDocument:
    """Writes the file of a single recording in a format that is not text of one recording after the other."""

    def __init__(self, settings: WriterSettings) -> None:
        self._settings = settings

    def write(self, classified: Classified) -> None:
        _write_all(self._settings, [classified.outcome])

    def finish(self) -> None:
        """Do nothing: the file is complete."""

    def kept(self) -> str | None:
        return None


def _write_all(settings: WriterSettings, outcomes: Iterable[Outcome]) -> None:
    """Write a file with all outcomes."""
    destination = settings.destination
    assert destination.output is not None
    if destination.format == "parquet":
        from avscene.cli.output.parquet import write_parquet  # takes a while to import

        write_parquet(destination.output, outcomes, destination.rows, settings.system.labels)
        return
    if destination.format == "html":
        from avscene.cli.output.page import FRAME_SIZE, write_page
        from avscene.media.workers import MiddleFrameReader

        frames = MiddleFrameReader(FRAME_SIZE, settings.limits, settings.program)
        write_page(destination.output, outcomes, settings.system, frames, settings.stop)
        return
    texts = _Texts(settings)
    with TextOutput(destination.output, one_writer=True) as out:
        for outcome in outcomes:
            text = texts.of(outcome)
            if text is not None:
                out.write(text)
        if texts.n_written and (end := texts.end()):
            out.write(end)


def _has_content(path: Path, text: str) -> bool:
    """Whether a file has this content already, from an earlier run."""
    content = text.encode("utf-8", "surrogateescape")
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False


def _kept_in_journal(n_kept: int, n_inputs: int, journal: Journal) -> str:
    return f"{n_kept} of {n_inputs} results are kept in {journal.path}; {CONTINUES}"

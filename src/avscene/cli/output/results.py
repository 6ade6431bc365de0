"""Describe where the results of `classify` go and in which format, and check that they fit there."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from avscene.cli.output.files import is_folder, partial_path
from avscene.cli.output.uploads import OutputPlace
from avscene.errors import UsageError
from avscene.files import link_target
from avscene.outputs import is_device, journal_beside
from avscene.reports.recordings import formats
from avscene.reports.recordings.rows import RowKind
from avscene.storage.urls import shown

FOLDER_JOURNAL = "avscene.journal"
DEFAULT_FORMAT = "table"
FORMATS = (DEFAULT_FORMAT, "json", "jsonl", "csv", "tsv", "parquet", "html", *formats.SINGLE_RECORDING)
# The first suffix of a format is the usual one.
SUFFIXES = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".html": "html",
    ".htm": "html",
    ".vtt": "vtt",
    ".srt": "srt",
}
ANY_TEXT = ".txt"  # a suffix for each format; the default one is written if none is named


def choose_format(named: str | None, output: Path | None) -> str:
    """Return the format that is named, or that of the suffix of the output, or the default one.

    Raises:
        UsageError: the suffix is that of another format, or of none.
    """
    if output is None or is_folder(output) or is_device(output):
        return named or DEFAULT_FORMAT
    suffix = output.suffix.lower()
    of_suffix = SUFFIXES.get(suffix)
    if named is None:
        if of_suffix is None and suffix not in ("", ANY_TEXT):
            raise UsageError(
                f"{output}: no format has the suffix {output.suffix}; try: one of {', '.join(SUFFIXES)}, or --format"
            )
        return of_suffix or DEFAULT_FORMAT
    if of_suffix is not None and of_suffix != named:
        usual = next((suffix for suffix, name in SUFFIXES.items() if name == named), ANY_TEXT)
        raise UsageError(
            f"{output}: has the suffix of {of_suffix}, but --format is {named}; "
            f"try: --output {output.with_suffix(usual)}, or without --format"
        )
    return named


def choose_rows(named: RowKind | None, chosen: str) -> RowKind:
    """Return the kind of rows that is named, by default segments.

    Raises:
        UsageError: the format has no rows.
    """
    if named is not None and chosen not in formats.ROW_FORMATS:
        raise UsageError(
            f"--rows {named}: is for {', '.join(formats.ROW_FORMATS)}, not for {chosen}; try: --format csv"
        )
    return named or "segments"


@dataclass(frozen=True, slots=True)
class ResultDestination:
    """The format of the results, one of FORMATS, and the file or folder for them (None: standard output).

    `rows` is the kind of rows in formats that have them. JSON is a list if `is_list`. Formats whose files hold a single
    recording are written to a folder if `in_folder`, which is made. `journal_path` replaces the usual journal.
    """

    format: str
    output: Path | None
    rows: RowKind = "segments"
    is_list: bool = False
    in_folder: bool = False
    journal_path: Path | None = None

    @classmethod
    def of(
        cls,
        chosen: str,
        rows: RowKind,
        place: OutputPlace,
        n_inputs: int,
        *,
        is_list: bool,
        journal: Path | None,
    ) -> "ResultDestination":
        """Return the destination of the results of `n_inputs` files, whose format was chosen.

        The output is a folder if it is one, is written with a slash at its end, or gets a file for each of several
        recordings.
        """
        output = place.path
        in_folder = False
        if output is not None and place.url is None:
            is_new = not os.path.exists(output) and SUFFIXES.get(output.suffix.lower()) != chosen  # noqa: PTH110  # unlike Path, never raises
            gets_several = chosen in formats.SINGLE_RECORDING and n_inputs > 1 and is_new
            in_folder = place.is_folder or is_folder(output) or gets_several
        return cls(chosen, output, rows, is_list, in_folder, journal)

    @property
    def is_single(self) -> bool:
        """Whether a file of this format holds a single recording."""
        return self.format in formats.SINGLE_RECORDING

    def check_output(self, n_inputs: int) -> None:
        """Check that the results of `n_inputs` files fit into the output.

        Raises:
            UsageError: subtitles of several recordings would go into one file; a file would go to standard output.
        """
        if self.format in ("parquet", "html") and (self.output is None or is_device(self.output)):
            raise UsageError(f"--format {self.format} needs --output FILE")
        if self.is_single and n_inputs > 1 and not self.in_folder:
            raise UsageError(f"--format {self.format} of {n_inputs} files needs --output FOLDER")
        if not self.is_single and self.in_folder:
            raise UsageError(f"{self.output}: is a folder; give the name of a file, or --format vtt, srt or audacity")
        if self.journal_path is not None and (self.output is None or is_device(self.output)):
            raise UsageError("--journal needs --output FILE")

    def check_journal(self) -> None:
        """Check that results have a journal, also those of a single input.

        Raises:
            UsageError: they are only passed on.
        """
        if self.journal(n_inputs=2) is None:
            raise UsageError("--ray needs --output FILE, in a folder that all nodes see")

    def check_collisions(self, sources: Iterable[str]) -> None:
        """Check that every recording has a subtitle file of its own.

        Raises:
            UsageError: two recordings would have the same file.
        """
        if not self.is_single or not self.in_folder:
            return
        owners: dict[Path | None, str] = {}
        for source in sources:
            file = self.file_of(source)
            owner = owners.setdefault(file, source)
            if owner != source:
                raise UsageError(
                    f"{shown(owner)} and {shown(source)} would both be written to {file}; name them in separate runs"
                )

    def file_of(self, source: str) -> Path | None:
        """Return the file for one recording, in a format whose files hold a single recording."""
        if self.output is None or not self.in_folder:
            return self.output
        return self.output / (Path(shown(source)).name + formats.SINGLE_RECORDING[self.format].extension)

    def journal(self, n_inputs: int) -> Path | None:
        """Return the path of the journal of a run; None for a single file and where results are only passed on."""
        if self.journal_path is not None or n_inputs < 2 or self.output is None:
            return self.journal_path
        if self.in_folder:
            return self.output / FOLDER_JOURNAL
        return journal_beside(self.output)


def partial_beside(output: Path) -> Path | None:
    """Return the file that becomes `output` at the end of a run; None if that is a device, a pipe or a folder."""
    return None if is_device(output) or is_folder(output) else partial_path(link_target(output))

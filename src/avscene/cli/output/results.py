"""Describe where the results of `classify` go, and check that they fit there."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from avscene.cli.output import formats
from avscene.cli.output.files import is_folder, partial_path
from avscene.errors import UsageError
from avscene.files import link_target
from avscene.outputs import is_device, journal_beside
from avscene.storage.urls import shown

FOLDER_JOURNAL = "avscene.journal"


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
            UsageError: subtitles of several recordings would go into one file; Parquet would go to standard output.
        """
        in_folder = self.output is not None and is_folder(self.output)
        if self.format == "parquet" and (self.output is None or is_device(self.output)):
            raise UsageError("--format parquet needs --output FILE")
        if self.format in formats.SINGLE_RECORDING and n_inputs > 1 and not in_folder:
            raise UsageError(f"--format {self.format} of {n_inputs} files needs --output FOLDER, an existing folder")

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
        if self.format not in formats.SINGLE_RECORDING or self.output is None:
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
        if self.output is None or not is_folder(self.output):
            return self.output
        return self.output / (Path(shown(source)).name + formats.SINGLE_RECORDING[self.format].extension)

    def journal(self, n_inputs: int) -> Path | None:
        """Return the path of the journal of a run; None for a single file and where results are only passed on."""
        if n_inputs < 2 or self.output is None:
            return None
        if is_folder(self.output) and self.format in formats.SINGLE_RECORDING:
            return self.output / FOLDER_JOURNAL
        return journal_beside(self.output)


def partial_beside(output: Path) -> Path | None:
    """Return the file that becomes `output` at the end of a run; None if that is a device, a pipe or a folder."""
    return None if is_device(output) or is_folder(output) else partial_path(link_target(output))

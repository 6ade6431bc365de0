"""Decide whether the outputs of a run may replace what exists: an unfinished or equal run may, another one may not.

A file with content is replaced only with `--overwrite`, or by the same command, whose journal knows that it wrote the
file: then what is finished is kept, and new recordings are added.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from avscene.errors import StorageError, UsageError
from avscene.inference.journal.database import PARTIAL_OUTPUT, Journal
from avscene.outputs import refuse_existing

NOTE = "command"  # of a journal, with the name of the format: the command that writes the output, and the file's state


@dataclass(frozen=True, slots=True)
class RunOutput:
    """The files that a run writes, or the object that they become, and whether they may replace others.

    `files` returns them, first the one that the journal is for; `format` distinguishes outputs with one journal.
    `in_folder` is whether each recording has a file, so that the state of none is noted. `arguments` are those of the
    command that decide what is in the output, beside the system and its settings.
    """

    files: Callable[[], Iterable[Path]]
    url: str | None
    format: str
    overwrite: bool
    arguments: tuple[str, ...] = ()
    in_folder: bool = False

    def check_without_journal(self, journal: Path | None) -> None:
        """Refuse to replace what no journal knows, before anything is loaded.

        Raises:
            UsageError: an output exists.
        """
        if not self.overwrite and (journal is None or not journal.exists()):
            self._refuse()

    def begin(self, journal: Journal, settings: str) -> None:
        """Refuse to replace the results of another command; note that this one writes now.

        Args:
            journal: the journal of the run.
            settings: fingerprint of the system and its settings.

        Raises:
            UsageError: an output exists and is not of this command, or was changed since.
        """
        command = self._command(settings)
        if not self.overwrite and not self._is_partial(journal):
            noted, _, state = (journal.note(self._note) or "").partition(" ")
            if noted != command or (state and state != self._state()):
                self._refuse()
        journal.set_note(self._note, command)

    def finish(self, journal: Journal, settings: str) -> None:
        """Note that the output of this command is complete; `settings` as in `begin`."""
        journal.set_note(self._note, f"{self._command(settings)} {self._state()}".rstrip())

    def _command(self, settings: str) -> str:
        return hashlib.sha256(json.dumps([settings, *self.arguments]).encode()).hexdigest()

    @property
    def _note(self) -> str:
        return f"{NOTE} {self.format}"

    def _refuse(self) -> None:
        """Raise UsageError if an output exists."""
        if self.url is None:
            for file in self.files():
                refuse_existing(file)
            return
        from avscene.storage.objects import object_state
        from avscene.storage.urls import shown

        try:
            object_state(self.url)
        except StorageError:
            return
        raise UsageError(f"{shown(self.url)}: already exists; try: --overwrite, or another name")

    def _state(self) -> str:
        """Return size and time of the first file; empty for a folder of many files, and for an object."""
        if self.url is not None or self.in_folder:
            return ""
        try:
            state = next(iter(self.files())).stat()
        except (OSError, StopIteration):
            return ""
        return f"{state.st_size}-{state.st_mtime_ns}"

    def _is_partial(self, journal: Journal) -> bool:
        """Return whether the output is what an interrupted run left."""
        noted = journal.note(PARTIAL_OUTPUT)
        try:
            state = next(iter(self.files())).stat()
        except (OSError, StopIteration):
            return False
        return noted == f"{state.st_dev} {state.st_ino}"

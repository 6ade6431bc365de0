"""Prepare a segment store: decode every recording of a data set once and store each segment as a row."""

import shutil
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import lance
import pyarrow as pa
import pyarrow.compute as pc

from avscene.datasets.dataset import DataSet
from avscene.datasets.store.decoding import Decoded, Decoder, Outcome, decode_in_threads, decode_on_cluster
from avscene.datasets.store.manifest import Manifest, StoreSpec, is_store, read_manifest
from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.rows import SCHEMA, read_decoded
from avscene.datasets.store.table import UNFINISHED, as_data_error, clean_up, open_or_create_table, write_lock
from avscene.errors import DataError, MediaError
from avscene.progress import Progress
from avscene.records import Example

# An interruption loses the recordings since the last commit: about a minute of work; each commit makes a file.
ROWS_PER_COMMIT = 1024
_Decode = Callable[[Decoder, Sequence[Example], threading.Event], Generator[Outcome]]
DECODED = "recordings"  # directory in UNFINISHED of recordings that are not committed yet


@dataclass(frozen=True, slots=True)
class Prepared:
    """The result of `prepare`.

    `failures` names what could not be read, `notes` are warnings on what was decoded now. `decoded` counts recordings
    that are new or have changed, `removed` those that are no longer in the data set.
    """

    store: SegmentStore
    failures: tuple[str, ...]
    notes: tuple[str, ...]
    decoded: int
    removed: int


def prepare(
    data: DataSet,
    directory: str | Path,
    spec: StoreSpec | None = None,
    progress: Progress | None = None,
    *,
    on_cluster: bool = False,
) -> Prepared:
    """Decode what is not in the store yet, so that it holds the recordings of `data` and no others.

    Recordings are identified by their names and the SHA-256 of their files: one whose files changed is decoded again,
    one that is no longer in the data set is removed, one that cannot be read is reported and left out. Labels, groups
    and columns become those of `data` without decoding. After an interruption at any moment, the next call continues.
    With `on_cluster`, the nodes of the connected Ray cluster decode; all must see `directory` and the recordings.

    Raises:
        DataError: `directory` holds something else, a store of another version, with other settings or of another data
            set; another process writes to it; it cannot be written; two recordings have one name.
        MediaError: no recording can be read.
    """
    root, spec = Path(directory), spec or StoreSpec()
    manifest = Manifest.of(data, spec)
    _check_names(data)
    _open_or_create(root, manifest)
    with write_lock(root):
        before = read_manifest(root)
        _check_spec(root, before.spec, spec)
        run = _Preparation(root, before, manifest.model_copy(update={"made_by": before.made_by}))
        removed = run.remove_all_but(data)
        run.note_other_version(before.made_by, manifest.made_by)
        run.add(data.examples, progress, decode_on_cluster if on_cluster else decode_in_threads)
        run.clean_up()
    if not run.has_rows():
        raise MediaError(
            f"{data.source}: none of its {len(data.examples)} recordings can be read; first: {run.failures[0]}"
        )
    return Prepared(SegmentStore.open(root), tuple(run.failures), tuple(run.notes), run.decoded, removed)


def _check_names(data: DataSet) -> None:
    seen: set[str] = set()
    for example in data.examples:
        if example.name in seen:
            raise DataError(f"{data.source}: two recordings are called {example.name!r}")
        seen.add(example.name)


def _open_or_create(root: Path, manifest: Manifest) -> None:
    """Make `root` a store, unless it is one."""
    if is_store(root):
        return
    try:
        # Hidden files are the lock, or the rest of a first `store.json` whose writing was interrupted.
        if root.exists() and (not root.is_dir() or any(not path.name.startswith(".") for path in root.iterdir())):
            raise DataError(f"{root}: is not a segment store and not empty; choose another directory")
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{root}: cannot be written ({error.strerror or error})") from error
    with write_lock(root):
        if not is_store(root):
            manifest.model_copy(update={"complete": False}).write(root)


def _check_spec(root: Path, has: StoreSpec, asked: StoreSpec) -> None:
    if has.jpeg_quality is not None:
        raise DataError(
            f"{root}: was prepared by an earlier version, with JPEG frames and 16-bit audio; systems can be trained "
            "from it, but nothing is added; make a new one: avscene prepare DATA --output ANOTHER"
        )
    different = has.differences(asked)
    if different:
        raise DataError(f"{root}: was prepared with {different}; use its settings, or another --output for yours")


class _Preparation:
    """One run of `prepare`: decodes in threads and commits batches of recordings."""

    def __init__(self, root: Path, before: Manifest, now: Manifest) -> None:
        self.failures: list[str] = []
        self.notes: list[str] = []
        self.decoded = 0
        self._root, self._spec = root, now.spec
        self._written, self._target = before, now
        self._table = open_or_create_table(root)
        self._stored = _contents(self._table)
        self._first_version = self._table.version
        self._pending: list[Decoded] = []
        self._stop = threading.Event()

    def note_other_version(self, before: str, now: str) -> None:
        """Note that rows of another version are kept: it may decode in another way."""
        if self._stored and before != now:
            kept = f"was made by {before}; its {len(self._stored)} recordings are kept"
            self.notes.append(f"{self._root}: {kept}; to decode them with {now}, use another --output")

    def has_rows(self) -> bool:
        """Return whether the store holds any recording."""
        return bool(self._stored) or self.decoded > 0

    def remove_all_but(self, data: DataSet) -> int:
        """Remove recordings that are not in `data`; return their number."""
        wanted = {example.name for example in data.examples}
        gone = self._stored.keys() - wanted
        if gone and len(gone) == len(self._stored):
            raise DataError(
                f"{self._root}: holds another data set: none of its {len(gone)} recordings ({min(gone)} ...) is in "
                f"{data.source}; choose another --output"
            )
        self._delete(gone)
        return len(gone)

    def add(self, examples: tuple[Example, ...], progress: Progress | None, decode: _Decode) -> None:
        """Decode what is new or has changed; finished recordings are committed even if an error ends this."""
        self._clear_decoded()
        self._write_manifest(complete=self._written == self._target)
        decoder = Decoder(dict(self._stored), self._spec, self._decoded_directory)
        try:
            with as_data_error(self._root, "written"), closing(decode(decoder, examples, self._stop)) as outcomes:
                for done, outcome in enumerate(outcomes, start=1):
                    self._take(outcome)
                    if sum(recording.rows for recording in self._pending) >= ROWS_PER_COMMIT:
                        self._commit()
                    if progress is not None:
                        progress(done, len(examples))
        finally:
            self._commit()
            self._clear_decoded()
        self._write_manifest(complete=True)

    def _take(self, outcome: Outcome) -> None:
        if isinstance(outcome, MediaError):
            self.failures.append(str(outcome))
        elif outcome is not None:
            self._pending.append(outcome)
            if outcome.failure is not None:
                self.failures.append(outcome.failure)

    def clean_up(self) -> None:
        """Delete what is no longer needed, if anything was written."""
        if self._table.version != self._first_version:
            with as_data_error(self._root, "written"):
                clean_up(self._table)

    def _write_manifest(self, *, complete: bool) -> None:
        """Write `store.json` with the recordings of this run, and whether all of them have been tried."""
        manifest = self._target.model_copy(update={"complete": complete})
        if manifest != self._written:
            manifest.write(self._root)
            self._written = manifest

    @property
    def _decoded_directory(self) -> Path:
        return self._root / UNFINISHED / DECODED

    def _clear_decoded(self) -> None:
        shutil.rmtree(self._decoded_directory, ignore_errors=True)
        with as_data_error(self._root, "written"):
            self._decoded_directory.mkdir(parents=True)

    def _commit(self) -> None:
        """Append the pending recordings, after deleting their earlier rows from the table."""
        pending, self._pending = self._pending, []
        readable = [recording for recording in pending if recording.failure is None]
        stale = self._stored.keys() & {recording.name for recording in pending}
        if stale or readable:
            self._write_manifest(complete=False)
        self._delete(stale)
        if not readable:
            return
        rows = (batch for recording in readable for batch in read_decoded(recording.path))
        with as_data_error(self._root, "written"):
            reader = pa.RecordBatchReader.from_batches(SCHEMA, rows)
            self._table = lance.write_dataset(reader, self._table, mode="append")
            for recording in readable:
                recording.path.unlink()
        self.decoded += len(readable)
        self.notes += [note for recording in readable for note in recording.notes]

    def _delete(self, names: set[str]) -> None:
        if not names:
            return
        with as_data_error(self._root, "written"):
            self._table.delete(pc.field("recording").isin(sorted(names)))
        for name in names:
            del self._stored[name]


def _contents(table: lance.LanceDataset) -> dict[str, str]:
    """Map the name of each recording in the table to the SHA-256 of its files."""
    columns = table.to_table(columns=["recording", "sha256"])
    return dict(zip(columns.column(0).to_pylist(), columns.column(1).to_pylist(), strict=True))

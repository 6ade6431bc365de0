"""Read and write `store.json`, which describes a segment store: format, settings and recordings."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from avscene.datasets.dataset import DataSet
from avscene.errors import DataError, first_validation_error
from avscene.files import write_text
from avscene.media.sampling import FRAME_SIZE, Sampling
from avscene.records import Example
from avscene.storage.urls import is_remote, shown

FORMAT: Literal["avscene-store/2"] = "avscene-store/2"
# With JPEG frames and 16-bit waveforms: read, but not added to.
EARLIER_FORMAT: Literal["avscene-store/1"] = "avscene-store/1"
MANIFEST = "store.json"


class StoreSpec(BaseModel):
    """The settings of `prepare`; part of every key.

    `hop` is in seconds, `sample_rate` in Hz. A segment has `frames_per_segment` evenly spaced frames, an odd number, so
    that one is in the middle; their shorter side is scaled down to `frame_size` pixels, never up. Frames and waveforms
    are stored without loss. In stores of EARLIER_FORMAT, frames are JPEGs of `jpeg_quality` and waveforms have 16 bits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hop: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    sample_rate: PositiveInt = 48_000
    frames_per_segment: PositiveInt = 3
    frame_size: PositiveInt = FRAME_SIZE
    jpeg_quality: int | None = Field(default=None, ge=1, le=100)

    @model_validator(mode="after")
    def _can_be_sampled(self) -> Self:
        if self.frames_per_segment % 2 == 0:
            raise ValueError(f"an odd number of frames has a middle, {self.frames_per_segment} has none")
        self.sampling()
        return self

    def sampling(self) -> Sampling:
        """Return what the decoder is asked for."""
        return Sampling(self.hop, self.sample_rate, self.frame_size, self.frames_per_segment)

    @property
    def digest(self) -> str:
        """Hash of the settings."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    def differences(self, asked: "StoreSpec") -> str:
        """Return the settings in which `asked` differs as a phrase; empty if there are none."""
        ours, theirs = self.model_dump(), asked.model_dump()
        return ", ".join(f"{name} {ours[name]} (not {theirs[name]})" for name in ours if ours[name] != theirs[name])


class StoredRecording(BaseModel):
    """An `Example` in `store.json`; `path` and `audio` are where its files were when it was decoded."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str
    path: str
    # Its key is "sound" in the stores of every version.
    audio: str | None = Field(validation_alias="sound", serialization_alias="sound")
    label: str
    group: str
    columns: dict[str, str]

    @classmethod
    def of(cls, example: Example) -> "StoredRecording":
        """Convert from an `Example`."""
        audio = None if example.audio is None else _absolute(example.audio)
        return cls(
            name=example.name,
            path=_absolute(example.path),
            audio=audio,
            label=example.label,
            group=example.group,
            columns=example.columns,
        )

    def example(self) -> Example:
        """Convert to an `Example`."""
        audio = None if self.audio is None else _location(self.audio)
        return Example(self.name, _location(self.path), self.label, self.group, audio, self.columns)


def _absolute(path: str | Path) -> str:
    found = shown(path) if is_remote(path) else str(Path(path).absolute())
    return found.encode(errors="replace").decode()


def _location(stored: str) -> str | Path:
    return stored if is_remote(stored) else Path(stored)


class Manifest(BaseModel):
    """The content of `store.json`.

    `source` is the data set that was prepared. `complete` is true once all of `recordings` have been tried. The file is
    written before the rows, so every row belongs to one of `recordings`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["avscene-store/1", "avscene-store/2"] = FORMAT
    made_by: str
    spec: StoreSpec
    source: str
    complete: bool
    recordings: tuple[StoredRecording, ...]

    @classmethod
    def of(cls, data: DataSet, spec: StoreSpec) -> "Manifest":
        """Return the manifest of a complete store of `data`."""
        recordings = tuple(StoredRecording.of(example) for example in data.examples)
        made_by = f"avscene {version('avscene')}"
        return cls(made_by=made_by, spec=spec, source=_absolute(data.source), complete=True, recordings=recordings)

    def write(self, directory: Path) -> None:
        """Write `store.json`; it is replaced as a whole.

        Raises:
            DataError: it cannot be written.
        """
        write_text(directory / MANIFEST, self.model_dump_json(indent=1, by_alias=True) + "\n")


class _Header(BaseModel):
    """The part of `store.json` that every version can read."""

    format: str
    made_by: str = "an unknown program"


def is_store(path: str | Path) -> bool:
    """Return whether `path` is a directory with a segment store."""
    return (Path(path) / MANIFEST).is_file()


def read_manifest(directory: Path) -> Manifest:
    """Read `store.json` of the store in `directory`.

    Raises:
        DataError: it is not a store, one of another version, or damaged.
    """
    path = directory / MANIFEST
    again = "make a new one: avscene prepare DATA --output ANOTHER"
    if not is_store(directory):
        raise DataError(f"{directory}: is not a segment store; to make one: avscene prepare DATA --output STORE")
    try:
        content = path.read_bytes()
        header = _Header.model_validate_json(content)
        if header.format not in (FORMAT, EARLIER_FORMAT):
            raise DataError(
                f"{directory}: is a segment store of format {header.format!r}, made by {header.made_by}; "
                f"avscene {version('avscene')} reads {FORMAT!r}; use that version, or {again}"
            )
        return Manifest.model_validate_json(content)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValidationError as error:
        raise DataError(f"{path}: is damaged ({first_validation_error(error)}); {again}") from error

"""What a segment store says of itself: its format, its settings and its recordings, in `store.json`."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from avscene.datasets.dataset import DataSet
from avscene.errors import DataError, first_validation_error
from avscene.files import write_text
from avscene.media.assembly import Sampling
from avscene.records import Example

FORMAT = "avscene-store/1"
MANIFEST = "store.json"


class StoreSpec(BaseModel):
    """The settings of `prepare`; part of every key.

    `hop` in seconds, `sample_rate` in Hz. A segment has `frames_per_segment` evenly spaced frames, an odd number, so
    that one is the middle; their shorter side is scaled down to `frame_size` pixels, never up. By default the size is
    the most that an encoder of the seed takes (CLIP RN50x4).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hop: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    sample_rate: PositiveInt = 48_000
    frames_per_segment: PositiveInt = 3
    frame_size: PositiveInt = 288
    jpeg_quality: int = Field(default=95, ge=1, le=100)

    @model_validator(mode="after")
    def _can_be_sampled(self) -> Self:
        if self.frames_per_segment % 2 == 0:
            raise ValueError(f"an odd number of frames has a middle, {self.frames_per_segment} has none")
        self.sampling()
        return self

    def sampling(self) -> Sampling:
        """What is asked of the decoder."""
        return Sampling(self.hop, self.sample_rate, self.frame_size, self.frames_per_segment)

    @property
    def digest(self) -> str:
        """Another spec, another digest."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    def differences(self, asked: "StoreSpec") -> str:
        """The settings in which `asked` differs, as a phrase; empty if in none."""
        ours, theirs = self.model_dump(), asked.model_dump()
        return ", ".join(f"{name} {ours[name]} (not {theirs[name]})" for name in ours if ours[name] != theirs[name])


class StoredRecording(BaseModel):
    """An `Example` as `store.json` holds it; `path` and `sound` are where it was when it was decoded."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str
    path: str
    audio: str | None = Field(
        validation_alias="sound", serialization_alias="sound"
    )  # the name of the field in stores of every version
    label: str
    group: str
    columns: dict[str, str]

    @classmethod
    def of(cls, example: Example) -> "StoredRecording":
        """The record of an example."""
        audio = None if example.audio is None else _place(example.audio)
        return cls(
            name=example.name,
            path=_place(example.path),
            audio=audio,
            label=example.label,
            group=example.group,
            columns=example.columns,
        )

    def example(self) -> Example:
        """The example of the record."""
        audio = None if self.audio is None else Path(self.audio)
        return Example(self.name, Path(self.path), self.label, self.group, audio, self.columns)


def _place(path: Path) -> str:
    return str(path.absolute()).encode(errors="replace").decode()


class Manifest(BaseModel):
    """What `store.json` holds.

    `source` is the data set that was prepared; `complete` says that all of `recordings` have been tried. It is written
    before the rows: every row is of one of `recordings`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["avscene-store/1"] = "avscene-store/1"
    made_by: str
    spec: StoreSpec
    source: str
    complete: bool
    recordings: tuple[StoredRecording, ...]

    @classmethod
    def of(cls, data: DataSet, spec: StoreSpec) -> "Manifest":
        """What a store of `data` says once all is done."""
        recordings = tuple(StoredRecording.of(example) for example in data.examples)
        made_by = f"avscene {version('avscene')}"
        return cls(made_by=made_by, spec=spec, source=_place(data.source), complete=True, recordings=recordings)

    def write(self, directory: Path) -> None:
        """Write `store.json`, whole or not at all.

        Raises:
            DataError: it cannot be written.
        """
        write_text(directory / MANIFEST, self.model_dump_json(indent=1, by_alias=True) + "\n")


class _Header(BaseModel):
    """The part of `store.json` that every version can read."""

    format: str
    made_by: str = "an unknown program"


def is_store(path: str | Path) -> bool:
    """Whether `path` is a directory with a segment store."""
    return (Path(path) / MANIFEST).is_file()


def read_manifest(directory: Path) -> Manifest:
    """What the store in `directory` says of itself.

    Raises:
        DataError: it is no store, one of another version, or damaged.
    """
    path = directory / MANIFEST
    again = "make a new one: avscene prepare DATA --output ANOTHER"
    if not is_store(directory):
        raise DataError(f"{directory}: is not a segment store; to make one: avscene prepare DATA --output STORE")
    try:
        content = path.read_bytes()
        header = _Header.model_validate_json(content)
        if header.format != FORMAT:
            raise DataError(
                f"{directory}: is a segment store of format {header.format!r}, made by {header.made_by}; "
                f"avscene {version('avscene')} reads {FORMAT!r}; use that version, or {again}"
            )
        return Manifest.model_validate_json(content)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValidationError as error:
        raise DataError(f"{path}: is damaged ({first_validation_error(error)}); {again}") from error

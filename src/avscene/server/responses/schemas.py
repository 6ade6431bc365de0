"""Define the bodies of requests and responses, with the examples of the OpenAPI document."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonValue

from avscene.media.sampling import MAX_HOP, MIN_HOP
from avscene.server.responses.examples import JOB, PREDICTION

NAME_LENGTH = 255  # characters of a file name
LABEL_LENGTH, MAX_LABELS = 100, 200
SYSTEM_LENGTH = 1000

_PLAIN = r"^[^\x00-\x1f\x7f-\x9f]*$"  # without control characters
FileName = Annotated[str, StringConstraints(min_length=1, max_length=NAME_LENGTH, pattern=_PLAIN)]
SystemName = Annotated[str, StringConstraints(min_length=1, max_length=SYSTEM_LENGTH, pattern=_PLAIN)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=LABEL_LENGTH, pattern=_PLAIN)]
Hop = Annotated[float, Field(ge=MIN_HOP, le=MAX_HOP, allow_inf_nan=False)]
Frames = Literal["exact", "keyframes"]
State = Literal["waiting", "queued", "running", "done", "failed"]


def _example(value: JsonValue) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [value]})


class ErrorFields(BaseModel):
    """The type of a failure, and a message of one line."""

    type: str
    message: str


class ErrorBody(BaseModel):
    """The body of every response that is a failure."""

    error: ErrorFields


class FailureBody(BaseModel):
    """The record of a recording that cannot be classified, or the failure of the request."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "schema": "avscene/1",
                    "source": "film.mp4",
                    "error": {"type": "media", "message": "film.mp4: is not a media file"},
                }
            ]
        }
    )

    schema_: Literal["avscene/1"] = Field(alias="schema")
    source: str
    error: ErrorFields


class SegmentBody(BaseModel):
    """One segment of a prediction."""

    start: float
    end: float
    scene: str | None
    score: float
    scores: dict[str, float]
    mismatch: dict[str, Any] | None
    familiarity: dict[str, Any] | None
    by_model: dict[str, dict[str, float]]


class PredictionBody(BaseModel):
    """The prediction for one recording, schema `avscene/1`."""

    model_config = ConfigDict(json_schema_extra={"examples": [PREDICTION]})

    schema_: Literal["avscene/1"] = Field(alias="schema")
    source: str
    duration: float
    system: str
    labels: list[str]
    modalities: dict[str, bool]
    scene: str | None
    score: float
    scores: dict[str, float]
    mismatch: dict[str, Any] | None
    familiarity: dict[str, Any] | None
    segments: list[SegmentBody]
    warnings: list[str]


class NewJob(BaseModel):
    """A recording to classify, whose media is sent afterwards."""

    model_config = _example({"name": "film.mp4", "system": "conse", "labels": ["park", "street"], "frames": "exact"})

    name: FileName = Field(description="File name of the recording; never used as a path.")
    system: SystemName | None = Field(None, description="Name of a system; null is the default of the server.")
    labels: list[Label] | None = Field(
        None, min_length=2, max_length=MAX_LABELS, description="Scenes, for a zero-shot system."
    )
    hop: Hop | None = Field(None, description="Length of a segment in seconds; null is that of the system.")
    frames: Frames = Field("exact", description="keyframes: many times faster, from key frames only.")


class JobBody(BaseModel):
    """A job: what was asked for, how far it is, and an outline of its result."""

    model_config = ConfigDict(json_schema_extra={"examples": [JOB]})

    id: str
    name: str
    state: State
    created: str = Field(description="ISO 8601, UTC; so are the other times.")
    started: str | None
    finished: str | None
    size: int = Field(description="Bytes of the media.")
    system: str
    labels: list[str] | None
    hop: float | None
    frames: Frames
    position: int | None = Field(description="Jobs before this one in the queue; null unless it is queued.")
    reached: float = Field(description="Seconds of the recording that are scored.")
    duration: float | None = Field(description="Seconds of the recording; null if unknown.")
    seconds_left: float | None = Field(description="Estimated time until the job is done; null if unknown.")
    attempts: int
    version: int = Field(description="Number of changes; the id of an event.")
    scene: str | None
    scenes: list[str]
    score: float | None
    unsure: bool | None
    mismatch: bool | None
    modalities: dict[str, bool] | None
    models: dict[str, str] | None = Field(description="By model: audio, video or both.")
    error: ErrorFields | None


class JobList(BaseModel):
    """Jobs, the newest first; `next` is the value of `before` for the next page."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"jobs": [JOB], "next": None}]})

    jobs: list[JobBody]
    next: str | None


class SystemBody(BaseModel):
    """A system, what it needs, and whether its weights are here."""

    name: str
    title: str
    kind: str
    needs: Literal["audio", "video", "both"]
    zero_shot: bool
    weights: Literal["available", "downloadable", "missing", "untrained"]
    note: str
    labels: list[str] | None


class SystemList(BaseModel):
    """The systems, and the default of the server."""

    default: str
    systems: list[SystemBody]


class LimitsBody(BaseModel):
    """What the server accepts, and what it offers."""

    max_upload: int = Field(description="Bytes.")
    max_duration: float = Field(description="Seconds.")
    keep: float = Field(description="Days that finished jobs are kept.")
    suffixes: list[str] = Field(description="Of media files.")
    archive: bool
    token: bool


class SignIn(BaseModel):
    """The token, in exchange for a cookie."""

    model_config = _example({"token": "0123456789abcdef0123456789abcdef"})

    token: Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class HealthBody(BaseModel):
    """Whether the server works."""

    model_config = _example({"status": "ok"})

    status: Literal["ok"]


class ThumbnailsBody(BaseModel):
    """Frames in one image, row by row."""

    width: int = Field(description="Pixels of a tile.")
    height: int = Field(description="Pixels of a tile.")
    columns: int = Field(description="Tiles in a row.")
    times: list[float] = Field(description="Seconds at which the frames are shown.")


class PreviewBody(BaseModel):
    """The waveform of a media file, and where its thumbnails are in their image."""

    model_config = _example(
        {
            "duration": 4.0,
            "peaks": [[-0.5, 0.5], [-0.25, 0.31], [-0.02, 0.02]],
            "thumbnails": {"width": 160, "height": 90, "columns": 2, "times": [1.0, 3.0]},
            "error": None,
        }
    )

    duration: float = Field(description="Seconds; 0 for a photograph.")
    peaks: list[tuple[float, float]] | None = Field(
        description="Smallest and largest sample, in [-1, 1], of equal parts of the duration; null without audio."
    )
    thumbnails: ThumbnailsBody | None = Field(description="null without video.")
    error: str | None = Field(description="Why a file that cannot be decoded has neither.")


class ComputingBody(BaseModel):
    """What is asked for is being computed."""

    model_config = _example({"state": "computing"})

    state: Literal["computing"]


class ArchivedBody(BaseModel):
    """A recording of an archive, and an outline of its result."""

    number: int
    source: str = Field(description="Path or URL, as `classify` was given it.")
    system: str | None
    duration: float | None = Field(description="Seconds.")
    scene: str | None
    scenes: list[str]
    score: float | None
    unsure: bool
    mismatch: bool | None = Field(description="Whether audio and video do not belong together somewhere.")
    unfamiliar: bool | None = Field(description="Whether the recording is unlike those of training.")
    error: ErrorFields | None
    has_media: bool = Field(description="Whether the media is on the machine of the server.")


class ArchiveBody(BaseModel):
    """Recordings of an archive that meet the conditions, and how many have each scene."""

    model_config = _example(
        {
            "total": 1,
            "recordings": [
                {
                    "number": 12,
                    "source": "archive/2024/film.mp4",
                    "system": "fast",
                    "duration": 10.0,
                    "scene": "park",
                    "scenes": ["park"],
                    "score": 0.81,
                    "unsure": False,
                    "mismatch": None,
                    "unfamiliar": None,
                    "error": None,
                    "has_media": True,
                }
            ],
            "scenes": {"park": 1},
            "broken": 0,
        }
    )

    total: int
    recordings: list[ArchivedBody]
    scenes: dict[str, int]
    broken: int = Field(description="Records in the files of the archive that are no results.")

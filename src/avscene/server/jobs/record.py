"""Define a job: the request for one recording, its state, and an outline of its result."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from avscene.errors import AvsceneError


class QueueFullError(AvsceneError):
    """As many jobs wait or run as the server accepts."""

    @property
    def kind(self) -> str:
        """Name in error records."""
        return "busy"


class JobStateError(AvsceneError):
    """A job is in a state in which the change is not possible."""

    @property
    def kind(self) -> str:
        """Name in error records."""
        return "conflict"


class JobState(StrEnum):
    """State of a job: it waits for its media, is queued, runs, and is then done or failed."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self in (JobState.DONE, JobState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What a client asks for.

    Attributes:
        name: File name of the recording, as the client has it; never used as a path.
        system: Name or checkpoint directory of the system.
        labels: Scenes of a zero-shot system; None for those of the system.
        hop: Seconds from one segment to the next; None for that of the system.
        keyframes: Whether only key frames are decoded.
        listed: Whether lists contain the job. A request that waits for its result is not listed, and is removed when
            the server starts, since nobody waits for it any more.
    """

    name: str
    system: str
    labels: tuple[str, ...] | None = None
    hop: float | None = None
    keyframes: bool = False
    listed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What a list shows of a finished job.

    Attributes:
        scenes: Predicted scenes of the segments, each once.
        scene: Predicted scene of the recording; None if none was accepted.
        score: Probability of the most probable scene.
        unsure: Whether the probability of a scene is too low to accept.
        mismatch: Whether audio and video do not belong together; None if it was not measured.
        duration: Of the recording, in seconds.
        modalities: Whether the recording has audio and video.
        models: By the name of a model its modality: "audio", "video" or "both".
    """

    scenes: tuple[str, ...]
    scene: str | None
    score: float
    unsure: bool
    mismatch: bool | None
    duration: float
    modalities: Mapping[str, bool] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """Why a job failed: the type of the error, such as "media", and a message of one line."""

    type: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row of the table of jobs; times are in seconds since 1970.

    Attributes:
        id: 22 random characters of `A-Z`, `a-z`, `0-9`, `-` and `_`.
        request: What the client asked for.
        state: Its state.
        version: Number of changes of the row; a client that knows a version can ask for later ones.
        created: When the job was added.
        started: When it was last begun.
        finished: When it ended.
        size: Bytes of its media.
        attempts: How often it was begun.
        reached: Seconds of the recording that are scored.
        duration: Seconds of the recording; None if unknown.
        outline: Of the result, if it is done.
        error: Why it failed.
    """

    id: str
    request: JobRequest
    state: JobState
    version: int
    created: float
    started: float | None = None
    finished: float | None = None
    size: int = 0
    attempts: int = 0
    reached: float = 0.0
    duration: float | None = None
    outline: Outline | None = None
    error: JobError | None = None

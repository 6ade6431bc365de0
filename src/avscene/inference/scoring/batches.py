"""Group the segments of a recording into batches that are scored together."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from avscene.errors import MediaError
from avscene.features.content import ContentFilter
from avscene.inference.scoring.missing import Missing
from avscene.inference.sources import Source
from avscene.media.sampling import Sampling
from avscene.records import AudioSource, Modality, Segment

BATCH_SIZE = 16  # waveforms or frames scored at once: enough to keep networks busy, few enough to bound memory
MAX_SEGMENTS = 64  # of a batch, where many segments share a frame (key frames)


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """Properties of a recording that was read; `duration` is in seconds, `audio_source` how its audio is stored.

    `modalities` states what it has; of a decoded modality, whether any segment has it. `missing` is the reason if not.
    """

    duration: float
    modalities: dict[Modality, bool]
    warnings: tuple[str, ...]
    missing: Missing = field(default_factory=Missing)
    audio_source: AudioSource | None = None


class Batch(NamedTuple):
    """Consecutive segments of one recording, `source`, which is at `position` among the sources.

    `number` counts the batches of the recording from 0. `end` comes with the last one: the properties of the recording,
    or the error that ended it.
    """

    position: int
    number: int
    segments: tuple[Segment, ...]
    source: Source
    end: RecordingInfo | MediaError | None = None

    def cancelled(self) -> "Batch":
        """Return the batch without what would be scored, of a recording that ends with an error."""
        error = None if self.end is None else MediaError(f"{self.source.path}: was cancelled")
        return self._replace(segments=(), end=error)


class ReadRecording(Protocol):
    """A recording whose segments were read, from a file or from arrays."""

    @property
    def duration(self) -> float: ...  # noqa: D102
    @property
    def has_audio(self) -> bool: ...  # noqa: D102
    @property
    def has_video(self) -> bool: ...  # noqa: D102
    @property
    def warnings(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def audio_source(self) -> AudioSource | None: ...  # noqa: D102


def recording_info(recording: ReadRecording, content: ContentFilter, sampling: Sampling) -> RecordingInfo:
    """Return the properties of a recording whose segments were read through `content`."""
    modalities: dict[Modality, bool] = {"audio": recording.has_audio, "video": recording.has_video}
    decoded = [modality for modality in modalities if modalities[modality] and modality in sampling.modalities]
    missing = Missing.of(content, decoded)
    modalities |= dict.fromkeys(missing.throughout, False)
    return RecordingInfo(recording.duration, modalities, recording.warnings, missing, recording.audio_source)


def grouped(segments: Iterable[Segment]) -> Iterator[tuple[Segment, ...]]:
    """Yield consecutive segments in groups of at most BATCH_SIZE different waveforms or frames; perhaps no group."""
    group: list[Segment] = []
    for segment in segments:
        group.append(segment)
        if is_full(group):
            yield tuple(group)
            group = []
    if group:
        yield tuple(group)


def is_full(segments: Sequence[Segment]) -> bool:
    """Whether segments are as many as are scored at once: BATCH_SIZE different waveforms or frames."""
    n_waveforms = sum(segment.waveform is not None for segment in segments)
    n_frames = len({id(frame.pixels) for segment in segments for frame in segment.frames})
    return max(n_waveforms, n_frames) >= BATCH_SIZE or len(segments) == MAX_SEGMENTS

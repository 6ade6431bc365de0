"""Define the limits of a recording, and read how much memory this process has left of its own limit."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from avscene.errors import MediaError, UsageError

GIB = 2**30
ADVICE = "; to allow more: --limit "


@dataclass(frozen=True, slots=True)
class Limits:
    """What one recording may need; one that needs more is an error.

    Attributes:
        hours: Duration. No recording of a scene lasts longer than a day, but broken timestamps pretend to.
        megapixels: Of one frame: more than any camera's, less than a hostile header can claim.
        streams: Number of streams in the file.
        memory: GiB that the process which decodes it may allocate (enforced by Linux).
        stall: Seconds without any progress, after which decoding is stopped.
        download: GiB that a file in object storage may have; it is copied to a temporary file first.
        threads: Threads of a video decoder; each holds frames in memory.

    Raises:
        UsageError: a number is not positive.
    """

    hours: float = 24.0
    megapixels: float = 134.0
    streams: int = 256
    memory: float = 2.0
    stall: float = 60.0
    download: float = 16.0
    threads: int = 16

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(f"limit {name}={getattr(self, name)}: must be a positive number")

    @classmethod
    def parse(cls, settings: list[str]) -> "Limits":
        """Return the default limits changed by settings such as `hours=48`.

        Raises:
            UsageError: no such limit, or not a positive number.
        """
        names = [field.name for field in fields(cls)]
        changes: dict[str, Any] = {}
        for setting in settings:
            name, _, value = setting.partition("=")
            if name not in names:
                raise UsageError(f"--limit {setting!r}: is not NAME=NUMBER with a name of {', '.join(names)}")
            try:
                changes[name] = int(value) if name in ("streams", "threads") else float(value)
            except ValueError:
                raise UsageError(f"--limit {setting!r}: {value!r} is not a number") from None
        return cls(**changes)

    @property
    def pixels(self) -> int:
        """The largest number of pixels of a frame."""
        return int(self.megapixels * 1e6)

    @property
    def memory_bytes(self) -> int:
        """The largest number of bytes that a process may allocate."""
        return int(self.memory * GIB)

    @property
    def download_bytes(self) -> int:
        """The largest number of bytes that a file in object storage may have."""
        return int(self.download * GIB)


DEFAULT_LIMITS = Limits()


def memory_error(path: Path, limits: Limits) -> MediaError:
    """Make the error for a recording that needs more memory than the limit."""
    return MediaError(f"{path}: needs more than {limits.memory:g} GiB of memory{ADVICE}memory=NUMBER")


def duration_error(limits: Limits) -> MediaError:
    """Make the error for a recording that is longer than the limit; it does not name the file."""
    return MediaError(f"is longer than {limits.hours:g} h{ADVICE}hours=NUMBER")


def is_memory_exhausted() -> bool:
    """Return whether this process has allocated more than half of what it may (RLIMIT_DATA, on Linux).

    A single allocation that fails before that was of an absurd size: its cause is a damaged file, not a large one.
    """
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
        n_pages = int(Path("/proc/self/statm").read_text().split()[5])
    except (ImportError, OSError):
        return False
    return limit != resource.RLIM_INFINITY and n_pages * resource.getpagesize() > limit / 2


def without_advice(message: str) -> str:
    """Return the message of an error without its advice to raise a limit, for readers who cannot raise it."""
    return message.partition(ADVICE)[0]

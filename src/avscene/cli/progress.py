"""Show the progress of commands on standard error, and count the recordings of a run."""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from avscene.progress import Reporter, short_time
from avscene.reports.recordings.counts import OutcomeCounts

if TYPE_CHECKING:
    from avscene.inference.runs.resumable import Classified

logger = logging.getLogger(__name__)

MOST_SUFFIXES = 3  # of ignored files that are listed


def stage_bars() -> Reporter:
    """Return a reporter of stages; it shows nothing if messages of level INFO are not shown."""
    return Reporter(logger.info, quiet=not logger.isEnabledFor(logging.INFO))


def byte_bar() -> Reporter:
    """Return a reporter of bytes; it shows nothing if messages of level INFO are not shown."""
    return Reporter(logger.info, unit="bytes", quiet=not logger.isEnabledFor(logging.INFO))


class RunMeter:
    """Counts of a run over many recordings: done, taken from the journal, failed, by scene; and its rates.

    `media` is the duration of the recordings that this run computed, in seconds. `ignored` counts files that are not
    media files, by suffix.
    """

    def __init__(self, n_files: int, ignored: Counter[str] | None = None) -> None:
        self.n_files = n_files
        self.n_reused = 0
        self.n_computed = 0
        self.media = 0.0
        self._counts = OutcomeCounts()
        self._ignored: Counter[str] = Counter() if ignored is None else ignored
        self._started = time.monotonic()

    @property
    def n_done(self) -> int:
        """Number of recordings that have an outcome."""
        return self.n_reused + self.n_computed

    @property
    def n_failed(self) -> int:
        """Number of recordings whose outcome is a failure."""
        return self._counts.failed.total()

    def count(self, classified: "Classified") -> None:
        """Count a recording."""
        self._counts.add(classified.summary)
        if classified.reused:
            self.n_reused += 1
        else:
            self.n_computed += 1
            self.media += classified.summary.seconds

    def rates(self) -> str:
        """Return files per second and media per time, of what this run computed."""
        elapsed = max(time.monotonic() - self._started, 1e-3)
        return f"{self.n_computed / elapsed:.1f} files/s, {self.media / elapsed:.1f} hours of media per hour"

    def time_left(self) -> str:
        """Return the time that the other recordings take at the rate so far, as text; empty before the first."""
        if not self.n_computed:
            return ""
        elapsed = time.monotonic() - self._started
        return f", {short_time(elapsed / self.n_computed * (self.n_files - self.n_done))} left"

    def log_summary(self, written: str | None = None) -> None:
        """Log the counts of a run over more than one recording, and the name of what was `written`."""
        if self.n_files < 2:
            return
        if scenes := self._counts.scenes_text():
            logger.info(f"scenes: {scenes}")
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self._counts.failed.items()))
        failed = f"{self.n_failed} failed ({kinds})" if kinds else "0 failed"
        reused = f", {self.n_reused} known from the journal" if self.n_reused else ""
        parts = [f"{self.n_done - self.n_failed} of {self.n_files} recordings done, {failed}{reused}"]
        parts += [self.rates()] if self.n_computed else []
        parts += [f"{self._counts.hours} of media in all"] if self._counts.n_classified else []
        parts += [self._ignored_text()] if self._ignored else []
        parts += [f"written to {written}"] if written is not None else []
        logger.info("; ".join(parts))

    def _ignored_text(self) -> str:
        most = self._ignored.most_common(MOST_SUFFIXES)
        rest = self._ignored.total() - sum(count for _, count in most)
        listed = [f"{suffix} {count}" for suffix, count in most] + ([f"others {rest}"] if rest else [])
        return f"{self._ignored.total()} files ignored, no media files by their suffix ({', '.join(listed)})"


class RunProgress:
    """A context manager that shows the counts of a run."""

    def __init__(self, meter: RunMeter) -> None:
        self._meter = meter
        self._reporter = stage_bars()

    def __enter__(self) -> "RunProgress":
        self._reporter.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reporter.__exit__(kind, error, trace)

    def show(self, current: str = "") -> None:
        """Show the counts and what is being done; may be called often."""
        meter = self._meter
        note = f"{meter.rates()}{meter.time_left()}" if meter.n_computed else ""
        self._reporter.show("classifying", meter.n_done, meter.n_files, note, current)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Remove the bar while something is printed in its place."""
        with self._reporter.paused():
            yield

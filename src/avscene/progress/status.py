"""Describe how far a stage of long work is, in a few words."""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["steps", "bytes"]

_GIGABYTE, _MEGABYTE = 10**9, 10**6


@dataclass(frozen=True, slots=True)
class Status:
    """How far a stage is.

    Attributes:
        stage: what is being done.
        done: steps or bytes that are done.
        total: all of them; 0 if it is not known.
        elapsed: seconds since the stage began.
        note: time left or rates, as text; may be empty.
        detail: what changes too often for a line, such as the current file; may be empty.
        unit: what is counted.
    """

    stage: str
    done: int
    total: int
    elapsed: float
    note: str
    detail: str
    unit: Unit

    @property
    def is_complete(self) -> bool:
        """Whether all steps are done."""
        return 0 < self.total <= self.done

    def counts(self) -> str:
        """Return `12 of 40`, or `1.2 of 4.5 GB`; empty if the number of steps is not known."""
        if not self.total:
            return ""
        if self.unit == "steps":
            return f"{self.done} of {self.total}"
        size, name = (_GIGABYTE, "GB") if self.total >= _GIGABYTE else (_MEGABYTE, "MB")
        return f"{self.done / size:.1f} of {self.total / size:.1f} {name}"

    def line(self) -> str:
        """Return the status as a line of text, such as `training: 12 of 40, 0:30 left`."""
        ending = f"done in {short_time(self.elapsed)}" if self.is_complete else self.note
        return f"{self.stage}: {', '.join(filter(None, (self.counts(), ending)))}"


def time_left(done: int, total: int, elapsed: float) -> str:
    """Return the time that the rest takes at the rate so far, such as `0:30 left`; empty if nothing is done yet."""
    return f"{short_time(elapsed / done * (total - done))} left" if 0 < done < total else ""


def short_time(seconds: float, *, tenths: bool = False) -> str:
    """Return `m:ss`, or `h:mm:ss` from an hour on; with `tenths`, `m:ss.t`."""
    whole, tenth = divmod(round(seconds * 10), 10) if tenths else (round(seconds), 0)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    return f"{text}.{tenth}" if tenths else text

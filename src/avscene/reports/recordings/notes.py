"""Describe in lines of text what a reader of a prediction must know: mismatch of audio and video, unfamiliarity."""

from collections.abc import Iterator

from avscene.records import Prediction
from avscene.verdicts import FAMILIAR_SHARE

MISMATCH = "mismatch: audio and video do not seem to belong together"


def short_time(seconds: float, *, tenths: bool = False) -> str:
    """Return `m:ss`, or `h:mm:ss` from an hour on; with `tenths`, `m:ss.t`."""
    whole, tenth = divmod(round(seconds * 10), 10) if tenths else (round(seconds), 0)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    return f"{text}.{tenth}" if tenths else text


def has_tenths(prediction: Prediction) -> bool:
    """Return whether segments begin at fractions of a second, for example with a hop of half a second."""
    return any(segment.start % 1 for segment in prediction.segments)


def unfamiliar_lines(prediction: Prediction) -> Iterator[str]:
    """Yield that a recording or some of its segments are like nothing in training."""
    segments, tenths = prediction.segments, has_tenths(prediction)
    unfamiliar = [s for s in segments if s.familiarity is not None and not s.familiarity.familiar]
    count = f"{len(unfamiliar)} of {len(segments)} segments are unlike those that the system was trained on"
    if is_unfamiliar(prediction):
        yield f"unfamiliar: {count}; it may show none of the scenes"
    elif len(unfamiliar) > FAMILIAR_SHARE * len(segments):  # so many are to be expected
        first, last = (short_time(time, tenths=tenths) for time in (unfamiliar[0].start, unfamiliar[-1].end))
        yield f"partly unfamiliar: {count}, between {first} and {last}"


def is_unfamiliar(prediction: Prediction) -> bool:
    """Return whether the recording as a whole is unlike those of training."""
    return prediction.familiarity is not None and not prediction.familiarity.familiar


def mismatch_lines(prediction: Prediction) -> Iterator[str]:
    """Yield what a reader of a verdict, or of spans without one, needs to weigh it."""
    mismatch, tenths = prediction.mismatch, has_tenths(prediction)
    if mismatch is None or not (mismatch.verdict or mismatch.spans):
        return
    if mismatch.verdict:
        yield f"{MISMATCH} ({mismatch.score:.0%})"
    for span in mismatch.spans:
        start, end = (short_time(time, tenths=tenths) for time in (span.start, span.end))
        yield f"{MISMATCH} from {start} to {end} ({span.score:.0%})"
    if mismatch.false_alarms is None:
        yield f"  for a prior of {mismatch.prior:g} (--prior), threshold {mismatch.threshold:.0%}"
    else:
        yield (
            f"  for a prior of {mismatch.prior:g} (--prior), threshold {mismatch.threshold:.0%}: of 100 intact "
            f"recordings, {mismatch.false_alarms:.2g} are expected above it"
        )

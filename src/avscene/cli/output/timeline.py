"""Turn a prediction into a timeline for a terminal."""

import io
import shutil
from collections.abc import Iterator

from rich.bar import Bar
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from avscene.cli.output.files import printable
from avscene.cli.output.formats import UNKNOWN_SCENE, scene_of, scene_spans
from avscene.progress import short_time
from avscene.records import Prediction
from avscene.verdicts import FAMILIAR_SHARE

# Distinct on dark and light backgrounds; after the last the colors repeat.
_COLORS = (
    "cyan",
    "magenta",
    "green",
    "yellow",
    "blue",
    "red",
    "bright_cyan",
    "bright_magenta",
    "bright_green",
    "bright_black",
)
_UNKNOWN_COLOR = "white"
_BAR = 24  # characters of a full bar
_STRIP = 60  # characters of the longest strip


def timeline_text(prediction: Prediction, *, colored: bool) -> str:
    """Return the scene of a recording, a colored strip over its duration, and a line for each span of one scene."""
    text = io.StringIO()
    width = shutil.get_terminal_size().columns
    console = Console(file=text, width=width, force_terminal=colored, color_system="standard" if colored else None)
    console.print(_headline(prediction), soft_wrap=True)
    console.print(Padding(_body(prediction, colored=colored), (0, 0, 1, 2)))
    return "".join(line.rstrip() + "\n" for line in text.getvalue().splitlines())


def _headline(prediction: Prediction) -> Text:
    present = [name for name, is_present in prediction.modalities.items() if is_present]
    line = Text(printable(prediction.source), style="bold")
    line.append(f"  {short_time(prediction.duration)}  ", style="dim")
    scene = UNKNOWN_SCENE if prediction.scene is None else f"{prediction.scene} {prediction.score:.0%}"
    line.append(scene, style=f"bold {_color(prediction, prediction.scene)}")
    return line.append(f"  ({prediction.system}; {' and '.join(present)})", style="dim")


def _body(prediction: Prediction, *, colored: bool) -> Group:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    tenths = any(segment.start % 1 for segment in prediction.segments)  # for example with a hop of half a second
    for span in scene_spans(prediction):
        color = _color(prediction, span.scene)
        table.add_row(
            f"{short_time(span.start, tenths=tenths)} - {short_time(span.end, tenths=tenths)}",
            Text(span.label, style=color),
            "" if span.scene is None else Bar(1.0, 0, span.score, width=_BAR, color=color),
            "" if span.scene is None else f"{span.score:.0%}",
        )
    notes = [Text(f"note: {warning}", style="dim") for warning in prediction.warnings]
    notes = [Text(line, style="dim") for line in _mismatch_lines(prediction, tenths=tenths)] + notes
    strip = [_strip(prediction)] if colored else []
    first = [Text(line, style="bold") for line in _unfamiliar_lines(prediction, tenths=tenths)]
    return Group(*first, *strip, table, *notes)


def _unfamiliar_lines(prediction: Prediction, *, tenths: bool) -> Iterator[str]:
    """Yield, before the scenes, that a recording or some of its segments are like nothing in training."""
    segments = prediction.segments
    unfamiliar = [s for s in segments if s.familiarity is not None and not s.familiarity.familiar]
    count = f"{len(unfamiliar)} of {len(segments)} segments are unlike those that the system was trained on"
    if prediction.familiarity is not None and not prediction.familiarity.familiar:
        yield f"unfamiliar: {count}; it may show none of the scenes"
    elif len(unfamiliar) > FAMILIAR_SHARE * len(segments):  # so many are to be expected
        first, last = (short_time(time, tenths=tenths) for time in (unfamiliar[0].start, unfamiliar[-1].end))
        yield f"partly unfamiliar: {count}, between {first} and {last}"


def _mismatch_lines(prediction: Prediction, *, tenths: bool) -> Iterator[str]:
    """Yield what a reader of a verdict, or of spans without one, needs to judge it."""
    mismatch = prediction.mismatch
    if mismatch is None or not (mismatch.verdict or mismatch.spans):
        return
    what = "mismatch: audio and video do not seem to belong together"
    if mismatch.verdict:
        yield f"{what} ({mismatch.score:.0%})"
    for span in mismatch.spans:
        start, end = (short_time(time, tenths=tenths) for time in (span.start, span.end))
        yield f"{what} from {start} to {end} ({span.score:.0%})"
    if mismatch.false_alarms is None:
        yield f"  for a prior of {mismatch.prior:g} (--prior), threshold {mismatch.threshold:.0%}"
    else:
        yield (
            f"  for a prior of {mismatch.prior:g} (--prior), threshold {mismatch.threshold:.0%}: of 100 intact "
            f"recordings, {mismatch.false_alarms:.2g} are expected above it"
        )


def _strip(prediction: Prediction) -> Text:
    """Return a colored block for each segment; for a long recording, for each of _STRIP equal parts."""
    segments = prediction.segments
    width = min(len(segments), _STRIP)
    strip = Text()
    for cell in range(width):
        segment = segments[cell * len(segments) // width]
        strip.append("█", style=_color(prediction, scene_of(prediction, segment)))
    return strip


def _color(prediction: Prediction, scene: str | None) -> str:
    return _UNKNOWN_COLOR if scene is None else _COLORS[prediction.labels.index(scene) % len(_COLORS)]

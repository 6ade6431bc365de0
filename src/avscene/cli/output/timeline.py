"""A prediction as a timeline that a person reads at a glance."""

import io
import shutil

from rich.bar import Bar
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from avscene.cli.output.files import printable
from avscene.cli.output.formats import UNKNOWN, scene_of, stretches
from avscene.records import Prediction

# Distinct on dark and light backgrounds; scenes beyond them take colours again from the first.
_COLOURS = (
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
_UNKNOWN_COLOUR = "white"
_BAR = 24  # characters of a full bar
_STRIP = 60  # characters of the longest strip


def rendered(prediction: Prediction, *, coloured: bool) -> str:
    """One recording as text: its scene, a strip of colours from its beginning to its end, and its stretches."""
    text = io.StringIO()
    width = shutil.get_terminal_size().columns
    console = Console(file=text, width=width, force_terminal=coloured, color_system="standard" if coloured else None)
    console.print(_headline(prediction), soft_wrap=True)
    console.print(Padding(_body(prediction, coloured=coloured), (0, 0, 1, 2)))
    return "".join(line.rstrip() + "\n" for line in text.getvalue().splitlines())


def _headline(prediction: Prediction) -> Text:
    has = [name for name, key in (("sound", "audio"), ("picture", "video")) if prediction.modalities[key]]  # type: ignore[index]
    line = Text(printable(prediction.source), style="bold")
    line.append(f"  {clock(prediction.duration)}  ", style="dim")
    scene = UNKNOWN if prediction.scene is None else f"{prediction.scene} {prediction.score:.0%}"
    line.append(scene, style=f"bold {_colour(prediction, prediction.scene)}")
    return line.append(f"  ({prediction.system}; {' and '.join(has)})", style="dim")


def _body(prediction: Prediction, *, coloured: bool) -> Group:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    tenths = any(segment.start % 1 for segment in prediction.segments)  # a hop of half a second, say
    for stretch in stretches(prediction):
        colour = _colour(prediction, stretch.scene)
        table.add_row(
            f"{clock(stretch.start, tenths=tenths)} - {clock(stretch.end, tenths=tenths)}",
            Text(stretch.label, style=colour),
            "" if stretch.scene is None else Bar(1.0, 0, stretch.score, width=_BAR, color=colour),
            "" if stretch.scene is None else f"{stretch.score:.0%}",
        )
    notes = [Text(f"note: {warning}", style="dim") for warning in prediction.warnings]
    if prediction.mismatch is not None and prediction.mismatch.verdict:
        score = f"{prediction.mismatch.score:.0%}"
        notes.insert(0, Text(f"mismatch: sound and picture do not seem to belong together ({score})", style="dim"))
    strip = [_strip(prediction)] if coloured else []  # a strip tells nothing without its colours
    return Group(*strip, table, *notes)


def _strip(prediction: Prediction) -> Text:
    """One block of colour for each segment; of long recordings for each of _STRIP equal parts."""
    segments = prediction.segments
    width = min(len(segments), _STRIP)
    strip = Text()
    for cell in range(width):
        segment = segments[cell * len(segments) // width]
        strip.append("█", style=_colour(prediction, scene_of(prediction, segment)))
    return strip


def _colour(prediction: Prediction, scene: str | None) -> str:
    return _UNKNOWN_COLOUR if scene is None else _COLOURS[prediction.labels.index(scene) % len(_COLOURS)]


def clock(seconds: float, *, tenths: bool = False) -> str:
    """`m:ss`, or `h:mm:ss` from an hour on; with `tenths` `m:ss.t`."""
    whole, tenth = divmod(round(seconds * 10), 10) if tenths else (round(seconds), 0)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    return f"{text}.{tenth}" if tenths else text

"""Turn a prediction into a timeline for a terminal."""

import io
import shutil
from collections.abc import Mapping

from rich.bar import Bar
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from avscene.cli.output.files import printable
from avscene.progress import short_time
from avscene.records import Needs, Prediction
from avscene.reports.recordings.notes import has_tenths, mismatch_lines, unfamiliar_lines
from avscene.reports.recordings.spans import UNSURE, headline, recording_scenes, scene_of, scene_spans, used_modalities

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


def timeline_text(prediction: Prediction, needs: Mapping[str, Needs] | None = None, *, colored: bool) -> str:
    """Return the scene of a recording, a colored strip over its duration, and a line for each span of one scene.

    `needs` are the modalities that each model needs, by its name, to state which were used.
    """
    text = io.StringIO()
    width = shutil.get_terminal_size().columns
    console = Console(file=text, width=width, force_terminal=colored, color_system="standard" if colored else None)
    console.print(_headline(prediction, needs or {}), soft_wrap=True)
    console.print(Padding(_body(prediction, colored=colored), (0, 0, 1, 2)))
    return "".join(line.rstrip() + "\n" for line in text.getvalue().splitlines())


def _headline(prediction: Prediction, needs: Mapping[str, Needs]) -> Text:
    line = Text(printable(prediction.source), style="bold")
    line.append(f"  {short_time(prediction.duration)}  ", style="dim")
    scenes = recording_scenes(prediction)
    color = _color(prediction, scenes[0] if len(scenes) == 1 else None)
    line.append(headline(prediction), style=f"bold {color}")
    used = " and ".join(used_modalities(prediction, needs))
    return line.append(f"  ({prediction.system}, from {used})", style="dim")


def _body(prediction: Prediction, *, colored: bool) -> Group:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    tenths = has_tenths(prediction)
    for span in scene_spans(prediction):
        color = _color(prediction, span.scene)
        table.add_row(
            f"{short_time(span.start, tenths=tenths)} - {short_time(span.end, tenths=tenths)}",
            Text(span.label, style=color),
            "" if span.scene is None else Bar(1.0, 0, span.score, width=_BAR, color=color),
            "" if span.scene is None else f"{span.score:.0%}" + (f" {UNSURE}" if span.is_unsure else ""),
        )
    notes = [Text(f"note: {warning}", style="dim") for warning in prediction.warnings]
    notes = [Text(line, style="dim") for line in mismatch_lines(prediction)] + notes
    strip = [_strip(prediction)] if colored else []
    first = [Text(line, style="bold") for line in unfamiliar_lines(prediction)]
    return Group(*first, *strip, table, *notes)


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

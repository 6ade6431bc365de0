"""Write the parts of a prediction as HTML for a notebook: complete in itself, without scripts, with names escaped."""

import html
from collections.abc import Iterable, Sequence

import numpy as np

from avscene.figures import LIGHT, merged_columns, timeline_columns
from avscene.labels import LabelSet
from avscene.records.segment_prediction import SegmentPrediction
from avscene.records.values import FloatArray

MAX_COLUMNS = 120  # of the timeline
MAX_SCENES = 12  # of the timeline: those with the largest mean
MAX_SEGMENTS = 100  # rows of the table
NAMES, WIDTH, ROW = 160, 480, 16  # pixels: of the names beside the timeline, of the timeline, of one of its rows
MAX_NAME = 24  # characters of a name beside the timeline
MIN_SHOWN = 0.02  # probability; cells of less stay blank


def timeline_of(segments: Sequence[SegmentPrediction], limit: int) -> tuple[FloatArray, FloatArray]:
    """Return the edges (n + 1,) in seconds and probabilities (n, n_scenes) of at most `limit` spans of a recording."""
    starts, ends = (np.array([getattr(segment, name) for segment in segments], float) for name in ("start", "end"))
    probabilities = np.stack([segment.probabilities for segment in segments])
    return merged_columns(*timeline_columns(starts, ends, probabilities), limit)


def facts_html(heading: str, source: str, facts: Iterable[str], warnings: Iterable[str]) -> str:
    """Return a heading, the source with further facts, and a list of warnings; all arguments are text."""
    line = " · ".join(html.escape(fact) for fact in (source, *facts) if fact)
    listed = "".join(f"<li>{html.escape(warning)}</li>" for warning in warnings)
    return f"<p><strong>{html.escape(heading)}</strong><br>{line}</p>" + (f"<ul>{listed}</ul>" if listed else "")


def timeline_svg(labels: LabelSet, segments: Sequence[SegmentPrediction]) -> str:
    """Return the probabilities of the scenes over time as an SVG image; stronger colours are higher probabilities."""
    edges, columns = timeline_of(segments, MAX_COLUMNS)
    scenes = sorted(np.argsort(-np.nanmean(columns, axis=0), kind="stable")[:MAX_SCENES].tolist())
    places = NAMES + (edges - edges[0]) / (edges[-1] - edges[0]) * WIDTH
    parts = []
    for row, scene in enumerate(scenes):
        name = labels.names[scene]
        short = name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…"
        parts.append(f'<text x="{NAMES - 6}" y="{row * ROW + ROW - 4}">{html.escape(short)}</text>')
        parts += [
            f'<rect x="{places[k]:.1f}" y="{row * ROW + 1}" width="{places[k + 1] - places[k]:.1f}"'
            f' height="{ROW - 2}" fill-opacity="{value:.2f}"/>'
            for k, value in enumerate(columns[:, scene].tolist())
            if value >= MIN_SHOWN  # False for NaN
        ]
    bottom = len(scenes) * ROW
    last = f"{edges[-1]:g} s"
    parts.append(f'<text x="{NAMES}" y="{bottom + 12}" style="text-anchor:start">{edges[0]:g}</text>')
    parts.append(f'<text x="{NAMES + WIDTH}" y="{bottom + 12}">{last}</text>')
    return (
        f'<svg width="{NAMES + WIDTH}" height="{bottom + ROW}" role="img" aria-label="Probability of scenes over time"'
        f' fill="{LIGHT["accent"]}" style="font:11px sans-serif;max-width:100%">'
        f'<g fill="currentColor" style="text-anchor:end">{"".join(p for p in parts if p.startswith("<text"))}</g>'
        f"{''.join(p for p in parts if not p.startswith('<text'))}</svg>"
    )


def scenes_html(scenes: Iterable[tuple[str, float]]) -> str:
    """Return a table of scenes and probabilities."""
    rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{value:.1%}</td></tr>" for name, value in scenes)
    return f"<table><thead><tr><th>scene</th><th>probability</th></tr></thead><tbody>{rows}</tbody></table>"


def segments_html(segments: Sequence[SegmentPrediction]) -> str:
    """Return a folded table of the segments, the first MAX_SEGMENTS of them."""
    rows = "".join(
        f"<tr><td>{segment.start:g}</td><td>{segment.end:g}</td><td>{html.escape(segment.scene or 'unknown')}</td>"
        f"<td>{segment.score:.1%}</td></tr>"
        for segment in segments[:MAX_SEGMENTS]
    )
    more = f"<p>and {len(segments) - MAX_SEGMENTS} more</p>" if len(segments) > MAX_SEGMENTS else ""
    header = "".join(f"<th>{name}</th>" for name in ("start", "end", "scene", "probability"))
    count = f"{len(segments)} segment{'s' * (len(segments) != 1)}"
    return (
        f"<details><summary>{count}</summary><table><thead><tr>{header}</tr></thead>"
        f"<tbody>{rows}</tbody></table>{more}</details>"
    )

"""Render one recording over time as HTML: its frames above a heat map of scene probabilities."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avscene.figures import timeline_columns, timeline_figure
from avscene.labels import LabelSet
from avscene.records import ByteArray, FloatArray
from avscene.reports.plots import figure_html
from avscene.reports.thumbnails import jpeg_data_uri

MAX_THUMBNAILS = 12  # side by side; more would be too small to recognise
THUMBNAIL_SIDE = 240  # pixels of the longer side: twice the largest size on the page
JPEG_QUALITY = 78


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Segments of one recording: `starts`, `ends` (n,) in seconds, increasing, and probabilities (n, n_scenes).

    A row of NaN is a segment that was not scored. `frames` has one RGB frame (height, width, 3) per segment, or is
    empty.

    Raises:
        ValueError: the shapes do not fit, there is no segment, or the times decrease.
    """

    title: str
    labels: LabelSet
    starts: FloatArray
    ends: FloatArray
    probabilities: FloatArray
    truth: str | None = None
    frames: Sequence[ByteArray] = ()

    def __post_init__(self) -> None:
        count = len(self.starts)
        if not count or len(self.ends) != count or self.probabilities.shape != (count, len(self.labels)):
            raise ValueError(
                f"{count} starts, {len(self.ends)} ends and probabilities of shape {self.probabilities.shape}"
                f" do not fit {len(self.labels)} scenes"
            )
        if len(self.frames) not in (0, count):
            raise ValueError(f"{len(self.frames)} frames do not fit {count} segments")
        if (np.diff(self.starts) < 0).any() or (self.ends < self.starts).any():
            raise ValueError("segments must follow each other in time")


def timeline_html(timeline: Timeline) -> str:
    """Return the `figure` element of a timeline."""
    edges, columns = timeline_columns(timeline.starts, timeline.ends, timeline.probabilities)
    heat_map = figure_html(timeline_figure(timeline.labels.names, edges, columns), _description(timeline))
    return (
        '<figure class="timeline">'
        f"{_thumbnails(timeline, edges)}{heat_map}"
        f"<figcaption>{html.escape(_description(timeline))} Stronger colours are "
        "higher probabilities; blank segments were not scored.</figcaption></figure>"
    )


def _description(timeline: Timeline) -> str:
    scored = timeline.probabilities[~np.isnan(timeline.probabilities).any(axis=1)]
    result = "No segment was scored."
    if len(scored):
        mean = scored.mean(axis=0)
        top = timeline.labels.names[int(mean.argmax())]
        result = f"Mean over the segments: {top} ({mean.max():.2f})."
    truth = f" True scene: {timeline.truth}." if timeline.truth is not None else ""
    return f"Probability of each scene over time in {timeline.title}. {result}{truth}"


def _thumbnails(timeline: Timeline, edges: FloatArray) -> str:
    """Return `img` elements of some frames, each centred over the middle of its segment."""
    total = len(timeline.frames)
    if not total:
        return ""
    count = min(total, MAX_THUMBNAILS)
    overhang = 0.25 / count  # of the width: at most a quarter of a thumbnail extends beyond either end
    elements = []
    for index in ((np.arange(count) + 0.5) * total / count).astype(int):
        start, end = float(timeline.starts[index]), float(timeline.ends[index])
        middle = (start + end) / 2 if end > start else float(edges[:2].mean())
        share = np.clip((middle - edges[0]) / (edges[-1] - edges[0]), overhang, 1 - overhang)
        elements.append(
            f'<img src="{jpeg_data_uri(timeline.frames[index], THUMBNAIL_SIDE, JPEG_QUALITY)}" '
            f'alt="Frame between {start:g} and {end:g} seconds" style="left:{share:.3%}">'
        )
    dense = " dense" if count > MAX_THUMBNAILS / 2 else ""
    return f'<div class="strip{dense}" style="--count:{count}">{"".join(elements)}</div>'

"""Define predictions: the scenes of a recording and of its segments, with their probabilities and verdicts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from avscene.arguments import check_positive_integer
from avscene.errors import AvsceneError, PackageError
from avscene.figures import LIGHT, escape_markup, light_figure, timeline_figure
from avscene.labels import LabelSet
from avscene.records.segment_prediction import SegmentPrediction, by_scene, scene_fields
from avscene.records.values import FloatArray, Modality
from avscene.verdicts import DECIMALS, Familiarity, RecordingMismatch

if TYPE_CHECKING:
    import pandas
    import plotly
    import pyarrow

SCHEMA = "avscene/1"
TOP_IN_HTML = 5  # scenes
MAX_PLOT_COLUMNS = 2000  # more than a screen has pixels
PLOT_TITLE, PLOT_NAMES = 40, 128  # pixels


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Prediction:
    """The prediction of a system for one recording; `probabilities` (n_scenes,) are those of the whole recording.

    `modalities` states which the recording has; one that the system uses must hold content in a segment. `duration` is
    in seconds, 0 for a photograph. `mismatch`, `accepted` and `familiarity` are as in its segments.
    """

    source: str
    duration: float
    system: str
    labels: LabelSet
    modalities: Mapping[Modality, bool]
    probabilities: FloatArray
    segments: tuple[SegmentPrediction, ...]
    warnings: tuple[str, ...] = ()
    mismatch: RecordingMismatch | None = None
    accepted: bool = True
    familiarity: Familiarity | None = None

    def __post_init__(self) -> None:
        segments = tuple(
            segment if segment.labels is self.labels else replace(segment, labels=self.labels)
            for segment in self.segments
        )
        object.__setattr__(self, "segments", segments)

    def __repr__(self) -> str:
        scene = f"{self.scene or 'unknown'} {self.score:.0%}"
        count = f"{len(self.segments)} segment{'s' * (len(self.segments) != 1)}"
        return f"Prediction({self.source!r}: {scene}, {count} in {self.duration:.1f} s, system {self.system})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the scene, a timeline, the top scenes, and the segments; without scripts."""
        from avscene.records.prediction_html import facts_html, scenes_html, segments_html, timeline_svg

        used = " and ".join(name for name, present in self.modalities.items() if present)
        facts = [f"{self.duration:.1f} s", used, f"system {self.system}"]
        parts = [
            facts_html(f"{self.scene or 'unknown'} {self.score:.0%}", self.source, facts, self.warnings),
            timeline_svg(self.labels, self.segments),
            scenes_html(self.top(TOP_IN_HTML)),
            segments_html(self.segments),
        ]
        return "<div>" + "".join(parts) + "</div>"

    @property
    def scene(self) -> str | None:
        """The most probable scene; None if its probability is too low to accept."""
        return self.labels.names[int(self.probabilities.argmax())] if self.accepted else None

    @property
    def score(self) -> float:
        """The probability of the most probable scene."""
        return float(self.probabilities.max())

    @property
    def scores(self) -> dict[str, float]:
        """Probability of each scene, by its name."""
        return by_scene(self.labels, self.probabilities)

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as plain values, schema `avscene/1`: the same JSON from every interface."""
        return {
            "schema": SCHEMA,
            "source": self.source,
            "duration": round(self.duration, DECIMALS),
            "system": self.system,
            "labels": list(self.labels),
            "modalities": dict(self.modalities),
            **scene_fields(self.labels, self.probabilities, accepted=self.accepted),
            "mismatch": self.mismatch and self.mismatch.to_dict(),
            "familiarity": self.familiarity and self.familiarity.to_dict(),
            "segments": [segment.to_dict() for segment in self.segments],
            "warnings": list(self.warnings),
        }

    def top(self, k: int = 3) -> list[tuple[str, float]]:
        """Return the `k` most probable scenes of the recording with their probabilities, the most probable first.

        There are fewer if the system has fewer scenes.

        Raises:
            UsageError: `k` is not a positive integer.
        """
        check_positive_integer("k", k)
        order = np.argsort(-self.probabilities, kind="stable")[:k]
        return [(self.labels.names[column], float(self.probabilities[column])) for column in order]

    def to_arrow(self) -> "pyarrow.Table":
        """Return a `pyarrow.Table` with a row for each segment.

        Its columns are `filename`, `start` and `end` in seconds, `scene_label` (null if no scene was accepted),
        `score`, and, null where they were not measured, `mismatch`, the probability that audio and video do not belong
        together, and `familiarity`; then the probability of each scene. A scene that is named like one of the other
        columns has the prefix `scene:` there.
        """
        from avscene.records.prediction_table import segment_table

        return segment_table(self.source, self.labels, self.segments)

    def to_pandas(self) -> "pandas.DataFrame":
        """Return a `pandas.DataFrame` with the rows and columns of `to_arrow`.

        Raises:
            PackageError: pandas is not installed.
        """
        if find_spec("pandas") is None:
            raise PackageError("to_pandas: pandas is not installed; try: pip install 'avscene[pandas]'")
        return self.to_arrow().to_pandas()

    def plot(self) -> "plotly.graph_objects.Figure":
        """Return a Plotly figure: the probability of each scene over time."""
        from plotly.graph_objects import Figure

        from avscene.records.prediction_html import timeline_of

        edges, columns = timeline_of(self.segments, MAX_PLOT_COLUMNS)
        figure = light_figure(timeline_figure(self.labels.names, edges, columns))
        figure["layout"] |= {"title": {"text": escape_markup(self.source)}, "paper_bgcolor": LIGHT["surface"]}
        figure["layout"]["height"] += PLOT_TITLE
        figure["layout"]["margin"] |= {"l": PLOT_NAMES, "t": PLOT_TITLE}
        return Figure(figure)


@dataclass(frozen=True, slots=True)
class Failure:
    """The error because of which one recording of a batch has no prediction."""

    source: str
    error: AvsceneError

    def to_dict(self) -> dict[str, Any]:
        """Return the failure as plain values, schema `avscene/1`."""
        return {
            "schema": SCHEMA,
            "source": self.source,
            "error": {"type": self.error.kind, "message": str(self.error)},
        }


def json_line(outcome: Prediction | Failure) -> str:
    """Return an outcome as JSON on one line, with its line break."""
    return json.dumps(outcome.to_dict()) + "\n"

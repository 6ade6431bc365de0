"""Turn the predictions of segments into an Arrow table: a row for each segment."""

from collections.abc import Sequence

import pyarrow as pa

from avscene.labels import LabelSet
from avscene.records.segment_prediction import SegmentPrediction

COLUMNS = {
    "filename": pa.string(),
    "start": pa.float64(),
    "end": pa.float64(),
    "scene_label": pa.string(),
    "score": pa.float64(),
    "mismatch": pa.float64(),
    "familiarity": pa.float64(),
}


def segment_table(source: str, labels: LabelSet, segments: Sequence[SegmentPrediction]) -> pa.Table:
    """Return the table that `Prediction.to_arrow` describes.

    Bytes of a name that are not UTF-8 are escaped, as Arrow has text only.
    """
    filename = source.encode("utf-8", "backslashreplace").decode()
    columns = {
        "filename": [filename] * len(segments),
        "start": [float(segment.start) for segment in segments],
        "end": [float(segment.end) for segment in segments],
        "scene_label": [segment.scene for segment in segments],
        "score": [segment.score for segment in segments],
        "mismatch": [None if found.mismatch is None else found.mismatch.score for found in segments],
        "familiarity": [None if found.familiarity is None else found.familiarity.score for found in segments],
    }
    for column, name in enumerate(labels):
        columns[_column_name(name)] = [float(segment.probabilities[column]) for segment in segments]
    scenes = {_column_name(name): pa.float64() for name in labels}
    return pa.table(columns, schema=pa.schema({**COLUMNS, **scenes}))


def _column_name(scene: str) -> str:
    return f"scene:{scene}" if scene in COLUMNS else scene

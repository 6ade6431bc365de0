"""Name the recording of a prediction as its sender did, and reduce the prediction to what a list of jobs shows."""

from dataclasses import replace

from avscene.inference.system import System
from avscene.records import Prediction
from avscene.reports.recordings.spans import is_unsure, mismatch_spans, recording_scenes
from avscene.server.jobs.record import Outline


def named(prediction: Prediction, path: str, name: str) -> Prediction:
    """Return a prediction in which the file at `path` has the name that its sender gave."""
    warnings = tuple(warning.replace(path, name) for warning in prediction.warnings)
    return replace(prediction, source=name, warnings=warnings)


def outline_of(prediction: Prediction, system: System) -> Outline:
    """Return what a list of jobs shows of a prediction."""
    scenes = recording_scenes(prediction)
    return Outline(
        scenes=scenes,
        scene=prediction.scene,
        score=prediction.score,
        unsure=is_unsure(prediction, scenes),
        mismatch=None if prediction.mismatch is None else bool(mismatch_spans(prediction)),
        duration=prediction.duration,
        modalities={name: bool(present) for name, present in prediction.modalities.items()},
        models={model.name: model.needs for model in system.models},
    )

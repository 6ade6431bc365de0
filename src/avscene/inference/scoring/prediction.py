"""Make the predictions of recordings, or of single segments, from the probabilities of the models of a system."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from avscene.errors import ModalityError
from avscene.evaluation.selective import SelectiveThresholds
from avscene.fusion.steps import Times
from avscene.fusion.tree import Fusion
from avscene.inference.scoring.batches import RecordingInfo
from avscene.inference.scoring.familiarity import recording_familiarity, segment_familiarity, unfamiliar_rows
from avscene.inference.scoring.missing import modality_error, skipped_warnings
from avscene.inference.scoring.narrow_band import narrow_band_warnings
from avscene.inference.scoring.scored import ScoredSegment
from avscene.labels import LabelSet
from avscene.mismatch.detector import MismatchDetector, mean_by_modality
from avscene.models import SceneModel
from avscene.records import FloatArray, Prediction, SegmentPrediction
from avscene.verdicts import Familiarity, Mismatch, RecordingMismatch


@dataclass(frozen=True, slots=True)
class Predictor:
    """Makes predictions of the system `name`; the other fields are those of `System`."""

    name: str
    labels: LabelSet
    models: tuple[SceneModel, ...]
    fusion: Fusion
    mismatch: MismatchDetector | None
    prior: float
    acceptance: SelectiveThresholds | None
    audio_rate: int | None

    def fuse(self, by_model: FloatArray, times: Times | None = None) -> FloatArray:
        """Fuse probabilities (n_models, n, n_scenes), in the order of the models, to (n, n_scenes)."""
        by_name = {model.name: values for model, values in zip(self.models, by_model, strict=True)}
        return self.fusion.apply(by_name, self.labels, times)

    def recording(self, source: str, info: RecordingInfo, scored: Sequence[ScoredSegment]) -> Prediction:
        """Return the prediction of a recording from all its segments.

        Raises:
            ModalityError: no segment was scored.
        """
        by_model, times = _stacked(scored)
        fused = self.fuse(by_model, Times([source] * len(scored), times[:, 0]))
        is_scored = ~np.isnan(fused[:, 0])
        if not is_scored.any():
            needs = [model.needs for model in self.models]
            raise ModalityError(modality_error(source, self.name, needs, info.modalities, info.missing))
        familiarity = segment_familiarity(self.models, scored)
        not_judged = unfamiliar_rows(familiarity, is_scored)
        mismatches, mismatch = self._mismatches(np.where(not_judged[:, None], np.nan, by_model), times)
        segments = tuple(
            self._segment(times[row], fused[row], by_model[:, row], mismatches[row], familiarity[row])
            for row in np.flatnonzero(is_scored).tolist()
        )
        overall, overall_familiarity = fused[is_scored].mean(axis=0), recording_familiarity(segments)
        return Prediction(
            source=source,
            duration=info.duration,
            system=self.name,
            labels=self.labels,
            modalities=info.modalities,
            probabilities=overall,
            segments=segments,
            warnings=(
                *info.warnings,
                *narrow_band_warnings(self._used_rate, info.audio_source if info.modalities["audio"] else None),
                *skipped_warnings(self.models, by_model, is_scored, info.missing),
            ),
            mismatch=mismatch,
            accepted=self._accepts(overall, "recording", overall_familiarity),
            familiarity=overall_familiarity,
        )

    def segments(self, scored: Sequence[ScoredSegment]) -> list[SegmentPrediction | None]:
        """Return the predictions of consecutive segments of a stream; None for those that no model scored.

        Each stands for itself, but for smoothing: whether its audio and video belong together, and whether it is
        familiar, does not depend on the other segments.
        """
        by_model, times = _stacked(scored)
        fused = self.fuse(by_model, Times(["stream"] * len(scored), times[:, 0]))
        familiarity = segment_familiarity(self.models, scored)
        unfamiliar = np.array([found is not None and not found.familiar for found in familiarity])
        mismatches, _ = self._mismatches(np.where(unfamiliar[:, None], np.nan, by_model), times)
        return [
            None
            if np.isnan(fused[row, 0])
            else self._segment(times[row], fused[row], by_model[:, row], mismatches[row], familiarity[row])
            for row in range(len(scored))
        ]

    def _segment(
        self,
        span: FloatArray,
        fused: FloatArray,
        by_model: FloatArray,
        mismatch: Mismatch | None,
        familiarity: Familiarity | None,
    ) -> SegmentPrediction:
        """Return the prediction of a segment from its probabilities (n_scenes,), and by model (n_models, n_scenes)."""
        named = zip(self.models, by_model, strict=True)
        return SegmentPrediction(
            float(span[0]),
            float(span[1]),
            fused,
            {model.name: values for model, values in named if not np.isnan(values[0])},
            mismatch,
            self._accepts(fused, "segment", familiarity),
            familiarity,
            self.labels,
        )

    @property
    def _used_rate(self) -> int:
        """Sample rate in Hz of the audio that was used in training; 0 if none was, or if it is not known."""
        rates = [model.sample_rate for model in self.models if model.sample_rate is not None]
        return min(max(rates, default=0), self.audio_rate or 0)

    def _accepts(self, fused: FloatArray, level: Literal["segment", "recording"], found: Familiarity | None) -> bool:
        """Return whether a scene is named: always, unless the risk is bounded."""
        familiar = found is None or found.familiar
        return self.acceptance is None or bool(familiar and fused.max() >= getattr(self.acceptance, level))

    def _mismatches(
        self, by_model: FloatArray, times: FloatArray
    ) -> tuple[tuple[Mismatch | None, ...], RecordingMismatch | None]:
        """Mismatch of audio and video in each segment and in the recording; None where it was not scored."""
        scores = {model.name: values for model, values in zip(self.models, by_model, strict=True)}
        audio, video = mean_by_modality(scores, {model.name: model.needs for model in self.models})
        if self.mismatch is None or audio is None or video is None:
            return (None,) * by_model.shape[1], None
        return self.mismatch.detect(audio, video, times, self.prior)


def _stacked(scored: Sequence[ScoredSegment]) -> tuple[FloatArray, FloatArray]:
    """Return the probabilities (n_models, n, n_scenes) and the starts and ends (n, 2) in seconds of segments."""
    by_model = np.stack([item.probabilities for item in scored], axis=1)
    return by_model, np.array([(item.segment.start, item.segment.end) for item in scored])

"""Estimate the probability that audio and video are not from one place, from the probabilities of two models."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import scipy
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from avscene.errors import UsageError
from avscene.evaluation.detection import best_threshold
from avscene.fusion.pooling import FLOOR, mean, softmax
from avscene.fusion.rules import ScoresByModel
from avscene.mismatch.false_alarms import FalseAlarms
from avscene.mismatch.pairs import PairedScores
from avscene.mismatch.spans import find_spans
from avscene.mismatch.swaps import SEED, swap_audio
from avscene.records import BoolArray, FloatArray, Modality, Needs
from avscene.verdicts import Mismatch, RecordingMismatch

# Probability that a recording is a mismatch: as in fitting, where every second one is, and by default in use, for an
# archive in which few recordings are dubbed.
FITTED_PRIOR = 0.5
ARCHIVE_PRIOR = 0.01
RIDGE = 0.01  # penalty per unit of squared distance of exponents and slope from 1, against a mean log loss
MAX_WEIGHT = 20.0  # of exponents and slope

Level = Literal["segments", "recordings"]
BoundedWeight = Annotated[float, Field(ge=0, le=MAX_WEIGHT, allow_inf_nan=False)]


def log_agreement(audio: FloatArray, video: FloatArray) -> FloatArray:
    """Return log r (n,) with r = (C - 1) q / (1 - q), q = sum_c p_A(c) p_V(c), C scenes; NaN if a modality is missing.

    With calibrated posteriors and equally frequent scenes, where p(x|c) ~ p(c|x), r is the likelihood ratio of "one
    scene", sum_c p(x_A|c) p(x_V|c) / C, to "two different scenes", the mean of p(x_A|c) p(x_V|d) over all c != d. (For
    "two independent scenes", which may be equal by chance, it would be C q.)

    Args:
        audio: probabilities p_A (n, n_scenes).
        video: probabilities p_V (n, n_scenes).
    """
    return _log_agreement(_logs(audio), _logs(video))


def check_prior(prior: float) -> float:
    """Return the prior probability that a recording is a mismatch.

    Raises:
        UsageError: it is not between 0 and 1.
    """
    if not 0 < prior < 1:
        raise UsageError(f"prior {prior:g}: give the share of mismatched recordings, between 0 and 1, for example 0.01")
    return prior


def mean_by_modality(scores: ScoresByModel, needs: Mapping[str, Needs]) -> tuple[FloatArray | None, FloatArray | None]:
    """Return the mean (n, n_scenes) of the models that need audio only, and of those that need video only.

    None if there is no such model; a NaN row if none of them scored it.
    """

    def mean_of(modality: Modality) -> FloatArray | None:
        chosen = [values for name, values in scores.items() if needs[name] == modality]
        return mean(np.stack(chosen)) if chosen else None

    return mean_of("audio"), mean_of("video")


def pool_recordings(paired: PairedScores) -> PairedScores:
    """Return one row per recording: the geometric mean of each modality over the rows with both, NaN if there are none.

    The mean of log-probabilities, not their sum: segments of a recording resemble each other and are not independent
    evidence.
    """
    complete, recordings = paired.complete, paired.recordings
    audio, video = (np.full((len(recordings), len(paired.labels)), np.nan) for _ in range(2))
    for index, rows in enumerate(recordings.values()):
        if (both := rows[complete[rows]]).size:
            audio[index], video[index] = geometric_mean(paired.audio[both]), geometric_mean(paired.video[both])
    first = [rows[0] for rows in recordings.values()]
    groups, audio_groups = (
        None if names is None else tuple(names[row] for row in first) for names in (paired.groups, paired.audio_groups)
    )
    truth = None if paired.truth is None else paired.truth[first]
    return PairedScores(
        paired.labels, tuple(recordings), audio, video, truth=truth, groups=groups, audio_groups=audio_groups
    )


def geometric_mean(probabilities: FloatArray) -> FloatArray:
    """Return the normalised geometric mean (n_scenes,) of rows (n, n_scenes)."""
    return np.asarray(softmax(_logs(probabilities).mean(axis=0, keepdims=True))[0])


class MismatchClassifier(BaseModel):
    """Maps the posteriors of audio and video to a probability of mismatch and, by a threshold, to a verdict.

    P(mismatch) = 1 / (1 + exp(offset + slope log r)) for a prior of one half, where r is the agreement
    (`log_agreement`) of the normalised p_A^audio and p_V^video: the exponents correct overconfidence, slope and offset
    calibrate (Platt 1999). Another prior adds its log-odds (Bayes' rule). `intact` counts the false alarms on the
    intact rows of fitting; detectors of earlier versions lack it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    audio: BoundedWeight
    video: BoundedWeight
    slope: BoundedWeight
    offset: FiniteFloat
    threshold: Annotated[float, Field(ge=0, le=1)]
    intact: FalseAlarms | None = None

    @classmethod
    def fit(cls, pristine: PairedScores, swapped: PairedScores) -> "MismatchClassifier":
        """Return the parameters of least log loss, both kinds with equal weight, and the threshold of greatest F1."""
        kinds = [(part.audio[part.complete], part.video[part.complete]) for part in (pristine, swapped)]
        audio, video = (np.concatenate(parts) for parts in zip(*kinds, strict=True))
        counts = [len(part) for part, _ in kinds]
        truth = np.repeat([False, True], counts)
        weights = np.repeat([0.5 / max(count, 1) for count in counts], counts)
        found = _fit_parameters(_logs(audio), _logs(video), truth, weights)
        calibrated = cls(audio=found[0], video=found[1], slope=found[2], offset=found[3], threshold=0.5)
        scores = calibrated.score(audio, video)
        threshold = best_threshold(truth, scores, weights)
        return calibrated.model_copy(update={"threshold": threshold, "intact": FalseAlarms.of(scores[~truth])})

    def log_odds(self, audio: FloatArray, video: FloatArray) -> FloatArray:
        """Return log P(mismatch) / P(intact) (n,) of rows (n, n_scenes) for equal priors; NaN if one is missing."""
        evidence = _log_agreement(self.audio * _logs(audio), self.video * _logs(video))
        return np.asarray(-(self.offset + self.slope * evidence))

    def score(self, audio: FloatArray, video: FloatArray, prior: float = FITTED_PRIOR) -> FloatArray:
        """Return the probability of mismatch (n,) of rows (n, n_scenes); NaN if a modality is missing."""
        return np.asarray(scipy.special.expit(self.log_odds(audio, video) + scipy.special.logit(prior)))

    def classify(
        self, audio: FloatArray, video: FloatArray, prior: float = FITTED_PRIOR
    ) -> tuple[Mismatch | None, ...]:
        """Return score and verdict of each row (n, n_scenes); None if a modality is missing."""
        scores = self.score(audio, video, prior).tolist()
        return tuple(None if math.isnan(score) else Mismatch(score, score >= self.threshold) for score in scores)

    def false_alarms(self, prior: float) -> float | None:
        """Return how many of a hundred intact rows are expected to be called a mismatch; None if it was not measured.

        A row is called one if its score for `prior` reaches the threshold; that is a threshold on the score for the
        prior of fitting.
        """
        if self.intact is None:
            return None
        odds = scipy.special.logit(self.threshold) - scipy.special.logit(prior)
        return 100 * self.intact.expected_rate(float(scipy.special.expit(odds)))


@dataclass(frozen=True, slots=True, eq=False)
class Assessment:
    """The `log_odds` (n,) of a mismatch for equal priors, NaN if a modality is missing, and `thresholds` (n,)."""

    log_odds: FloatArray
    thresholds: FloatArray

    def scores(self, prior: float = FITTED_PRIOR) -> FloatArray:
        """Return the probability of mismatch (n,)."""
        return np.asarray(scipy.special.expit(self.log_odds + scipy.special.logit(prior)))

    def verdicts(self, prior: float = FITTED_PRIOR) -> BoolArray:
        """Return whether each row is called a mismatch (n,); False without a score."""
        return np.asarray(self.scores(prior) >= self.thresholds)


class MismatchDetector(BaseModel):
    """Fitted classifiers for segments and for recordings of these `scenes`, in any order.

    `fitted_on` are the groups whose recordings it was fitted on; it must not be evaluated on them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scenes: tuple[str, ...]
    segment: MismatchClassifier
    recording: MismatchClassifier
    fitted_on: tuple[str, ...]

    @classmethod
    def fit(cls, paired: PairedScores, *, seed: int = SEED) -> "MismatchDetector":
        """Fit on recordings that neither model was trained on, unchanged and with swapped audio (`swap_audio`).

        Raises:
            DataError: there are no true scenes or groups, or no recording whose audio can be swapped.
        """
        swapped = swap_audio(paired, seed=seed)
        return cls(
            scenes=paired.labels.names,
            segment=MismatchClassifier.fit(paired, swapped),
            recording=MismatchClassifier.fit(pool_recordings(paired), pool_recordings(swapped)),
            fitted_on=tuple(sorted(set(paired.groups or ()))),
        )

    def assess(self, paired: PairedScores, level: Level) -> "Assessment":
        """Return the log-odds and thresholds of rows that are segments, or pooled recordings."""
        classifier = self.segment if level == "segments" else self.recording
        return Assessment(
            classifier.log_odds(paired.audio, paired.video), np.full(len(paired.pairs), classifier.threshold)
        )

    def detect(
        self, audio: FloatArray, video: FloatArray, spans: FloatArray, prior: float = ARCHIVE_PRIOR
    ) -> tuple[tuple[Mismatch | None, ...], RecordingMismatch | None]:
        """Return the results of each row (n, n_scenes) of one recording, and of the recording.

        Args:
            audio: probabilities; NaN where nothing can be said.
            video: as `audio`.
            spans: (n, 2) start and end of each row in seconds.
            prior: probability that a recording is a mismatch.
        """
        complete = ~np.isnan(audio[:, 0]) & ~np.isnan(video[:, 0])
        recording = None
        if complete.any():
            pooled = geometric_mean(audio[complete])[None], geometric_mean(video[complete])[None]
            score = float(self.recording.score(*pooled, prior)[0])
            recording = RecordingMismatch(
                score,
                score >= self.recording.threshold,
                prior,
                self.recording.threshold,
                self.recording.false_alarms(prior),
                find_spans(self.segment.log_odds(audio, video), spans, prior),
            )
        return self.segment.classify(audio, video, prior), recording


def _logs(probabilities: FloatArray) -> FloatArray:
    return np.log(np.maximum(probabilities, FLOOR))


def _log_agreement(audio: FloatArray, video: FloatArray) -> FloatArray:
    """`log_agreement` of log-probabilities, which need not be normalised."""
    same = _same_scene_probability(audio, video)
    return np.asarray(np.log(same) - np.log(np.maximum(1 - same, FLOOR)) + np.log(audio.shape[1] - 1))


def _same_scene_probability(audio: FloatArray, video: FloatArray) -> FloatArray:
    """Q (n,), the probability that independent draws from the two distributions are the same scene."""
    return np.asarray((softmax(audio) * softmax(video)).sum(axis=1))


def _fit_parameters(audio: FloatArray, video: FloatArray, truth: BoolArray, weights: FloatArray) -> list[float]:
    """Exponents of audio and video, slope and offset that minimise the weighted log loss plus a ridge.

    `audio` and `video` (n, n_scenes) are log-probabilities, `truth` (n,) is whether a row is a mismatch.
    """
    sign = np.where(truth, 1.0, -1.0)

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        scaled_audio, scaled_video = parameters[0] * audio, parameters[1] * video
        evidence, slope = _log_agreement(scaled_audio, scaled_video), parameters[2]
        # Derivative of the evidence by log q.
        steepness = 1 / np.maximum(1 - _same_scene_probability(scaled_audio, scaled_video), FLOOR)
        margin = sign * (parameters[3] + slope * evidence)  # negative if the row is classified rightly
        by_offset = weights * sign * scipy.special.expit(margin)  # derivative of each row's loss
        both = softmax(scaled_audio + scaled_video)
        by_exponent = [
            ((both - softmax(scaled)) * logs).sum(axis=1) * steepness
            for scaled, logs in ((scaled_audio, audio), (scaled_video, video))
        ]
        gradient = [slope * (by_offset * change).sum() for change in by_exponent]
        gradient += [(by_offset * evidence).sum(), by_offset.sum()]
        distance = np.append(parameters[:3] - 1, 0.0)
        value = (weights * np.logaddexp(0, margin)).sum() + RIDGE * (distance**2).sum()
        return float(value), np.array(gradient) + 2 * RIDGE * distance

    bounds = [(0, MAX_WEIGHT)] * 3 + [(None, None)]
    found = scipy.optimize.minimize(loss, np.array([1.0, 1.0, 1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds)
    return [float(value) for value in found.x]

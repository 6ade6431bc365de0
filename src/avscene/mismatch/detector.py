"""Probabilities of sound and of picture to the probability that they do not belong together, and its fitting."""

import math
from collections.abc import Mapping
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
from scipy import optimize, special

from avscene.evaluation.detection import best_threshold
from avscene.fusion.pooling import FLOOR, mean, softmax
from avscene.fusion.rules import ScoresByModel
from avscene.mismatch.pairs import PairedScores
from avscene.mismatch.swaps import SEED, swapped
from avscene.records import BoolArray, FloatArray, Mismatch, Modality, Needs

RIDGE = 0.01  # pull of exponents and slope towards 1, per unit of squared distance, against a mean log loss
MOST = 20.0  # of exponents and slope

Weight = Annotated[float, Field(ge=0, le=MOST, allow_inf_nan=False)]


def log_agreement(audio: FloatArray, video: FloatArray) -> FloatArray:
    """(n,) log of r = (C - 1) q / (1 - q), with q = sum_c p_A(c) p_V(c) and C scenes; NaN where a modality is missing.

    With calibrated posteriors and equally frequent scenes, where p(x|c) ~ p(c|x), r is the likelihood ratio of "one
    scene", sum_c p(x_A|c) p(x_V|c) / C, to "two different scenes", the mean of p(x_A|c) p(x_V|d) over all c and d that
    differ. (To "two independent scenes", which may be one by chance, it would be C q.)
    """
    return _log_agreement(_logs(audio), _logs(video))


def by_modality(scores: ScoresByModel, needs: Mapping[str, Needs]) -> tuple[FloatArray | None, FloatArray | None]:
    """The mean (n, n_scenes) of the models that need sound alone, and of those that need the picture alone.

    None where there is no such model; a row of NaN where none of them scored.
    """

    def of(modality: Modality) -> FloatArray | None:
        chosen = [values for name, values in scores.items() if needs[name] == modality]
        return mean(np.stack(chosen)) if chosen else None

    return of("audio"), of("video")


def pooled(paired: PairedScores) -> PairedScores:
    """One row per recording: the geometric mean of each modality over the rows that have both, NaN if there is none.

    The mean of log-probabilities, not their sum: seconds of a recording resemble each other, and ten of them are not
    ten witnesses.
    """
    complete, rows = paired.complete, paired.recordings
    audio, video = (np.full((len(rows), len(paired.labels)), np.nan) for _ in range(2))
    for place, found in enumerate(rows.values()):
        if (both := found[complete[found]]).size:
            audio[place], video[place] = geometric_mean(paired.audio[both]), geometric_mean(paired.video[both])
    first = [found[0] for found in rows.values()]
    groups = None if paired.groups is None else tuple(paired.groups[row] for row in first)
    truth = None if paired.truth is None else paired.truth[first]
    return PairedScores(paired.labels, tuple(rows), audio, video, truth=truth, groups=groups)


def geometric_mean(probabilities: FloatArray) -> FloatArray:
    """(n_scenes,) the normalised geometric mean of rows (n, n_scenes)."""
    return np.asarray(softmax(_logs(probabilities).mean(axis=0, keepdims=True))[0])


class Decision(BaseModel):
    """How the posteriors of sound and picture become a probability of mismatch, and from which on it is called one.

    P(mismatch) = 1 / (1 + exp(offset + slope log r)), r being the agreement of p_A^audio and p_V^video, normalised: the
    exponents soften what is too sure of itself, slope and offset calibrate (Platt 1999). The probability is that of a
    world in which every second recording is a mismatch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    audio: Weight
    video: Weight
    slope: Weight
    offset: FiniteFloat
    threshold: Annotated[float, Field(ge=0, le=1)]

    @classmethod
    def fit(cls, pristine: PairedScores, exchanged: PairedScores) -> "Decision":
        """The parameters of least log loss, both kinds counting the same, and the threshold of greatest F1."""
        kinds = [(part.audio[part.complete], part.video[part.complete]) for part in (pristine, exchanged)]
        audio, video = (np.concatenate(parts) for parts in zip(*kinds, strict=True))
        counts = [len(part) for part, _ in kinds]
        truth = np.repeat([False, True], counts)
        weights = np.repeat([0.5 / max(count, 1) for count in counts], counts)
        found = _fit(_logs(audio), _logs(video), truth, weights)
        untold = cls(audio=found[0], video=found[1], slope=found[2], offset=found[3], threshold=0.5)
        threshold = best_threshold(truth, untold.score(audio, video), weights)
        return untold.model_copy(update={"threshold": threshold})

    def score(self, audio: FloatArray, video: FloatArray) -> FloatArray:
        """(n,) probability of mismatch of rows (n, n_scenes); NaN where a modality is missing."""
        evidence = _log_agreement(self.audio * _logs(audio), self.video * _logs(video))
        return np.asarray(special.expit(-(self.offset + self.slope * evidence)))

    def judge(self, audio: FloatArray, video: FloatArray) -> tuple[Mismatch | None, ...]:
        """What is said of each row; None where a modality is missing."""
        scores = self.score(audio, video).tolist()
        return tuple(None if math.isnan(score) else Mismatch(score, score >= self.threshold) for score in scores)


class MismatchDetector(BaseModel):
    """Fitted decisions for segments and for recordings of these `scenes`, in any order.

    `fitted_on` names the groups whose recordings it was fitted on: it must not be judged on them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scenes: tuple[str, ...]
    segment: Decision
    recording: Decision
    fitted_on: tuple[str, ...]

    @classmethod
    def fit(cls, paired: PairedScores, *, seed: int = SEED) -> "MismatchDetector":
        """Fit on recordings that neither model was trained on, as they are and with exchanged sound (`swapped`).

        Raises:
            DataError: truth or groups are not known, or no recording can be given another one's sound.
        """
        exchanged = swapped(paired, seed=seed)
        return cls(
            scenes=paired.labels.names,
            segment=Decision.fit(paired, exchanged),
            recording=Decision.fit(pooled(paired), pooled(exchanged)),
            fitted_on=tuple(sorted(set(paired.groups or ()))),
        )

    def judge(self, audio: FloatArray, video: FloatArray) -> tuple[tuple[Mismatch | None, ...], Mismatch | None]:
        """What is said of each row (n, n_scenes) of one recording, and of the recording."""
        both = ~np.isnan(audio[:, 0]) & ~np.isnan(video[:, 0])
        whole = None
        if both.any():
            (whole,) = self.recording.judge(geometric_mean(audio[both])[None], geometric_mean(video[both])[None])
        return self.segment.judge(audio, video), whole


def _logs(probabilities: FloatArray) -> FloatArray:
    return np.log(np.maximum(probabilities, FLOOR))


def _log_agreement(audio: FloatArray, video: FloatArray) -> FloatArray:
    """The same of log-probabilities that need not be normalised."""
    same = _one_scene(audio, video)
    return np.asarray(np.log(same) - np.log(np.maximum(1 - same, FLOOR)) + np.log(audio.shape[1] - 1))


def _one_scene(audio: FloatArray, video: FloatArray) -> FloatArray:
    """(n,) q, the probability that two independent draws, one by each modality, are of one scene."""
    return np.asarray((softmax(audio) * softmax(video)).sum(axis=1))


def _fit(audio: FloatArray, video: FloatArray, truth: BoolArray, weights: FloatArray) -> list[float]:
    """Exponents of sound and picture, slope and offset of least weighted log loss plus a ridge.

    `audio` and `video` (n, n_scenes) are log-probabilities, `truth` (n,) whether a row is a mismatch.
    """
    sign = np.where(truth, 1.0, -1.0)

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        heard, seen = parameters[0] * audio, parameters[1] * video
        evidence, slope = _log_agreement(heard, seen), parameters[2]
        steepness = 1 / np.maximum(1 - _one_scene(heard, seen), FLOOR)  # of the evidence, per unit of log q
        margin = sign * (parameters[3] + slope * evidence)  # below 0 where the row is told right
        pull = weights * sign * special.expit(margin)  # of the loss, per unit of offset
        both = softmax(heard + seen)
        by_exponent = [
            ((both - softmax(own)) * logs).sum(axis=1) * steepness for own, logs in ((heard, audio), (seen, video))
        ]
        gradient = [slope * (pull * change).sum() for change in by_exponent] + [(pull * evidence).sum(), pull.sum()]
        distance = np.append(parameters[:3] - 1, 0.0)
        value = (weights * np.logaddexp(0, margin)).sum() + RIDGE * (distance**2).sum()
        return float(value), np.array(gradient) + 2 * RIDGE * distance

    bounds = [(0, MOST)] * 3 + [(None, None)]
    found = optimize.minimize(loss, np.array([1.0, 1.0, 1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds)
    return [float(value) for value in found.x]

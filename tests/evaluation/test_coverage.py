"""Test by simulation how often intervals contain the true values, and that the calibration error is nearly unbiased."""

import numpy as np
import pytest
from scipy import stats

from avscene.evaluation.bootstrap import TABLE_METRICS, group_intervals
from avscene.evaluation.calibration import CalibrationGaps, expected_calibration_error
from avscene.evaluation.metrics import compute_metrics
from avscene.labels import LabelSet
from avscene.tables.score_table import ScoreTable

SCENES = LabelSet(tuple("abcd"))
ROWS = 5  # of each group
EXPONENTS = {"calibrated": 1.0, "overconfident": 2.0}


def sampled(seed: int, n_groups: int, exponent: float) -> ScoreTable:
    """Draw groups with a scene each and an effect on all rows, and true scenes from the posterior of a Gaussian model.

    With an exponent of 1, probabilities are calibrated by Bayes' rule: the effect of a group is part of the noise.
    """
    random = np.random.default_rng(seed)
    truth = np.repeat(random.integers(0, len(SCENES), n_groups), ROWS)
    common = random.normal(size=(n_groups, len(SCENES))).repeat(ROWS, axis=0)
    seen = 1.2 * np.eye(len(SCENES))[truth] + 0.6 * common + 0.8 * random.normal(size=(len(truth), len(SCENES)))
    odds = np.exp(exponent * 1.2 * (seen - seen.max(axis=1, keepdims=True)))  # variance 1: log odds are 1.2 times seen
    return ScoreTable(
        SCENES,
        tuple(f"{row}.wav" for row in range(len(truth))),
        odds / odds.sum(axis=1, keepdims=True),
        groups=tuple(f"g{row // ROWS}" for row in range(len(truth))),
        truth=tuple(SCENES.names[scene] for scene in truth),
    )


@pytest.mark.parametrize("exponent", EXPONENTS.values(), ids=EXPONENTS)
def test_the_calibration_error_of_few_groups_is_nearly_that_of_many(exponent: float) -> None:
    many = sampled(10**6, 20_000, exponent)
    true = expected_calibration_error(many.truth_index, many.probabilities)
    tables = [sampled(seed, 60, exponent) for seed in range(60)]
    plain = np.mean([expected_calibration_error(table.truth_index, table.probabilities) for table in tables])
    corrected = np.mean([compute_metrics(table).ece for table in tables])
    assert abs(corrected - true) < max(0.7 * abs(plain - true), 0.01)


def test_the_correction_is_the_mean_of_folded_normal_noise_by_scipy() -> None:
    table = sampled(3, 30, 1.0)
    confidence = table.probabilities.max(axis=1)
    excess = (table.probabilities.argmax(axis=1) == table.truth_index) - confidence
    corrected, names = 0.0, np.array(table.groups)
    for rows in np.array_split(np.argsort(confidence), 15):  # 150 rows without ties: ten in each bin
        gap = excess[rows].sum() / len(table)
        of_groups = [(excess[rows] - excess[rows].mean())[names[rows] == name].sum() for name in np.unique(names)]
        deviation = np.sqrt(30 / 29 * np.square(of_groups).sum()) / len(table)
        corrected += 2 * abs(gap) - stats.foldnorm(abs(gap) / deviation, scale=deviation).mean()
    assert compute_metrics(table).ece == pytest.approx(corrected, abs=1e-9)


def test_the_calibration_error_of_one_group_or_without_noise_is_the_plain_one() -> None:
    table = sampled(0, 1, 1.0)
    plain = expected_calibration_error(table.truth_index, table.probabilities)
    assert CalibrationGaps.of(table.truth_index, table.probabilities, table.groups).corrected_error() == pytest.approx(
        plain
    )
    assert CalibrationGaps.of(table.truth_index, table.probabilities, table.groups).error == pytest.approx(plain)


@pytest.mark.parametrize("exponent", EXPONENTS.values(), ids=EXPONENTS)
def test_every_interval_contains_its_own_metric(exponent: float) -> None:
    for seed in range(40):
        table = sampled(seed, 40, exponent)
        metrics, intervals = compute_metrics(table), group_intervals(table, resamples=200)
        for name in TABLE_METRICS:
            assert intervals[name].low <= getattr(metrics, name) <= intervals[name].high, (seed, name)


@pytest.mark.slow
@pytest.mark.parametrize("exponent", EXPONENTS.values(), ids=EXPONENTS)
def test_intervals_contain_the_true_value_as_often_as_they_state(exponent: float) -> None:
    simulations = 1000
    true = compute_metrics(sampled(10**6, 40_000, exponent))
    hits = dict.fromkeys(TABLE_METRICS, 0)
    for seed in range(simulations):
        for name, interval in group_intervals(sampled(seed, 150, exponent), resamples=400).items():
            hits[name] += interval.low <= getattr(true, name) <= interval.high
    coverage = {name: count / simulations for name, count in hits.items()}
    error = coverage.pop("ece")
    assert all(0.93 <= share <= 0.97 for share in coverage.values()), coverage
    assert error >= 0.92, error

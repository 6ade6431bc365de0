"""Test linear heads: they learn, are calibrated, and predict out of fold without their own group in training."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from avscene.evaluation.metrics import accuracy, log_loss
from avscene.fusion.pooling import group_weights
from avscene.fusion.postprocess import fit_power
from avscene.models.linear_heads import LinearHead
from avscene.training.heads import linear_heads as heads
from avscene.training.heads.linear_heads import RIDGES, FittedHead, fit_head

SCENES, GROUPS, TAKES, SIZE = 3, 8, 6, 40  # groups of each scene, rows of each group, length of an embedding


def labelled() -> tuple[np.ndarray, list[str]]:
    """Truth (n,) and group of each row."""
    truth = np.repeat(np.arange(SCENES), GROUPS * TAKES)
    return truth, [f"{row // TAKES}" for row in range(len(truth))]


def separable(noise: float = 0.5, seed: int = 0) -> np.ndarray:
    """Embeddings (n, SIZE) with a direction of their own for each scene, on channels of very different scale."""
    random = np.random.default_rng(seed)
    truth, _ = labelled()
    centres = random.normal(0, 1, (SCENES, SIZE))
    rows = centres[truth] + random.normal(0, noise, (len(truth), SIZE))
    return rows * np.logspace(-2, 2, SIZE) + 5


@pytest.fixture(scope="module")
def fitted() -> FittedHead:
    truth, groups = labelled()
    return fit_head(separable(), truth, groups, SCENES)


def test_separable_scenes_are_separated(fitted: FittedHead) -> None:
    truth, _ = labelled()
    assert accuracy(truth, fitted.out_of_fold) == 1
    assert log_loss(truth, fitted.out_of_fold) < 0.05
    unseen = separable(seed=0) + np.logspace(-2, 2, SIZE) * np.random.default_rng(9).normal(0, 0.3, (len(truth), SIZE))
    assert accuracy(truth, fitted.head.probabilities(unseen)) > 0.98


def test_the_fitted_values_are_returned(fitted: FittedHead) -> None:
    assert fitted.ridge in RIDGES
    assert fitted.temperature > 0
    assert fitted.head.weight.shape == (SIZE, SCENES)
    np.testing.assert_allclose(fitted.out_of_fold.sum(axis=1), 1)


def test_out_of_fold_rows_are_scored_by_heads_trained_without_their_group() -> None:
    """Each group has a channel that determines its scene; no other channel does, so only leakage beats chance."""
    truth, groups = labelled()
    random = np.random.default_rng(1)
    giveaway = 10 * np.eye(SCENES * GROUPS)[[int(group) for group in groups]]
    rows = np.hstack([giveaway, random.normal(0, 1, (len(truth), 4))])
    fitted = fit_head(rows, truth, groups, SCENES)
    assert accuracy(truth, fitted.head.probabilities(rows)) == 1
    assert accuracy(truth, fitted.out_of_fold) < 1 / SCENES + 0.2
    assert log_loss(truth, fitted.out_of_fold) > 0.9 * np.log(SCENES)
    with_copies = fit_head(rows, truth, groups, SCENES, augmented=rows + random.normal(0, 0.1, rows.shape))
    assert accuracy(truth, with_copies.out_of_fold) < 1 / SCENES + 0.2
    cheat = fit_head(rows, truth, [str(row) for row in range(len(truth))], SCENES)  # groups torn apart
    assert accuracy(truth, cheat.out_of_fold) > 0.9


def test_augmented_rows_are_trained_on() -> None:
    truth, groups = labelled()
    rows, shift = separable(), 3 * np.logspace(-2, 2, SIZE)
    clean, both = fit_head(rows, truth, groups, SCENES), fit_head(rows, truth, groups, SCENES, augmented=rows + shift)
    losses = [log_loss(truth, fitted.head.probabilities(rows + shift)) for fitted in (clean, both)]
    assert losses[1] < 0.1 < losses[0]


def test_the_temperature_calibrates_noisy_scenes() -> None:
    truth, groups = labelled()
    random = np.random.default_rng(2)
    noisy = np.where(random.random(len(truth)) < 0.3, random.integers(0, SCENES, len(truth)), truth)  # wrong labels
    fitted = fit_head(separable(noise=1.5), noisy, groups, SCENES)
    free = {"weights": group_weights(groups), "deviation": 1e6}  # no prior
    left, needed = fit_power(fitted.out_of_fold, noisy, **free), 1 / fitted.temperature
    assert abs(np.log(left)) < abs(np.log(left * needed))  # it is nearer to calibrated than before
    assert log_loss(noisy, fitted.out_of_fold) < np.log(SCENES)


def test_few_groups_without_an_error_do_not_make_the_head_certain() -> None:
    """With 15 groups, all classified correctly, the log loss alone would choose the largest exponent."""
    truth, groups = np.repeat(np.arange(3), 25), [str(row // 5) for row in range(75)]
    random = np.random.default_rng(11)
    centres = random.normal(0, 1, (3, SIZE))
    fitted = fit_head(centres[truth] + random.normal(0, 0.5, (75, SIZE)), truth, groups, 3)
    assert accuracy(truth, fitted.out_of_fold) == 1
    assert 0.9 < fitted.temperature < 1.1


def test_the_head_carries_the_temperature() -> None:
    truth, groups = labelled()
    embeddings = separable(noise=2.5)
    fitted = fit_head(embeddings, truth, groups, SCENES)
    best = RIDGES.index(fitted.ridge)
    uncalibrated = heads.ridge_path(embeddings, truth, SCENES)[best].probabilities(embeddings)
    sharpened = uncalibrated ** (1 / fitted.temperature)
    expected = sharpened / sharpened.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.head.probabilities(embeddings), expected, atol=1e-5)
    assert not np.allclose(expected, uncalibrated, atol=1e-2)


def test_a_ridge_path_is_regularised_logistic_regression() -> None:
    """The same optimum as scikit-learn's, on standardised embeddings scaled to unit norm."""
    truth, _ = labelled()
    embeddings = np.random.default_rng(4).normal(0, 1, (len(truth), SIZE)) + 0.4 * np.eye(SCENES, SIZE)[truth]
    inputs = (embeddings - embeddings.mean(0)) / embeddings.std(0) / np.sqrt(SIZE)
    found = heads.ridge_path(embeddings, truth, SCENES)[0].probabilities(embeddings)
    oracle = LogisticRegression(C=1 / (2 * RIDGES[0] * len(truth)), tol=1e-8, max_iter=10_000).fit(inputs, truth)
    np.testing.assert_allclose(found, oracle.predict_proba(inputs), atol=0.02)


def test_rows_without_the_modality_stay_missing_and_are_not_trained_on() -> None:
    truth, groups = labelled()
    embeddings = separable()
    missing = np.arange(len(truth)) % 4 == 0
    holes = np.where(missing[:, None], np.nan, embeddings)
    fitted = fit_head(holes, truth, groups, SCENES)
    assert np.isnan(fitted.out_of_fold[missing]).all()
    assert np.isfinite(fitted.out_of_fold[~missing]).all()
    assert np.isfinite(fitted.head.weight).all()
    without = fit_head(embeddings[~missing], truth[~missing], list(np.array(groups)[~missing]), SCENES)
    np.testing.assert_allclose(fitted.head.weight, without.head.weight, atol=1e-6)


def test_constant_channels_are_harmless() -> None:
    truth, groups = labelled()
    embeddings = np.hstack([separable(), np.full((len(truth), 3), 7.0)])
    fitted = fit_head(embeddings, truth, groups, SCENES)
    assert np.isfinite(fitted.head.weight).all()
    assert accuracy(truth, fitted.out_of_fold) == 1


def test_the_same_rows_give_the_same_head(fitted: FittedHead) -> None:
    truth, groups = labelled()
    again = fit_head(separable(), truth, groups, SCENES)
    np.testing.assert_allclose(again.head.weight, fitted.head.weight, atol=1e-9)
    np.testing.assert_allclose(again.out_of_fold, fitted.out_of_fold, atol=1e-9)


def test_two_groups_of_each_scene_are_enough() -> None:
    truth = np.repeat([0, 1], 6)
    groups = [str(row // 3) for row in range(12)]
    rows = np.eye(2)[truth] + np.random.default_rng(0).normal(0, 0.1, (12, 2))
    fitted = fit_head(rows, truth, groups, 2)
    assert accuracy(truth, fitted.out_of_fold) == 1


def test_probabilities_follow_from_the_weights(fitted: FittedHead) -> None:
    embeddings = separable()
    copy = LinearHead(fitted.head.weight.astype(np.float32), fitted.head.bias.astype(np.float32))
    np.testing.assert_allclose(copy.probabilities(embeddings), fitted.head.probabilities(embeddings), atol=1e-4)

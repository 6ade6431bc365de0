"""Post-processing: identity parameters, fitting lowers the log loss, the ridge, smoothing over time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize, special, stats

from avscene.evaluation.metrics import log_loss
from avscene.fusion import postprocess
from avscene.fusion.pooling import FLOOR, group_weights, softmax
from avscene.fusion.postprocess import apply_power, apply_vector_scaling, fit_power, fit_vector_scaling, smooth
from avscene.fusion.prior import DEVIATION, SCENE_DEVIATION


@st.composite
def probabilities(draw):
    values = draw(arrays(float, (draw(st.integers(1, 6)), draw(st.integers(2, 5))), elements=st.floats(0.001, 1)))
    return values / values.sum(axis=1, keepdims=True)


def softmax_rows(logits):
    """Softmax over the last axis."""
    return special.softmax(logits, axis=-1)


def sample_truth(logits, random):
    """Draw true scenes from the probabilities of `logits`."""
    return (softmax(logits).cumsum(axis=1) > random.random((len(logits), 1))).argmax(axis=1)


@given(probabilities())
def test_identity_parameters_change_nothing(given_rows) -> None:
    scenes = given_rows.shape[1]
    np.testing.assert_allclose(apply_power(given_rows, 1), given_rows, atol=1e-9)
    np.testing.assert_allclose(
        apply_vector_scaling(given_rows, np.ones(scenes), np.zeros(scenes)), given_rows, atol=1e-9
    )


@given(probabilities(), st.floats(0.1, 5), st.floats(0.1, 5))
def test_power_keeps_the_order_of_scenes_and_sharpens_with_its_exponent(given_rows, low, high) -> None:
    low, high = sorted((low, high))
    soft, sharp = apply_power(given_rows, low), apply_power(given_rows, high)
    np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-9)
    assert (np.diff(np.take_along_axis(soft, given_rows.argsort(axis=1), axis=1), axis=1) >= -1e-12).all()
    assert (sharp.max(axis=1) >= soft.max(axis=1) - 1e-9).all()


@given(probabilities(), st.integers(0, 5), st.floats(0.01, 2))
def test_a_bias_raises_only_its_scene(given_rows, scene, bias) -> None:
    scenes = given_rows.shape[1]
    raised = apply_vector_scaling(given_rows, np.ones(scenes), bias * np.eye(scenes)[scene % scenes])
    assert (raised[:, scene % scenes] >= given_rows[:, scene % scenes] - 1e-12).all()
    others = np.arange(scenes) != scene % scenes
    assert (raised[:, others] <= given_rows[:, others] + 1e-12).all()


def test_missing_rows_stay_missing_and_zeros_are_floored() -> None:
    rows = np.array([[np.nan, np.nan], [0.0, 1.0]])
    for done in (apply_power(rows, 2.0), apply_vector_scaling(rows, np.ones(2), np.zeros(2))):
        assert np.isnan(done[0]).all()
        assert done[1, 0] == pytest.approx(FLOOR, rel=1e-5)


@given(probabilities(), st.floats(1, 50))
def test_no_probability_is_below_the_floor_and_rows_sum_to_one(given_rows, exponent) -> None:
    scenes = given_rows.shape[1]
    for done in (
        apply_power(given_rows, exponent),
        apply_vector_scaling(given_rows, np.full(scenes, exponent), np.zeros(scenes)),
    ):
        assert (done >= FLOOR * (1 - 1e-5)).all()
        np.testing.assert_allclose(done.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("known", [0.3, 1.0, 3.0])
def test_fit_power_recovers_a_known_temperature(known: float) -> None:
    random = np.random.default_rng(3)
    logits = random.normal(0, 1.5, (20_000, 5))
    truth = sample_truth(known * logits, random)
    assert fit_power(softmax(logits), truth) == pytest.approx(known, rel=0.05)


def test_fit_power_skips_missing_rows() -> None:
    random = np.random.default_rng(3)
    logits = random.normal(0, 1, (500, 3))
    truth = sample_truth(2 * logits, random)
    rows = softmax(logits)
    holes = np.concatenate([rows, np.full((100, 3), np.nan)])
    assert fit_power(holes, np.concatenate([truth, np.zeros(100, int)])) == pytest.approx(fit_power(rows, truth))


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(2, 6))
def test_fitting_never_raises_the_log_loss_of_the_fitting_rows(seed: int, scenes: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.integers(0, scenes, 60)
    rows = softmax(random.normal(0, 1, (60, scenes)) + random.uniform(0, 4) * np.eye(scenes)[truth])
    by_power = log_loss(truth, apply_power(rows, fit_power(rows, truth)))
    by_vector = log_loss(truth, apply_vector_scaling(rows, *fit_vector_scaling(rows, truth)))
    assert by_power <= log_loss(truth, rows) + 1e-4
    assert by_vector <= by_power + 1e-4


def test_vector_scaling_corrects_a_bias() -> None:
    random = np.random.default_rng(5)
    logits = random.normal(0, 1, (20_000, 3))
    truth = sample_truth(logits + np.array([1.0, 0.0, -1.0]), random)
    rows = softmax(logits)
    corrected = apply_vector_scaling(rows, *fit_vector_scaling(rows, truth))
    assert log_loss(truth, corrected) < log_loss(truth, apply_power(rows, fit_power(rows, truth))) - 0.1
    np.testing.assert_allclose(corrected.mean(axis=0), np.bincount(truth) / len(truth), atol=0.02)


def test_the_prior_pulls_towards_one_exponent_and_no_bias() -> None:
    random = np.random.default_rng(6)
    logits = random.normal(0, 1, (30, 4))
    truth = sample_truth(logits + np.array([1.5, 0, 0, -1.5]), random)
    rows = softmax(logits)
    shared = fit_power(rows, truth)

    def distance(deviation: float) -> float:
        scale, bias = fit_vector_scaling(rows, truth, deviation=deviation)
        return float(np.abs(scale - shared).max() + np.abs(bias).max())

    free, usual, tight = distance(10), distance(SCENE_DEVIATION), distance(1e-4)
    assert free > usual > tight
    assert tight < 1e-3


@pytest.mark.parametrize("n_groups", [5, 15, 60])
def test_the_prior_is_that_of_a_normal_distribution_and_counts_groups(n_groups: int) -> None:
    """The maximum of sum over groups of the mean log-likelihood + ln N(k; 1, DEVIATION), by scipy's density."""
    random = np.random.default_rng(4)
    logits = random.normal(0, 1, (n_groups * 4, 3))
    truth = sample_truth(3 * logits, random)
    rows, groups = softmax(logits), np.arange(n_groups).repeat(4)
    one_by_one = np.linspace(0.5, 3, 25_001)
    losses = -np.log(softmax_rows(one_by_one[:, None, None] * logits)[:, np.arange(len(truth)), truth])
    posterior = -losses.sum(axis=1) / 4 + stats.norm.logpdf(one_by_one, 1, DEVIATION)
    expected = one_by_one[posterior.argmax()]
    assert fit_power(rows, truth, group_weights(list(groups))) == pytest.approx(expected, abs=1e-3)


def test_few_groups_without_an_error_do_not_make_probabilities_certain() -> None:
    truth = np.arange(12) % 3
    rows = np.where(np.eye(3)[truth] > 0, 0.98, 0.01)
    assert fit_power(rows, truth) < 1.1
    assert fit_power(rows.repeat(100, axis=0), truth.repeat(100)) > 1.2
    scale, bias = fit_vector_scaling(rows, truth)
    assert scale.max() < 1.1
    assert np.abs(bias).max() < 0.05


def test_the_gradient_of_vector_scaling_is_that_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(8)
    rows = softmax(random.normal(0, 1, (40, 3)))
    truth = random.integers(0, 3, 40)
    losses = []

    def record(loss, start, **options):
        losses.append(loss)
        return optimize.OptimizeResult(x=start)

    monkeypatch.setattr(postprocess.scipy.optimize, "minimize", record)
    fit_vector_scaling(rows, truth)
    point = random.normal(0.5, 0.5, 6)
    numeric = optimize.approx_fprime(point, lambda x: losses[0](x)[0], 1e-6)
    np.testing.assert_allclose(losses[0](point)[1], numeric, atol=1e-5)


# Smoothing: neighbours in time, within one recording


@st.composite
def timed_rows(draw):
    """Probabilities (n, n_scenes), some missing, with the recording and the start of each row, in no order."""
    rows = draw(probabilities())
    n = len(rows)
    rows[draw(arrays(bool, n))] = np.nan
    recordings = draw(st.lists(st.sampled_from("ab"), min_size=n, max_size=n))
    starts = draw(arrays(float, n, elements=st.integers(0, 8).map(float)))
    return rows, recordings, starts


@given(timed_rows(), st.floats(0.5, 9))
def test_smoothing_is_the_mean_over_a_window_of_the_recording(drawn, width) -> None:
    rows, recordings, starts = drawn
    smoothed = smooth(rows, recordings, starts, width)
    for row, (recording, start) in enumerate(zip(recordings, starts, strict=True)):
        near = (np.array(recordings) == recording) & (np.abs(starts - start) < width / 2 - 1e-6)
        expected = rows[near & ~np.isnan(rows[:, 0])].mean(axis=0) if not np.isnan(rows[row, 0]) else np.nan
        np.testing.assert_allclose(smoothed[row], np.broadcast_to(expected, rows.shape[1]), atol=1e-9)


@given(timed_rows(), st.randoms())
def test_the_order_of_rows_does_not_matter_for_smoothing(drawn, random) -> None:
    rows, recordings, starts = drawn
    order = random.sample(range(len(rows)), len(rows))
    moved = smooth(rows[order], [recordings[k] for k in order], starts[order], 3.0)
    np.testing.assert_allclose(moved, smooth(rows, recordings, starts, 3.0)[order], atol=1e-9)


def test_smoothing_over_three_seconds_by_hand() -> None:
    rows = np.array([[1.0, 0.0], [0.4, 0.6], [0.1, 0.9], [np.nan, np.nan], [0.0, 1.0]])
    starts = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    expected = [[0.7, 0.3], [0.5, 0.5], [0.25, 0.75], [np.nan, np.nan], [0.0, 1.0]]
    np.testing.assert_allclose(smooth(rows, ["a"] * 5, starts, 3.0), expected, atol=1e-12)
    half = smooth(rows[:3], ["a"] * 3, starts[:3] * 0.1, 0.3)  # rows of a tenth of a second; sums of hops
    np.testing.assert_allclose(half, [*expected[:2], [0.25, 0.75]], atol=1e-12)
    same = smooth(rows[:3], ["a"] * 3, starts[:3] * 0.1, 0.2)  # the next row starts exactly half a window away
    np.testing.assert_allclose(same, rows[:3], atol=1e-12)
    apart = smooth(rows[:2], ["a", "b"], starts[:2], 3.0)
    np.testing.assert_allclose(apart, rows[:2], atol=1e-12)

"""Familiarity: the law of its shares, Fisher's method, and what is stored."""

import numpy as np
import pytest
from scipy import stats

from avscene.familiarity.combination import combine_shares
from avscene.familiarity.detector import FamiliarityDetector
from avscene.familiarity.fitting import FittedFamiliarity, LabelledEmbeddings, fit_familiarity, fit_on_validation

SIZE, SCENES, GROUPS, ROWS = 40, 4, 60, 8  # of an embedding; scenes, groups of each scene, rows of each group


def embeddings(seed: int, groups: int = GROUPS, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return rows of scenes with own means, of groups with own deviations; `shift` moves all along a new direction."""
    random, scenes = np.random.default_rng(seed), np.random.default_rng(99)
    means = scenes.normal(0, 3, (SCENES, SIZE)) * (np.arange(SIZE) < 10)
    truth = np.repeat(np.arange(SCENES), groups * ROWS)
    of_group = random.normal(0, 0.5, (SCENES * groups, SIZE)).repeat(ROWS, axis=0)
    values = means[truth] + of_group + random.normal(0, 1, (len(truth), SIZE))
    values[:, -1] += shift
    return values, truth, [str(row // ROWS) for row in range(len(truth))]


@pytest.fixture(scope="module")
def fitted() -> FittedFamiliarity:
    found = fit_familiarity(*embeddings(0), SCENES)
    assert found is not None
    return found


def test_the_share_is_uniform_in_trained_scenes_and_small_elsewhere(fitted: FittedFamiliarity) -> None:
    fresh = fitted.detector.score(embeddings(1)[0])
    for share in (0.05, 0.2, 0.5, 0.9):
        assert (fitted.out_of_fold < share).mean() == pytest.approx(share, abs=0.01)
        assert (fresh < share).mean() == pytest.approx(share, abs=0.05)
    for shift in (30, -300):  # also where scenes do not differ
        assert (fitted.detector.score(embeddings(2, shift=shift)[0]) < 0.05).mean() > 0.95
    values, truth, groups = embeddings(0)
    others = fit_familiarity(values[truth < 3], truth[truth < 3], groups[: 3 * GROUPS * ROWS], 3)
    assert others is not None
    assert (others.detector.score(values[truth == 3]) < 0.05).mean() > 0.95


def test_no_share_is_smaller_than_the_number_of_groups_can_show() -> None:
    found = fit_familiarity(*embeddings(0, groups=3), SCENES)
    assert found is not None
    assert found.detector.score(embeddings(2, shift=1000)[0]).min() == pytest.approx(1 / (3 * SCENES + 1))


def test_the_share_does_not_depend_on_scale_and_offset(fitted: FittedFamiliarity) -> None:
    values, truth, groups = embeddings(0)
    again = fit_familiarity(7 * values + 3, truth, groups, SCENES)
    assert again is not None
    np.testing.assert_allclose(again.out_of_fold, fitted.out_of_fold, atol=1e-6)


def test_rows_without_the_modality_are_left_out(fitted: FittedFamiliarity) -> None:
    values, truth, groups = embeddings(0)
    values[::2] = np.nan
    found = fit_familiarity(values, truth, groups, SCENES)
    assert found is not None
    np.testing.assert_array_equal(np.isnan(found.out_of_fold), np.arange(len(truth)) % 2 == 0)
    np.testing.assert_array_equal(np.isnan(fitted.detector.score(values)), np.arange(len(truth)) % 2 == 0)


def test_without_a_second_group_of_a_scene_nothing_is_fitted() -> None:
    values, truth, _ = embeddings(0)
    assert fit_familiarity(values, truth, [str(scene) for scene in truth], SCENES) is None


def test_a_stored_detector_gives_the_same_shares(fitted: FittedFamiliarity) -> None:
    arrays = fitted.detector.arrays()
    again = FamiliarityDetector.from_arrays(arrays, SIZE, SCENES)
    values = np.concatenate([embeddings(1)[0], embeddings(2, shift=3)[0]])
    np.testing.assert_allclose(again.score(values), fitted.detector.score(values), atol=0.01)
    with pytest.raises(ValueError, match="projection is not a finite array of shape"):
        FamiliarityDetector.from_arrays(arrays, SIZE + 1, SCENES)
    with pytest.raises(ValueError, match="are not those of a familiarity detector"):
        FamiliarityDetector.from_arrays({"projection": arrays["projection"]}, SIZE, SCENES)
    for name in arrays:
        with pytest.raises(ValueError, match=r"is not a finite array"):
            FamiliarityDetector.from_arrays({**arrays, name: np.float32(1).reshape(())}, SIZE, SCENES)


def test_shares_of_several_modalities_are_combined_by_fishers_method() -> None:
    shares, needs = np.random.default_rng(0).uniform(0.001, 1, (3, 50)), ("audio", "video", "both")
    expected = [stats.combine_pvalues(shares[:, row], method="fisher").pvalue for row in range(50)]
    np.testing.assert_allclose(combine_shares(shares, needs), expected, rtol=1e-9)
    single = np.array([[0.3, np.nan, np.nan], [np.nan, 0.02, np.nan]])
    np.testing.assert_allclose(combine_shares(single, ("audio", "video")), [0.3, 0.02, 1.0])


def test_models_of_one_modality_count_as_one() -> None:
    audio, video = np.random.default_rng(0).uniform(0.001, 1, (2, 50))
    two = combine_shares(np.stack([audio, video]), ("audio", "video"))
    copies = combine_shares(np.stack([audio, video, video, np.full(50, np.nan)]), ("audio", *("video",) * 3))
    np.testing.assert_allclose(copies, two)
    different = np.random.default_rng(1).uniform(0.001, 1, (4, 50))
    np.testing.assert_allclose(combine_shares(different, ("video",) * 4), stats.gmean(different))


def test_the_rows_that_an_encoder_was_trained_on_say_nothing_of_which_distances_are_usual() -> None:
    values, truth, groups = embeddings(0)
    means = np.stack([values[truth == scene].mean(axis=0) for scene in range(SCENES)])[truth]
    collapsed = LabelledEmbeddings(means + 0.3 * (values - means), truth, groups)  # as in a network trained on them
    validation, (new, *_) = LabelledEmbeddings(*embeddings(1)), embeddings(2)
    honest, flattered = (fit_on_validation(collapsed, rows, SCENES) for rows in (validation, collapsed))
    assert honest is not None
    assert flattered is not None
    assert stats.kstest(honest.score(new)[::ROWS], "uniform").pvalue > 0.01
    assert (flattered.score(new) < 0.05).mean() > 0.9
    assert (honest.score(embeddings(2, shift=20.0)[0]) < 0.05).mean() > 0.95


def test_shares_beyond_few_validation_groups_are_extrapolated() -> None:
    training, few = LabelledEmbeddings(*embeddings(0)), LabelledEmbeddings(*embeddings(1, groups=5))
    found = fit_on_validation(training, few, SCENES)
    assert found is not None
    least = 1 / (SCENES * 5 + 1)
    far = [
        found.share_of(np.array([found.distances[found.shares >= least][-1] * factor]))[0] for factor in (1, 2, 9, 99)
    ]
    assert far[0] == pytest.approx(least)
    assert far == sorted(far, reverse=True)
    assert far[-1] == pytest.approx(least / 100)
    assert (found.score(embeddings(2)[0]) < 0.05).mean() < 0.15  # of familiar rows, with so few groups


def test_an_encoder_that_was_trained_on_all_rows_gets_the_distances_of_the_one_before() -> None:
    training, validation = LabelledEmbeddings(*embeddings(0)), LabelledEmbeddings(*embeddings(1))
    final = LabelledEmbeddings(2 * training.embeddings + 5, training.truth, training.groups)
    first, kept = (
        fit_on_validation(training, validation, SCENES),
        fit_on_validation(training, validation, SCENES, final),
    )
    assert first is not None
    assert kept is not None
    np.testing.assert_array_equal(kept.distances, first.distances)
    new = embeddings(2)[0]
    np.testing.assert_allclose(kept.score(2 * new + 5), first.score(new), atol=1e-6)


def test_rows_that_do_not_suffice_give_no_detector() -> None:
    training, validation = LabelledEmbeddings(*embeddings(0)), LabelledEmbeddings(*embeddings(1))
    nothing = LabelledEmbeddings(np.full_like(validation.embeddings, np.nan), validation.truth, validation.groups)
    of_three = LabelledEmbeddings(
        np.where(training.truth[:, None] < 3, training.embeddings, np.nan), training.truth, training.groups
    )
    assert fit_on_validation(training, nothing, SCENES) is None
    assert fit_on_validation(of_three, validation, SCENES) is None
    assert fit_on_validation(training, validation, SCENES, of_three) is None

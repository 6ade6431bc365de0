"""Bootstrap intervals equal those of tables made of the drawn groups, and depend on groups only."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as oracle

from avscene.evaluation.bootstrap import CLASS_METRICS, TABLE_METRICS, class_intervals, group_intervals
from avscene.evaluation.measurement import measure
from avscene.evaluation.risk import risk_coverage
from avscene.tables.score_table import ScoreTable
from tests.support.location_tables import location_table


def test_intervals_equal_those_of_tables_of_the_drawn_groups():
    table, resamples = location_table(5, 1.0, locations=4), 150
    groups = np.array(table.groups)
    names = np.unique(groups)
    random, values = np.random.default_rng(7), []
    for _ in range(2):  # in batches of 100, as the module draws them
        for times in random.multinomial(4, [0.25] * 4, size=100 if not values else resamples - 100):
            drawn = np.concatenate([np.flatnonzero(groups == name) for name in np.repeat(names, times)])
            truth, p = table.truth_index[drawn], table.probabilities[drawn]
            by_class = [oracle.log_loss(truth[truth == c], p[truth == c], labels=[0, 1, 2]) for c in np.unique(truth)]
            hits = [(p[truth == c].argmax(axis=1) == c).mean() for c in np.unique(truth)]
            whole = oracle.log_loss(truth, p, labels=[0, 1, 2]), (p.argmax(axis=1) == truth).mean()
            brier = ((p - np.eye(3)[truth]) ** 2).sum(axis=1).mean()
            area = risk_coverage(truth, p).area
            values.append((whole[0], np.mean(by_class), whole[1], np.mean(hits), brier, area))
    expected = np.quantile(values, [0.025, 0.975], axis=0).T
    found = group_intervals(table, resamples=resamples, seed=7)
    assert tuple(found) == TABLE_METRICS
    del found["ece"]  # not a percentile interval
    np.testing.assert_allclose([(interval.low, interval.high) for interval in found.values()], expected)


def test_intervals_of_scenes_and_cities_equal_those_of_tables_of_the_drawn_groups():
    table = location_table(5, 1.0, locations=6)
    groups, truth, predicted = np.array(table.groups), table.truth_index, table.probabilities.argmax(axis=1)
    names, recall, precision = np.unique(groups), [], []
    for times in np.random.default_rng(0).multinomial(6, [1 / 6] * 6, size=1000):
        drawn = np.concatenate([np.flatnonzero(groups == name) for name in np.repeat(names, times)])
        parks, park_predictions = drawn[truth[drawn] == 0], drawn[predicted[drawn] == 0]
        recall.append((predicted[parks] == 0).mean() if len(parks) else np.nan)
        precision.append((truth[park_predictions] == 0).mean() if len(park_predictions) else np.nan)
    found = class_intervals(table)["park"]
    assert tuple(found) == CLASS_METRICS
    for name, drawn in (("recall", recall), ("precision", precision)):
        assert [found[name].low, found[name].high] == pytest.approx(np.nanquantile(drawn, [0.025, 0.975]))
    measured = measure(table)
    assert measured.class_intervals["park"] == found
    part = [at for at, name in enumerate(table.filenames) if "-lisbon-" in name]
    of_city = ScoreTable(
        table.labels,
        tuple(table.filenames[at] for at in part),
        table.probabilities[part],
        groups=tuple(table.groups[at] for at in part),
        truth=tuple(table.truth[at] for at in part),
    )
    expected = group_intervals(of_city)
    for name in ("log_loss", "accuracy"):
        interval = measured.by_city["lisbon"].intervals[name]
        assert (interval.low, interval.high) == pytest.approx((expected[name].low, expected[name].high))


def test_a_scene_of_one_group_has_no_intervals_of_recall_and_log_loss():
    found = class_intervals(location_table(5, 1.0, locations=4))  # the fourth location is of the first scene
    assert {"recall", "log_loss"} <= set(found["park"])
    assert not {"recall", "log_loss"} & set(found["tram"])


def test_intervals_are_reproducible_and_do_not_depend_on_the_order_of_rows():
    table = location_table(5, 1.0)
    order = np.random.default_rng(0).permutation(len(table))
    shuffled = ScoreTable(
        table.labels,
        tuple(table.filenames[at] for at in order),
        table.probabilities[order],
        table.starts[order],
        tuple(table.groups[at] for at in order),
        tuple(table.truth[at] for at in order),
    )
    first, again, other = (group_intervals(made) for made in (table, table, shuffled))
    assert first == again
    for name in TABLE_METRICS:
        assert (first[name].low, first[name].high) == pytest.approx((other[name].low, other[name].high))


def test_fewer_groups_give_wider_intervals():
    def width(locations: int) -> float:
        found = [group_intervals(location_table(seed, 1.0, locations=locations))["log_loss"] for seed in range(5)]
        return float(np.mean([interval.high - interval.low for interval in found]))

    assert width(6) > 1.5 * width(48)
    whole = location_table(0, 1.0, locations=12, segments=40)
    by_row = replace(whole, groups=tuple(map(str, range(len(whole)))))
    wide, narrow = (group_intervals(table)["log_loss"] for table in (whole, by_row))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low), "segments of one group are not independent"

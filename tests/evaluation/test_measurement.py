"""The measurement of a table: metrics of segments, recordings, cities and unseen pairs of scene and city."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from avscene.errors import DataError
from avscene.evaluation.bootstrap import TABLE_METRICS
from avscene.evaluation.measurement import measure
from avscene.tables.score_table import ScoreTable
from tests.support.location_tables import LABELS, SEEN, location_table


def test_metrics_equal_those_of_scikit_learn():
    table = location_table(3, 1.5)
    found = measure(table, seen=SEEN)
    truth, p, cities = table.truth_index, table.probabilities, [name.split("-")[1] for name in table.filenames]
    predicted = p.argmax(axis=1)

    def loss(chosen) -> float:
        return oracle.log_loss(truth[chosen], p[chosen], labels=[0, 1, 2])

    def right(chosen) -> float:
        return oracle.accuracy_score(truth[chosen], predicted[chosen])

    everything = np.full(len(truth), fill_value=True)
    assert found.segments.log_loss == pytest.approx(loss(everything))
    assert found.segments.accuracy == pytest.approx(right(everything))
    assert found.segments.accuracy_macro == pytest.approx(oracle.balanced_accuracy_score(truth, predicted))
    assert found.segments.accuracy_macro != pytest.approx(found.segments.accuracy), "the scenes differ in size"
    assert found.segments.log_loss_macro == pytest.approx(np.mean([loss(truth == scene) for scene in range(3)]))
    assert set(found.by_city) == set(cities)
    for city, metrics in found.by_city.items():
        chosen = np.array(cities) == city
        assert metrics.n == chosen.sum()
        assert (metrics.log_loss, metrics.accuracy) == pytest.approx((loss(chosen), right(chosen)))
    only = np.array([name.startswith("shopping_mall-london") for name in table.filenames])
    assert found.unseen.pairs == (("shopping_mall", "london"),)
    assert (found.unseen.only.log_loss, found.unseen.only.accuracy) == pytest.approx((loss(only), right(only)))
    assert (found.unseen.without.log_loss, found.unseen.without.accuracy) == pytest.approx((loss(~only), right(~only)))
    assert found.unseen.only.n + found.unseen.without.n == found.segments.n == len(table)
    names = sorted(set(table.filenames))
    means = np.array([p[np.array(table.filenames) == name].mean(axis=0) for name in names])
    scenes = [table.labels.index(name.split("-")[0]) for name in names]
    assert found.recordings.n == len(names)
    assert found.recordings.log_loss == pytest.approx(oracle.log_loss(scenes, means, labels=[0, 1, 2]))
    assert found.recordings.accuracy == pytest.approx(oracle.accuracy_score(scenes, means.argmax(axis=1)))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(LABELS.names), st.integers(0, 2)), min_size=1))
@settings(max_examples=25)
@pytest.mark.filterwarnings("error")
def test_any_rows_in_any_groups_are_measured(rows):
    p = np.full((len(rows), 3), 0.1) + 0.7 * np.eye(3)[[answer for _, _, answer in rows]]
    groups, truth, _ = zip(*rows, strict=True)
    names = tuple(f"park-{'lyon' if group == 'a' else 'paris'}-1-{at}" for at, group in enumerate(groups))
    found = measure(ScoreTable(LABELS, names, p, groups=groups, truth=truth), seen={("park", "lyon")})
    assert set(found.intervals) == (set(TABLE_METRICS) if len(set(groups)) > 1 else set())
    assert found.by_city.get("lyon", found.by_city.get("paris")).n
    every = [*found.intervals.values(), *(i for known in found.class_intervals.values() for i in known.values())]
    assert all(interval.low <= interval.high for interval in every), "none is NaN"


def test_recordings_of_several_scenes_have_no_metrics_by_recording():
    table = location_table(1, 1.0)
    found = measure(replace(table, filenames=("recording.mp4",) * len(table), starts=np.arange(float(len(table)))))
    assert found.recordings is None
    assert found.segments == measure(table).segments


def test_cities_may_be_given_and_pairs_may_be_unknown():
    table = location_table(1, 1.0)
    found = measure(table, cities={table.filenames[0]: "porto"})
    assert {city: metrics.n for city, metrics in found.by_city.items()} == {"porto": 4}
    assert found.unseen is None
    without_cities = replace(table, filenames=tuple(str(at) for at in range(len(table))))
    assert measure(without_cities, seen=SEEN).by_city == {}
    assert measure(without_cities, seen=SEEN).unseen.pairs == (), "without cities no pair is unseen"
    windows_paths = replace(table, filenames=tuple(f"video\\{name}" for name in table.filenames))
    assert measure(windows_paths).by_city == measure(table).by_city


def test_a_table_without_truth_is_refused():
    with pytest.raises(DataError, match="no column 'true_label'"):
        measure(replace(location_table(1, 1.0), truth=None))

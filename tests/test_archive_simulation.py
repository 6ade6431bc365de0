"""Test the simulation of runs over archives against what can be computed by hand."""

from dataclasses import fields, replace

import pytest

from benchmarks.archive_simulation import Costs, Run, driver_limit, simulate, unit_of

FREE = Costs(**{one.name: 0.0 for one in fields(Costs)})
BUSY = Costs(**{one.name: 1e-3 for one in fields(Costs)} | {"turn_per_actor": 1e-5})


def test_without_costs_and_spread_actors_share_the_files() -> None:
    found = simulate(Run(actors=4, files=1600, seconds=2.0, spread=1e-9, unit=20), FREE)
    assert found.seconds == pytest.approx(1600 * 2.0 / 4)
    assert found.actors_busy == pytest.approx(1.0)
    assert found.driver_busy == 0


@pytest.mark.parametrize("unit", [1, 16])
def test_many_actors_wait_for_the_driver(unit: int) -> None:
    run = Run(actors=300, files=30_000, seconds=0.01, spread=0.2, unit=unit, batched=False)
    found = simulate(run, BUSY)
    assert found.driver_busy == pytest.approx(1.0, abs=0.02)
    assert found.rate == pytest.approx(driver_limit(BUSY, 300, unit, run.segments, batched=False), rel=0.05)


def test_few_actors_do_not_wait() -> None:
    found = simulate(Run(actors=5, files=5000, seconds=1.0, spread=0.3, unit=50), FREE)
    assert found.rate == pytest.approx(5.0, rel=0.05)


def test_taking_all_answers_in_a_turn_is_faster() -> None:
    run = Run(actors=300, files=9000, seconds=0.01, spread=0.2, unit=1, batched=False)
    assert simulate(replace(run, batched=True), BUSY).rate > 1.2 * simulate(run, BUSY).rate


def test_the_units_of_lost_nodes_are_done_again() -> None:
    run = Run(actors=20, files=20_000, seconds=1.0, spread=0.3, unit=20, node_actors=5)
    calm, lossy = simulate(run, BUSY), simulate(replace(run, node_hours=0.1), BUSY)
    assert (calm.n_lost, lossy.files) == (0, run.files)
    assert lossy.n_lost > 5
    # At least the work that is lost, half a unit on average, and the time until a node is replaced are added.
    added = lossy.n_lost * (0.5 * 20 * run.seconds + run.replace) / run.actors
    assert lossy.seconds - calm.seconds == pytest.approx(added, rel=0.5)


def test_units_take_half_a_minute_and_have_1024_files_at_most() -> None:
    assert [unit_of(Run(1, 1, seconds, 0.1, 0)) for seconds in (0.01, 1.0, 3.0, 100.0)] == [1024, 30, 10, 1]
    assert unit_of(Run(1, 1, 1.0, 0.1, 64)) == 64

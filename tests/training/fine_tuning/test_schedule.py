"""Test the schedule of rows, random numbers and learning rates."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avscene.training import augment
from avscene.training.fine_tuning.plan import NetworkPlan
from avscene.training.fine_tuning.schedule import RandomStream, Schedule, pieces_for, random_for
from tests.support.small_store import plan

KINDS = ("audio", "video")


plans = st.builds(
    lambda micro, count, epochs, warm_up, seed: plan(
        "audio", batch=micro * count, micro_batch=micro, epochs=epochs, warm_up=warm_up, seed=seed
    ),
    st.integers(2, 5),
    st.integers(1, 4),
    st.integers(1, 4),
    st.floats(0, 3),
    st.integers(0, 99),
)
few = settings(max_examples=50)


@few
@given(plans, st.integers(2, 60), st.integers(0, 10**6))
def test_a_schedule_can_start_at_any_step(wanted: NetworkPlan, n_rows: int, start: int) -> None:
    rows = list(range(100, 100 + n_rows))
    schedule = Schedule(wanted, rows)
    steps = list(schedule.steps(0))
    assert len(steps) == schedule.n_steps
    assert [step[0].step for step in steps] == list(range(schedule.n_steps))
    first = start % (schedule.n_steps + 1)
    assert list(schedule.steps(first)) == steps[first:]
    for epoch in range(wanted.epochs):
        taken = [row for step in steps for micro in step for row in micro.rows if micro.epoch == epoch]
        assert len(taken) == len(set(taken)) > n_rows - wanted.micro_batch
        assert set(taken) <= set(rows)
    sizes = {len(micro.rows) for step in steps for micro in step}
    assert sizes == {min(wanted.micro_batch, n_rows)}
    assert all(len(step) <= wanted.batch // wanted.micro_batch for step in steps)


@few
@given(plans, st.integers(2, 60), st.integers(1, 30))
def test_pieces_of_micro_batches_are_the_rows_of_whole_ones(wanted: NetworkPlan, n_rows: int, pieces: int) -> None:
    whole = Schedule(wanted, range(n_rows))
    divided = Schedule(wanted, range(n_rows), pieces)
    for step, parts in zip(whole.steps(0), divided.steps(0), strict=True):
        assert [row for micro in parts for row in micro.rows] == [row for micro in step for row in micro.rows]
        assert all(micro.rows for micro in parts)
        assert len(parts) <= divided.micro_batches


@few
@given(plans, st.integers(1, 30))
def test_only_plans_whose_rows_are_independent_are_divided(wanted: NetworkPlan, n_processes: int) -> None:
    assert pieces_for(wanted, n_processes) == 1
    assert pieces_for(wanted.model_copy(update={"linear_probe": True}), n_processes) == 1  # mixup
    independent = wanted.model_copy(update={"linear_probe": True, "mixup": 0.0})
    assert pieces_for(independent, 1) == 1
    shares = Schedule(independent, range(60), pieces_for(independent, n_processes)).micro_batches
    assert shares >= min(n_processes, independent.batch)


@few
@given(plans, st.integers(2, 60))
def test_the_learning_rate_rises_then_falls_and_is_never_zero(wanted: NetworkPlan, n_rows: int) -> None:
    schedule = Schedule(wanted, range(n_rows))
    rates = [schedule.learning_rate(step) for step in range(schedule.n_steps)]
    assert min(rates) > 0
    assert max(rates) == pytest.approx(wanted.learning_rate)
    peak = rates.index(max(rates))
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert peak <= round(wanted.warm_up * schedule.steps_per_epoch)


def test_every_point_of_a_training_has_its_own_random_numbers() -> None:
    counts = ((0,), (0, 0), (0, 1), (1, 0))
    points = [(stream, seed, *count) for stream in RandomStream for seed in (0, 1) for count in counts]
    drawn = {int(random_for(*point).integers(2**63)) for point in points}
    assert len(drawn) == len(points)
    assert random_for(RandomStream.ROW, 1, 2, 3).random() == random_for(RandomStream.ROW, 1, 2, 3).random()


@few
@given(plans, st.integers(2, 60))
def test_batch_norms_are_estimated_on_distinct_training_rows(wanted: NetworkPlan, n_rows: int) -> None:
    rows = range(10, 10 + n_rows)
    parts = Schedule(wanted, rows).statistics_batches()
    assert {len(part) for part in parts} == {min(wanted.micro_batch, n_rows)}
    taken = [row for part in parts for row in part]
    assert len(taken) == len(set(taken)) > n_rows - wanted.micro_batch
    assert set(taken) <= set(rows)


def test_large_sets_estimate_batch_norms_on_a_share() -> None:
    def count(n_rows: int) -> int:
        return sum(map(len, Schedule(plan("audio", batch=32, micro_batch=32), range(n_rows)).statistics_batches()))

    assert [count(n_rows) for n_rows in (100, 1000, 8000)] == [96, 256, 992]


def test_orders_differ_between_epochs_and_seeds() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        schedule = Schedule(plan("audio", seed=seed), range(40))
        return [row for step in schedule.steps(0) for micro in step if micro.epoch == epoch for row in micro.rows]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_mixup_of_audio_and_frames_agrees() -> None:
    """Joint audio-visual mixup: plans that agree in seed and batches take the same rows, partners and shares."""
    steps = [list(Schedule(plan(kind), range(40)).steps(0)) for kind in KINDS]
    assert steps[0] == steps[1]
    shapes = {"audio": (4, 8, 9), "video": (4, 3, 5, 5)}
    targets = [
        augment.mixup(torch.zeros(shape), torch.eye(4), 0.3, random_for(RandomStream.MIXUP, 7, 1, 5, 0))[1]
        for shape in shapes.values()
    ]
    assert torch.equal(*targets)

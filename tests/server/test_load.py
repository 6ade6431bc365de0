"""Test the server under load: no request fails, no answer is lost or exchanged, latency and memory are bounded."""

import json
from pathlib import Path
from statistics import median

import pytest

from benchmarks.load import Answer, Load, send
from benchmarks.server import N_CLIENTS, SYSTEM, TARGET, classify, clips, for_seconds
from tests.support.server import Serving, serve

SECONDS, N_REQUESTS = 60.0, 2000
N_FILES = 480
QUEUE = 8
GROWTH_MB = 96.0  # of about 750 MB: allocators of several threads and processes vary by half of that


def expected_predictions(paths: list[Path], lines: list[str]) -> dict[Path, dict[str, object]]:
    """Return the prediction of each clip from lines that `classify` wrote for `paths`; equal clips have equal ones."""
    found: dict[Path, dict[str, object]] = {}
    for path, line in zip(paths, lines, strict=True):
        prediction = json.loads(line) | {"source": ""}
        assert found.setdefault(path, prediction) == prediction
    assert len({json.dumps(prediction["scores"]) for prediction in found.values()}) == len(found), "clips are alike"
    return found


def check(answers: list[Answer], expected: dict[Path, dict[str, object]]) -> None:
    """Every answer is the prediction of its own clip, under its own name."""
    assert {answer.status for answer in answers} == {200}
    assert len({answer.name for answer in answers}) == len(answers)
    for answer in answers:
        assert json.loads(answer.body) == expected[answer.clip] | {"source": answer.name}


def check_nothing_left(serving: Serving) -> None:
    assert list((serving.directory / "jobs").glob("*")) == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_32_clients_for_a_minute_and_2000_requests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = clips()
    listed = [paths[k % len(paths)] for k in range(N_FILES)]
    with serve(tmp_path, "--system", SYSTEM) as serving:
        for_seconds(serving.url, serving.process.pid, paths, 5)  # the model is loaded
        rates, loads, lines = [], list[Load](), list[str]()
        while not loads or sum(len(load.answers) for load in loads) < N_REQUESTS:
            rate, lines = classify(listed)
            rates.append(rate)
            loads.append(for_seconds(serving.url, serving.process.pid, paths, SECONDS))
        check_nothing_left(serving)
    rates.append(classify(listed)[0])
    expected = expected_predictions(listed, lines)
    for load in loads:
        check(load.answers, expected)
    answers = [answer for load in loads for answer in load.answers]
    rate = len(answers) / sum(load.answers[-1].ended - load.answers[0].begun for load in loads)
    ratio = rate / median(rates)
    latency = max(load.latency(0.99) for load in loads)
    memory = [value for load in loads for value in load.memory]
    tenth = len(memory) // 10
    before, after = median(memory[tenth : 3 * tenth]), median(memory[-2 * tenth :])
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{len(answers)} requests, {rate:.1f} a second; classify {median(rates):.1f}; ratio {ratio:.2f}; "
            f"latency {loads[0].latency(0.5):.2f} s, 99 %: {latency:.2f} s; memory {before:.0f} MB, then {after:.0f} MB"
        )
    assert ratio >= TARGET
    assert latency <= 2 * N_CLIENTS / rate, "more than twice the length of the queue times the service time"
    assert after <= before + GROWTH_MB


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_clients_beyond_the_queue_are_asked_to_come_back_and_then_served(tmp_path: Path) -> None:
    paths = clips(4)
    with serve(tmp_path, "--system", SYSTEM, "--max-queue", str(QUEUE)) as serving:
        load = send(serving.url, paths, N_CLIENTS, lambda load: len(load.answers) > 200, serving.process.pid)
        check_nothing_left(serving)
    assert load.waits
    assert median(load.waits) <= max(1.0, 2 * QUEUE / load.rate()), "the server asks to wait longer than its queue is"
    check(load.answers, expected_predictions(paths, classify(paths)[1]))

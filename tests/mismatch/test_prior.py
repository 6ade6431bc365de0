"""The prior of a mismatch, the false alarms to expect, and the spans of a recording."""

import json
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, logit

from avscene.mismatch.detector import MismatchDetector, pool_recordings
from avscene.mismatch.false_alarms import FalseAlarms
from avscene.mismatch.pairs import pair_tables
from avscene.mismatch.spans import MEAN_LENGTH, find_spans, smooth
from avscene.tables.prediction_table import read_table, write_table
from avscene.tables.score_table import ScoreTable
from tests.mismatch.test_mismatch import LABELS, SECONDS, rows_of, tables, write_tables
from tests.support.command_line import run


@pytest.fixture(scope="module")
def detector() -> MismatchDetector:
    return MismatchDetector.fit(pair_tables(*tables(0)))


def test_the_prior_multiplies_the_odds(detector: MismatchDetector) -> None:
    both = pair_tables(*tables(1))
    even = detector.segment.score(both.audio, both.video)
    for prior in (0.5, 0.1, 0.01):
        odds = even / (1 - even) * prior / (1 - prior)
        np.testing.assert_allclose(detector.segment.score(both.audio, both.video, prior), odds / (1 + odds))


def test_the_false_alarms_to_expect_are_those_of_other_intact_recordings(detector: MismatchDetector) -> None:
    other = pool_recordings(pair_tables(*tables(5, count=2000, groups=1000)))
    scores = {prior: detector.recording.score(other.audio, other.video, prior) for prior in (0.5, 0.1, 0.01)}
    for prior, found in scores.items():
        expected = detector.recording.false_alarms(prior)
        assert expected is not None
        assert 100 * (found >= detector.recording.threshold).mean() == pytest.approx(expected, abs=4)
    assert (scores[0.01] >= detector.recording.threshold).sum() < (
        scores[0.5] >= detector.recording.threshold
    ).sum() / 4


@pytest.mark.parametrize("n", [0, 5, 80, 5000])
def test_false_alarms_follow_the_rule_of_succession(n: int) -> None:
    scores = np.random.default_rng(n).uniform(0, 1, n)
    alarms = FalseAlarms.of(scores)
    assert len(alarms.scores) <= 200
    assert FalseAlarms.model_validate_json(alarms.model_dump_json()) == alarms
    for threshold in (0.02, 0.5, 0.97, 2.0):
        exact = ((scores >= threshold).sum() + 1) / (n + 2)
        assert exact - 1e-12 <= alarms.expected_rate(threshold) <= 1.05 * exact + 1e-12


def test_smoothing_is_the_posterior_of_a_markov_chain() -> None:
    """All paths of the two states are enumerated."""
    random = np.random.default_rng(0)
    starts, log_odds, prior = np.array([0.0, 1, 2, 4, 9, 10]), random.normal(0, 3, 6), 0.2
    leave = 1 / MEAN_LENGTH  # rate per second at which a mismatch ends
    rates = np.array([[-leave * prior / (1 - prior), leave * prior / (1 - prior)], [leave, -leave]])
    powers, vectors = np.linalg.eig(rates)
    found, total = np.zeros(6), 0.0
    for path in product((0, 1), repeat=6):
        weight = (1 - prior, prior)[path[0]]
        for (before, after), step in zip(pairwise(path), np.diff(starts), strict=True):
            weight *= (vectors @ np.diag(np.exp(powers * step)) @ np.linalg.inv(vectors))[before, after].real
        weight *= float(np.prod(np.where(path, expit(log_odds), expit(-log_odds))))
        total += weight
        found += weight * np.array(path)
    np.testing.assert_allclose(smooth(log_odds, starts, prior), found / total, rtol=1e-9)


def test_a_swapped_part_is_a_span_and_a_doubtful_second_is_none() -> None:
    log_odds = np.full(20, -3.0)
    log_odds[5:10] = 4.0
    log_odds[14] = 3.0
    log_odds[7] = np.nan  # without audio
    times = np.stack([np.arange(20.0), np.arange(1.0, 21)], axis=1)
    (span,) = find_spans(log_odds, times, 0.01)
    assert (span.start, span.end) == (5.0, 10.0)
    assert 0.9 < span.score <= 1
    assert find_spans(np.full(20, np.nan), times, 0.01) == ()
    assert logit(0.01) < -3  # so that one second of 3.0 is not enough


# The command


def test_the_command_states_prior_threshold_and_false_alarms(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fitting, tested = write_tables(tmp_path, 0), write_tables(tmp_path, 1)
    arguments = (
        "mismatch",
        *tested,
        "--fit",
        *fitting,
        "--output",
        tmp_path / "out.tsv",
        "--json",
        tmp_path / "out.json",
        "--overwrite",
    )
    flagged = {}
    for options in ((), ("--prior", "0.5")):
        done = run(capfd, *arguments, *options)
        content = json.loads((tmp_path / "out.json").read_text())["recordings"]
        flagged[content["prior"]] = content["known"]["false"]
        assert f"prior {content['prior']:g}, threshold {content['threshold']:.3f}, false alarms to expect" in done.out
        assert 0 < content["false_alarms"] < 100
    assert flagged[0.01] < flagged[0.5]
    for wrong in ("0", "1", "1.5", "nan"):
        assert "between 0 and 1" in run(capfd, *arguments, "--prior", wrong).error()


def test_the_command_writes_spans(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A recording of twenty seconds has five of the audio of another scene."""
    truth, seconds = ("park",) * 20, np.arange(20.0)
    names, video = ("film.mp4",) * 20, np.tile([0.94, 0.02, 0.02, 0.02], (20, 1))
    audio = video.copy()
    audio[8:13] = [0.02, 0.02, 0.94, 0.02]
    paths = tmp_path / "a.tsv", tmp_path / "v.tsv"
    for path, values in zip(paths, (audio, video), strict=True):
        groups = ("somewhere",) * 20
        write_table(path, ScoreTable(LABELS, names, values, starts=seconds, groups=groups, truth=truth))
    fitting = write_tables(tmp_path, 0)
    done = run(capfd, "mismatch", *paths, "--fit", *fitting, "--output", tmp_path / "out.tsv", "--prior", "0.2")
    assert f"{tmp_path / 'out.spans.tsv'}: written" in done.out
    (span,) = rows_of(tmp_path / "out.spans.tsv")
    assert list(span) == ["filename", "start", "end", "score"]
    assert (span["filename"], float(span["start"]), float(span["end"])) == ("film.mp4", 8, 13)
    assert [row["verdict"] for row in rows_of(tmp_path / "out.recordings.tsv")] == ["0"]


def test_tables_in_the_wrong_order_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    paths = {}
    for seed in (0, 1):
        for name, table in zip(("audio", "video"), tables(seed), strict=True):
            paths[name, seed] = tmp_path / f"{name}-{seed}.tsv"
            write_table(paths[name, seed], replace(table, modality=name))
    output = ("--output", tmp_path / "out.tsv", "--overwrite")
    fit = ("--fit", paths["audio", 0], paths["video", 0])
    assert run(capfd, "mismatch", paths["audio", 1], paths["video", 1], *fit, *output).code == 0
    refused = run(capfd, "mismatch", paths["video", 1], paths["audio", 1], *fit, *output).error()
    assert "video-1.tsv: is a table of video by its column 'modality', given as that of audio" in refused
    assert f"avscene mismatch {paths['audio', 1]} {paths['video', 1]}" in refused
    swapped = ("--fit", paths["video", 0], paths["audio", 0])
    refused = run(capfd, "mismatch", paths["audio", 1], paths["video", 1], *swapped, *output).error()
    assert "video-0.tsv: is a table of video" in refused
    write_table(tmp_path / "fused.tsv", replace(tables(1)[0], modality="both"))
    refused = run(capfd, "mismatch", tmp_path / "fused.tsv", paths["video", 1], *fit, *output).error()
    assert "fused.tsv: is a table of audio and video by its column 'modality'; give one of audio only" in refused


def test_unfamiliar_rows_have_no_verdict(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fitting, tested = write_tables(tmp_path, 0), write_tables(tmp_path, 1)
    table = read_table(tested[1])
    familiarity = np.where(np.array(table.filenames) == "1-7.mp4", 0.01, 0.3)
    write_table(tested[1], replace(table, familiarity=familiarity))
    assert read_table(tested[1]).familiar.sum() == len(table) - SECONDS
    assert run(capfd, "mismatch", *tested, "--fit", *fitting, "--output", tmp_path / "out.tsv").code == 0
    assert [row["filename"] for row in rows_of(tmp_path / "out.recordings.tsv") if row["score"] == ""] == ["1-7.mp4"]


def test_a_prior_without_a_detector_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    refused = run(capfd, "classify", tmp_path / "a.mp4", "--system", "conse", "--prior", "0.1").error()
    assert refused == "system conse: has no mismatch detector; --prior is for checkpoints that have one"

"""Mismatch of audio and video: properties of the score, its fitting, and `avscene mismatch`.

`write_tables` makes tables of two models that differ in accuracy and in confidence.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from avscene.datasets.toytown.build import build_toytown
from avscene.errors import DataError
from avscene.evaluation.detection import best_threshold, f1, roc_auc
from avscene.fusion.pooling import softmax
from avscene.labels import TAU_SCENES, LabelSet
from avscene.mismatch.detector import MismatchClassifier, MismatchDetector, log_agreement, pool_recordings
from avscene.mismatch.pairs import PairedScores, RecordingPair, pair_tables
from avscene.mismatch.swaps import swap_audio
from avscene.tables.prediction_table import read_table, write_table
from avscene.tables.score_table import ScoreTable
from tests.support.command_line import call, run

LABELS = LabelSet(("park", "tram", "bus", "mall"))
SECONDS = 3
ROWS = arrays(np.float64, st.tuples(st.integers(1, 6), st.just(4)), elements=st.floats(1e-6, 1.0))
WEIGHT = st.floats(0.1, 5)


def normalised(values: np.ndarray) -> np.ndarray:
    return values / values.sum(axis=1, keepdims=True)


def tables(seed: int, count: int = 80, labels: LabelSet = LABELS, groups: int = 40) -> tuple[ScoreTable, ScoreTable]:
    """Tables of `count` recordings by an audio model (noisy and overconfident) and a video model."""
    random = np.random.default_rng(seed)
    truth = np.arange(count) % len(labels)
    names = tuple(f"{seed}-{k}.mp4" for k in range(count) for _ in range(SECONDS))
    groups_of = tuple(f"{labels.names[truth[k]]}-{seed}-{k % groups}" for k in range(count) for _ in range(SECONDS))
    made = []
    for noise, sharpness in ((1.0, 2.5), (0.7, 1.0)):
        of_recording = 2 * np.eye(len(labels))[truth] + random.normal(0, noise, (count, len(labels)))
        logits = of_recording.repeat(SECONDS, axis=0) + random.normal(0, 0.5, (count * SECONDS, len(labels)))
        made.append(
            ScoreTable(
                labels,
                names,
                softmax(sharpness * logits),
                starts=np.tile(np.arange(SECONDS, dtype=float), count),
                groups=groups_of,
                truth=tuple(labels.names[scene] for scene in truth.repeat(SECONDS)),
            )
        )
    return made[0], made[1]


def write_tables(directory: Path, seed: int, **options: object) -> tuple[Path, Path]:
    paths = directory / f"audio-{seed}.tsv", directory / f"video-{seed}.tsv"
    for path, table in zip(paths, tables(seed, **options), strict=True):  # type: ignore[arg-type]
        write_table(path, table)
    return paths


def paired(audio: np.ndarray, video: np.ndarray) -> PairedScores:
    """One recording for each row."""
    labels = LabelSet(tuple("abcdefgh"[: audio.shape[1]]))
    return PairedScores(labels, tuple(RecordingPair(str(k), str(k)) for k in range(len(audio))), audio, video)


@pytest.fixture(scope="module")
def detector() -> MismatchDetector:
    return MismatchDetector.fit(pair_tables(*tables(0)))


# Properties


@given(ROWS, st.data(), WEIGHT, WEIGHT, WEIGHT, st.floats(-3, 3))
def test_a_score_is_a_probability_and_does_not_depend_on_order(
    values: np.ndarray, data: st.DataObject, audio_weight: float, video_weight: float, slope: float, offset: float
) -> None:
    audio = normalised(values)
    video = normalised(data.draw(arrays(np.float64, audio.shape, elements=st.floats(1e-6, 1.0))))
    classifier = MismatchClassifier(audio=audio_weight, video=video_weight, slope=slope, offset=offset, threshold=0.5)
    scores = classifier.score(audio, video)
    assert ((scores >= 0) & (scores <= 1)).all()
    scenes = data.draw(st.permutations(range(audio.shape[1])))
    np.testing.assert_allclose(classifier.score(audio[:, scenes], video[:, scenes]), scores, atol=1e-12)
    rows = data.draw(st.permutations(range(len(audio))))
    np.testing.assert_allclose(classifier.score(audio[rows], video[rows]), scores[rows], atol=1e-12)
    exchanged = MismatchClassifier(audio=video_weight, video=audio_weight, slope=slope, offset=offset, threshold=0.5)
    np.testing.assert_allclose(exchanged.score(video, audio), scores, atol=1e-12)


@given(ROWS, st.data())
def test_agreement_is_greatest_if_both_are_certain_of_one_scene(values: np.ndarray, data: st.DataObject) -> None:
    video = normalised(data.draw(arrays(np.float64, values.shape, elements=st.floats(1e-6, 1.0))))
    certain = np.eye(values.shape[1])[:1]
    assert (log_agreement(normalised(values), video) <= log_agreement(certain, certain) + 1e-9).all()
    uniform = np.full((1, 4), 0.25)
    assert log_agreement(uniform, uniform)[0] == pytest.approx(0)
    assert log_agreement(normalised(values), np.repeat(uniform, len(values), axis=0)) == pytest.approx(0)


def test_rows_without_a_modality_have_no_score(detector: MismatchDetector) -> None:
    both = pair_tables(*tables(1, count=4))
    audio, video = both.audio.copy(), both.video.copy()
    audio[0], video[4], audio[9:12] = np.nan, np.nan, np.nan
    part = PairedScores(both.labels, both.pairs, audio, video, starts=both.starts)
    missing = np.isin(np.arange(12), [0, 4, 9, 10, 11])
    np.testing.assert_array_equal(np.isnan(detector.segment.score(audio, video)), missing)
    whole = pool_recordings(part)
    np.testing.assert_array_equal(
        np.isnan(detector.recording.score(whole.audio, whole.video)), [False, False, False, True]
    )
    np.testing.assert_allclose(whole.audio[1], pool_recordings(paired_rows(both, [3, 5])).audio[0])


def paired_rows(of: PairedScores, rows: list[int]) -> PairedScores:
    return PairedScores(of.labels, tuple(of.pairs[row] for row in rows), of.audio[rows], of.video[rows])


def test_detection_metrics_equal_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    for n in (2, 5, 40):
        truth, scores = np.arange(n) % 2 == 0, random.integers(0, 6, n) / 5  # with ties
        assert roc_auc(truth, scores) == pytest.approx(metrics.roc_auc_score(truth, scores))
        assert f1(truth, scores >= 0.5) == pytest.approx(metrics.f1_score(truth, scores >= 0.5))
        found = best_threshold(truth, scores, np.ones(n))
        best = max(metrics.f1_score(truth, scores >= threshold) for threshold in scores)
        assert f1(truth, scores >= found) == pytest.approx(best)


# Fitting


def test_swapped_audio_is_of_another_scene_and_group() -> None:
    own = pair_tables(*tables(2, count=20))
    group_of = [f"group {k % 3}" for k in range(20)]  # of several scenes each
    both = replace(own, groups=tuple(group for group in group_of for _ in range(SECONDS)))
    swapped = swap_audio(both)
    assert len(swapped.recordings) == 20 * 5
    for pair in swapped.recordings:
        assert pair.mismatch
        audio, video = (int(name.removeprefix("2-").removesuffix(".mp4")) for name in (pair.audio, pair.video))
        assert group_of[audio] != group_of[video]
        assert audio % len(LABELS) != video % len(LABELS)
    row = next(row for row, pair in enumerate(swapped.pairs) if pair.audio == "2-7.mp4")
    np.testing.assert_array_equal(swapped.audio[row], both.audio[7 * SECONDS])
    assert swapped.pairs == swap_audio(both).pairs != swap_audio(both, seed=1).pairs


def test_fitting_does_not_depend_on_the_order_of_rows_and_scenes(detector: MismatchDetector) -> None:
    audio, video = tables(0)
    rows = np.random.default_rng(0).permutation(len(audio))
    scenes = [2, 0, 3, 1]
    labels = LabelSet(tuple(LABELS.names[scene] for scene in scenes))

    def shuffled(table: ScoreTable) -> ScoreTable:
        assert table.starts is not None
        assert table.groups is not None
        assert table.truth is not None
        return ScoreTable(
            labels,
            tuple(table.filenames[row] for row in rows),
            table.probabilities[rows][:, scenes],
            starts=table.starts[rows],
            groups=tuple(table.groups[row] for row in rows),
            truth=tuple(table.truth[row] for row in rows),
        )

    again = MismatchDetector.fit(pair_tables(audio, shuffled(video)))
    for found, expected in ((again.segment, detector.segment), (again.recording, detector.recording)):
        assert found.model_dump(exclude={"intact"}) == pytest.approx(expected.model_dump(exclude={"intact"}), abs=1e-4)
        assert found.intact is not None
        assert expected.intact is not None
        assert found.intact.scores == pytest.approx(expected.intact.scores, abs=1e-4)
    assert again.fitted_on == detector.fitted_on


def test_an_overconfident_model_is_softened_and_the_score_is_calibrated(detector: MismatchDetector) -> None:
    """The logits of the audio model are 2.5 times too large."""
    assert detector.segment.audio < 0.8 * detector.segment.video
    both = pair_tables(*tables(3, count=400))
    for classifier, pristine in ((detector.segment, both), (detector.recording, pool_recordings(both))):
        swapped = swap_audio(both, swaps=1)
        other = swapped if pristine is both else pool_recordings(swapped)
        parts = [classifier.score(part.audio, part.video) for part in (pristine, other)]
        scores, truth = np.concatenate(parts), np.repeat([False, True], [len(part) for part in parts])
        assert scores.mean() == pytest.approx(truth.mean(), abs=0.05)
        high = scores > 0.7
        assert truth[high].mean() == pytest.approx(scores[high].mean(), abs=0.07)
        log_loss = metrics.log_loss(truth, scores)
        product = np.concatenate([1 - (part.audio * part.video).sum(1) for part in (pristine, other)])
        assert log_loss < metrics.log_loss(truth, product) - 0.02
        differ = np.concatenate([part.audio.argmax(1) != part.video.argmax(1) for part in (pristine, other)])
        assert roc_auc(truth, scores) > roc_auc(truth, product) > roc_auc(truth, differ.astype(float)) + 0.02


def test_without_another_scene_and_group_nothing_can_be_fitted() -> None:
    audio, video = tables(4, count=1)
    with pytest.raises(DataError, match="another scene and another group"):
        MismatchDetector.fit(pair_tables(audio, video))


# The command


@pytest.fixture
def fitting(tmp_path: Path) -> tuple[Path, Path]:
    return write_tables(tmp_path, 0)


@pytest.fixture
def tested(tmp_path: Path) -> tuple[Path, Path]:
    return write_tables(tmp_path, 1)


def rows_of(path: Path) -> list[dict[str, str]]:
    header, *lines = path.read_text().splitlines()
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


def test_scores_verdicts_and_metrics(
    fitting: tuple[Path, Path], tested: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output, written = tmp_path / "scores.tsv", tmp_path / "metrics.json"
    done = run(capfd, "mismatch", *tested, "--fit", *fitting, "--output", output, "--json", written)
    assert done.code == 0
    rows, whole = rows_of(output), rows_of(tmp_path / "scores.recordings.tsv")
    assert list(rows[0]) == ["filename", "start", "score", "verdict"]
    assert [(row["filename"], float(row["start"])) for row in rows[:4]] == [
        *(("1-0.mp4", second) for second in (0, 1, 2)),
        ("1-1.mp4", 0),
    ]
    assert list(whole[0]) == ["filename", "score", "verdict"]
    content = json.loads(written.read_text())
    for level, found in (("segments", rows), ("recordings", whole)):
        level_metrics = content[level]
        threshold = content["detector"][level.removesuffix("s")]["threshold"]
        assert level_metrics["n"] == level_metrics["judged"] == len(found)
        assert level_metrics["mismatched"] == sum(row["verdict"] == "1" for row in found) < len(found) / 2
        assert all((float(row["score"]) >= threshold) == (row["verdict"] == "1") for row in found)
        known = level_metrics["known"]
        assert known["mismatches"] == known["others"] == len(found)
        assert known["score"]["AUC"] > known["1 - sum p q"]["AUC"] > known["labels that differ"]["AUC"]
        assert f"{known['score']['AUC']:.4f}" in done.out
    assert content["recordings"]["known"]["score"]["AUC"] > 0.9


def test_a_stored_detector_gives_the_same_scores(
    fitting: tuple[Path, Path], tested: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "metrics.json"
    run(capfd, "mismatch", *tested, "--fit", *fitting, "--output", tmp_path / "first.tsv", "--json", kept)
    assert run(capfd, "mismatch", *tested, "--detector", kept, "--output", tmp_path / "second.tsv").code == 0
    assert (tmp_path / "first.tsv").read_text() == (tmp_path / "second.tsv").read_text()
    refused = run(capfd, "mismatch", *fitting, "--detector", kept, "--output", tmp_path / "third.tsv").error()
    assert "group 'bus-0-" in refused
    assert f"is in both what {kept} was fitted on and" in refused


def test_a_row_that_only_one_table_has_gets_no_verdict(
    fitting: tuple[Path, Path], tested: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = tested[0].read_text().splitlines(keepends=True)
    tested[0].write_text("".join([lines[0], *lines[2:4], *lines[7:]]))  # without 1-0 at 0 s and 1-1 as a whole
    lines = tested[1].read_text().splitlines(keepends=True)
    tested[1].write_text("".join(lines[:-SECONDS]))
    assert run(capfd, "mismatch", *tested, "--fit", *fitting, "--output", tmp_path / "scores.tsv").code == 0
    rows, whole = rows_of(tmp_path / "scores.tsv"), rows_of(tmp_path / "scores.recordings.tsv")
    without_verdict = [(row["filename"], row["start"]) for row in rows if row["verdict"] == ""]
    last = [("1-79.mp4", second) for second in "012"]
    assert without_verdict == [("1-0.mp4", "0"), *(("1-1.mp4", second) for second in "012"), *last]
    assert [row["filename"] for row in whole if row["score"] == ""] == ["1-1.mp4", "1-79.mp4"]


def test_pairs_from_a_list(
    fitting: tuple[Path, Path], tested: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pairs = tmp_path / "pairs.tsv"
    listed = [(f"audio/1-{k}.wav", f"video/1-{k}", 0) for k in range(40)]
    listed += [(f"1-{k + 1}.mp4", f"1-{k}.mp4", 1) for k in range(40)]
    pairs.write_text("audio\tvideo\tmismatch\n" + "".join("\t".join(map(str, line)) + "\n" for line in listed))
    written = tmp_path / "metrics.json"
    arguments = ("mismatch", *tested, "--fit", *fitting, "--output", tmp_path / "scores.tsv", "--json", written)
    assert run(capfd, *arguments, "--pairs", pairs).code == 0
    whole = rows_of(tmp_path / "scores.recordings.tsv")
    assert [(row["audio"], row["filename"], int(row["mismatch"])) for row in whole] == listed
    known = json.loads(written.read_text())["recordings"]["known"]
    assert known["answers"] == "the list"
    assert (known["mismatches"], known["others"]) == (40, 40)
    assert known["score"]["AUC"] > 0.85
    pairs.write_text("".join(line.rpartition("\t")[0] + "\n" for line in pairs.read_text().splitlines()))
    assert run(capfd, *arguments, "--pairs", pairs, "--overwrite").code == 0
    assert json.loads(written.read_text())["recordings"]["known"] is None


def test_the_published_lists_of_vadd_with_three_classes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1):
        write_tables(tmp_path, seed, labels=TAU_SCENES)
    scene = [TAU_SCENES.names[k % 10] for k in range(80)]
    classes = {"airport": "indoor", "bus": "vehicle", "metro": "vehicle", "metro_station": "indoor"}
    line = "['1-{}.mp4', '{}']\n"
    manipulated, pristine = tmp_path / "vadd_3_manipulated.txt", tmp_path / "vadd_3_swaps.txt"
    manipulated.write_text("".join(line.format(k + s, classes[scene[s]]) for k in (0, 10, 20) for s in (0, 1, 2, 3)))
    pristine.write_text("".join(line.format(k, "any") for k in range(30, 42)))
    tested, fitting = ([tmp_path / f"{modality}-{seed}.tsv" for modality in ("audio", "video")] for seed in (1, 0))
    written = tmp_path / "metrics.json"
    arguments = ("mismatch", *tested, "--fit", *fitting, "--output", tmp_path / "scores.tsv", "--json", written)
    done = run(capfd, *arguments, "--vadd", manipulated, pristine, "--classes", "three")
    assert done.code == 0, done.err
    content = json.loads(written.read_text())
    assert content["detector"]["scenes"] == ["indoor", "outdoor", "vehicle"]
    assert content["recordings"]["known"]["mismatches"] == content["recordings"]["known"]["others"] == 12
    assert [(row["audio"], row["filename"]) for row in rows_of(tmp_path / "scores.recordings.tsv")[:2]] == [
        ("1-1.mp4", "1-0.mp4"),
        ("1-0.mp4", "1-1.mp4"),
    ]
    manipulated.write_text(line.format(0, "indoor") * 2)
    refused = run(capfd, *arguments, "--vadd", manipulated, pristine, "--overwrite").error()
    assert f"{manipulated}, line 1: " in refused
    assert "no discrepancy" in refused


def test_without_groups_there_are_no_test_metrics(
    fitting: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = tmp_path / "audio.tsv", tmp_path / "video.tsv"
    for path, table in zip(paths, tables(1), strict=True):
        write_table(
            path, ScoreTable(LABELS, table.filenames, table.probabilities, starts=table.starts, truth=table.truth)
        )
    done = run(capfd, "mismatch", *paths, "--fit", *fitting, "--output", tmp_path / "scores.tsv")
    assert done.code == 0
    assert "recordings: 80, with a verdict 80" in done.out
    assert "AUC" not in done.out


def test_tables_that_a_detector_was_fitted_on_are_refused(
    fitting: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    refused = run(capfd, "mismatch", *fitting, "--fit", *fitting, "--output", tmp_path / "scores.tsv").error()
    assert "group 'bus-0-" in refused
    assert "evaluate a detector on other recordings than those it was fitted on" in refused
    table = tables(0)[0]
    named = ScoreTable(LABELS, table.filenames[:3], table.probabilities[:3], starts=table.starts[:3])  # type: ignore[index]
    write_table(tmp_path / "same.tsv", named)
    same = tmp_path / "same.tsv"
    refused = run(capfd, "mismatch", same, same, "--fit", *fitting, "--output", tmp_path / "scores.tsv").error()
    assert "recording '0-0'" in refused
    assert not (tmp_path / "scores.tsv").exists()


BAD_PAIRS = [
    ("audio\tvideo\n1-0.mp4\t\n", "line 2, column video: is empty"),
    ("audio\tvideo\n1-0.mp4\t9-9.mp4\n", "video-1.tsv: no recording '9-9.mp4'"),
    ("audio\tvideo\tlabel\n1-0.mp4\t1-0.mp4\tyes\n", "line 2, column label: 'yes' is neither 0 nor 1"),
    (
        "audio\tvideo\n1-0.mp4\t1-0.mp4\n1-0.mp4\t1-0.mp4\n",
        "line 3, column video: '1-0.mp4' with '1-0.mp4' is given twice",
    ),
    ("sound\tvideo\n1-0.mp4\t1-0.mp4\n", "line 1: no column 'audio'; found: sound, video"),
]


@pytest.mark.parametrize(("text", "message"), BAD_PAIRS)
def test_malformed_lists_of_pairs_are_refused(
    fitting: tuple[Path, Path],
    tested: tuple[Path, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    text: str,
    message: str,
) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text(text)
    output = tmp_path / "scores.tsv"
    refused = run(capfd, "mismatch", *tested, "--fit", *fitting, "--output", output, "--pairs", pairs).error()
    assert message in refused
    assert not output.exists()


def test_inputs_that_do_not_fit_are_refused(
    fitting: tuple[Path, Path], tested: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = ("--output", tmp_path / "scores.tsv", "--overwrite")
    assert "a fitted detector is needed" in run(capfd, "mismatch", *tested, *output).error()
    other = tmp_path / "other.json"
    other.write_text('{"detector": {"slope": 1}}')
    assert "has no detector" in run(capfd, "mismatch", *tested, "--detector", other, *output).error()
    gone = run(capfd, "mismatch", *tested, "--detector", tmp_path / "gone.json", *output).error()
    assert "gone.json: No such file or directory" in gone
    kept = tmp_path / "kept.json"
    with_tau_scenes = [write_tables(tmp_path, seed, labels=TAU_SCENES) for seed in (10, 11)]
    assert run(capfd, "mismatch", *with_tau_scenes[0], "--fit", *with_tau_scenes[1], *output, "--json", kept).code == 0
    other = run(capfd, "mismatch", *tested, "--detector", kept, *output).error()
    assert "kept.json: was fitted on different scenes than" in other
    both = run(capfd, "mismatch", *tested, "--detector", kept, *output, "--pairs", kept, "--vadd", kept, kept).error()
    assert both == "--pairs and --vadd are two sources of pairs; give one of them; try: avscene mismatch --help"
    lists = run(capfd, "mismatch", *with_tau_scenes[0], "--detector", kept, *output, "--vadd", kept, kept).error()
    assert "kept.json, line 1: not of the form" in lists
    three = run(capfd, "mismatch", *tested, "--fit", *fitting, *output, "--classes", "three").error()
    assert "the three classes are of the ten TAU scenes" in three
    foreign = write_tables(tmp_path, 5, labels=LabelSet(("park", "tram", "bus", "pub")))
    assert (
        "'mall' is only in one of them"
        in run(capfd, "mismatch", tested[0], foreign[1], "--fit", *fitting, *output).error()
    )
    assert "'mall' is only in one of them" in run(capfd, "mismatch", *foreign, "--fit", *fitting, *output).error()
    apart = write_tables(tmp_path, 6)
    assert (
        "have no recording in common" in run(capfd, "mismatch", tested[0], apart[1], "--fit", *fitting, *output).error()
    )
    audio, video = tables(7)
    write_table(tmp_path / "audio.tsv", audio)
    wrong = ScoreTable(LABELS, video.filenames, video.probabilities, starts=video.starts, truth=("tram",) * len(video))
    write_table(tmp_path / "video.tsv", wrong)
    refused = run(capfd, "mismatch", tmp_path / "audio.tsv", tmp_path / "video.tsv", "--fit", *fitting, *output).error()
    assert "'7-0.mp4' is 'park' in one and 'tram' in the other" in refused


def test_names_are_matched_without_folders_and_endings_if_that_is_unique() -> None:
    audio, video = tables(8, count=4)
    wav = ScoreTable(
        LABELS, tuple(f"audio/{name[:-4]}.wav" for name in audio.filenames), audio.probabilities, starts=audio.starts
    )
    both = pair_tables(wav, video)
    assert both.complete.all()
    assert both.pairs[0] == RecordingPair("audio/8-0.wav", "8-0.mp4")
    same_name = ScoreTable(
        LABELS, ("a/1.wav", "b/1.wav"), audio.probabilities[:2], truth=("park", "tram"), groups=("one", "two")
    )
    reversed_rows = ScoreTable(
        LABELS, ("b/1.wav", "a/1.wav"), video.probabilities[:2], truth=("tram", "park"), groups=("two", "one")
    )
    assert [pair.audio for pair in pair_tables(same_name, reversed_rows).pairs] == ["b/1.wav", "a/1.wav"]
    elsewhere = ScoreTable(LABELS, ("c/1.wav", "c/2.wav"), audio.probabilities[:2])
    other = ScoreTable(LABELS, ("a/1.mp4", "b/1.mp4", "a/2.mp4"), video.probabilities[:3])
    assert pair_tables(elsewhere, other).pairs == (
        *(
            RecordingPair("", "a/1.mp4"),
            RecordingPair("", "b/1.mp4"),
            RecordingPair("c/2.wav", "a/2.mp4"),
            RecordingPair("c/1.wav", ""),
        ),
    )


def test_written_tables_are_paired_as_before(tested: tuple[Path, Path]) -> None:
    both = pair_tables(*(read_table(path) for path in tested))
    np.testing.assert_allclose(both.audio, tables(1)[0].probabilities, atol=1e-12)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_detector_of_a_system_trained_on_toytown(tmp_path: Path) -> None:
    build_toytown(tmp_path / "toytown", seconds=4)
    system, scores, written = tmp_path / "system", tmp_path / "scores.tsv", tmp_path / "metrics.json"
    assert call("train", "fast", "--data", tmp_path / "toytown", "--output", system) == 0
    part = ("--data", tmp_path / "toytown", "--only", "split=test")
    assert call("predict", "--system", system, *part, "--output", scores, "--by-model") == 0
    tables = scores.with_suffix(".audio.tsv"), scores.with_suffix(".video.tsv")
    tested = ("mismatch", *tables, "--detector", system, "--output", tmp_path / "mismatch.tsv", "--json", written)
    assert call(*tested) == 0
    for level in ("segments", "recordings"):
        known = json.loads(written.read_text())[level]["known"]
        assert known["score"]["AUC"] > max(0.93, known["labels that differ"]["AUC"] + 0.08)
        assert known["score"]["AUC"] > known["1 - sum p q"]["AUC"] - 0.005
        assert known["score"]["F1"] > known["labels that differ"]["F1"]

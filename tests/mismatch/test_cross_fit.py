"""A mismatch detector that is fitted and judged on one pair of tables: no group is on both sides."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as oracle

import avscene
from avscene.errors import DataError, UsageError
from avscene.labels import TAU_SCENES
from avscene.mismatch.cross_fit import CrossFittedDetector
from avscene.mismatch.detector import pool_recordings
from avscene.mismatch.pairs import RecordingPair, pair_tables
from avscene.mismatch.swaps import swap_audio
from avscene.mismatch.vadd import THREE_CLASSES
from tests.mismatch.test_mismatch import SECONDS, rows_of, tables, write_tables
from tests.support.command_line import run

LISTED = [RecordingPair(f"1-{k}.mp4", f"1-{k}.mp4", mismatch=False) for k in range(40)]
LISTED += [RecordingPair(f"1-{k + 1}.mp4", f"1-{k}.mp4", mismatch=True) for k in range(40, 79)]


@pytest.fixture(scope="module")
def judged() -> tuple[CrossFittedDetector, list]:
    """Detectors that were used for a list of pairs, and the pooled pairs."""
    intact = pair_tables(*tables(1))
    found = CrossFittedDetector.of(intact, 4)
    listed = pool_recordings(pair_tables(*tables(1), LISTED))
    return found, [listed, found.assess(listed, "recordings")]


def test_each_pair_is_judged_by_a_detector_of_other_groups(judged) -> None:
    found, (listed, assessed) = judged
    group_of = dict(zip(tables(1)[0].filenames, tables(1)[0].groups, strict=True))
    for row, pair in enumerate(listed.pairs):
        own = {group_of[pair.audio], group_of[pair.video]}
        folds = frozenset(found.fold_of[group] for group in own)
        detector = found.detectors[folds]
        assert not own & set(detector.fitted_on)
        assert set(detector.fitted_on) == {group for group, fold in found.fold_of.items() if fold not in folds}
        expected = detector.recording.log_odds(listed.audio[[row]], listed.video[[row]])
        assert assessed.log_odds[row] == expected[0]
        assert assessed.thresholds[row] == detector.recording.threshold
    assert max(map(len, found.detectors)) == 2, "some pairs have groups of two folds"


def test_a_group_changes_no_score_of_its_own_pairs(judged) -> None:
    """The rows of one group in what is fitted on are changed; only scores of other groups change."""
    found, (listed, before) = judged
    chosen = listed.groups[0]
    rows = np.array([group == chosen for group in found.intact.groups])
    changed = replace(found.intact, audio=np.where(rows[:, None], 0.25, found.intact.audio))
    after = CrossFittedDetector(changed, found.n_folds, found.fold_of).assess(listed, "recordings")
    own = np.array([chosen in groups for groups in zip(listed.groups, listed.audio_groups, strict=True)])
    np.testing.assert_array_equal(before.log_odds[own], after.log_odds[own])
    assert not np.allclose(before.log_odds[~own], after.log_odds[~own])


def test_swapped_pairs_know_the_groups_of_both(judged) -> None:
    found, _ = judged
    swapped = swap_audio(found.intact, swaps=1)
    group_of = dict(zip(tables(1)[0].filenames, tables(1)[0].groups, strict=True))
    for pair, video, audio in zip(swapped.pairs, swapped.groups, swapped.audio_groups, strict=True):
        assert (group_of[pair.video], group_of[pair.audio]) == (video, audio)
        assert video != audio


def test_the_command_fits_and_judges_on_one_pair_of_tables(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    paths, kept = write_tables(tmp_path, 1), tmp_path / "m.json"
    listed = tmp_path / "pairs.tsv"
    lines = [f"{pair.audio}\t{pair.video}\t{int(pair.mismatch)}\n" for pair in LISTED]
    listed.write_text("audio\tvideo\tmismatch\n" + "".join(lines))
    found = run(
        capfd, "mismatch", *paths, "--cross-fit", 4, "--pairs", listed, "--output", tmp_path / "s.tsv", "--json", kept
    )  # fmt: skip
    assert found.code == 0, found.err
    assert "in 4 folds of 40 groups; the stored detector was fitted on all" in found.out
    whole, content = rows_of(tmp_path / "s.recordings.tsv"), json.loads(kept.read_text())
    truth = [int(row["mismatch"]) for row in whole]
    # The order of scores for another prior is the same, so the area is too, up to the decimals of the file.
    expected = oracle.roc_auc_score(truth, [float(row["score"]) for row in whole])
    assert content["recordings"]["known"]["score"]["AUC"] == pytest.approx(expected, abs=2e-3)
    assert content["recordings"]["known"]["score"]["AUC"] > 0.85
    assert content["cross_fit"] == {"folds": 4, "groups": 40}
    assert sorted(content["detector"]["fitted_on"]) == sorted(set(tables(1)[0].groups))
    result = avscene.detect_mismatch(*paths, cross_fit=4, pairs=LISTED)
    assert result.metrics == {level: content[level] for level in ("segments", "recordings")}
    assert result.to_dict()["cross_fit"] == content["cross_fit"]
    frame = result.to_pandas()
    assert frame["mismatch"].tolist() == [bool(value) for value in truth]
    assert len(result.to_pandas("segments")) == SECONDS * len(LISTED)
    assert repr(result).startswith("MismatchResult(79 recordings, 79 with a verdict, ")


def test_without_a_list_intact_and_swapped_recordings_are_judged() -> None:
    found = avscene.detect_mismatch(*tables(1), cross_fit=4).metrics["recordings"]["known"]
    assert (found["answers"], found["mismatches"], found["others"]) == ("swapped audio", 80, 80)
    fitted = avscene.detect_mismatch(*tables(1), fit=tables(0)).metrics["recordings"]["known"]
    assert found["score"]["AUC"] == pytest.approx(fitted["score"]["AUC"], abs=0.03), (
        "as with tables of other recordings"
    )


def test_vadds_protocol_with_ten_and_three_classes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    audio, _ = tables(1, labels=TAU_SCENES)
    scene = dict(zip(audio.filenames, audio.truth, strict=True))
    for classes, names in (("all", scene), ("three", {name: THREE_CLASSES[own] for name, own in scene.items()})):
        mixed = [name for k in range(0, 40, 10) for name in (f"1-{k}.mp4", f"1-{k + 1}.mp4")]
        (tmp_path / "m.txt").write_text("".join(f"{[name, names[name]]}\n" for name in mixed))
        (tmp_path / "p.txt").write_text("".join(f"{[f'1-{k}.mp4', 'any']}\n" for k in range(50, 60)))
        found = run(
            capfd, "mismatch", *write_tables(tmp_path, 1, labels=TAU_SCENES), "--cross-fit", 5, "--classes", classes,
            "--vadd", tmp_path / "m.txt", tmp_path / "p.txt", "--output", tmp_path / f"{classes}.tsv",
        )  # fmt: skip
        assert found.code == 0, found.err
        assert "test with the list (8 mismatched, 10 intact)" in found.out


def test_what_cannot_be_cross_fitted_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    audio, video = tables(1)
    with pytest.raises(UsageError, match="cross-fit of 2 folds: give at least 3"):
        avscene.detect_mismatch(audio, video, cross_fit=2)
    with pytest.raises(DataError, match="cannot split 40 group"):
        avscene.detect_mismatch(audio, video, cross_fit=41)
    without = [replace(table, groups=None) for table in (audio, video)]
    with pytest.raises(DataError, match="both tables need the columns 'true_label' and 'group'"):
        avscene.detect_mismatch(*without, cross_fit=3)
    with pytest.raises(DataError, match=r"the group of '1-0\.mp4' is 'x' in one table and"):
        avscene.detect_mismatch(replace(audio, groups=("x",) * len(audio)), video, cross_fit=3)
    with pytest.raises(UsageError, match="give one of detector, fit and cross-fit"):
        avscene.detect_mismatch(audio, video)
    paths = write_tables(tmp_path, 1)
    refused = run(capfd, "mismatch", *paths, "--cross-fit", 3, "--fit", *paths, "--output", tmp_path / "s.tsv")
    assert "give one of --fit AUDIO.tsv VIDEO.tsv, --cross-fit N and --detector" in refused.error()

"""Submissions to the challenge are written in its format and checked; errors name the line and the column."""

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from avscene.errors import DataError
from avscene.labels import TAU_SCENES, LabelSet
from avscene.tables import submission
from avscene.tables.prediction_table import read_table, write_table
from avscene.tables.score_table import ScoreTable
from avscene.tables.submission import FILENAME, HEADER, read_submission, to_submission, write_submission
from tests.support.command_line import run

PREDICTIONS = Path(__file__).parents[3] / "shared" / "predictions" / "tau_late.tsv"
FEW = 30  # evaluation files, instead of 72,000


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "EVALUATION_FILES", FEW)


def table(*names: str, starts: list[float] | None = None, seed: int = 0, labels: LabelSet = TAU_SCENES) -> ScoreTable:
    values = np.random.default_rng(seed).dirichlet(np.full(len(labels), 0.2), len(names))
    return ScoreTable(labels, names, values, starts=None if starts is None else np.array(starts))


def cells(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter="\t"))


def test_the_columns_are_those_of_the_challenge() -> None:
    assert "\t".join(HEADER) == (
        "filename\tscene_label\tairport\tbus\tmetro\tmetro_station\tpark\tpublic_square\tshopping_mall\t"
        "street_pedestrian\tstreet_traffic\ttram"
    )
    assert FILENAME == "task1b_1.output.csv"
    assert submission.EVALUATION_FILES == 72_000


def test_a_submission_of_the_evaluation_set(few: None, tmp_path: Path) -> None:
    shuffled = [f"video/{number}.mp4" for number in np.random.default_rng(1).permutation(FEW)]
    predictions = table(*shuffled)
    path = tmp_path / "new" / FILENAME
    write_submission(path, predictions)
    header, *rows = cells(path)
    assert header == list(HEADER)
    assert [row[0] for row in rows] == [f"{number}.wav" for number in range(FEW)]
    for name, label, *values in rows:
        probabilities = predictions.probabilities[shuffled.index(f"video/{name.removesuffix('.wav')}.mp4")]
        np.testing.assert_allclose([float(value) for value in values], probabilities, rtol=1e-12)
        assert label == TAU_SCENES.names[probabilities.argmax()]
    assert path.read_bytes().count(b"\r") == 0
    assert submission.is_evaluation(read_submission(path))


def test_rows_of_one_evaluation_file_are_averaged(few: None) -> None:
    names = [f"{number}.wav" for number in range(FEW)]
    twice = table(*names, *names, starts=[0.0] * FEW + [0.5] * FEW)
    made = to_submission(twice)
    assert made.filenames == tuple(names)
    np.testing.assert_allclose(made.probabilities, (twice.probabilities[:FEW] + twice.probabilities[FEW:]) / 2)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([f"{number}.wav" for number in range(FEW - 1)], r"1 of the 30 evaluation files are missing, first 29\.wav"),
        (["3.wav"], r"29 of the 30 evaluation files are missing, first 0\.wav"),
        (
            [f"{number}.wav" for number in range(FEW + 1)],
            r"'30\.wav' is not a file of the evaluation set, 0\.wav \.\. 29",
        ),
        (["007.wav"], r"'007\.wav' is not a file of the evaluation set"),
        (["1.wav", "airport-lisbon-1-2.wav"], r"'airport-lisbon-1-2\.wav' is not a file of the evaluation set"),
    ],
)
def test_a_part_of_the_evaluation_set_is_refused(few: None, names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        to_submission(table(*names))


def test_columns_are_sorted_by_name(tmp_path: Path) -> None:
    mixed = LabelSet(tuple(reversed(TAU_SCENES.names)))
    predictions = table("airport-lisbon-1-2.wav", labels=mixed)
    made = write_submission(tmp_path / "x.csv", predictions)
    assert made.labels == TAU_SCENES
    np.testing.assert_allclose(made.probabilities[0], predictions.probabilities[0][::-1])


def test_other_scenes_are_refused() -> None:
    scenes = LabelSet(("kitchen", *TAU_SCENES.names[1:]))
    with pytest.raises(DataError, match="its scenes are not the challenge's ten; they differ in airport, kitchen"):
        to_submission(table("a.wav", labels=scenes))


# Segments


A, B = "video/airport-lisbon-1175-44106.mp4", "video/bus-lyon-7-2.mp4"


@pytest.mark.parametrize(
    ("starts", "numbers"),
    [
        ([0, 1, 2, 0, 1], [0, 1, 2, 0, 1]),
        ([1, 3, 4, 0, 9], [1, 3, 4, 0, 9]),  # some segments were not scored
        ([0, 0.5, 1.0, 0, 2.5], [0, 1, 2, 0, 5]),
        ([0, 0.04, 0.08, 0, 0.32], [0, 1, 2, 0, 8]),
    ],
)
def test_segments_are_numbered(starts: list[float], numbers: list[int], tmp_path: Path) -> None:
    stems = ["airport-lisbon-1175-44106"] * 3 + ["bus-lyon-7-2"] * 2
    made = write_submission(tmp_path / "x.csv", table(A, A, A, B, B, starts=starts))
    assert made.filenames == tuple(f"{stem}_{number}.wav" for stem, number in zip(stems, numbers, strict=True))
    assert read_submission(tmp_path / "x.csv").filenames == made.filenames


def test_one_row_for_each_recording_needs_no_number() -> None:
    names = ("airport-lisbon-1175-44106.wav", "bus-lyon-7-2.wav")
    assert to_submission(table(A, B)).filenames == names
    assert to_submission(table(A, B, starts=[0.0, 0.0])).filenames == names


def test_segments_that_cannot_be_numbered_are_refused() -> None:
    with pytest.raises(DataError, match=r"segments do not start at multiples of 0\.7 s"):
        to_submission(table(A, A, A, starts=[0, 0.7, 1.9]))
    with pytest.raises(DataError, match="no column 'start' to number them by"):
        to_submission(table(A, A))
    with pytest.raises(DataError, match=r"'audio/x\.wav' and 'video/x\.mp4' would both be 'x\.wav'"):
        to_submission(table("video/x.mp4", "audio/x.wav"))


def test_a_submission_reads_as_the_same_table(tmp_path: Path) -> None:
    """Scene and location are read from names with segment numbers, too."""
    predictions = table(A, A, B, B, starts=[0, 1, 0, 1])
    write_table(tmp_path / "ours.tsv", predictions)
    write_submission(tmp_path / FILENAME, predictions)
    before, after = read_table(tmp_path / "ours.tsv"), read_table(tmp_path / FILENAME)
    assert before.truth == after.truth == ("airport", "airport", "bus", "bus")
    assert before.groups == after.groups == ("lisbon-1175", "lisbon-1175", "lyon-7", "lyon-7")
    np.testing.assert_array_equal(before.probabilities, after.probabilities)


# Checks


def text(rows: list[str] | None = None, header: str = "\t".join(HEADER)) -> str:
    first = "a.wav\tbus\t0.1\t0.2\t0.1\t0.1\t0.1\t0.1\t0.1\t0.1\t0.1\t0"
    return "\n".join([header, *([first] if rows is None else rows)]) + "\n"


def line(name: str = "a.wav", label: str = "bus", values: str = "0.1 0.2 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0") -> str:
    return "\t".join([name, label, *values.split()])


GOOD = {
    "plain": text(),
    "windows line ends": text().replace("\n", "\r\n"),
    "a byte order mark": "\ufeff" + text(),
    "blank lines": "\n" + text() + "\n",
    "rounded to three decimals": text([line(values="0.333 0.333 0.333 0 0 0 0 0 0 0")]),
    "two are most probable": text([line(label="airport", values="0.5 0.5 0 0 0 0 0 0 0 0")]),
    "exponents": text([line(values="1e-30 1 0 0 0 0 0 0 0 0")]),
}


@pytest.mark.parametrize("kind", GOOD)
def test_valid_submissions_are_read(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x.csv").write_bytes(GOOD[kind].encode())
    read = read_submission(tmp_path / "x.csv")
    assert read.filenames == ("a.wav",)
    np.testing.assert_allclose(read.probabilities.sum(axis=1), 1)


BAD = {
    "nothing": ("", "line 1: the file is empty"),
    "only a header": (text([]), "line 1: a header and no rows"),
    "columns in another order": (
        text(header="\t".join([*HEADER[:2], "bus", "airport", *HEADER[4:]])),
        "line 1: column 3 is 'bus', not 'airport'",
    ),
    "another name": (text(header="\t".join(["file", *HEADER[1:]])), "line 1: column 1 is 'file', not 'filename'"),
    "a column more": (text([line() + "\t0"], header="\t".join([*HEADER, "x"])), "line 1: 13 columns, not 12"),
    "a column less": (text([line()[:-2]], header="\t".join(HEADER[:-1])), "line 1: 11 columns, not 12"),
    "commas": (text().replace("\t", ","), "line 1: not 12 names without quotes or spaces, separated by single tabs"),
    "spaces in the header": (text(header="\t ".join(HEADER)), "line 1: not 12 names without quotes or spaces"),
    "a short row": (text([line(), "b.wav\tbus"]), "line 3: 2 columns, but the header has 12"),
    "a folder in a name": (text([line("audio/a.wav")]), "line 2, column filename: 'audio/a.wav' is not the name"),
    "another ending": (text([line("a.mp4")]), r"line 2, column filename: 'a\.mp4' is not the name of a wav"),
    "no name": (text([line("")]), "line 2, column filename: '' is not"),
    "a name twice": (text([line(), line()]), r"line 3, column filename: 'a\.wav' is already on line 2"),
    "no number": (text([line(values="x 0.2 0 0 0 0 0 0 0 0.8")]), "line 2, column airport: 'x' is not a finite number"),
    "an underscore": (text([line(values="0_1 1 0 0 0 0 0 0 0 0")]), "column airport: '0_1' is not a finite number"),
    "not a number": (text([line(values="nan 1 0 0 0 0 0 0 0 0")]), "column airport: 'nan' is not a finite number"),
    "negative": (text([line(values="0 1 -0.1 0 0 0 0 0 0 0.1")]), "column metro: '-0.1' is negative"),
    "above one": (text([line(values="0 1.5 0 0 0 0 0 0 0 0")]), r"column bus: '1\.5' is not between 0 and 1"),
    "another sum": (text([line(values="0 0.9 0 0 0 0 0 0 0 0")]), r"column airport \.\. tram: .* sum to 0\.9, not 1"),
    "another label": (text([line(label="park")]), "line 2, column scene_label: is 'park', but 'bus' is more probable"),
    "no scene": (text([line(label="kitchen")]), "line 2, column scene_label: 'kitchen' is not one of airport, bus"),
    "some of the evaluation set": (text([line("0.wav")]), r"71999 of the 72000 evaluation files are missing"),
    "beyond the evaluation set": (text([line("72000.wav")]), "line 2, column filename: '72000.wav' is not a file of"),
}


@pytest.mark.parametrize("kind", BAD)
def test_malformed_submissions_are_refused(tmp_path: Path, kind: str) -> None:
    content, message = BAD[kind]
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read_submission(tmp_path / "x.csv")
    assert str(caught.value).startswith(str(tmp_path / "x.csv"))
    assert "\n" not in str(caught.value)


def test_utf_16_is_read_as_a_table_but_not_as_a_submission(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(text([line("bus-lyon-7-2.wav")]).encode("utf-16"))
    assert read_table(tmp_path / "x.csv").truth == ("bus",)
    with pytest.raises(DataError, match=r"x\.csv, line 1: not UTF-8 text"):
        read_submission(tmp_path / "x.csv")


def test_rows_of_two_decimals_are_rescaled(tmp_path: Path) -> None:
    eighth = [0.12] * 8 + [0, 0]  # 0.125 each, with two decimals
    predictions = ScoreTable(TAU_SCENES, ("a.wav",), np.array([eighth]), resolution=0.01)
    np.testing.assert_allclose(write_submission(tmp_path / "x.csv", predictions).probabilities[0, :8], 0.125)
    assert read_submission(tmp_path / "x.csv").filenames == ("a.wav",)


# Properties


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.floats(1e-300, 1, allow_subnormal=False), min_size=10, max_size=10), min_size=1, max_size=8)
)
def test_a_written_submission_reads_back(tmp_path_factory: pytest.TempPathFactory, rows: list[list[float]]) -> None:
    values = np.array(rows)
    names = tuple(f"clip{number}.wav" for number in range(len(rows)))
    predictions = ScoreTable(TAU_SCENES, names, values / values.sum(axis=1, keepdims=True))
    path = tmp_path_factory.mktemp("property") / FILENAME
    write_submission(path, predictions)
    read = read_submission(path)
    assert read.filenames == names
    np.testing.assert_allclose(read.probabilities, predictions.probabilities, rtol=1e-12)
    again = path.with_name("again.csv")
    write_submission(again, read)
    np.testing.assert_allclose(read_submission(again).probabilities, read.probabilities, rtol=1e-12)


@pytest.mark.skipif(not PREDICTIONS.is_file(), reason="no ../shared with real predictions")
def test_real_predictions_become_a_submission(tmp_path: Path) -> None:
    path = tmp_path / FILENAME
    write_submission(path, read_table(PREDICTIONS))
    read = read_submission(path)
    assert len(read) == 3645
    printed = read_table(PREDICTIONS).probabilities
    np.testing.assert_allclose(read.probabilities, printed / printed.sum(axis=1, keepdims=True), atol=1e-12)
    assert read_table(path).truth == read_table(PREDICTIONS).truth


# Command


def test_the_command_writes_and_checks_a_submission(
    few: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_table(tmp_path / "scores.tsv", table(*(f"{number}.mp4" for number in range(FEW))))
    done = run(capfd, "submit", tmp_path / "scores.tsv", "--output", tmp_path / "out")
    written = tmp_path / "out" / FILENAME
    assert (done.code, done.messages) == (0, [])
    assert done.out == f"{written}: a submission of all 30 files of the evaluation set\n"
    assert run(capfd, "submit", "--check", written).out == done.out
    written.write_text(written.read_text().replace("17.wav", "71.wav"))
    error = run(capfd, "submit", "--check", written).error()
    assert (
        error == f"{written}, line 19, column filename: '71.wav' is not a file of the evaluation set, 0.wav .. 29.wav"
    )


def test_the_command_reports_other_recordings(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_table(tmp_path / "scores.tsv", table(A, A, B, starts=[0, 1, 0]))
    done = run(capfd, "submit", tmp_path / "scores.tsv", "--output", tmp_path)
    assert done.code == 0
    assert "in a submission's format, 3 rows; not of the evaluation set" in done.out


def test_the_command_refuses_with_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(capfd, "submit").error() == "give either a table to submit or --check FILE"
    both = run(capfd, "submit", tmp_path / "a.tsv", "--check", tmp_path / "b.csv")
    assert both.error() == "give either a table to submit or --check FILE"
    assert "No such file" in run(capfd, "submit", tmp_path / "gone.tsv").error()
    write_table(tmp_path / "scores.tsv", table("1.mp4", "2.mp4"))
    error = run(capfd, "submit", tmp_path / "scores.tsv", "--output", tmp_path / "out").error()
    assert "71998 of the 72000 evaluation files are missing, first 0.wav" in error
    assert not (tmp_path / "out").exists()


# Label and description


@pytest.mark.parametrize("label", ["Okazaki_LINE_task1b_1", "FalconPerez_Aalto_task1b_4", "Xiao_HEU-HIT_task1b_2"])
def test_labels_of_the_challenge_are_accepted(label: str) -> None:
    assert submission.check_label(label) == label


WRONG_LABELS = {
    "Wang_TAU_task1_1": "is for 'task1', not for 'task1b'",
    "Wang_TAU_task1b_5": "ends in '5', not in the number of the submission, 1 to 4",
    "Wang_TAU_task1b": "has 3 parts between underscores, not 4: LASTNAME_INSTITUTE_task1b_N",
    "van_Dijk_TAU_task1b_1": "has 5 parts",
    "Wäng_TAU_task1b_1": "in letters, digits and hyphens",
    "../Wang_TAU_task1b_1": "in letters, digits and hyphens",
    "_TAU_task1b_1": "in letters, digits and hyphens",
    "": "has 1 parts",
}


@pytest.mark.parametrize("label", WRONG_LABELS)
def test_other_labels_are_refused(capfd: pytest.CaptureFixture[str], tmp_path: Path, label: str) -> None:
    write_table(tmp_path / "table.tsv", table("0.wav"))
    message = run(capfd, "submit", tmp_path / "table.tsv", "--output", tmp_path / "out", "--name", label).error()
    assert message.startswith(f"--name {label!r}: ")
    assert WRONG_LABELS[label] in message
    assert message.endswith("; try: --name Lastname_INSTITUTE_task1b_1")
    assert not (tmp_path / "out").exists()


# What the organisers' validator requires in a description (DCASE 2020 task 1, subtask A; devices are not in task 1B).
REQUIRED = {
    "submission": {"label", "name", "abbreviation", "authors"},
    "system": {"description", "complexity", "external_datasets", "source_code"},
    "results": {"development_dataset"},
}
REQUIRED_DESCRIPTION = {
    *("input_sampling_rate", "acoustic_features", "embeddings", "data_augmentation", "machine_learning_method"),
    *("ensemble_method_subsystem_count", "decision_making", "external_data_usage"),
}


def test_the_description_has_the_fields_that_the_validator_requires(
    few: None, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    label = "No_123_task1b_2"  # a name and an institute that YAML would take for other values
    write_table(tmp_path / "table.tsv", table(*(f"{number}.wav" for number in range(FEW))))
    arguments = ("submit", tmp_path / "table.tsv", "--output", tmp_path / "out", "--name", label)
    assert run(capfd, *arguments).code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{label}.meta.yaml", f"{label}.output.csv"]
    path = tmp_path / "out" / f"{label}.meta.yaml"
    content = yaml.safe_load(path.read_text())
    assert {block: set(fields) for block, fields in content.items()} == REQUIRED
    assert content["submission"]["label"] == label
    (author,) = content["submission"]["authors"]
    assert {"lastname", "firstname", "email", "affiliation"} <= set(author)
    assert (author["lastname"], author["affiliation"]["abbreviation"], author["corresponding"]) == ("No", "123", True)
    assert set(content["system"]["description"]) >= REQUIRED_DESCRIPTION
    assert set(content["system"]["complexity"]) == {"total_parameters"}
    assert set(content["system"]["external_datasets"][0]) == {"name", "url", "total_audio_length"}
    results = content["results"]["development_dataset"]
    assert set(results["overall"]) == {"accuracy", "logloss"}
    assert list(results["class_wise"]) == list(TAU_SCENES)
    assert all(set(metrics) == {"accuracy", "logloss"} for metrics in results["class_wise"].values())

    path.write_text("filled in\n")
    again = run(capfd, *arguments, "--overwrite")
    assert again.out.splitlines()[1] == f"{path}: already there, kept as it is"
    assert path.read_text() == "filled in\n"


def test_a_name_is_not_for_checking(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write_submission(tmp_path / "x.csv", table("a.wav"))
    arguments = ("submit", "--check", tmp_path / "x.csv", "--name", "Wang_TAU_task1b_1")
    assert "either a table to submit or --check" in run(capfd, *arguments).error()


def test_groups_of_published_predictions_are_the_locations_of_the_test_part() -> None:
    """The numbers of locations are unique in this data set: with the city, there are as many groups."""
    if not PREDICTIONS.exists():
        pytest.skip("needs the published predictions")
    groups = set(read_table(PREDICTIONS).groups or ())
    assert len(groups) == 126  # locations of fold 1's test part
    assert len({group.rpartition("-")[2] for group in groups}) == 126

"""Prediction tables are read, written and checked; errors name the line and the column."""

import os
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from avscene import files
from avscene.errors import DataError
from avscene.labels import LabelSet
from avscene.tables.prediction_table import read_table, write_table
from avscene.tables.score_table import ScoreTable
from avscene.tables.truth import add_truth
from tests.support.command_line import run

LABELS = LabelSet(("park", "tram", "bus"))
GOOD = "filename\tstart\tgroup\ttrue_label\tscene_label\tpark\ttram\tbus\n"
UNWRITABLE = re.compile(r"[\x00-\x1f\ud800-\udfff]")
ROW = "a.mp4\t0\tg1\tpark\ttram\t0.2\t0.5\t0.3\n"


def table(**changes) -> ScoreTable:
    parts = {
        "labels": LABELS,
        "filenames": ("a.mp4", "a.mp4", "b.mp4"),
        "probabilities": np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.0, 0.0, 1.0]]),
        "starts": np.array([0.0, 1.0, 0.0]),
        "groups": ("g1", "g1", "g2"),
        "truth": ("park", "park", "bus"),
    }
    return ScoreTable(**(parts | changes))


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "t.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_avscenes_own_table_is_read(tmp_path):
    found = read_table(written(tmp_path, GOOD + ROW))
    assert (found.filenames, found.labels) == (("a.mp4",), LABELS)
    assert found.groups == ("g1",)
    assert found.truth == ("park",), "true_label is the truth; scene_label is the predicted scene"
    np.testing.assert_array_equal(found.starts, [0])
    np.testing.assert_allclose(found.probabilities, [[0.2, 0.5, 0.3]], atol=1e-15)
    assert found.truth_index.tolist() == [0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", ["\t", ",", ";"])
def test_encodings_line_ends_and_separators_do_not_matter(tmp_path, encoding, end, separator):
    text = "\n" + GOOD + ROW + "\n \n" + ROW.replace("a.mp4", "é.mp4") + 8 * "\t" + "\n" + 7 * "\t"
    text = text.replace("\n", end).replace("\t", separator)
    found = read_table(written(tmp_path, text.encode(encoding)))
    assert (found.filenames, found.labels) == (("a.mp4", "é.mp4"), LABELS)


def test_semicolons_may_separate_numbers_with_decimal_commas(tmp_path):
    found = read_table(written(tmp_path, "filename;start;park;tram\na, b.wav;0,5;0,85;0,15\n"))
    assert found.filenames == ("a, b.wav",)
    np.testing.assert_array_equal(found.starts, [0.5])
    np.testing.assert_array_equal(found.probabilities, [[0.85, 0.15]])


def test_tables_with_other_columns_are_read(tmp_path):
    text = "aid,scene_pred,scene_label,bus,park\nx,park,bus,0.397,0.600\n"
    found = read_table(written(tmp_path, text))
    assert found.truth == ("bus",)
    assert (found.starts, found.groups) == (None, None)
    assert found.labels.names == ("bus", "park")
    np.testing.assert_allclose(found.probabilities, [[0.397 / 0.997, 0.6 / 0.997]])


def test_scene_label_alone_is_the_predicted_scene(tmp_path):
    found = read_table(written(tmp_path, "filename\tscene_label\tpark\ttram\nx\tpark\t0.6\t0.4\n"))
    assert found.truth is None
    with pytest.raises(DataError, match=r"t\.tsv: no column 'true_label'; fix: give --truth meta\.csv"):
        _ = found.truth_index


def test_truth_and_group_from_tau_names(tmp_path):
    rows = "audio/park-lisbon-1175-44106.wav\t0.6\t0.4\nmetro_station-st_petersburg-3-7\t0.5\t0.5\n"
    found = read_table(written(tmp_path, "filename\tpark\tmetro_station\n" + rows))
    assert found.truth == ("park", "metro_station")
    assert found.groups == ("lisbon-1175", "st_petersburg-3")
    for other in ("holiday.mp4", "zoo-lisbon-1-2.wav"):
        text = f"filename\tpark\tmetro_station\n{rows}{other}\t0.5\t0.5\n"
        mixed = read_table(written(tmp_path, text))
        assert (mixed.truth, mixed.groups) == (None, None)


def test_scenes_in_names_without_a_column_are_named(tmp_path):
    names = ("metro-lisbon-1-2.wav", "bus-lisbon-1-3.wav")
    rows = "".join(f"{name}\t0.6\t0.4\n" for name in names)
    found = read_table(written(tmp_path, "filename\tbus\tsubway\n" + rows))
    message = r"t\.tsv: file names say scene 'metro', but there is no column 'metro'; found: bus, subway"
    with pytest.raises(DataError, match=message):
        _ = found.truth_index


def test_columns_take_precedence_over_names(tmp_path):
    head = "filename\tgroup\ttrue_label\tpark\ttram\n"
    found = read_table(written(tmp_path, head + "park-lisbon-1175-44106\tg\ttram\t0.6\t0.4\n"))
    assert (found.truth, found.groups) == (("tram",), ("g",))


def test_columns_of_text_are_carried_and_written(tmp_path):
    text = "filename,device,fold,park,tram,city\na,s1,1,0.6,0.4,lyon\nb,b,2,0.5,0.5,\n"
    found = read_table(written(tmp_path, text))
    assert found.labels.names == ("park", "tram")
    assert dict(found.carried) == {"device": ("s1", "b"), "fold": ("1", "2"), "city": ("lyon", "")}
    assert found.texts("device") == ("s1", "b")
    write_table(tmp_path / "again.tsv", found)
    again = read_table(tmp_path / "again.tsv")
    assert (again.labels, dict(again.carried)) == (found.labels, dict(found.carried))
    pandas_columns = pandas.read_csv(tmp_path / "again.tsv", sep="\t", keep_default_na=False)
    assert pandas_columns["device"].tolist() == ["s1", "b"]
    with pytest.raises(DataError, match="no column 'colour' to group rows by; found: device, fold, city"):
        found.texts("colour")


def test_texts_by_recording_are_kept_where_they_agree(tmp_path):
    text = "filename,start,device,note,park,tram\na,0,s1,x,0.6,0.4\na,1,s1,y,0.6,0.4\nb,0,s2,z,1,0\n"
    found = read_table(written(tmp_path, text)).by_recording()
    assert dict(found.carried) == {"device": ("s1", "s2")}


def test_cities_and_devices_are_read_from_tau_names(tmp_path):
    rows = "park-lyon-1-2-a.wav\t0.6\t0.4\ntram-st_petersburg-3-7-s6.wav\t0.5\t0.5\n"
    found = read_table(written(tmp_path, "filename\tpark\ttram\n" + rows))
    assert (found.texts("device"), found.texts("city")) == (("a", "s6"), ("lyon", "st_petersburg"))


def test_predicted_scenes_without_probabilities_are_read_where_they_suffice(tmp_path):
    path = written(tmp_path, "filename\ttrue_label\tscene_label\na\tpark\ttram\nb\tbus\tbus\n")
    with pytest.raises(DataError, match=r"line 1: has predicted scenes \(column 'scene_label'\) but no probabilities"):
        read_table(path)
    found = read_table(path, labels_suffice=True)
    assert found.labels_only
    assert found.labels.names == ("bus", "park", "tram")
    assert found.probabilities.tolist() == [[0, 0, 1], [1, 0, 0]]
    other = written(tmp_path, "aid,scene_pred,scene_label\na,tram,park\nb,bus,bus\n")
    assert read_table(other, labels_suffice=True).truth == ("park", "bus")


def test_the_meta_file_adds_groups_and_texts(tmp_path):
    path = written(tmp_path, "filename;park;tram\nx/a.wav;0,6;0,4\nb.wav;0,5;0,5\n")
    meta = tmp_path / "meta.csv"
    meta.write_text(
        "filename;scene_label;identifier;source_label;level\naudio/a.wav;tram;lyon-1;a;3\nb.wav;park;lyon-2;s1;4\n"
    )
    found = add_truth(read_table(path), meta)
    assert found.truth == ("tram", "park")
    assert found.texts("source") == found.texts("device") == ("a", "s1")
    assert set(found.carried) == {"identifier", "source_label"}, "numbers are not texts"
    meta.write_text("path,label,group\na.wav,tram,one\nb.wav,park,two\n")
    assert add_truth(read_table(path), meta).groups == ("one", "two")


DEFECTS = {
    "empty file": ("", r"t\.tsv, line 1: the file is empty"),
    "no rows": (GOOD, r"t\.tsv, line 1: a header and no rows"),
    "no id": (
        "name\tpark\ttram\nx\t1\t0\n",
        r"t\.tsv, line 1: no column 'filename' or 'aid'; found: name, park, tram",
    ),
    "one scene": ("filename\tpark\nx\t1\n", r"t\.tsv, line 1: missing probability columns"),
    "short row": (GOOD + ROW + "b.mp4\t0\n", r"t\.tsv, line 3: 2 columns, but the header has 8"),
    "column twice": ("filename\tpark\tpark\nx\t1\t0\n", r"t\.tsv, line 1: column 'park' is given twice"),
    "nameless column": ("filename\t\tpark\nx\t1\t0\n", r"t\.tsv, line 1: column 2 has no name"),
    "no number": (GOOD + ROW.replace("0.5", "half"), r"t\.tsv, line 2, column tram: 'half' is not a finite number"),
    "no cell": (GOOD + ROW.replace("0.5", ""), r"t\.tsv, line 2, column tram: '' is not a finite number"),
    "underscore": (GOOD + ROW.replace("0.5", "0_5"), r"t\.tsv, line 2, column tram: '0_5' is not a finite number"),
    "negative": (GOOD + ROW.replace("0.5", "-0.5"), r"t\.tsv, line 2, column tram: '-0\.5' is negative"),
    "nan": (GOOD + ROW.replace("0.5", "nan"), r"t\.tsv, line 2, column tram: 'nan' is not a finite number"),
    "infinite": (GOOD + ROW.replace("0.5", "inf"), r"t\.tsv, line 2, column tram: 'inf' is not a finite number"),
    "start": (GOOD + ROW.replace("\t0\t", "\tx\t"), r"t\.tsv, line 2, column start: 'x' is not a finite number"),
    "sum": (
        GOOD + ROW.replace("0.5", "0.52"),
        r"t\.tsv, line 2, column park \.\. bus: .* sum to 1\.02, not 1",
    ),
    "zeros": ("filename\tpark\ttram\nx\t0\t0\n", r"t\.tsv, line 2, column park \.\. tram: .* sum to 0"),
    "twice": (GOOD + ROW + ROW, r"t\.tsv, line 3, column filename: 'a\.mp4' at 0 s is already on line 2"),
    "no starts": (
        "aid\tpark\ttram\nx\t1\t0\nx\t0\t1\n",
        r"t\.tsv, line 3, column aid: 'x' is already on line 2",
    ),
    "truth": (GOOD + ROW.replace("park", "zoo"), r"t\.tsv, line 2, column true_label: 'zoo' is not a prob"),
    "no name": (GOOD + ROW.replace("a.mp4", " "), r"t\.tsv, line 2, column filename: is empty"),
    "group": (GOOD + ROW.replace("g1", ""), r"t\.tsv, line 2, column group: is empty"),
    "quote": (GOOD + '"' + ROW, r"t\.tsv, line 2: unexpected end of data"),
    "a PNG image": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", r"t\.tsv, line 1: not UTF-8 text \(byte 0x89\)"),
    "long row": (GOOD + ROW + "\t".join("abcdefghi"), r"t\.tsv, line 3: 9 columns, but the header has 8"),
    "short row, windows": (
        (GOOD + ROW + "b.mp4\t0\n").replace("\n", "\r\n"),
        r"t\.tsv, line 3: 2 columns, but the header has 8",
    ),
    "quotation": (GOOD + ROW.replace("a.mp4", '"a.mp4"x'), r"t\.tsv, line 2: '\\t' expected after"),
    "after a line break in a name": (
        GOOD + ROW.replace("a.mp4", '"a\nb"') + ROW.replace("0.5", "x"),
        r"t\.tsv, line 4, column tram: 'x' is not",
    ),
    "nul": (GOOD + ROW + "\0", r"t\.tsv, line 3: not text"),
    "latin": (
        GOOD.encode() + "caf\xe9".encode("latin-1"),
        r"t\.tsv, line 2: not UTF-8 text \(byte 0xe9\); save it as UTF-8",
    ),
    "half a character": ((GOOD + ROW).encode("utf-16")[:-1], r"t\.tsv, line 2: not UTF-16 text"),
    "utf-16 without a mark": ((GOOD + ROW).encode("utf-16-le"), r"t\.tsv, line 1: not text"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_errors_are_one_line_with_the_place(tmp_path, capfd, defect):
    content, message = DEFECTS[defect]
    path = written(tmp_path, content)
    error = run(capfd, "evaluate", path).error()
    assert error.startswith(str(path))
    assert re.search(message, error), error


def test_missing_file_and_folder(tmp_path, capfd):
    assert run(capfd, "evaluate", tmp_path / "gone.tsv").error().endswith("gone.tsv: No such file or directory")
    assert run(capfd, "evaluate", tmp_path).error() == f"{tmp_path}: Is a directory"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path, capfd):
    path = written(tmp_path, GOOD + ROW)
    path.chmod(0)
    assert run(capfd, "evaluate", path).error() == f"{path}: Permission denied"


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="this system has no file that opens but cannot be read")
def test_file_that_opens_but_cannot_be_read(capfd):
    assert run(capfd, "evaluate", "/proc/self/mem").error() == "/proc/self/mem: Input/output error"


def test_a_huge_file_is_refused_before_it_is_read(tmp_path, capfd):
    path = written(tmp_path, GOOD + ROW)
    os.truncate(path, 10 * 10**9)  # sparse: it takes no space
    tracemalloc.start()
    error = run(capfd, "evaluate", path).error()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error == f"{path}: larger than 256 MiB, the most that is read; split it into several tables"
    assert peak < files.LIMIT / 2


def test_a_pipe_is_read_and_bounded_too(tmp_path, capfd, monkeypatch):
    def through_pipe() -> int:
        reading, writing = os.pipe()
        os.write(writing, (GOOD + ROW).encode())
        os.close(writing)
        return reading

    reading = through_pipe()
    assert run(capfd, "evaluate", f"/dev/fd/{reading}").code == 0
    os.close(reading)
    monkeypatch.setattr(files, "LIMIT", len(GOOD))
    reading = through_pipe()
    assert "larger than" in run(capfd, "evaluate", f"/dev/fd/{reading}").error()
    os.close(reading)


def test_a_table_with_names_that_the_meta_file_lacks_is_refused(tmp_path, capfd):
    path = written(tmp_path, GOOD + ROW + ROW.replace("a.mp4", "b.mp4"))
    (tmp_path / "meta.csv").write_text("path,label\na.mp4,park\n")
    error = run(capfd, "evaluate", path, "--truth", tmp_path / "meta.csv").error()
    assert error == f"{tmp_path / 'meta.csv'}: no label for 'b.mp4' (1 of 2 names)"


@pytest.mark.parametrize("total", [0.99, 1.01])
def test_rows_whose_sum_rounding_does_not_explain_are_rescaled(tmp_path, total):
    found = read_table(written(tmp_path, f"filename\tpark\ttram\nx\t{total - 0.3:.2f}\t0.300\ny\t0.125\t0.875\n"))
    assert found.resolution == pytest.approx(0.001)
    assert found.probabilities[0].sum() == pytest.approx(1, abs=1e-15)
    assert found.probabilities[0, 1] == pytest.approx(0.3 / total)


@pytest.mark.parametrize(("printed", "step"), [((0.12,) * 8, 0.01), ((0.333, 0.333, 0.333, 0), 0.001)])
def test_rows_whose_sum_rounding_explains_stay_as_printed(tmp_path, printed, step):
    """Eight times an eighth with two decimals sums to 0.96; dividing by it would turn 0.12 into 0.125."""
    head = "\t".join(["filename", *(f"s{number}" for number in range(len(printed)))])
    found = read_table(written(tmp_path, head + "\nx\t" + "\t".join(map(str, printed)) + "\n"))
    np.testing.assert_array_equal(found.probabilities, [printed])
    assert found.resolution == step
    np.testing.assert_array_equal(found.by_recording().probabilities, [printed])


def test_rows_of_two_decimals_are_evaluated_as_printed(tmp_path, capfd):
    scenes = [f"s{number}" for number in range(10)]
    cells = ["0.09"] * 5 + ["0.10"] * 5  # of 0.095 and 0.105
    path = written(tmp_path, "\t".join(["aid", "true_label", *scenes]) + "\n" + "\t".join(["x", "s0", *cells]) + "\n")
    done = run(capfd, "evaluate", path)
    assert (done.code, done.messages) == (0, [])
    assert re.search(r"log loss +2\.4079", done.out)  # -ln 0.09


def test_blank_lines_keep_line_numbers(tmp_path):
    with pytest.raises(DataError, match="line 5, column tram"):
        read_table(written(tmp_path, GOOD + "\n" + ROW + "\n" + ROW.replace("0.5", "x").replace("a.", "b.")))


@pytest.mark.parametrize(
    ("cells", "step"),
    [
        ("1 0 0", 0),  # one-hot
        ("0.2 0.5 0.3", 0),  # ten votes, or an example
        ("0.25 0.75 0", 1e-2),
        ("0.250 0.749 0.001", 1e-3),
        ("0.25 0.74999 1e-05", 1e-5),
        ("0.12345678 0.87654322 0", 1e-8),
        ("0.123456789 0.876543211 0", 0),
        ("0.333333333333333 0.333333333333333 0.333333333333334", 0),
        ("0.25 0.75 1e-12", 0),
    ],
)
def test_rounding_is_detected_and_zeros_are_raised_accordingly(tmp_path, cells, step):
    found = read_table(written(tmp_path, "aid\tpark\ttram\tbus\nx\t" + cells.replace(" ", "\t") + "\n"))
    assert found.resolution == pytest.approx(step, rel=1e-9)
    raised = np.maximum(found.probabilities, step / 2 if step else 1e-15)
    np.testing.assert_allclose(found.floored, raised / raised.sum(), rtol=1e-12)
    assert found.floored.sum() == pytest.approx(1, abs=1e-15)


def test_cities_are_read_from_tau_names():
    names = ("audio/park-lisbon-1175-44106.wav", "tram-st_petersburg-3-7_2", "holiday.mp4")
    assert table(filenames=names).cities == ("lisbon", "st_petersburg", "")


@settings(max_examples=60)
@given(arrays(float, (4, 3), elements=st.floats(1e-12, 1)), st.lists(st.text(min_size=1), min_size=4, max_size=4))
def test_a_written_table_reads_back(tmp_path_factory, weights, names):
    filenames = tuple(f"{index}{UNWRITABLE.sub('', name)}" for index, name in enumerate(names))
    before = ScoreTable(
        LABELS,
        filenames,
        weights / weights.sum(axis=1, keepdims=True),
        starts=np.array([0.1, 1 / 3, 2.0, 1e5 / 3]),
        groups=("a b", '"', "7", ","),
        truth=("park", "bus", "bus", "tram"),
    )
    path = tmp_path_factory.mktemp("round") / "t.tsv"
    write_table(path, before)
    after = read_table(path)
    np.testing.assert_allclose(after.probabilities, before.probabilities, rtol=1e-9, atol=0)
    np.testing.assert_allclose(after.starts, before.starts, rtol=1e-14)
    for part in ("labels", "filenames", "groups", "truth"):
        assert getattr(after, part) == getattr(before, part)
    assert [item.name for item in path.parent.iterdir()] == ["t.tsv"], "no temporary file is left"


def test_columns_and_cells_of_a_written_table(tmp_path):
    write_table(tmp_path / "deep" / "t.tsv", table())
    lines = (tmp_path / "deep" / "t.tsv").read_text().splitlines()
    assert lines[0].split("\t") == [
        "filename",
        "start",
        "group",
        "true_label",
        "scene_label",
        "park",
        "tram",
        "bus",
    ]
    assert lines[1].split("\t") == ["a.mp4", "0", "g1", "park", "tram", "0.2", "0.5", "0.3"]
    (tmp_path / "link").hardlink_to(tmp_path / "deep" / "t.tsv")
    write_table(tmp_path / "deep" / "t.tsv", table(starts=None, groups=None, truth=None))
    bare = (tmp_path / "deep" / "t.tsv").read_text().splitlines()
    assert bare[0].split("\t") == ["filename", "scene_label", "park", "tram", "bus"]
    assert (tmp_path / "link").read_text().splitlines() == lines, "renamed into place, not written over"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filenames": ("a\tb", "c", "d")}, r"'a\\tb' cannot be a cell"),
        ({"filenames": ("\udcff", "c", "d")}, "not valid text"),
        ({"groups": ("", "c", "d")}, "'' cannot be a cell"),
        (
            {"labels": LabelSet(("park", "group", "bus")), "truth": None},
            "scene 'group' is called like a column",
        ),
    ],
)
def test_a_failed_write_leaves_the_old_file(tmp_path, changes, message):
    path = written(tmp_path, "old")
    with pytest.raises(DataError, match=message):
        write_table(path, table(**changes))
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(DataError, match="cannot be written"):
        write_table(path / "below a file.tsv", table())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filenames": ("a", "b")}, r"probabilities of shape \(3, 3\) do not fit 2 rows of 3 scenes"),
        ({"filenames": (), "probabilities": np.zeros((0, 3))}, "do not fit 0 rows"),
        ({"starts": np.zeros(2)}, "2 starts do not fit 3 rows"),
        ({"starts": np.array([0, np.nan, 1])}, "starts must be finite"),
        ({"groups": ("g",)}, "1 groups do not fit"),
        ({"truth": ("zoo", "park", "bus")}, "true scene 'zoo' is not one of park, tram, bus"),
        ({"probabilities": np.full((3, 3), 0.3)}, "must sum to 1"),
        ({"probabilities": np.array([[1, 0, 0], [1, 0, 0], [2, -1, 0.0]])}, "not negative"),
        ({"probabilities": np.full((3, 3), np.nan)}, "must be finite"),
    ],
)
def test_a_table_in_memory_is_validated(changes, message):
    with pytest.raises(ValueError, match=message):
        table(**changes)


def test_the_callers_array_is_neither_kept_nor_changed():
    original = np.full((1, 3), 1 / 3, dtype=np.float32)
    held = ScoreTable(LABELS, ("a",), original).probabilities
    assert held.dtype == np.float64
    assert held.sum() == pytest.approx(1, abs=1e-15)
    original[:] = 0
    assert held.all()
    with pytest.raises(ValueError, match="read-only"):
        held[:] = 0


def test_by_recording_is_the_mean():
    whole = table().by_recording()
    assert whole.filenames == ("a.mp4", "b.mp4")
    assert whole.truth == ("park", "bus")
    assert whole.groups == ("g1", "g2")
    assert whole.starts is None
    np.testing.assert_allclose(whole.probabilities, [[0.4, 0.4, 0.2], [0, 0, 1]], atol=1e-15)


def test_by_recording_refuses_several_true_scenes():
    with pytest.raises(DataError, match=r"'a\.mp4' has more than one true scene: 'park' and 'bus'"):
        table(truth=("park", "bus", "bus")).by_recording()


@pytest.mark.parametrize(
    "meta",
    [
        "path,label\na.mp4,tram\nb.mp4,bus\n",
        "path,label,group\nclips/a.mp4,tram,1\nclips/b.wav, bus,2\n",
        "filename_audio\tfilename_video\tscene_label\naudio/a.wav\tvideo/a.mp4\ttram\naudio/b.wav\tvideo/b.mp4\tbus\n",
    ],
)
def test_truth_from_meta(tmp_path, meta):
    found = add_truth(table(truth=None), written(tmp_path, meta))
    assert found.truth == ("tram", "tram", "bus")
    np.testing.assert_array_equal(found.probabilities, table().probabilities)


def test_truth_is_matched_by_the_whole_path_first(tmp_path):
    meta = written(tmp_path, "path,label\npark/1.mp4,park\ntram/1.mp4,tram\n")
    both = table(filenames=("tram/1.mp4", "park/1.mp4", "park/1.mp4"), truth=None, starts=None)
    assert add_truth(both, meta).truth == ("tram", "park", "park")
    with pytest.raises(DataError, match=r"no label for '1\.mp4' \(1 of 1 names\)"):
        add_truth(table(filenames=("1.mp4",) * 3), meta)


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ("path,label\nb.mp4,bus\n", r"t\.tsv: no label for 'a\.mp4' \(1 of 2 names\)"),
        ("path,label\na.mp4,zoo\nb.mp4,bus\n", r"t\.tsv, line 2, column label: 'zoo' is not a scene"),
        ("path,label\na.mp4,\nb.mp4,bus\n", r"t\.tsv, line 2, column label: is empty"),
        ("name,label\na.mp4,bus\n", r"t\.tsv, line 1: no columns 'path' and 'label'"),
        ("path,scene\na.mp4,bus\n", r"t\.tsv, line 1: no columns 'path' and 'label'"),
    ],
)
def test_a_malformed_meta_file_is_refused(tmp_path, meta, message):
    with pytest.raises(DataError, match=message):
        add_truth(table(), written(tmp_path, meta))

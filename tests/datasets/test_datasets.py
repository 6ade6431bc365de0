"""Three layouts of a data set on disk become one table; what is malformed is told with file and line."""

import os
from pathlib import Path

import pytest

from avscene.datasets.dataset import MEDIA_SUFFIXES, is_media
from avscene.datasets.layout import read_dataset
from avscene.errors import DataError
from avscene.labels import LabelSet
from avscene.records import Example
from tests.support.media_files import write_media


def touch(root: Path, *names: str) -> None:
    """Files of these names; reading a data set looks at no content."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def meta(root: Path, text: str | bytes) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "meta.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return root / "meta.csv"


def summary(examples: tuple[Example, ...]) -> list[tuple[str, str, str]]:
    return [(example.name, example.label, example.group) for example in examples]


# A folder per class


def test_a_folder_per_class(tmp_path: Path) -> None:
    touch(tmp_path, "street/b.mp4", "street/a.WAV", "kitchen/c.mov", "kitchen/notes.txt", ".git/x.mp4", "readme.mp4")
    data = read_dataset(tmp_path)
    assert summary(data.examples) == [
        ("kitchen/c.mov", "kitchen", "kitchen/c.mov"),
        ("street/a.WAV", "street", "street/a.WAV"),
        ("street/b.mp4", "street", "street/b.mp4"),
    ]
    assert [example.path for example in data.examples] == [tmp_path / example.name for example in data.examples]
    assert data.labels == LabelSet(("kitchen", "street"))
    assert data.source == tmp_path


def test_folders_in_a_class_folder_are_groups(tmp_path: Path) -> None:
    touch(tmp_path, "a/monday/1.mp4", "a/monday/2.mp4", "a/friday/1.mp4", "a/alone.mp4", "b/monday/cam 1/1.mp4")
    assert summary(read_dataset(tmp_path).examples) == [
        ("a/alone.mp4", "a", "a/alone.mp4"),
        ("a/friday/1.mp4", "a", "a/friday"),
        ("a/monday/1.mp4", "a", "a/monday"),
        ("a/monday/2.mp4", "a", "a/monday"),
        ("b/monday/cam 1/1.mp4", "b", "b/monday/cam 1"),
    ]


def test_an_empty_class_folder_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "b/readme.txt")
    with pytest.raises(DataError, match=r"/b: the class folder holds no media files"):
        read_dataset(tmp_path)


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is no data set: it holds neither class folders nor a meta\.csv"):
        read_dataset(tmp_path)


def test_a_path_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone: is not there"):
        read_dataset(tmp_path / "gone")


def test_one_scene_is_nothing_to_tell_apart(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "a/2.mp4")
    with pytest.raises(DataError, match=r"all recordings are of one scene \(a\)"):
        _ = read_dataset(tmp_path).labels


@pytest.mark.parametrize("name", ["x.mp4", "x.MP4", "x.wav", "x.jpg", "a.b.webm", "x.m2ts"])
def test_media_names(name: str) -> None:
    assert is_media(Path(name))


@pytest.mark.parametrize("name", ["x.txt", "mp4", "x.csv", ".mp4", "x.mp4.part", "x"])
def test_other_names(name: str) -> None:
    assert not is_media(Path(name))


def test_media_suffixes_are_lower_case_without_dots() -> None:
    assert all(suffix == suffix.lower().strip(".") for suffix in MEDIA_SUFFIXES)


# meta.csv


def test_meta_csv(tmp_path: Path) -> None:
    touch(tmp_path, "one.mp4", "deep/two.mp4", "three.mp4")
    path = meta(
        tmp_path,
        "path,label,group,fold,weather\none.mp4,park,g1,1,rain\ndeep/two.mp4,tram,g2,2,sun\nthree.mp4,tram,,2,sun\n",
    )
    for given in (tmp_path, path, str(path)):
        data = read_dataset(given)
        assert summary(data.examples) == [
            ("one.mp4", "park", "g1"),
            ("deep/two.mp4", "tram", "g2"),
            ("three.mp4", "tram", "three.mp4"),  # without a group it is a group of its own
        ]
    assert data.examples[1].path == tmp_path / "deep" / "two.mp4"
    assert data.examples[1].columns == {"fold": "2", "weather": "sun"}
    assert data.values("fold") == ("1", "2")
    assert data.values("weather") == ("rain", "sun")
    assert data.values("split") == ()


PLAIN = "path,label,group\none.mp4,park,g1\ntwo.mp4,bus,g2\n"
WRITINGS = {
    "plain": PLAIN.encode(),
    "byte order mark": b"\xef\xbb\xbf" + PLAIN.encode(),
    "CRLF": PLAIN.replace("\n", "\r\n").encode(),
    "both": b"\xef\xbb\xbf" + PLAIN.replace("\n", "\r\n").encode(),
    "spaces": b"path , label,group\n one.mp4 , park ,g1 \ntwo.mp4,  bus,g2\n",
    "quoted": b'"path","label","group"\n"one.mp4","park","g1"\n"two.mp4","bus","g2"\n',
    "no last line break": PLAIN.rstrip("\n").encode(),
    "blank lines": PLAIN.replace("\n", "\n\n").encode(),
    "another order and more columns": b"group,x,label,path\ng1,,park,one.mp4\ng2,1,bus,two.mp4\n",
}


@pytest.mark.parametrize("writing", WRITINGS)
def test_meta_csv_however_it_is_written(tmp_path: Path, writing: str) -> None:
    touch(tmp_path, "one.mp4", "two.mp4")
    meta(tmp_path, WRITINGS[writing])
    assert summary(read_dataset(tmp_path).examples) == [("one.mp4", "park", "g1"), ("two.mp4", "bus", "g2")]


def test_names_with_commas_quotes_and_letters_beyond_ascii(tmp_path: Path) -> None:
    names = ["a, b.mp4", 'say "hi".mp4', "Straßencafé 雨.mp4", "line\u2028break.mp4"]
    touch(tmp_path, *names)
    quoted = "".join('"{}",scene {}\n'.format(name.replace('"', '""'), index) for index, name in enumerate(names))
    meta(tmp_path, "path,label\n" + quoted)
    data = read_dataset(tmp_path)
    assert [example.name for example in data.examples] == names
    assert all(example.path.is_file() for example in data.examples)


BAD = {
    "no label column": ("path,scene\none.mp4,park\n", r"meta\.csv: has no column 'label'; its first line must name"),
    "no path column": ("file,label\none.mp4,park\n", r"has no column 'path'"),
    "nothing": ("", r"has no column 'path'"),
    "only a header": ("path,label\n", "holds no recordings"),
    "a row twice": (
        "path,label\none.mp4,a\ntwo.mp4,b\none.mp4,b\n",
        r"meta\.csv, line 4: one\.mp4 is already on line 2",
    ),
    "a file that is not there": ("path,label\none.mp4,a\ngone.mp4,b\n", r"line 3: gone\.mp4 is not there"),
    "a folder for a file": ("path,label\none.mp4,a\ndeep,b\n", r"line 3: deep is not there"),
    "an empty label": ("path,label\none.mp4,\n", "line 2: label is empty"),
    "an empty path": ("path,label\n ,a\n", "line 2: path is empty"),
    "too few cells": ("path,label,group\none.mp4,a\n", "line 2: does not have the 3 columns"),
    "too many cells": ("path,label\none.mp4,a,b\n", "line 2: does not have the 2 columns"),
    "not UTF-8": (b"path,label\none.mp4,caf\xe9\n", r"meta\.csv: is not UTF-8 text"),
    "a column twice": ("path,label,label\none.mp4,a,b\ntwo.mp4,b,a\n", "column 'label' is given twice"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_malformed_meta_csv_is_told(tmp_path: Path, kind: str) -> None:
    text, message = BAD[kind]
    touch(tmp_path, "one.mp4", "two.mp4", "deep/three.mp4")
    path = meta(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        read_dataset(tmp_path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_media_file_is_no_data_set(tmp_path: Path) -> None:
    write_media(tmp_path / "film.mp4", 1.0, fps=5)
    with pytest.raises(DataError, match=r"film\.mp4: is not UTF-8 text"):
        read_dataset(tmp_path / "film.mp4")


@pytest.mark.parametrize("label", ["filename", "start", "group", "true_label", "scene_label"])
def test_a_scene_called_like_a_column_of_the_tables_is_refused_before_any_work(tmp_path: Path, label: str) -> None:
    touch(tmp_path, f"{label}/1.mp4", "park/1.mp4")
    with pytest.raises(DataError, match=f"scene '{label}' is called like a column"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", ["a/tab\there.mp4", "a/line\nbreak.mp4", "a/room\t1/x.mp4", "tab\there/1.mp4"])
def test_names_that_no_table_can_hold_are_refused_before_any_work(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name, "b/1.mp4")
    with pytest.raises(DataError, match="control character"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", [b"caf\xe9/1.mp4", b"a/caf\xe9.mp4"])
def test_names_that_are_no_text_are_refused_before_any_work(tmp_path: Path, name: bytes) -> None:
    try:
        touch(tmp_path, os.fsdecode(name), "b/1.mp4")
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system holds only names in UTF-8")
    with pytest.raises(DataError, match="not valid text") as caught:
        read_dataset(tmp_path)
    str(caught.value).encode()  # so that it can be printed


# Splits in a meta.csv


def split_meta(root: Path, *rows: str) -> Path:
    touch(root, *(row.split(",")[0] for row in rows))
    return meta(root, "path,label,group,split\n" + "".join(f"{row}\n" for row in rows))


def test_a_group_in_both_parts_of_the_split_column_is_an_error(tmp_path: Path) -> None:
    path = split_meta(tmp_path, "1.mp4,a,g1,train", "2.mp4,b,g2,train", "3.mp4,a,g1,test", "4.mp4,b,g3,test")
    message = r"group 'g1' is in both .* without split=train \(3\.mp4\) and .* with split=train \(1\.mp4\)"
    with pytest.raises(DataError, match=message) as caught:
        read_dataset(tmp_path)
    assert str(path) in str(caught.value)


def test_every_pair_of_three_parts_is_looked_at(tmp_path: Path) -> None:
    parts = ("test", "train", "validation")
    for index, pair in enumerate((("test", "train"), ("test", "validation"), ("train", "validation"))):
        rows = [f"{part}.mp4,a,{'same' if part in pair else 'own'},{part}" for part in parts]
        split_meta(tmp_path / str(index), *rows, "other.mp4,b,g,train")
        with pytest.raises(DataError, match="group 'same' is in both"):
            read_dataset(tmp_path / str(index))


def test_a_split_by_group_is_read(tmp_path: Path) -> None:
    split_meta(tmp_path, "1.mp4,a,g1,train", "2.mp4,b,g2,train", "3.mp4,a,g3,test", "4.mp4,b,g4,")
    rest, held = read_dataset(tmp_path).hold_out("split=test")
    assert [example.name for example in held.examples] == ["3.mp4"]
    assert [example.name for example in rest.examples] == ["1.mp4", "2.mp4", "4.mp4"]


# TAU


TAU_COLUMNS = "filename_audio\tfilename_video\tscene_label"


def tau(root: Path, *names: str, extra: str = "") -> Path:
    """A TAU data set of real files: `names` such as airport-lisbon-1175-44106."""
    (root / "audio").mkdir(parents=True)
    (root / "video").mkdir()
    lines = [f"{TAU_COLUMNS}\tidentifier"]
    for name in names:
        write_media(root / "audio" / f"{name}.wav", 1.0, video=False)
        write_media(root / "video" / f"{name}.mp4", 1.0, fps=5, audio=False)
        lines.append(f"{row(name)}\t{'-'.join(name.split('-')[1:3])}")
    (root / "meta.csv").write_text("\n".join(lines) + "\n" + extra)
    return root


def row(name: str) -> str:
    return f"audio/{name}.wav\tvideo/{name}.mp4\t{name.split('-', maxsplit=1)[0]}"


def lists(root: Path, train: list[str], test: list[str]) -> None:
    setup = root / "evaluation_setup"
    setup.mkdir()
    for file, names in (("fold1_train.csv", train), ("fold1_evaluate.csv", test)):
        (setup / file).write_text("".join(f"{line}\n" for line in [TAU_COLUMNS, *map(row, names)]))


NAMES = ("airport-lisbon-1175-44106", "airport-lyon-1200-1", "bus-lyon-7-2", "bus-paris-8-3", "metro_station-paris-9-4")


def test_tau(tmp_path: Path) -> None:
    root = tau(tmp_path / "tau", *NAMES)
    lists(root, [NAMES[0], NAMES[2]], [NAMES[1], NAMES[3]])
    data = read_dataset(root)
    first = data.examples[0]
    assert first.name == "video/airport-lisbon-1175-44106.mp4"
    assert first.path == root / "video" / "airport-lisbon-1175-44106.mp4"
    assert first.audio == root / "audio" / "airport-lisbon-1175-44106.wav"
    assert (first.label, first.group) == ("airport", "1175")
    assert first.columns == {"city": "lisbon", "split": "train"}
    assert data.labels == LabelSet(("airport", "bus", "metro_station"))
    assert data.values("split") == ("test", "train")
    rest, held = data.hold_out("split=test")
    assert [example.group for example in held.examples] == ["1200", "8"]
    assert [example.group for example in rest.examples] == ["1175", "7", "9"]  # 9 is in no list
    assert read_dataset(root / "meta.csv").examples == data.examples


def test_tau_without_lists_has_no_split(tmp_path: Path) -> None:
    data = read_dataset(tau(tmp_path / "tau", *NAMES[:2]))
    assert data.values("split") == ()
    assert data.values("city") == ("lisbon", "lyon")


def test_tau_with_windows_line_ends_and_a_mark(tmp_path: Path) -> None:
    root = tau(tmp_path / "tau", *NAMES[:3])
    plain = read_dataset(root)
    content = (root / "meta.csv").read_bytes().replace(b"\n", b"\r\n")
    (root / "meta.csv").write_bytes(b"\xef\xbb\xbf" + content)
    assert read_dataset(root).examples == plain.examples


def test_a_location_on_both_sides_of_taus_split_is_an_error(tmp_path: Path) -> None:
    names = ("bus-lyon-7-1", "bus-lyon-7-2", "metro-paris-8-3", "metro-paris-9-4")
    root = tau(tmp_path / "tau", *names)
    lists(root, [names[0], names[2]], [names[1], names[3]])
    with pytest.raises(DataError, match=r"group '7' is in both .* without split=test"):
        read_dataset(root)


TAU_BAD = {
    "sound that is not there": (f"{row('bus-lyon-1-9')}\tlyon-1\n", r"line 4: audio/bus-lyon-1-9\.wav is not there"),
    "no label": ("audio/x.wav\tvideo/x.mp4\t\tlyon-1\n", "line 4: one of filename_audio, .* is empty"),
    "a short line": ("audio/x.wav\n", "line 4: one of filename_audio, .* is empty"),
    "a row twice": (f"{row(NAMES[0])}\tlisbon-1175\n", r"line 4: .* is already on line 2"),
}


@pytest.mark.parametrize("kind", TAU_BAD)
def test_a_malformed_tau_table_is_told(tmp_path: Path, kind: str) -> None:
    extra, message = TAU_BAD[kind]
    root = tau(tmp_path / "tau", *NAMES[:2], extra=extra)
    with pytest.raises(DataError, match=message) as caught:
        read_dataset(root)
    assert str(root / "meta.csv") in str(caught.value)


def test_a_tau_name_without_its_parts_is_told(tmp_path: Path) -> None:
    root = tau(tmp_path / "tau", *NAMES[:2])
    touch(root, "audio/x.wav", "video/x.mp4")
    with (root / "meta.csv").open("a") as file:
        file.write("audio/x.wav\tvideo/x.mp4\tbus\tx\n")
    with pytest.raises(DataError, match=r"line 4: x\.wav is not named scene-city-location-segment"):
        read_dataset(root)

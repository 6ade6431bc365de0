"""A data set with a meta.csv is read; malformed tables are reported with file and line."""

from pathlib import Path

import pytest

from avscene.datasets.layout import read_dataset
from avscene.errors import DataError
from tests.support.data_folders import summary, touch


def meta(root: Path, text: str | bytes) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "meta.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return root / "meta.csv"


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
    "semicolons": PLAIN.replace(",", ";").encode(),
    "tabs": PLAIN.replace(",", "\t").encode(),
    "another order and more columns": b"group,x,label,path\ng1,,park,one.mp4\ng2,1,bus,two.mp4\n",
}


@pytest.mark.parametrize("writing", WRITINGS)
def test_ways_to_write_a_meta_csv(tmp_path: Path, writing: str) -> None:
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
    "nothing": ("", "line 1: the file is empty"),
    "only a header": ("path,label\n", "a header and no rows after it"),
    "a row twice": (
        "path,label\none.mp4,a\ntwo.mp4,b\none.mp4,b\n",
        r"meta\.csv, line 4: one\.mp4 is already on line 2",
    ),
    "a file that is not there": ("path,label\none.mp4,a\ngone.mp4,b\n", r"line 3: gone\.mp4: file not found"),
    "a folder for a file": ("path,label\none.mp4,a\ndeep,b\n", r"line 3: deep: file not found"),
    "an empty label": ("path,label\none.mp4,\n", "line 2: label is empty"),
    "an empty path": ("path,label\n ,a\n", "line 2: path is empty"),
    "too few cells": ("path,label,group\none.mp4,a\n", "line 2: 2 columns, but the header has 3"),
    "too many cells": ("path,label\none.mp4,a,b\n", "line 2: 3 columns, but the header has 2"),
    "not UTF-8": (b"path,label\none.mp4,caf\xe9\n", r"meta\.csv, line 2: not UTF-8 text"),
    "a column twice": ("path,label,label\none.mp4,a,b\ntwo.mp4,b,a\n", "column 'label' is given twice"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_malformed_meta_csv_is_an_error(tmp_path: Path, kind: str) -> None:
    text, message = BAD[kind]
    touch(tmp_path, "one.mp4", "two.mp4", "deep/three.mp4")
    path = meta(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        read_dataset(tmp_path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def split_meta(root: Path, *rows: str) -> Path:
    touch(root, *(row.split(",")[0] for row in rows))
    return meta(root, "path,label,group,split\n" + "".join(f"{row}\n" for row in rows))


def test_a_group_on_both_sides_of_the_split_column_is_an_error(tmp_path: Path) -> None:
    path = split_meta(tmp_path, "1.mp4,a,g1,train", "2.mp4,b,g2,train", "3.mp4,a,g1,test", "4.mp4,b,g3,test")
    message = r"group 'g1' is in both .* without split=train \(3\.mp4\) and .* with split=train \(1\.mp4\)"
    with pytest.raises(DataError, match=message) as caught:
        read_dataset(tmp_path)
    assert str(path) in str(caught.value)


def test_every_pair_of_three_parts_is_checked(tmp_path: Path) -> None:
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

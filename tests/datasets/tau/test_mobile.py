"""TAU's data sets of audio are read with groups, devices and the published split."""

from pathlib import Path

import pandas
import pytest

from avscene.datasets.layout import read_dataset, read_recordings
from avscene.errors import DataError
from tests.support.data_folders import touch

META = """filename\tscene_label\tidentifier\tsource_label
audio/airport-barcelona-0-0-a.wav\tairport\tbarcelona-0\ta
audio/airport-barcelona-0-0-s1.wav\tairport\tbarcelona-0\ts1
audio/bus-lyon-1002-40111-a.wav\tbus\tlyon-1002\ta
audio/metro-paris-7-12-b.wav\tmetro\tparis-7\tb
"""
LISTS = {
    "fold1_train.csv": "filename\tscene_label\naudio/airport-barcelona-0-0-a.wav\tairport\n"
    "audio/airport-barcelona-0-0-s1.wav\tairport\n",
    "fold1_evaluate.csv": "filename\tscene_label\naudio/bus-lyon-1002-40111-a.wav\tbus\n",
    "fold1_test.csv": "filename\naudio/bus-lyon-1002-40111-a.wav\n",
}


def write_mobile(root: Path, meta: str = META, lists: dict[str, str] = LISTS) -> Path:
    touch(root, *(line.split("\t")[0] for line in META.splitlines()[1:]))
    (root / "meta.csv").write_text(meta)
    (root / "evaluation_setup").mkdir()
    for name, text in lists.items():
        (root / "evaluation_setup" / name).write_text(text)
    return root


def test_the_columns_are_those_of_the_table(tmp_path: Path) -> None:
    data = read_dataset(write_mobile(tmp_path))
    expected = pandas.read_csv(tmp_path / "meta.csv", sep="\t")
    assert [example.name for example in data.examples] == expected["filename"].tolist()
    assert [example.label for example in data.examples] == expected["scene_label"].tolist()
    assert [example.group for example in data.examples] == expected["identifier"].tolist()
    assert [example.columns["source_label"] for example in data.examples] == expected["source_label"].tolist()
    assert data.values("city") == ("barcelona", "lyon", "paris")
    assert [example.columns.get("split") for example in data.examples] == ["train", "train", "test", None]
    assert data.examples[0].path == tmp_path / "audio" / "airport-barcelona-0-0-a.wav"


def test_without_identifiers_city_and_number_are_the_group(tmp_path: Path) -> None:
    rows = [line.split("\t")[:2] for line in META.splitlines()]
    data = read_dataset(write_mobile(tmp_path, "\n".join(";".join(row) for row in rows)))
    assert [example.group for example in data.examples] == ["barcelona-0", "barcelona-0", "lyon-1002", "paris-7"]


def test_a_group_in_both_lists_is_an_error(tmp_path: Path) -> None:
    lists = LISTS | {"fold1_evaluate.csv": "filename\tscene_label\naudio/airport-barcelona-0-0-s1.wav\tairport\n"}
    lists["fold1_train.csv"] = "filename\tscene_label\naudio/airport-barcelona-0-0-a.wav\tairport\n"
    with pytest.raises(DataError, match="group 'barcelona-0' is in both"):
        read_dataset(write_mobile(tmp_path, lists=lists))


def test_a_recording_in_both_lists_is_an_error(tmp_path: Path) -> None:
    lists = LISTS | {"fold1_evaluate.csv": LISTS["fold1_train.csv"]}
    with pytest.raises(DataError, match=r"fold1_evaluate\.csv, line 2: audio/airport-.* in the training and in the"):
        read_dataset(write_mobile(tmp_path, lists=lists))


def test_the_list_of_files_without_labels_is_read_from_its_folder(tmp_path: Path) -> None:
    root = write_mobile(tmp_path)
    data = read_recordings(root / "evaluation_setup" / "fold1_test.csv")
    assert not data.is_labelled
    assert [example.path for example in data.examples] == [root / "audio" / "bus-lyon-1002-40111-a.wav"]
    assert [example.group for example in data.examples] == ["lyon-1002"]

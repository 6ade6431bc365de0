"""A data set of one folder per class is read; folders below are groups."""

from pathlib import Path

import pytest

from avscene.datasets.layout import read_dataset
from avscene.errors import DataError
from avscene.labels import LabelSet
from tests.support.data_folders import summary, touch


def test_one_folder_per_class(tmp_path: Path) -> None:
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


def test_a_class_folder_without_media_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "b/readme.txt")
    with pytest.raises(DataError, match=r"/b: the class folder holds no media files"):
        read_dataset(tmp_path)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not a data set: it has neither class folders nor a meta\.csv"):
        read_dataset(tmp_path)

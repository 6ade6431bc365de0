"""Names that prediction tables cannot hold and paths without a data set are refused, in every layout."""

import os
from pathlib import Path

import pytest

from avscene.datasets import layout
from avscene.datasets.dataset import DataSet
from avscene.datasets.layout import DataLayout, read_dataset
from avscene.errors import DataError
from avscene.records import Example
from tests.support.data_folders import touch
from tests.support.media_files import write_media


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone: no such file or directory"):
        read_dataset(tmp_path / "gone")


def test_a_media_file_is_not_a_data_set(tmp_path: Path) -> None:
    write_media(tmp_path / "video.mp4", 1.0, fps=5)
    with pytest.raises(DataError, match=r"video\.mp4, line \d+: not .*text"):
        read_dataset(tmp_path / "video.mp4")


@pytest.mark.parametrize("label", ["filename", "start", "group", "true_label", "scene_label"])
def test_scenes_named_like_a_column_of_tables_are_refused(tmp_path: Path, label: str) -> None:
    touch(tmp_path, f"{label}/1.mp4", "park/1.mp4")
    with pytest.raises(DataError, match=f"scene '{label}' is called like a column"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", ["a/tab\there.mp4", "a/line\nbreak.mp4", "a/room\t1/x.mp4", "tab\there/1.mp4"])
def test_names_with_control_characters_are_refused(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name, "b/1.mp4")
    with pytest.raises(DataError, match="control character"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", [b"caf\xe9/1.mp4", b"a/caf\xe9.mp4"])
def test_names_that_are_not_valid_text_are_refused(tmp_path: Path, name: bytes) -> None:
    try:
        touch(tmp_path, os.fsdecode(name), "b/1.mp4")
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system holds only names in UTF-8")
    with pytest.raises(DataError, match="not valid text") as caught:
        read_dataset(tmp_path)
    str(caught.value).encode()  # so that it can be printed


def test_a_new_layout_is_one_more_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "park 1.mp4", "tram 2.mp4", "flat")

    def read_flat(path: Path) -> DataSet:
        names = sorted(file.name for file in path.glob("*.mp4"))
        return DataSet(path, tuple(Example(name, path / name, name.split()[0], name) for name in names))

    flat = DataLayout("scenes in file names", lambda path: (path / "flat").exists(), read_flat)
    monkeypatch.setattr(layout, "LAYOUTS", (flat, *layout.LAYOUTS))
    assert read_dataset(tmp_path).labels.names == ("park", "tram")

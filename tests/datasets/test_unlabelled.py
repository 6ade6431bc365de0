"""Recordings without labels are read from folders, lists, tables and TAU's evaluation set, and are not trained on."""

from pathlib import Path

import pytest

from avscene.datasets.layout import read_dataset, read_recordings
from avscene.errors import DataError
from tests.support import small_tau
from tests.support.data_folders import summary, touch


def test_a_folder_of_media_files(tmp_path: Path) -> None:
    touch(tmp_path, "b.mp4", "a.wav", "notes.txt", ".hidden.mp4")
    data = read_recordings(tmp_path)
    assert summary(data.examples) == [("a.wav", "", "a.wav"), ("b.mp4", "", "b.mp4")]
    assert not data.is_labelled


def test_folders_in_a_folder_are_scenes_unless_labels_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "park/deep/1.mp4", "tram/2.mp4", "3.mp4")
    assert [example.label for example in read_recordings(tmp_path).examples] == ["park", "tram"]
    data = read_recordings(tmp_path, unlabelled=True)
    assert [example.name for example in data.examples] == ["3.mp4", "park/deep/1.mp4", "tram/2.mp4"]
    assert not data.is_labelled


def test_a_list_has_paths_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "x/1.mp4", "2 b.wav")
    Path("lists").mkdir()
    Path("lists/all.txt").write_bytes(b"\xef\xbb\xbfx/1.mp4\r\n\n  2 b.wav\ns3://bucket/3.mp4\n")
    data = read_recordings("lists/all.txt")
    assert [example.name for example in data.examples] == ["x/1.mp4", "2 b.wav", "s3://bucket/3.mp4"]
    assert [example.path for example in data.examples] == [Path("x/1.mp4"), Path("2 b.wav"), "s3://bucket/3.mp4"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.mp4\n\ngone.mp4\n", r"all\.txt, line 3: gone\.mp4: file not found"),
        ("1.mp4\n1.mp4\n", r"all\.txt, line 2: 1\.mp4 is already on line 1"),
        ("\n", r"all\.txt: holds no recordings"),
    ],
)
def test_a_malformed_list_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "1.mp4")
    Path("all.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_recordings("all.txt")


def test_a_table_without_labels(tmp_path: Path) -> None:
    touch(tmp_path, "1.mp4", "2.mp4")
    (tmp_path / "meta.csv").write_text("path;group;fold\n1.mp4;g;1\n2.mp4;;2\n")
    data = read_recordings(tmp_path)
    assert summary(data.examples) == [("1.mp4", "", "g"), ("2.mp4", "", "2.mp4")]
    assert data.only("fold=2").examples == data.examples[1:]
    with pytest.raises(DataError, match=r"meta\.csv: has no column 'label'; its first line must name path,label"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("prefix", ["", "TAU-urban-audio-visual-scenes-2021-evaluation/"])
def test_files_of_one_name_in_audio_and_video_are_one_recording(tmp_path: Path, prefix: str) -> None:
    touch(
        tmp_path, *(f"{prefix}{kind}/{n}.{end}" for n in (0, 1) for kind, end in (("audio", "wav"), ("video", "mp4")))
    )
    data = read_recordings(tmp_path)
    assert [(example.name, example.path, example.audio) for example in data.examples] == [
        (f"video/{n}.mp4", tmp_path / f"{prefix}video/{n}.mp4", tmp_path / f"{prefix}audio/{n}.wav") for n in (0, 1)
    ]
    with pytest.raises(DataError, match="has no labels"):
        read_dataset(tmp_path)


def test_a_recording_without_a_partner_is_read_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "audio/0.wav", "audio/1.wav", "video/0.mp4")
    data = read_recordings(tmp_path)
    assert [(example.name, example.audio is None) for example in data.examples] == [
        ("video/0.mp4", False),
        ("audio/1.wav", True),
    ]
    assert "1 of 2 recordings have audio or video only; the first is audio/1.wav" in caplog.text


def test_the_published_list_of_files_without_labels(tmp_path: Path) -> None:
    content = small_tau.tables() | {f"audio/{n}.wav": b"" for n in small_tau.NAMES}
    content |= {f"video/{n}.mp4": b"" for n in small_tau.NAMES}
    test = b"filename_audio\tfilename_video\n" + b"".join(
        f"audio/{name}.wav\tvideo/{name}.mp4\n".encode() for name in small_tau.TEST
    )
    root = small_tau.write(tmp_path, content | {"evaluation_setup/fold1_test.csv": test})
    data = read_recordings(root / "evaluation_setup" / "fold1_test.csv")
    assert not data.is_labelled
    assert [example.path for example in data.examples] == [root / f"video/{name}.mp4" for name in small_tau.TEST]
    assert [example.audio for example in data.examples] == [root / f"audio/{name}.wav" for name in small_tau.TEST]


def test_labels_are_left_out_on_request(tmp_path: Path) -> None:
    root = small_tau.write(
        tmp_path,
        small_tau.tables()
        | {f"{k}/{n}.{e}": b"" for n in small_tau.NAMES for k, e in (("audio", "wav"), ("video", "mp4"))},
    )
    assert read_recordings(root).is_labelled
    assert not read_recordings(root, unlabelled=True).is_labelled

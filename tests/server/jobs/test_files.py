"""Test the files of jobs: no name leads out of their directory, and results are those of the command line."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avscene.errors import DataError
from avscene.server.jobs import JobFiles
from avscene.server.jobs.files import new_id, suffix_of
from tests.test_records import MADE

NAMES = [
    "../../x.mp4",
    "/etc/passwd",
    "a/b/../../../c.wav",
    "x\0.mp4",
    "x.mp4\0",
    "x.\0mp4",
    "..",
    ".",
    "",
    "C:\\x\\..\\y.mp4",
    "x" * 5000 + ".mp4",
    "x." + "y" * 5000,
    "x\n.mp4",
    "x.mp4\n",
    "\u202egpj.exe",
    "x.\u212aWAV",
    "x.\u0664",
    "x.mp4/..",
    "x.tar/../../../y",
    "\ud800.mp4",
    "-rf",
    "~/x.mp4",
]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_leads_out_of_the_directory_of_the_job(tmp_path: Path, name: str) -> None:
    check_name(tmp_path, name)


@given(st.text(st.characters()))
def test_no_text_leads_out_of_the_directory_of_the_job(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    check_name(tmp_path_factory.getbasetemp(), name)


def check_name(directory: Path, name: str) -> None:
    files = JobFiles(directory)
    job_id = new_id()
    path = files.new_media(job_id, name)
    path.write_bytes(b"")
    assert path.resolve().parent == (directory / "jobs" / job_id).resolve()
    assert path.name.rstrip("abcdefghijklmnopqrstuvwxyz0123456789") in ("", "media.")
    assert files.media(job_id) == path
    assert path.parent.stat().st_mode & 0o077 == 0  # only the owner reads it
    files.remove(job_id)
    assert not path.parent.exists()


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.MP4", ".mp4"), ("a.tar.gz", ".gz"), ("a.mp4x", ".mp4x"), ("a", ""), ("a.longsuffix", ""), ("a.m-4", "")],
)
def test_the_suffix_of_a_name_is_kept_if_it_has_only_letters_and_digits(name: str, suffix: str) -> None:
    assert suffix_of(name) == suffix


@pytest.mark.parametrize(
    "job_id", ["", "..", "../../etc", "x" * 21, "x" * 23, "x" * 21 + "/", "x" * 21 + "\0", "é" * 22]
)
def test_what_is_no_id_has_no_directory(tmp_path: Path, job_id: str) -> None:
    files = JobFiles(tmp_path)
    for method in (files.directory, files.media, files.result, files.remove, files.read_result):
        with pytest.raises(KeyError):
            method(job_id)


def test_a_result_is_the_json_of_the_command_line(tmp_path: Path) -> None:
    files, job_id = JobFiles(tmp_path), new_id()
    for make in MADE.values():
        prediction = make()
        files.write_result(job_id, prediction)
        assert files.result(job_id).read_text() == json.dumps(prediction.to_dict(), indent=2) + "\n"
        assert files.read_result(job_id) == json.loads(json.dumps(prediction.to_dict()))
    assert [path.name for path in files.directory(job_id).iterdir()] == ["result.json"]


def test_a_missing_or_damaged_result_is_one_clear_error(tmp_path: Path) -> None:
    files, job_id = JobFiles(tmp_path), new_id()
    with pytest.raises(DataError, match="No such file"):
        files.read_result(job_id)
    files.new_media(job_id, "a.wav")
    files.result(job_id).write_bytes(b'{"schema": \xff')
    with pytest.raises(DataError, match=r"^[^\n]*is damaged[^\n]*$"):
        files.read_result(job_id)

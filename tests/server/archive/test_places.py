"""Test where an archive reads: paths of results and of media, its index, and what is wrong with them."""

import os
from pathlib import Path

import pytest

from avscene.errors import UsageError
from avscene.files import cache_directory
from avscene.server.archive import Archive, ArchiveQuery, media
from tests.support.media_files import write_media
from tests.support.results import failure, prediction, write_lines


def has_media(archive: Archive) -> dict[str, bool]:
    return {found.entry.source: found.has_media for found in archive.page(ArchiveQuery(limit=100)).recordings}


def number_of(archive: Archive, source: str) -> int:
    (found,) = archive.page(ArchiveQuery(search=source)).recordings
    return found.number


def test_results_are_read_from_all_folders(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [prediction("a.mp4")])
    write_lines(tmp_path / "deep/er/B.NDJSON", [prediction("b.mp4")])
    (tmp_path / "deep" / "c.json").write_text(prediction("c.mp4").source and "[]")
    write_lines(tmp_path / ".hidden/d.jsonl", [prediction("d.mp4")])
    write_lines(tmp_path / "deep/.e.jsonl", [prediction("e.mp4")])
    (tmp_path / "f.csv").write_text("filename,start\n")
    (tmp_path / "g.json").write_text('{"version": 1}')
    archive = Archive(tmp_path)
    assert list(has_media(archive)) == ["a.mp4", "b.mp4"]
    assert archive.page(ArchiveQuery()).broken == 1


def test_what_is_no_file_of_results_is_an_error(tmp_path: Path) -> None:
    for name in ("r.csv", "r.parquet", "r.tsv", "r.html"):
        (tmp_path / name).write_text("filename,start,end\n")
        with pytest.raises(UsageError, match=rf"{name}: whole results are read from .jsonl, .ndjson, .json only"):
            Archive(tmp_path / name)
    write_lines(tmp_path / "results.jsonl", [])
    with pytest.raises(UsageError, match=r"results_.jsonl: does not exist; did you mean .*/results.jsonl\?"):
        Archive(tmp_path / "results_.jsonl")
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(UsageError, match="neither a file nor a directory"):
        Archive(tmp_path / "pipe.jsonl")
    with pytest.raises(UsageError, match="does not exist"):
        Archive(tmp_path / "results.jsonl" / "below.jsonl")


def test_an_archive_without_results_waits_for_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    archive = Archive(tmp_path)
    assert archive.page(ArchiveQuery()).total == 0
    assert "has no results yet" in caplog.text
    write_lines(tmp_path / "r.jsonl", [prediction("a.mp4")])
    archive.update()
    assert archive.page(ArchiveQuery()).total == 1


def test_media_is_found_here_or_beside_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, results = tmp_path / "here", tmp_path / "results"
    for name in (
        "here/both.wav",
        "here/here.wav",
        "results/both.wav",
        "results/beside.wav",
        "else where.wav",
        "here/secret",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (here / "folder.wav").mkdir()
    os.mkfifo(here / "pipe.wav")
    (here / "link.wav").symlink_to(tmp_path / "else where.wav")
    (here / "bad\udcff.wav").write_bytes(b"bad")
    absolute = str(tmp_path / "else where.wav")
    url = absolute.replace(" ", "%20")
    present = ["both.wav", "here.wav", "beside.wav", absolute, f"file://{url}", "link.wav", "bad\udcff.wav"]
    absent = ["folder.wav", "pipe.wav", "gone.wav", "nul\0.wav", "x" * 5000, "https://example.org/here.wav", ""]
    absent += ["s3://bucket/here.wav", "../nowhere/here.wav"]
    absent += ["secret", f"file://{here}/secret?.wav", f"file://{here}/secret#.wav", "secret\0.wav", "secret/.wav"]
    write_lines(results / "r.jsonl", [*map(prediction, [*present, *absent]), failure("fail/here.wav")])
    monkeypatch.chdir(here)
    archive = Archive(results / "r.jsonl")
    monkeypatch.chdir("/")
    assert has_media(archive) == {**dict.fromkeys(present, True), **dict.fromkeys([*absent, "fail/here.wav"], False)}
    found = {source: archive.media(number_of(archive, source)) for source in ("both.wav", "beside.wav", absolute)}
    assert found == {
        "both.wav": here / "both.wav", "beside.wav": results / "beside.wav", absolute: tmp_path / "else where.wav"
    }  # fmt: skip
    assert archive.media(number_of(archive, "https://example.org")) is None
    with pytest.raises(KeyError):
        archive.media(10**6)


def test_two_servers_browse_the_same_results(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "r.jsonl", [prediction("a.mp4")])
    first, second = Archive(path), Archive(path)
    write_lines(path, [prediction("b.mp4")], mode="a")
    for archive in (first, second):
        archive.update()
        assert list(has_media(archive)) == ["a.mp4", "b.mp4"]
        archive.close()


def test_without_a_cache_the_index_is_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    archive = Archive(write_lines(tmp_path / "r.jsonl", [prediction("a.mp4")]))
    directory = archive._directory
    assert list(has_media(archive)) == ["a.mp4"]
    assert directory.exists()
    archive.close()
    assert not directory.exists()


@pytest.mark.parametrize("content", [b"no database" * 1000, b"", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_index_is_made_again(tmp_path: Path, content: bytes) -> None:
    path = write_lines(tmp_path / "r.jsonl", [prediction("a.mp4")])
    archive = Archive(path)
    file = archive._directory / "index.sqlite"
    assert file.is_relative_to(cache_directory())
    archive.close()
    file.write_bytes(content)
    assert list(has_media(Archive(path))) == ["a.mp4"]


def test_previews_are_kept_for_each_state_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_media(tmp_path / "a.wav", 1.0)
    archive = Archive(write_lines(tmp_path / "r.jsonl", [prediction(str(path))]))
    first = archive.preview_directory(path)
    assert first.is_dir()
    assert archive.preview_directory(path) == first
    os.utime(path, (1, 1))
    assert archive.preview_directory(path) != first
    monkeypatch.setattr(media, "MAX_PREVIEWS", 3)
    made = []
    for second in range(10, 20):
        os.utime(path, (second, second))
        made.append(archive.preview_directory(path))
        os.utime(made[-1], (second, second))
    assert len(list(first.parent.iterdir())) == 3
    assert made[-1].exists()

"""Test that an archive follows its files: results that are added, replaced or removed, duplicates, broken lines."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from avscene.records import json_line
from avscene.server.archive import Archive, ArchiveQuery, ResultsChangedError, content, index, rows
from avscene.server.archive import archive as module
from tests.support.results import failure, prediction, write_lines


def sources(archive: Archive) -> list[str]:
    return [found.entry.source for found in archive.page(ArchiveQuery(limit=10_000)).recordings]


def systems(archive: Archive) -> list[tuple[str, str]]:
    return [(found.entry.source, found.entry.system) for found in archive.page(ArchiveQuery()).recordings]


def numbers(archive: Archive) -> dict[str, int]:
    return {found.entry.source: found.number for found in archive.page(ArchiveQuery()).recordings}


def written_at(path: Path, second: int) -> Path:
    os.utime(path, (second, second))
    return path


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the sources of results that are read into the index."""
    read: list[str] = []
    entry_of = rows.entry_of

    def observed(values: Any) -> Any:
        made = entry_of(values)
        read.append(made.source)
        return made

    monkeypatch.setattr(rows, "entry_of", observed)
    return read


def test_only_what_was_added_is_read(tmp_path: Path, entries: list[str]) -> None:
    path = write_lines(tmp_path / "r.jsonl", map(prediction, ("a.mp4", "b.mp4")))
    archive = Archive(path)
    before = numbers(archive)
    last = json_line(prediction("d.mp4"))
    write_lines(path, [prediction("c.mp4")], mode="a")
    with path.open("a") as file:
        file.write(last[:100])  # is being written
    archive.update()
    assert sources(archive) == ["a.mp4", "b.mp4", "c.mp4"]
    assert archive.page(ArchiveQuery()).broken == 0
    with path.open("a") as file:
        file.write(last[100:])
    archive.update()
    assert sources(archive) == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    assert numbers(archive).items() > before.items()
    assert entries == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    assert [archive.read(number)["source"] for number in numbers(archive).values()] == sources(archive)


def test_a_list_shows_added_results_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UPDATE_SECONDS", 0.01)
    path = write_lines(tmp_path / "r.jsonl", [prediction("a.mp4")])
    archive = Archive(path)
    write_lines(path, [prediction("b.mp4")], mode="a")
    end = time.monotonic() + 20
    while sources(archive) != ["a.mp4", "b.mp4"]:
        assert time.monotonic() < end
        time.sleep(0.02)
    archive.close()


def test_the_next_start_reads_nothing_again(tmp_path: Path, entries: list[str]) -> None:
    path = write_lines(tmp_path / "r.jsonl", map(prediction, ("a.mp4", "b.mp4")))
    first = Archive(path)
    before = numbers(first)
    first.close()
    write_lines(path, [prediction("c.mp4")], mode="a")
    second = Archive(path)
    assert entries == ["a.mp4", "b.mp4", "c.mp4"]
    assert numbers(second).items() > before.items()


@pytest.mark.parametrize("name", ["r.jsonl", "r.json"])
def test_a_file_that_is_replaced_is_read_again(tmp_path: Path, name: str) -> None:
    def write(*names: str) -> None:
        values = [prediction(source).to_dict() for source in names]
        text = json.dumps(values) if name == "r.json" else "".join(json.dumps(value) + "\n" for value in values)
        (tmp_path / name).write_text(text)

    write("a.mp4", "b.mp4")
    archive = Archive(tmp_path / name)
    for names in (("c.mp4",), ("d.mp4", "e.mp4", "f.mp4"), ("d.mp4", "e.mp4", "g.mp4")):
        write(*names)
        written_at(tmp_path / name, 1_800_000_000 + ord(names[-1][0]))
        archive.update()
        assert sources(archive) == list(names)


def test_a_file_that_was_edited_in_the_middle_is_read_again(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "r.jsonl", [prediction(f"{number:02}.mp4") for number in range(30)])
    archive = Archive(path)
    path.write_text(path.read_text().replace("15.mp4", "xx.mp4"))
    written_at(path, 1_900_000_000)
    archive.update()
    assert "xx.mp4" in sources(archive)
    assert len(sources(archive)) == 30


def test_a_result_whose_file_was_changed_is_not_mistaken_for_another(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "r.jsonl", map(prediction, ("a.mp4", "b.mp4")))
    archive = Archive(path)
    number = numbers(archive)["b.mp4"]
    write_lines(path, map(prediction, ("c.mp4", "d.mp4")))
    with pytest.raises(ResultsChangedError, match=r"^r.jsonl: was changed"):
        archive.read(number)
    path.unlink()
    with pytest.raises(ResultsChangedError):
        archive.read(number)
    archive.update()
    with pytest.raises(KeyError):
        archive.read(number)


def test_of_several_results_the_latest_is_listed(tmp_path: Path) -> None:
    first, second = tmp_path / "z.jsonl", tmp_path / "sub" / "a.jsonl"
    write_lines(first, [prediction("a.mp4", "park"), failure("b.mp4"), prediction("c.mp4"), prediction("c.mp4", "bus")])
    write_lines(second, [prediction("a.mp4", "tram"), prediction("b.mp4"), prediction("c.mp4", system="conse")])
    written_at(first, 1000)
    written_at(second, 2000)
    archive = Archive(tmp_path)
    assert systems(archive) == [("a.mp4", "fast"), ("b.mp4", "fast"), ("c.mp4", "fast"), ("c.mp4", "conse")]
    assert archive.read(numbers(archive)["a.mp4"])["scene"] == "tram"
    assert archive.page(ArchiveQuery()).scenes == {"park": 2, "bus": 1, "tram": 1}
    write_lines(first, [failure("b.mp4"), prediction("a.mp4", "metro station")], mode="a")
    archive.update()
    page = archive.page(ArchiveQuery())
    assert [found.entry.scene for found in page.recordings] == ["metro station", "park", None, "bus", "park"]
    second.unlink()
    archive.update()
    assert systems(archive) == [("a.mp4", "fast"), ("b.mp4", ""), ("c.mp4", "fast")]
    first.unlink()
    archive.update()
    assert sources(archive) == []


BROKEN = {
    "truncated": '{"schema": "avscene/1", "source": "x.mp4", "dur',
    "other": '{"name": "no result"}',
    "list": "[1, 2]",
    "number": "7",
    "NaN": '{"schema": "avscene/1", "source": "x.mp4", "duration": NaN}',
    "nested": "[" * 100_000,
    "later": '{"schema": "avscene/9", "source": "x.mp4"}',
    "bytes": "\udcff\udcfe",
}


def test_broken_lines_are_counted_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "r.jsonl"
    lines = [json_line(prediction("a.mp4")), "\n", "  \n"]
    lines += [f"{line}\n" for line in BROKEN.values()]
    lines += [json_line(prediction("b.mp4")), '{"unfinished": ']
    path.write_bytes("".join(lines).encode("utf-8", "surrogateescape"))
    archive = Archive(path)
    assert sources(archive) == ["a.mp4", "b.mp4"]
    assert archive.page(ArchiveQuery()).broken == len(BROKEN)
    assert [record.message for record in caplog.records] == [
        f"{path}: {len(BROKEN)} records of 1 file are no results and are left out; the first is {path}: "
        "line 4 is not JSON (Invalid control character at)"
    ]
    assert [archive.read(number)["source"] for number in numbers(archive).values()] == ["a.mp4", "b.mp4"]


def test_lines_and_documents_that_are_too_long_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = json_line(prediction("a.mp4"))
    monkeypatch.setattr(content, "MAX_LINE", len(line) + 10)
    path = write_lines(tmp_path / "r.jsonl", [prediction("a.mp4")])
    with path.open("a") as file:
        file.write('"' + "x" * 5 * len(line) + '"\n')
    write_lines(path, [prediction("b.mp4")], mode="a")
    archive = Archive(path)
    assert [archive.read(number)["source"] for number in numbers(archive).values()] == ["a.mp4", "b.mp4"]
    assert archive.page(ArchiveQuery()).broken == 1
    monkeypatch.setattr(index, "MAX_DOCUMENT", 10)
    (tmp_path / "r.json").write_text(line)
    archive = Archive(tmp_path / "r.json")
    assert (sources(archive), archive.page(ArchiveQuery()).broken) == ([], 1)


DOCUMENTS: dict[str, tuple[Callable[[list[dict[str, Any]]], str], int, int]] = {
    "as classify writes it": (
        lambda values: "[\n" + ",\n".join(json.dumps(value, indent=2) for value in values) + "\n]\n", 3, 0,
    ),
    "compact": (lambda values: json.dumps(values, separators=(",", ":")), 3, 0),
    "not ASCII": (lambda values: json.dumps(values, ensure_ascii=False), 3, 0),
    "byte order mark": (lambda values: "\ufeff" + json.dumps(values), 3, 0),
    "single": (lambda values: json.dumps(values[0]), 1, 0),
    "with others": (lambda values: json.dumps([*values, 1, {"a": 2}]), 3, 2),
    "truncated": (lambda values: json.dumps(values)[:-300], 2, 1),
    "empty list": (lambda _: "[]", 0, 0),
    "empty": (lambda _: "", 0, 0),
    "no JSON": (lambda _: "no JSON", 0, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_json_documents(tmp_path: Path, name: str) -> None:
    write, n_results, n_broken = DOCUMENTS[name]
    values = [prediction(source).to_dict() for source in ("ä/映.mp4", "b.mp4", "c.mp4")]
    (tmp_path / "r.json").write_text(write(values), encoding="utf-8")
    archive = Archive(tmp_path / "r.json")
    assert archive.page(ArchiveQuery()).broken == n_broken
    found = {archive.read(number)["source"]: archive.read(number) for number in numbers(archive).values()}
    assert found == {value["source"]: value for value in values[:n_results]}


def test_a_long_file_is_committed_in_parts_and_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: list[str]
) -> None:
    monkeypatch.setattr(index, "BATCH", 10)
    names = [f"{number:03}.mp4" for number in range(100)]
    path = write_lines(tmp_path / "r.jsonl", [prediction(name, duration=1) for name in names])
    shown: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        shown.append((done, total))
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Archive(path, lambda _: progress)
    n_read = len(entries)
    assert 50 <= n_read < 80
    archive = Archive(path, lambda _: lambda done, total: shown.append((done, total)))
    assert sources(archive) == entries == names
    assert shown[-1] == (path.stat().st_size, path.stat().st_size)

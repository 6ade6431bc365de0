"""Results of command lines compared: numbers within a tolerance, everything else exactly, wording not at all.

What is compared is parsed first: JSON by its keys, tables by their cells, subtitles by the numbers and words in a line.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Names that have a new form. Both forms are equal, as values, keys, table cells and file names.
RENAMED = {"embedded": "conse"}
# The same for the values of single JSON keys, where a word has another meaning than elsewhere.
RENAMED_VALUES = {"backbones": {"seed": "paper", "embedded": "small"}}

# Keys of JSON objects whose values differ from run to run or between installations, or repeat other settings.
NOT_COMPARED = {"date", "versions", "config_sha256", "weights_sha256", "plan"}
# Keys whose values are sentences for people: of lists the length is compared, of strings nothing.
WORDING = {
    "absent",
    "answers",
    "fitted_on",
    "heading",
    "measured_on",
    "message",
    "no_intervals_because",
    "notes",
    "reconstructs",
    "stand_in",
    "title",
    "units",
    "warnings",
}
# Keys whose values are checksums by name: only the names are compared.
CHECKSUMS = {"members"}
TABLES = {".tsv": "\t", ".csv": None}  # None: tabs where the first line has one, commas otherwise
NUMBER = re.compile(r"\d+(?:\.\d+)?")
NAMES_OF_GROUPS = re.compile(r"([a-z]+-)?\d+")  # a number, or city and number


def normalised(path: Path, text: str) -> str:
    """Reduce the text of a result file to what is compared, in the same format."""
    if path.suffix == ".json":
        return json.dumps(_reduced(json.loads(text)), indent=0, ensure_ascii=False) + "\n"
    if path.suffix == ".jsonl":
        return "".join(json.dumps(_reduced(json.loads(line)), ensure_ascii=False) + "\n" for line in text.splitlines())
    return text


def compared_name(path: Path) -> str:
    """Give a relative path with renamed systems under their new names."""
    return "/".join(".".join(map(_renamed, part.split("."))) for part in path.parts)


def differences(path: Path, expected: str, found: str, tolerance: float) -> list[str]:
    """Compare two normalised texts of one file and describe each difference."""
    if path.suffix == ".json":
        return list(_json(json.loads(expected), json.loads(found), tolerance, str(path)))
    if path.suffix == ".jsonl":
        pairs = [[json.loads(line) for line in text.splitlines()] for text in (expected, found)]
        return list(_json(pairs[0], pairs[1], tolerance, str(path)))
    if path.suffix in TABLES:
        rows = [_cells(text, TABLES[path.suffix]) for text in (expected, found)]
    else:
        rows = [[_words(line) for line in text.splitlines()] for text in (expected, found)]
        tolerance = max(tolerance, 1.0) if tolerance else 0.0  # percentages are rounded to whole numbers
    return list(_rows(rows[0], rows[1], tolerance, str(path)))


def _reduced(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        if key in CHECKSUMS:
            return sorted(value)
        kept = ((name, item) for name, item in value.items() if name not in NOT_COMPARED)
        return {name: _reduced(item, name) for name, item in kept if not _is_wording(name, item)}
    if isinstance(value, list):
        return len(value) if key in WORDING and not _are_groups(value) else [_reduced(item) for item in value]
    return value


def _is_wording(key: str, value: Any) -> bool:
    """Tell whether a value is a sentence, or an object of sentences."""
    return key in WORDING and (value is None or isinstance(value, (str, dict)))


def _are_groups(values: list[Any]) -> bool:
    """Tell whether a list holds groups, in all data used here numbers or city and number, and not sentences."""
    return all(isinstance(value, str) and NAMES_OF_GROUPS.fullmatch(value) for value in values) and bool(values)


def _renamed(text: str, key: str = "") -> str:
    return RENAMED_VALUES.get(key, {}).get(text, RENAMED.get(text, text))


def _json(expected: Any, found: Any, tolerance: float, at: str, key: str = "") -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(found, dict):
        yield from _objects(expected, found, tolerance, at)
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            yield f"{at}: {len(found)} items instead of {len(expected)}"
        for index, (ours, theirs) in enumerate(zip(expected, found, strict=False)):
            yield from _json(ours, theirs, tolerance, f"{at}[{index}]", key)
    elif _is_number(expected) and _is_number(found):
        if not _are_close(expected, found, tolerance):
            yield f"{at}: {found!r} instead of {expected!r}"
    elif isinstance(expected, str) and isinstance(found, str):
        if _renamed(expected, key) != _renamed(found, key):
            yield f"{at}: {found!r} instead of {expected!r}"
    elif expected is not found and expected != found:
        yield f"{at}: {found!r} instead of {expected!r}"


def _objects(expected: dict[str, Any], found: dict[str, Any], tolerance: float, at: str) -> Iterator[str]:
    ours, theirs = ({_renamed(name): value for name, value in item.items()} for item in (expected, found))
    for name in dict.fromkeys([*ours, *theirs]):
        if name not in ours or name not in theirs:
            yield f"{at}: key {name!r} is {'new' if name in theirs else 'missing'}"
        else:
            yield from _json(ours[name], theirs[name], tolerance, f"{at}.{name}", name)


def _rows(expected: list[list[str]], found: list[list[str]], tolerance: float, at: str) -> Iterator[str]:
    if len(expected) != len(found):
        yield f"{at}: {len(found)} lines instead of {len(expected)}"
    for number, (ours, theirs) in enumerate(zip(expected, found, strict=False), start=1):
        if len(ours) != len(theirs):
            yield f"{at}, line {number}: {len(theirs)} cells instead of {len(ours)}"
        for column, (one, other) in enumerate(zip(ours, theirs, strict=False), start=1):
            if not _same_cell(one, other, tolerance):
                yield f"{at}, line {number}, column {column}: {other!r} instead of {one!r}"


def _same_cell(one: str, other: str, tolerance: float) -> bool:
    try:
        return _are_close(float(one), float(other), tolerance)
    except ValueError:
        return _renamed(one) == _renamed(other)


def _cells(text: str, delimiter: str | None) -> list[list[str]]:
    first = text.partition("\n")[0]
    return list(csv.reader(io.StringIO(text), delimiter=delimiter or ("\t" if "\t" in first else ",")))


def _words(line: str) -> list[str]:
    """Split a line of subtitles into numbers and what stands between them."""
    return [part for part in re.split(rf"({NUMBER.pattern})", line) if part]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _are_close(one: float, other: float, tolerance: float) -> bool:
    """Compare numbers: the difference may be `tolerance`, and for numbers above 1 as large a share of them."""
    if one == other or (math.isnan(one) and math.isnan(other)):
        return True
    return abs(one - other) <= tolerance * max(1.0, abs(one))

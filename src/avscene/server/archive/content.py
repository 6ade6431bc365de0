"""Read the results of a file one by one, each with its place, so that it can be read again without the others."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

MAX_LINE = 2**28  # bytes: many times those of a day in segments of a second
MAX_DOCUMENT = 2**28  # bytes of a JSON document, which is read as a whole
_SPACE = re.compile(r"[ \t\r\n]*")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class FoundResult:
    """The JSON value at byte `start`, of `length` bytes; if there is none, `problem` is why.

    `line` is its number in a file of lines, from 1 on.
    """

    start: int
    length: int
    values: Any = None
    problem: str | None = None
    line: int = 0

    @property
    def place(self) -> str:
        """Where the result is, for a message."""
        return f"line {self.line}" if self.line else f"byte {self.start}"


def read_lines(file: IO[bytes], first_line: int = 1) -> Iterator[FoundResult]:
    """Yield the results on the lines of a file from its position on; blank lines are left out.

    A last line that is not complete is left out, as it is still being written.

    Args:
        file: open at the beginning of a line.
        first_line: number of this line.
    """
    start = file.tell()
    for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), b""), start=first_line):
        length = len(line)
        if not line.endswith(b"\n") and length == MAX_LINE:
            length += _skip_line(file)
            yield FoundResult(start, length, problem=f"is longer than {MAX_LINE >> 20} MiB", line=number)
        elif line.strip():
            found = _found(line, start, number)
            if found.problem is None or line.endswith(b"\n"):
                yield found
        start += length


def read_document(content: bytes) -> Iterator[FoundResult]:
    """Yield the results of a JSON document: a list of them, or a single one."""
    # Each byte becomes a character, so that positions are those of bytes; what is not ASCII is in strings.
    text = content.decode("latin-1")
    position = _skip_space(text, len(_BYTE_ORDER_MARK) if content.startswith(_BYTE_ORDER_MARK) else 0)
    is_list = text[position : position + 1] == "["
    position = _skip_space(text, position + is_list)
    while position < len(text) and not (is_list and text[position] == "]"):
        try:
            end = _DECODER.raw_decode(text, position)[1]
        except (ValueError, RecursionError) as error:
            yield FoundResult(position, 0, problem=f"is not JSON ({_reason(error)})")
            return
        yield _found(content[position:end], position)
        position = _skip_space(text, end)
        if not is_list:
            return
        if text[position : position + 1] == ",":
            position = _skip_space(text, position + 1)


def parse(content: bytes) -> Any:
    """Return the value of JSON.

    Raises:
        ValueError: it is not JSON, has numbers that JSON has not (NaN), or is nested too deeply.
    """
    try:
        return json.loads(content, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _found(content: bytes, start: int, line: int = 0) -> FoundResult:
    try:
        return FoundResult(start, len(content), parse(content), line=line)
    except ValueError as error:
        return FoundResult(start, len(content), problem=f"is not JSON ({_reason(error)})", line=line)


def _skip_line(file: IO[bytes]) -> int:
    n_skipped = 0
    while part := file.readline(2**20):
        n_skipped += len(part)
        if part.endswith(b"\n"):
            break
    return n_skipped


def _skip_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return position if found is None else found.end()


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")


def _reason(error: Exception) -> str:
    return str(error).partition(": line ")[0]

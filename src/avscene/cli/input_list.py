"""Keep the inputs of a command in a temporary file, so that millions of them do not fill memory."""

import json
import os
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from avscene.errors import MediaError
from avscene.records import Failure

_PATH, _FAILURE = b"p", b"f"  # before the content of an item
_BLOCK = 2**16  # bytes


class InputList(Sequence[str | Failure]):
    """Paths of media files, and failures in place of inputs that are not files, in their order.

    `ignored` counts the files in folders that are no media files, by their suffix, as they are searched for `items`.

    Raises:
        MediaError: there is no room for the temporary file.
    """

    def __init__(self, items: Iterable[str | Failure], ignored: Counter[str] | None = None) -> None:
        self.ignored: Counter[str] = Counter() if ignored is None else ignored
        self._ends = array("Q")  # of each item, in the file
        try:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the list
            end = 0
            for item in items:
                end += self._file.write(_to_bytes(item))
                self._ends.append(end)
            self._file.flush()
        except OSError as error:
            reason = error.strerror or error
            raise MediaError(f"{tempfile.gettempdir()}: the list of inputs cannot be written ({reason})") from error

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, position: int) -> str | Failure: ...

    @overload
    def __getitem__(self, position: slice) -> list[str | Failure]: ...

    def __getitem__(self, position: int | slice) -> str | Failure | list[str | Failure]:
        if isinstance(position, slice):
            return [self[number] for number in range(*position.indices(len(self)))]
        if position < 0:
            position += len(self)
        end = self._ends[position]
        start = self._ends[position - 1] if position else 0
        return _from_bytes(os.pread(self._file.fileno(), end - start, start))

    def __iter__(self) -> Iterator[str | Failure]:
        content, start, offset = b"", 0, 0  # bytes from `start` of the file on; the next item begins at `offset`
        for end in self._ends:
            if end > start + len(content):
                content = content[offset - start :]
                start = offset
                content += os.pread(self._file.fileno(), max(_BLOCK, end - start), start + len(content))
            yield _from_bytes(content[offset - start : end - start])
            offset = end

    def paths(self) -> Iterator[str]:
        """Yield the inputs that are paths."""
        return (item for item in self if isinstance(item, str))


def _to_bytes(item: str | Failure) -> bytes:
    if isinstance(item, str):
        return _PATH + item.encode("utf-8", "surrogatepass")
    return _FAILURE + json.dumps([item.source, str(item.error)]).encode()


def _from_bytes(content: bytes) -> str | Failure:
    if content[:1] == _PATH:
        return content[1:].decode("utf-8", "surrogatepass")
    source, message = json.loads(content[1:])
    return Failure(source, MediaError(message))

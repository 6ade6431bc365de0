"""Read a multipart/form-data body as it arrives: first the fields, then the parts of one file, nothing kept."""

from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from avscene.server.errors import ApiError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FILE_PART = "file"
MAX_FIELDS = 16
MAX_FIELD = 2**16  # bytes of a value
_Event = tuple[str, str, bytes]  # kind, name, content


class Form:
    """A form with fields and, after them, one file.

    Args:
        content_type: Of the request, with the boundary.
        body: Its parts as they arrive.

    Raises:
        ApiError: there is no boundary.
    """

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise ApiError(400, "the content type has no boundary")
        self._body = body
        self._events: deque[_Event] = deque()
        self._part = _Part()
        self._ended = False
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._part.add_header_name,
            "on_header_value": self._part.add_header_value,
            "on_header_end": self._part.end_header,
            "on_headers_finished": self._name_part,
            "on_part_data": self._data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError as error:
            raise ApiError(400, f"the form cannot be read: {error}") from None

    async def fields(self) -> tuple[dict[str, str], str]:
        """Read up to the content of the file; return the fields before it and the name of the file.

        Raises:
            ApiError: the form is malformed, or has no file.
        """
        found: dict[str, str] = {}
        async for kind, name, content in self._read():
            if kind == "file":
                return found, name
            found[name] = _decoded(content)
            if len(found) > MAX_FIELDS:
                raise ApiError(413, f"the form has more than {MAX_FIELDS} fields")
        raise ApiError(400, f"the form has no file; send one as the part {FILE_PART!r}")

    async def content(self) -> AsyncIterator[bytes]:
        """Yield the content of the file, after `fields`.

        Raises:
            ApiError: the form is malformed, ends early, or goes on after the file.
        """
        async for kind, name, content in self._read():
            if kind != "data":
                raise ApiError(400, f"part {name!r} comes after the file; send the file as the last part")
            yield content
        if not self._ended:
            raise ApiError(400, "the form ends early")

    async def _read(self) -> AsyncIterator[_Event]:
        """Yield what the parser finds, and go on where the last call stopped."""
        while True:
            while self._events:
                yield self._events.popleft()
            chunk = await anext(self._body, None)
            if chunk is None:
                return
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise ApiError(400, f"the form cannot be read: {error}") from None

    def _begin(self) -> None:
        self._part.clear()

    def _name_part(self) -> None:
        self._part.read_headers()
        if self._part.is_file:
            self._events.append(("file", self._part.file_name, b""))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part.is_file:
            self._events.append(("data", FILE_PART, data[start:end]))
        else:
            self._part.add_value(data[start:end])

    def _end_part(self) -> None:
        if not self._part.is_file:
            self._events.append(("field", self._part.name, bytes(self._part.value)))

    def _end(self) -> None:
        self._ended = True


class _Part:
    """The part of the form that is being read."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.value = bytearray()
        self.name = ""
        self.file_name = ""
        self.is_file = False
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition = b""

    def add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def read_headers(self) -> None:
        """Take the names of the part and of its file from the headers.

        Raises:
            ApiError: they have no name.
        """
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or not options.get(b"name"):
            raise ApiError(400, "a part of the form has no name")
        self.name = _decoded(options[b"name"])
        self.is_file = self.name == FILE_PART
        self.file_name = _decoded(options.get(b"filename", b""))
        if self.file_name and not self.is_file:
            raise ApiError(400, f"part {self.name!r} has a file; send one file, as the part {FILE_PART!r}")

    def add_value(self, data: bytes) -> None:
        """Add to the value of a field.

        Raises:
            ApiError: it is too large.
        """
        self.value += data
        if len(self.value) > MAX_FIELD:
            raise ApiError(413, f"field {self.name!r} has more than {MAX_FIELD} bytes")


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise ApiError(400, "a name or field of the form is not UTF-8") from None

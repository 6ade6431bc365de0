"""Test forms: whatever the parts in which they arrive, fields and file are those that were sent."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avscene.server.errors import ApiError
from avscene.server.multipart import Form

TYPE = "multipart/form-data; boundary=frontier"
FILE = b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
FIELD = b'--frontier\r\nContent-Disposition: form-data; name="system"\r\n\r\nconse\r\n'
END = b"\r\n--frontier--\r\n"
# With what resembles the end of a part.
CONTENT = st.lists(st.sampled_from([b"\r\n", b"--", b"frontier", b"--frontier", b"\r\n--front", b"x"])).map(b"".join)


async def in_parts(body: bytes, cuts: list[int]) -> AsyncIterator[bytes]:
    for begin, end in pairwise(sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})):
        yield body[begin:end]


def read(body: bytes, cuts: list[int], content_type: str = TYPE) -> tuple[dict[str, str], str, bytes]:
    """Return the fields, the name of the file and its content."""

    async def run() -> tuple[dict[str, str], str, bytes]:
        form = Form(content_type, in_parts(body, cuts))
        fields, name = await form.fields()
        return fields, name, b"".join([part async for part in form.content()])

    return asyncio.run(run())


@given(
    fields=st.dictionaries(st.text("abc", min_size=1), st.text(max_size=20), max_size=5),
    content=st.binary(max_size=200) | CONTENT.filter(lambda text: b"\r\n--frontier" not in text),
    name=st.sampled_from(["a.mp4", "Café 😀.mp4", "a b.mov", "../x"]),
    cuts=st.lists(st.integers(0, 2000), max_size=20),
)
def test_a_form_of_httpx_is_read_back(fields: dict[str, str], content: bytes, name: str, cuts: list[int]) -> None:
    headers = {"Content-Type": TYPE}
    request = httpx.Request("POST", "http://a", data=fields, files={"file": (name, content)}, headers=headers)
    assert read(request.read(), cuts, request.headers["content-type"]) == (fields, name, content)


@pytest.mark.parametrize(
    ("make", "status", "message"),
    [
        (lambda: (b"", TYPE), 400, "has no file"),
        (lambda: (b"x" * 100, TYPE), 400, "cannot be read"),
        (lambda: (FIELD + END, TYPE), 400, "has no file"),
        (lambda: (FILE + b"content" + END, "multipart/form-data"), 400, "no boundary"),
        (lambda: (FILE + b"content" + END, f"multipart/form-data; boundary={'b' * 1000}"), 400, "cannot be read"),
        (lambda: (FILE + b"content", TYPE), 400, "ends early"),
        (lambda: (FILE + b"content\r\n" + FIELD + END, TYPE), 400, "comes after the file"),
        (lambda: (FILE + b"content\r\n" + FILE + b"other" + END, TYPE), 400, "comes after the file"),
        (lambda: (FILE.replace(b'"file"', b'"video"') + b"x" + END, TYPE), 400, "part 'video' has a file"),
        (lambda: (b"--frontier\r\nX: y\r\n\r\nvalue" + END, TYPE), 400, "has no name"),
        (lambda: (FIELD.replace(b"conse", b"\xff") + FILE + b"x" + END, TYPE), 400, "not UTF-8"),
        (lambda: (FIELD.replace(b"conse", b"x" * 70_000) + FILE + b"x" + END, TYPE), 413, "more than 65536 bytes"),
        (lambda: (numbered(40) + FILE + b"x" + END, TYPE), 413, "more than 16 fields"),
        (lambda: (FIELD.replace(b"\r\n\r\n", b"\r\nX: " + b"y" * 100_000) + END, TYPE), 400, "cannot be read"),
    ],
)
def test_a_wrong_form_is_refused(make: Callable[[], tuple[bytes, str]], status: int, message: str) -> None:
    body, content_type = make()
    for cuts in ([], list(range(0, len(body), 1000)), list(range(min(len(body), 500)))):
        with pytest.raises(ApiError) as error:
            read(body, cuts, content_type)
        assert error.value.status_code == status
        assert message in error.value.detail


def numbered(n_fields: int) -> bytes:
    return b"".join(FIELD.replace(b'"system"', f'"field{number}"'.encode()) for number in range(n_fields))

"""Look up objects, and read the bytes of one as it was when its reading began."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from avscene.storage.connections import file_system, wait_for
from avscene.storage.retrying import ChangedError, IncompleteError, retry
from avscene.storage.urls import scheme_of

_CHUNK = 2**20  # bytes
_BLOCK = 2**22  # bytes of one request, where a request is not read as a stream
# Names under which the services state what changes with the content; the first that is there is the version.
_VERSIONS = ("generation", "ETag", "etag", "Last-Modified", "LastModified", "last_modified", "mtime")


@dataclass(frozen=True, slots=True)
class ObjectState:
    """The size in bytes of an object, None if its server does not state it, and its version.

    The version is the ETag, the generation or the modification time, without `+`; empty if the server states none.
    """

    size: int | None
    version: str


def object_state(url: str, stopped: Callable[[], bool] = lambda: False) -> ObjectState:
    """Return the state of an object, without reading it.

    Raises:
        StorageError: there is no such object, or the server cannot be reached.
        PackageError: the package for this scheme is not installed.
        StoppedError: `stopped` returned True.
    """
    system = file_system(url)
    info = retry(url, lambda: wait_for(system, system._info(url), stopped), stopped, lambda: 0)
    if info.get("type") != "file":
        raise_missing(url)
    return _state(info, info.get("size"))


def raise_missing(url: str) -> None:
    """Raise the error of an object that does not exist.

    Raises:
        StorageError: always.
    """

    def attempt() -> None:
        raise FileNotFoundError

    retry(url, attempt, lambda: False, lambda: 0)


def _state(info: Any, size: int | None) -> ObjectState:
    version = next((str(info[name]) for name in _VERSIONS if info.get(name)), "")
    return ObjectState(None if size is None else int(size), quote(version, safe=""))


class ObjectStream:
    """The bytes of one object, read from an offset on, all of one version.

    `state` is that of the object, known once a request was answered. An object in another version than `version` (if
    that is not empty) or than an earlier request saw is a `ChangedError`.
    """

    def __init__(self, url: str, version: str = "") -> None:
        self._url = url
        self.system = file_system(url)
        self._version = version
        self.state: ObjectState | None = None
        chunks = {"s3": self._s3_chunks, "gs": self._block_chunks, "az": self._block_chunks}
        self._chunks = chunks.get(scheme_of(url), self._web_chunks)

    @property
    def can_resume(self) -> bool:
        """Whether reading may go on in the middle: only if it is certain to be the same object."""
        return bool(self._version)

    async def read(self, offset: int, check: Callable[[ObjectState], None], write: Callable[[bytes], None]) -> None:
        """Read from `offset` to the end in one attempt; `check` is called with the state before any byte is read.

        Raises:
            ChangedError: the object has another version.
            IncompleteError: fewer bytes came than were stated.
            Exception: any error of the library.
        """
        position = offset
        async with aclosing(self._chunks(offset, check)) as chunks:
            async for chunk in chunks:
                write(chunk)
                position += len(chunk)
        size = self.state and self.state.size
        if size is not None and position != size:
            raise IncompleteError(f"{position} of {size} bytes")

    def _observe(self, state: ObjectState, check: Callable[[ObjectState], None]) -> None:
        """Note the state of the object in an answer."""
        before = self.state
        if self._version and state.version != self._version:
            raise ChangedError
        if before is not None and before.size != state.size:
            raise ChangedError
        self.state, self._version = state, state.version
        check(state)

    async def _s3_chunks(self, offset: int, check: Callable[[ObjectState], None]) -> AsyncGenerator[bytes, None]:
        bucket, key, _ = self.system.split_path(self._url)
        asked = {"IfMatch": unquote(self._version)} if self._version else {}
        if offset:
            asked["Range"] = f"bytes={offset}-"
        answer = await self.system._call_s3("get_object", Bucket=bucket, Key=key, **asked)
        body = answer["Body"]
        try:
            self._observe(_state(answer, answer["ContentLength"] + offset), check)
            while chunk := await body.read(_CHUNK):
                yield chunk
        finally:
            body.close()

    async def _web_chunks(self, offset: int, check: Callable[[ObjectState], None]) -> AsyncGenerator[bytes, None]:
        session = await self.system.set_session()
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
        async with session.get(self.system.encode_url(self._url), headers=headers) as answer:
            if answer.status == 416:  # it is shorter now
                raise ChangedError
            answer.raise_for_status()
            skipped = 0 if answer.status == 206 else offset
            first = str(answer.headers.get("Content-Range", "")).removeprefix("bytes ").partition("-")[0]
            if answer.status == 206 and first != str(offset):
                raise IncompleteError("the answer is for another range")
            size = None if answer.headers.get("Content-Encoding") else answer.content_length
            known = None if size is None else size + offset - skipped
            self._observe(_state(answer.headers, known), check)
            async for chunk in answer.content.iter_chunked(_CHUNK):
                rest = chunk[skipped:]
                skipped -= len(chunk) - len(rest)
                if rest:
                    yield rest

    async def _block_chunks(self, offset: int, check: Callable[[ObjectState], None]) -> AsyncGenerator[bytes, None]:
        info = await self.system._info(self._url)
        if info.get("type") != "file":
            raise FileNotFoundError
        size = int(info["size"])
        self._observe(_state(info, size), check)
        for start in range(offset, size, _BLOCK):
            end = min(start + _BLOCK, size)
            block = await self.system._cat_file(self._url, start=start, end=end)
            if len(block) != end - start:
                raise IncompleteError(f"{start + len(block)} of {size} bytes")
            yield block
        # These libraries pass no condition on, so the object is looked up again.
        after = await self.system._info(self._url)
        self._observe(_state(after, after.get("size")), check)

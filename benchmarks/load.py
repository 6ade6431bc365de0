"""Send recordings to `POST /v1/classify` from many clients; keep the answers, latencies and memory of the server."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import quote, urlsplit

BUSY = 429
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
RETRY_AFTER = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
PSS = re.compile(r"^Pss: +(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the server: to which clip under which name, the times of the request and of the whole answer."""

    clip: Path
    name: str
    status: int
    begun: float
    ended: float
    body: bytes

    @property
    def seconds(self) -> float:
        """The latency of this request; for an answer after 429s, that of the last attempt."""
        return self.ended - self.begun


@dataclass(slots=True)
class Load:
    """What clients received: answers in the order of their arrival, and the seconds to wait of each 429.

    `memory` is that of the server, in MB, once a second.
    """

    answers: list[Answer] = field(default_factory=list)
    waits: list[int] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def rate(self, skip: float = 3.0) -> float:
        """Return the answers per second, without those of the first `skip` seconds."""
        ended = [answer.ended for answer in self.answers]
        start = min(answer.begun for answer in self.answers) + skip
        return sum(time > start for time in ended) / (max(ended) - start)

    def latency(self, share: float) -> float:
        """Return the latency in seconds that `share` of the answers do not exceed."""
        latencies = sorted(answer.seconds for answer in self.answers)
        return latencies[min(len(latencies) - 1, int(share * len(latencies)))]


def send(
    url: str, clips: Sequence[Path], n_clients: int, done: Callable[[Load], bool], pid: int, query: str = ""
) -> Load:
    """Let each client send one clip after the other until `done(load)`; after 429 it waits and tries again.

    The clips are read before, and each request has a name of its own. `pid` is the server's, `query` more parameters.
    """
    load, numbers = Load(), count()
    bodies = {clip: clip.read_bytes() for clip in clips}
    address = urlsplit(url)

    async def client() -> None:
        connection = _Connection(address.hostname or "", address.port or 80)
        while not done(load):
            number = next(numbers)
            clip = clips[number % len(clips)]
            name = f"{number}-{clip.name}"
            while True:
                begun = time.perf_counter()
                status, head, body = await connection.post(f"/v1/classify?name={quote(name)}{query}", bodies[clip])
                if status != BUSY:
                    break
                wait = RETRY_AFTER.search(head)
                assert wait is not None, head
                load.waits.append(int(wait[1]))
                await asyncio.sleep(load.waits[-1])
            load.answers.append(Answer(clip, name, status, begun, time.perf_counter(), body))
        connection.close()

    async def observe() -> None:
        while True:
            load.memory.append(memory(pid))
            await asyncio.sleep(1)

    async def run() -> None:
        observer = asyncio.create_task(observe())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(n_clients):
                    group.create_task(client())
        finally:
            observer.cancel()

    asyncio.run(run())
    return load


class _Connection:
    """A connection that is kept open for several requests."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, target: str, body: bytes) -> tuple[int, bytes, bytes]:
        """Return the status, the headers and the body of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        host = f"{self._host}:{self._port}"
        writer.write(f"POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        head = await reader.readuntil(b"\r\n\r\n")
        status, length = STATUS.match(head), LENGTH.search(head)
        assert status is not None, head
        assert length is not None, head
        answer = await reader.readexactly(int(length[1]))
        if CLOSE.search(head):
            self.close()
        return int(status[1]), head, answer

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def memory(pid: int) -> float:
    """Return the memory of a process and its descendants in MB; pages that they share count once."""
    total = 0
    for process in _tree(pid):
        with suppress(OSError):  # it has ended
            found = PSS.search(Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii"))
            total += int(found[1]) if found else 0
    return total / 1024


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                for child in (task / "children").read_text(encoding="ascii").split():
                    yield from _tree(int(child))

"""Read requests from a connection: one that sends none is closed, and one that is no HTTP gets an error as JSON."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from avscene.server.middleware import SECURITY_HEADERS

HEAD_SECONDS = 30.0  # in which the head of a request must be complete, after a connection or its last response


class PatientProtocol(H11Protocol):
    """uvicorn's protocol on h11, which by itself waits for the first request as long as a client likes."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take bytes, which may complete the head of a request."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_timer()
        elif self._head_timer is None:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no HTTP."""
        body = json.dumps({"error": {"type": "usage", "message": msg.rstrip(".")}}).encode()
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
        headers = [(name.encode(), value.encode()) for name, value in (SECURITY_HEADERS | fields).items()]
        events = (h11.Response(status_code=400, headers=headers, reason=b"Bad Request"), h11.Data(body))
        with suppress(h11.LocalProtocolError):  # a response has begun
            for event in (*events, h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

"""The limits that only a connection knows: how slowly it sends and reads, how long its headers are.

uvicorn has none of them: a client that sends one byte a minute holds a connection for ever,
and endless headers fill the memory. `guarded_protocol` returns its httptools protocol with

- a deadline for request line and headers, and for a client that reads nothing of its answer;
- a limit for request line, headers, trailers and whatever else is not the body;
- a limit for requests that are sent before the last one is answered;
- a limit for connections. A new one replaces the one that has been without a request for
  longest, so that clients that only hold connections keep none out that has a request.

Deadlines for bodies are those of `BodyReader`.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from otel_ext.readable import size
from otel_ext.server.security.answers import (
    RequestError,
    error_document,
    error_headers,
    retry_after,
    send_error,
)
from otel_ext.server.security.connections import ConnectionLimit, ReaderWatch
from otel_ext.server.security.failures import Linger
from otel_ext.server.security.response_headers import SECURITY_HEADERS, ResponseHeaders

if TYPE_CHECKING:
    import asyncio
    from typing import Any

    from starlette.types import ASGIApp, Receive, Scope, Send
    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

    from otel_ext.runtime.counters import Counters
    from otel_ext.server.security.limits import ServerLimits

__all__ = ["GuardedProtocol", "guarded_protocol"]

# The longest time, in seconds, until a connection that is late is noticed.
_SLOWEST_WATCH: Final = 1.0
# How many requests may wait for the answer to the one before them. No browser or SDK sends
# even one such, and thousands fit into one packet.
_MOST_PIPELINED: Final = 8


class GuardedProtocol(HttpToolsProtocol):
    """One connection, with limits; `guarded_protocol` makes the class of one server.

    Attributes:
        limits: The limits.
        open_connections: The connections of the same server.
        counters: Counts `server.refused.connection`, `server.refused.header`,
            `server.refused.request`, `server.closed.idle`, `server.late.header` and
            `server.late.reader`.
        waiting_since: Since when the connection is without a request, by the clock of the
            event loop; None while there is one.
    """

    limits: ClassVar[ServerLimits]
    open_connections: ClassVar[ConnectionLimit]
    counters: ClassVar[Counters]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.waiting_since: float | None = None
        self._is_idle = False  # after a request, and nothing of the next one is here
        self._has_begun = False  # a part of the headers is here
        self._is_refused = False
        self._is_overlong = False
        self._header_bytes = 0
        # What the parser has taken without telling anything: it may hold it in memory.
        self._silent_bytes = 0
        self._has_heard = False
        self._reader = ReaderWatch(self.limits.write_seconds, self.loop.time())
        self._timer: asyncio.TimerHandle | None = None
        shortest = min(self.limits.header_seconds, self.limits.write_seconds)
        self._watch_seconds = min(shortest / 4, _SLOWEST_WATCH)

    # -- the connection ---------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the deadlines, and make room if there are too many connections."""
        super().connection_made(transport)
        _send_at_once(transport)
        self.waiting_since = self.loop.time()
        if not self.open_connections.add(self):
            self.counters.add("server.refused.connection")
            self.app = _overloaded(self.limits)
        self._timer = self.loop.call_later(self._watch_seconds, self._watch)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the deadlines."""
        if self._timer is not None:
            self._timer.cancel()
        self.open_connections.remove(self)
        super().connection_lost(exc)

    def evict(self) -> None:
        """Close the connection for another one."""
        self.counters.add("server.closed.idle")
        self.transport.abort()

    def _watch(self) -> None:
        """Close the connection if a deadline has passed."""
        now = self.loop.time()
        waiting = 0.0 if self.waiting_since is None or self._is_idle else now - self.waiting_since
        if waiting >= self.limits.header_seconds:
            self.counters.add("server.late.header")
            self._end_late_header()
        elif self._reader.has_stopped(self.transport.get_write_buffer_size(), now):
            self.counters.add("server.late.reader")
            self.transport.abort()
        else:
            self._timer = self.loop.call_later(self._watch_seconds, self._watch)

    def _end_late_header(self) -> None:
        if self._unanswered() is not None:
            self.transport.abort()  # the late request is one behind another
        elif self._has_begun:
            hint = f"Send them within {self.limits.header_seconds:g} s."
            self._refuse(RequestError(408, "The headers have not arrived in time", hint=hint))
        else:
            self.transport.abort()  # nothing was asked, for example by a browser in advance

    def resume_writing(self) -> None:
        """Note that the client has read."""
        self._reader.note_read(self.loop.time())
        super().resume_writing()

    # -- what arrives -----------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse the next bytes, unless the connection is refused already."""
        if self._is_refused:
            return
        if self._is_idle:
            self._is_idle = False
            self.waiting_since = self.loop.time()
        self._has_heard = False
        super().data_received(data)
        self._silent_bytes = 0 if self._has_heard else self._silent_bytes + len(data)
        if self._silent_bytes > self.limits.header_bytes:
            self._is_overlong = True
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """Note the begin of a request."""
        self._has_heard = self._has_begun = True
        self._header_bytes = 0
        if self.waiting_since is None:
            self.waiting_since = self.loop.time()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count a part of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header; those after the body count too, and are not used."""
        self._count(len(name) + len(value))
        if self._has_begun:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that there is a request."""
        self._has_heard = True
        self._has_begun = False
        self.waiting_since = None
        if len(self.pipeline) == _MOST_PIPELINED:
            raise ValueError("too many")  # as in `_count`
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note a part of the body."""
        self._has_heard = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of a request."""
        self._has_heard = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Note that the connection is without a request again."""
        if not self._has_begun and not self.pipeline:
            self._is_idle = True
            self.waiting_since = self.loop.time()
        super().on_response_complete()

    def _count(self, amount: int) -> None:
        self._has_heard = True
        self._header_bytes += amount
        if self._header_bytes > self.limits.header_bytes:
            self._is_overlong = True
            raise ValueError("too long")  # stops the parser; uvicorn then asks for an answer

    # -- answers without a request ----------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are not a request, or not one within the limits."""
        if self._is_refused:
            return
        if self._is_overlong:
            self.counters.add("server.refused.header")
            self._refuse(
                RequestError(
                    431,
                    f"The headers have more than {size(self.limits.header_bytes)}",
                    hint="Send fewer or shorter ones.",
                )
            )
        else:
            self.counters.add("server.refused.request")
            self._refuse(RequestError(400, "This is not a valid HTTP/1.1 request"))

    def _refuse(self, error: RequestError) -> None:
        """Answer and close; what the client still sends is dropped, so that it sees the answer."""
        self._is_refused = True
        self.pipeline.clear()
        cycle = self._unanswered()
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.abort()
                return
        self.transport.write(_answer(error))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(self.limits.linger_seconds, self.transport.abort)

    def _unanswered(self) -> RequestResponseCycle | None:
        """Return the request that is not answered yet, if there is one."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return None if cycle is None or cycle.response_complete else cycle


def guarded_protocol(limits: ServerLimits, counters: Counters) -> type[GuardedProtocol]:
    """Return the protocol for `uvicorn.Config(http=...)` with these limits.

    Args:
        limits: The limits.
        counters: What it counts in; see `GuardedProtocol`.
    """

    class Guarded(GuardedProtocol):
        """The protocol of one server."""

    Guarded.limits = limits
    Guarded.open_connections = ConnectionLimit(limits.connections)
    Guarded.counters = counters
    return Guarded


def _send_at_once(transport: asyncio.Transport) -> None:
    """Send the body of an answer without waiting until the client has the headers.

    asyncio does this only for sockets made with the number of TCP, not for those of
    `socket.create_server`; without it an answer takes 40 ms.
    """
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is not None and connection.family in {socket.AF_INET, socket.AF_INET6}:
        with suppress(OSError):  # the client is gone already
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _answer(error: RequestError) -> bytes:
    body = error_document(error.message, error.hint)
    headers = [*error_headers(body), *SECURITY_HEADERS, (b"connection", b"close")]
    lines = [b"HTTP/1.1 %d " % error.status, *(name + b": " + value for name, value in headers)]
    return b"\r\n".join([*lines, b"", body])


def _overloaded(limits: ServerLimits) -> ASGIApp:
    """Return an application that answers 503."""
    error = RequestError(
        503,
        "The server has too many connections",
        hint="Try again later.",
        headers=[
            retry_after(limits.retry_after_seconds),
            (b"connection", b"close"),
        ],
    )

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await send_error(send, error)

    return ResponseHeaders(Linger(answer, limits.linger_seconds))

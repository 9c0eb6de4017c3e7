"""Ends requests that fail or are refused so that the client learns it, and nothing else.

`ErrorGuard` turns exceptions into answers. `Linger` reads on after a refusal: a client that
still sends its body would otherwise find a broken connection instead of the answer, and an
exporter would send the same body again.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import PurePath
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from otel_ext.runtime.guard import report_problem
from otel_ext.server.security.answers import INTERNAL_ERROR, RequestError, send_error
from otel_ext.server.security.origin_check import header_values

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from otel_ext.runtime.counters import Counters

__all__ = ["ErrorGuard", "Linger"]


class ErrorGuard:
    """ASGI middleware that answers 500 for any unexpected exception, without details.

    If the answer has begun, the connection is closed instead. The server's output names the
    class of the exception and the line, not its text, which may come from a client.

    Args:
        app: The application behind it.
        counters: Counts `server.failed`.
    """

    def __init__(self, app: ASGIApp, counters: Counters) -> None:
        self._app = app
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for the application if it fails."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_started = False

        async def noting_send(message: Message) -> None:
            nonlocal is_started
            is_started = True
            await send(message)

        try:
            await self._app(scope, receive, noting_send)
        except ClientDisconnect:
            pass  # there is no client to answer
        except RequestError as error:
            if not is_started:
                await send_error(send, error)
        except Exception as error:  # noqa: BLE001 - whatever a route raises
            self._counters.add("server.failed")
            report_problem("server: a request failed", _summary(error))
            if not is_started:
                await send_error(send, INTERNAL_ERROR)


def _summary(error: Exception) -> str:
    """Return the class of an exception and the line that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    file = PurePath(trace.tb_frame.f_code.co_filename)
    return f"{type(error).__name__} at {file.parent.name}/{file.name}:{trace.tb_lineno}"


class Linger:
    """ASGI middleware that closes a connection whose request body was not read to the end.

    The client gets the whole answer, with `connection: close`; then what it still sends is
    read and dropped for a while.

    Args:
        app: The application behind it.
        seconds: For how long.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Watch the body of the request, if it has one."""
        if scope["type"] == "http" and _has_body(scope):
            lingering = _LingeringRequest(receive, send, self._seconds)
            await self._app(scope, lingering.receive, lingering.send)
        else:
            await self._app(scope, receive, send)


class _LingeringRequest:
    def __init__(self, receive: Receive, send: Send, seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._seconds = seconds
        self._is_read = False
        self._closes = False

    async def receive(self) -> Message:
        message = await self._receive()
        if not message.get("more_body", False):  # also when the client is gone
            self._is_read = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and not self._is_read:
            self._closes = True
            headers = [*message.get("headers", ()), (b"connection", b"close")]
            await self._send({**message, "headers": headers})
        elif self._closes and not message.get("more_body", False):
            # The connection is closed with the last message, so that one waits.
            await self._send({**message, "more_body": True})
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._drop_rest(), self._seconds)
            await self._send({"type": "http.response.body", "body": b""})
        else:
            await self._send(message)

    async def _drop_rest(self) -> None:
        while not self._is_read:
            await self.receive()


def _has_body(scope: Scope) -> bool:
    lengths = header_values(scope, b"content-length")
    return bool(header_values(scope, b"transfer-encoding")) or any(
        length != b"0" for length in lengths
    )

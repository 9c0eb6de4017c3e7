"""`MessageReader`: receives the one message of a gRPC call within limits of time and memory."""

# grpc has no types.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownParameterType=false
# pyright: reportMissingTypeArgument=false

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from otel_ext.server.security.answers import RequestError
from otel_ext.server.unavailable import unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import grpc.aio  # type: ignore[import-untyped]
    from starlette.types import Message, Scope

    from otel_ext.server.security.bodies import BodyReader
    from otel_ext.server.security.limits import ServerLimits

__all__ = ["MessageReader"]

_MEDIA_TYPE: Final = "application/x-protobuf"
# No message of protobuf begins so: the first byte would be of a wire type that does not exist.
_GZIP_MAGIC: Final = b"\x1f\x8b"
# How long a message may take to arrive while other calls wait, and how often that is checked.
_GRACE_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.1


class MessageReader:
    """Reads the messages of calls; one for all methods of a server.

    At most as many messages as fit into `in_flight_bytes`, if each is as large as one may be,
    are received and worked on at once; `connections` other calls wait for their turn, and what
    they have sent of their messages is bounded by HTTP/2. While any waits, a message that has
    not arrived within a second is given up, so that slow clients do not keep out the others.

    Args:
        limits: `body_seconds` is how long a call may wait and its message may take, together.
        bodies: Decompresses the messages, and counts them.
    """

    def __init__(self, limits: ServerLimits, bodies: BodyReader) -> None:
        self._limits = limits
        self._bodies = bodies
        self._places = asyncio.Semaphore(limits.in_flight_bytes // limits.wire_bytes)
        self._waiting = 0
        # Reads that were given up: they end when the call has ended, and not before.
        self._abandoned: set[asyncio.Future[object]] = set()

    @asynccontextmanager
    async def read(self, context: grpc.aio.ServicerContext) -> AsyncGenerator[bytes]:
        """Read the message; inside the `with` block it counts as in memory.

        Args:
            context: The call, of a method whose requests are a stream and are not decompressed.

        Raises:
            RequestError: 400 if there is no message or it is not valid gzip, 408 if it is late,
                413 if it is too large when decompressed, 503 if too many calls wait or the
                requests of all ports need too much memory.
        """
        ends = asyncio.get_running_loop().time() + self._limits.body_seconds
        await self._enter()
        try:
            received = [await self._received(context, ends)]
            scope = _scope(received[0])

            async def receive() -> Message:
                # Handed over, so that the compressed message is not kept.
                return {"type": "http.request", "body": received.pop()}

            async with self._bodies.read(scope, receive, {_MEDIA_TYPE}) as body:
                yield body.data
        finally:
            self._places.release()

    async def _enter(self) -> None:
        """Wait for a place."""
        if self._waiting >= self._limits.connections:
            raise _busy()
        self._waiting += 1
        try:
            await asyncio.wait_for(self._places.acquire(), self._limits.body_seconds)
        except asyncio.TimeoutError:
            raise _busy() from None
        finally:
            self._waiting -= 1

    async def _received(self, context: grpc.aio.ServicerContext, ends: float) -> bytes:
        """Return the message as it was sent."""
        now = asyncio.get_running_loop().time
        begun = now()
        reading = asyncio.ensure_future(context.read())
        try:
            await asyncio.wait({reading}, timeout=_LOOK_SECONDS)
            while not reading.done() and now() < ends:
                if self._waiting and now() - begun >= _GRACE_SECONDS:
                    break
                await asyncio.wait({reading}, timeout=min(_LOOK_SECONDS, ends - now()))
        finally:
            # It cannot be cancelled: the core of gRPC still writes to what it was given.
            if not reading.done():
                self._abandoned.add(reading)
                reading.add_done_callback(self._forget)
        if not reading.done():
            raise _late(self._limits.body_seconds)
        message = reading.result()
        if not isinstance(message, bytes):
            raise RequestError(400, "The call has no message", hint="Send one.")
        return message

    def _forget(self, reading: asyncio.Future[object]) -> None:
        self._abandoned.discard(reading)
        if not reading.cancelled():
            reading.exception()  # it always has one, which is not to be logged


def _scope(message: bytes) -> Scope:
    """Return what says of a message what the headers of an HTTP request say of a body."""
    headers = [(b"content-type", _MEDIA_TYPE.encode())]
    if message.startswith(_GZIP_MAGIC):
        headers.append((b"content-encoding", b"gzip"))
    return {"type": "http", "headers": headers}


def _busy() -> RequestError:
    return unavailable("The server has too many requests at once", "Try again later.")


def _late(seconds: float) -> RequestError:
    return RequestError(
        408,
        "The message has not arrived in time",
        hint=f"Send it within {seconds:g} s, or sooner while others wait.",
    )

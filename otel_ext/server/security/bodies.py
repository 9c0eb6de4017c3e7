"""Reads request bodies within limits of size, time and memory."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, nullcontext
from io import BytesIO
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.requests import ClientDisconnect

from otel_ext.readable import size
from otel_ext.server.security.answers import RequestError, retry_after
from otel_ext.server.security.inflate import Gunzip, Identity, MalformedBodyError
from otel_ext.server.security.limits import DEFAULT_LIMITS
from otel_ext.server.security.origin_check import header_values
from otel_ext.settings.units import KIB

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from starlette.types import Receive, Scope

    from otel_ext.runtime.counters import Counters
    from otel_ext.server.security.inflate import Decoder
    from otel_ext.server.security.limits import ServerLimits

__all__ = ["Body", "BodyReader", "ByteBudget"]

# So much is inflated until other requests have their turn: well under a millisecond.
_STEP_BYTES: Final = 256 * KIB
_GZIP: Final = frozenset({b"gzip", b"x-gzip"})
_PLAIN: Final = frozenset({b"", b"identity"})


class Body(NamedTuple):
    """A request body.

    Attributes:
        data: The bytes, decompressed.
        media_type: Its media type, in lower case and without parameters.
    """

    data: bytes
    media_type: str


class ByteBudget:
    """Counts the bytes that all requests of a server hold; for any thread.

    Args:
        limit: The most that they may hold.

    >>> budget = ByteBudget(10)
    >>> budget.take(8), budget.take(3), budget.used
    (True, False, 8)
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self.used = 0

    def take(self, amount: int) -> bool:
        """Count more bytes, unless they would be too many; return whether they were counted."""
        with self._lock:
            if self.used + amount > self._limit:
                return False
            self.used += amount
            return True

    def give_back(self, amount: int) -> None:
        """Count bytes no longer."""
        with self._lock:
            self.used -= amount


class BodyReader:
    """Reads the bodies of requests; one for all routes of a server.

    Args:
        counters: Counts `server.refused.body`, `server.refused.large`,
            `server.refused.memory` and `server.late.body`.
        limits: The limits.
    """

    def __init__(self, counters: Counters, limits: ServerLimits = DEFAULT_LIMITS) -> None:
        self._counters = counters
        self._limits = limits
        # One body at a time is inflated: if all were, each would be too large for the budget,
        # and other requests would wait for a step of every one.
        self._turn = asyncio.Lock()
        self.budget = ByteBudget(limits.in_flight_bytes)

    @asynccontextmanager
    async def read(
        self, scope: Scope, receive: Receive, media_types: Collection[str]
    ) -> AsyncGenerator[Body]:
        """Read a whole body; inside the `with` block it counts as in memory.

        ::

            async with bodies.read(request.scope, request.receive, {"application/json"}) as body:
                document = orjson.loads(body.data)

        Args:
            scope: The request.
            receive: Its messages.
            media_types: The media types that the route takes.

        Raises:
            RequestError: 400 if the body is not what the headers say, 408 if it is late,
                413 if it is too large, 415 for another media type or content coding, 503 if
                the bodies of all requests need too much memory.
            ClientDisconnect: The client is gone.
        """
        held = _Held(self.budget)
        try:
            body = await self._read(scope, receive, media_types, held)
            if isinstance(body, RequestError):
                raise body
            yield body
        finally:
            held.release()

    async def _read(
        self, scope: Scope, receive: Receive, media_types: Collection[str], held: _Held
    ) -> Body | RequestError:
        """Return the body, or an error.

        It is not raised where it happens: its traceback would keep what was read so far in
        memory until the client has taken the answer.
        """
        try:
            media_type = _media_type(scope, media_types)
            decoder = self._decoder(scope)
            self._check_length(scope)
            collected = self._collect(receive, decoder, held)
            data = await asyncio.wait_for(collected, self._limits.body_seconds)
            return Body(data, media_type)
        except (asyncio.TimeoutError, MalformedBodyError, RequestError) as error:
            return self._refused(error)

    async def _collect(self, receive: Receive, decoder: Decoder, held: _Held) -> bytes:
        inflated = BytesIO()  # one buffer: many small parts would take far more than their bytes
        sent = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            data: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            sent += len(data)
            if sent > self._limits.wire_bytes:
                raise _too_large(self._limits.wire_bytes)
            async with nullcontext() if isinstance(decoder, Identity) else self._turn:
                for part in decoder.feed(data):
                    if held.amount + len(part) > self._limits.inflated_bytes:
                        raise _too_large(self._limits.inflated_bytes, " when decompressed")
                    if not held.take(len(part)):
                        raise self._no_memory()
                    inflated.write(part)
                    if len(part) == _STEP_BYTES:
                        await asyncio.sleep(0)
        decoder.finish()
        return inflated.getvalue()

    def _decoder(self, scope: Scope) -> Decoder:
        codings = header_values(scope, b"content-encoding")
        coding = b",".join(codings).strip().lower()
        if coding in _PLAIN:
            return Identity()
        if coding in _GZIP:
            return Gunzip(step_bytes=_STEP_BYTES, most_members=self._limits.gzip_members)
        raise RequestError(
            415,
            "The body has a content coding that is not taken",
            hint="Compress with gzip, or not at all.",
            headers=[(b"accept-encoding", b"gzip")],
        )

    def _check_length(self, scope: Scope) -> None:
        for value in header_values(scope, b"content-length"):
            if not value.isdigit():
                raise RequestError(400, "The Content-Length is not a number")
            # Leading zeros are no reason to parse a number of any length.
            digits = value.lstrip(b"0")
            most = self._limits.wire_bytes
            if len(digits) > len(str(most)) or int(digits or b"0") > most:
                raise _too_large(most)

    def _refused(self, error: Exception) -> RequestError:
        match error:
            case RequestError(status=413):
                reason = "refused.large"
            case RequestError(status=503):
                reason = "refused.memory"
            case RequestError() | MalformedBodyError():
                reason = "refused.body"
            case _:
                reason = "late.body"
        self._counters.add(f"server.{reason}")
        if isinstance(error, RequestError):
            return error.with_traceback(None)
        if isinstance(error, MalformedBodyError):
            return RequestError(400, str(error), hint="Send the body again.")
        return RequestError(
            408,
            "The body has not arrived in time",
            hint=f"Send it within {self._limits.body_seconds:g} s.",
        )

    def _no_memory(self) -> RequestError:
        return RequestError(
            503,
            "The server has no memory left for more requests",
            hint="Try again later.",
            headers=[retry_after(self._limits.retry_after_seconds)],
        )


class _Held:
    """What one request has taken from the budget."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.amount = 0

    def take(self, amount: int) -> bool:
        if not self._budget.take(amount):
            return False
        self.amount += amount
        return True

    def release(self) -> None:
        self._budget.give_back(self.amount)
        self.amount = 0


def _media_type(scope: Scope, media_types: Collection[str]) -> str:
    """Return the media type of a body, if it is one of `media_types`."""
    values = header_values(scope, b"content-type")
    found = values[0].decode("latin-1") if len(values) == 1 else ""
    media_type = found.partition(";")[0].strip().lower()
    if media_type in media_types:
        return media_type
    taken = " or ".join(sorted(media_types))
    raise RequestError(
        415, "The body has a media type that is not taken", hint=f"Send it as {taken}."
    )


def _too_large(limit: int, when: str = "") -> RequestError:
    return RequestError(
        413, f"The body has more than {size(limit)}{when}", hint="Send less at once."
    )

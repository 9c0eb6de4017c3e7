"""The route of the stream: Server-Sent Events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import re
from time import monotonic
from typing import TYPE_CHECKING, Final

from starlette.responses import StreamingResponse
from starlette.routing import Route

from otel_ext.errors import StoreError
from otel_ext.server.api.parameters import read_values
from otel_ext.server.api.routes import PREFIX, STREAM, TOPICS
from otel_ext.server.http.answering import given_in, unreadable
from otel_ext.server.live.changes import Changes, Wanted
from otel_ext.server.security.answers import RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from concurrent.futures import Executor

    from starlette.requests import Request
    from starlette.responses import Response

    from otel_ext.server.api.context import Context
    from otel_ext.server.api.parameters import Values
    from otel_ext.server.live.hub import Hub

__all__ = ["stream_route"]

_BATCH_SECONDS: Final = 0.1
# What runs is looked at so often even if nothing is recorded.
_LOOK_SECONDS: Final = 1.0
_COMMENT_SECONDS: Final = 15.0
_COMMENT: Final = b":\n\n"
_NUMBER: Final = re.compile(r"\d{1,15}", re.ASCII)


def stream_route(context: Context, hub: Hub, executor: Executor) -> Route:
    """Return the route.

    Args:
        context: What answers are made of.
        hub: Wakes streams.
        executor: Runs what reads the store.
    """

    async def endpoint(request: Request) -> Response:
        values = read_values(STREAM.parameters, given_in(request))
        wanted, after = _wanted(values), _after(request, values)
        changes, hello = await asyncio.get_running_loop().run_in_executor(
            executor, _begin, context, wanted, after
        )
        hub.check_room()
        events = _events(changes, hello, hub, executor)
        return StreamingResponse(events, media_type="text/event-stream")

    return Route(f"{PREFIX}{STREAM.path}", endpoint, methods=["GET"])


def _wanted(values: Values) -> Wanted:
    topics = [topic for topic in values.text("topics").split(",") if topic]
    if not set(topics) <= set(TOPICS):
        hint = f"Give some of {', '.join(TOPICS)}, with commas between them."
        raise RequestError(400, "The parameter topics is wrong", hint=hint)
    return Wanted(topics, values.text("trace"), values.search())


def _after(request: Request, values: Values) -> int:
    """Return the last change that the client knows; browsers send it when they come again."""
    last = request.headers.get("last-event-id", "")
    return int(last) if _NUMBER.fullmatch(last) else values.number("after")


def _begin(context: Context, wanted: Wanted, after: int) -> tuple[Changes, bytes]:
    """Return what makes the events, and the first one, before the answer begins."""
    try:
        changes = Changes(context, wanted, after)
        return changes, changes.hello()
    except StoreError as error:
        raise unreadable(error) from error


async def _events(
    changes: Changes, hello: bytes, hub: Hub, executor: Executor
) -> AsyncIterator[bytes]:
    """Yield events; a client that reads slowly gets what has changed meanwhile at once."""
    loop = asyncio.get_running_loop()
    with hub.stream():
        yield hello
        sent_at = monotonic()
        while not hub.is_closed:
            seen = hub.change
            try:
                events = await loop.run_in_executor(executor, changes.next)
            except StoreError:
                events = b""  # what has changed is asked for again
            if not events and monotonic() - sent_at > _COMMENT_SECONDS:
                events = _COMMENT
            if events:
                yield events
                sent_at = monotonic()
            await asyncio.sleep(_BATCH_SECONDS)
            await hub.wait(seen, _LOOK_SECONDS)

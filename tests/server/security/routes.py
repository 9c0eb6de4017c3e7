"""An application with a route of each kind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from otel_ext.errors import UsageError
from otel_ext.server.security.answers import RequestError, exception_handlers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from otel_ext.server.security.bodies import BodyReader

__all__ = ["LARGE", "PAGES", "application"]

# Paths without data.
PAGES: Final = ("/", "/health")
# The bytes of the answer of `/large`: more than the buffers of a connection take.
LARGE: Final = 64 * 1024 * 1024


async def page(_: Request) -> Response:
    """Answer with a page, which may be kept if it is asked for again each time."""
    return PlainTextResponse("a page", headers={"cache-control": "no-cache"})


async def data(_: Request) -> Response:
    """Answer with data."""
    return JSONResponse({"data": 1})


async def large(_: Request) -> Response:
    """Answer with more than a client can receive without reading."""
    return Response(bytes(LARGE), media_type="application/json")


async def take(request: Request) -> Response:
    """Read a body."""
    bodies: BodyReader = request.app.state.bodies
    async with bodies.read(request.scope, request.receive, {"application/json"}) as body:
        return JSONResponse({"size": len(body.data), "type": body.media_type})


async def fail(_: Request) -> Response:
    """Fail."""
    raise ValueError("a secret of the inside")


async def refuse(_: Request) -> Response:
    """Answer with an error."""
    raise RequestError(404, "There is no such trace", hint="Copy its id.")


async def mistake(_: Request) -> Response:
    """Raise an error about what the user has written."""
    raise UsageError("the search is wrong", hint="Remove it.")


async def break_off(_: Request) -> Response:
    """Fail in the middle of an answer."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"begin"
        raise ValueError("a secret of the inside")

    return StreamingResponse(parts(), media_type="text/plain")


async def stream(_: Request) -> Response:
    """Answer with events until the client goes away."""

    async def events() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        await asyncio.Event().wait()

    return StreamingResponse(events(), media_type="text/event-stream")


def application(bodies: BodyReader) -> Starlette:
    """Return the application.

    Args:
        bodies: What it reads bodies with.
    """
    app = Starlette(
        routes=[
            Route("/", page),
            Route("/health", data),
            Route("/data", data),
            Route("/large", large),
            Route("/take", take, methods=["POST"]),
            Route("/fail", fail),
            Route("/refuse", refuse),
            Route("/mistake", mistake),
            Route("/break", break_off),
            Route("/stream", stream),
        ],
        exception_handlers=exception_handlers(),
    )
    app.state.bodies = bodies
    return app

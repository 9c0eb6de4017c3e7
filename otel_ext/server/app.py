"""Makes the applications of the server: one for the viewer's port, one for that of OTLP."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from starlette.applications import Starlette

from otel_ext.server.http.answering import answering_routes
from otel_ext.server.http.health import health_routes
from otel_ext.server.http.pages import page_routes
from otel_ext.server.http.programs_health import ProgramsHealth
from otel_ext.server.http.receiving import Receiver
from otel_ext.server.http.streaming import stream_route
from otel_ext.server.security.answers import exception_handlers

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from otel_ext.runtime.counters import Counters
    from otel_ext.server.api.context import Context
    from otel_ext.server.async_intake import AsyncIntake
    from otel_ext.server.feeding.messages import FeedState
    from otel_ext.server.live.hub import Hub
    from otel_ext.server.security.bodies import BodyReader

__all__ = ["Parts", "otlp_app", "viewer_app"]


class Parts(NamedTuple):
    """What the routes are made of.

    Attributes:
        context: What answers are made of.
        intake: Keeps what is received.
        bodies: Reads bodies.
        hub: Wakes streams.
        readers: Runs what reads the store.
        state: Returns how the store stands.
        counters: What is counted.
    """

    context: Context
    intake: AsyncIntake
    bodies: BodyReader
    hub: Hub
    readers: Executor
    state: Callable[[], FeedState]
    counters: Counters


def viewer_app(parts: Parts) -> Starlette:
    """Return the application with the viewer, the questions, the stream, and all that is taken."""
    receiver = Receiver(parts.intake, parts.bodies)
    return Starlette(
        routes=[
            *page_routes(),
            *answering_routes(parts.context, parts.readers),
            stream_route(parts.context, parts.hub, parts.readers),
            receiver.records_route(),
            *receiver.otlp_routes(),
            *health_routes(
                parts.state,
                ProgramsHealth(parts.context, parts.readers),
                parts.hub,
                parts.counters,
            ),
        ],
        exception_handlers=exception_handlers(),
    )


def otlp_app(parts: Parts) -> Starlette:
    """Return the application that only takes OTLP."""
    receiver = Receiver(parts.intake, parts.bodies)
    return Starlette(routes=receiver.otlp_routes(), exception_handlers=exception_handlers())

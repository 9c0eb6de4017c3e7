"""Routes for machines that watch the server: is it alive, is it ready, what has it counted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.responses import Response
from starlette.routing import Route

from otel_ext.runtime.health import Health, PartHealth, health
from otel_ext.server.http.json_answers import json_answer
from otel_ext.server.security.answers import retry_after
from otel_ext.server.security.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from otel_ext.runtime.counters import Counters
    from otel_ext.server.feeding.messages import FeedState
    from otel_ext.server.http.programs_health import ProgramsHealth
    from otel_ext.server.live.hub import Hub

__all__ = ["HEALTH_PATHS", "health_routes"]

HEALTH_PATHS: Final = ("/healthz", "/readyz", "/metrics")

_METRICS: Final = "text/plain; version=0.0.4; charset=utf-8"
_ODD: Final = re.compile(r"[^a-z0-9_]")


def health_routes(
    state: Callable[[], FeedState], programs: ProgramsHealth, hub: Hub, counters: Counters
) -> list[Route]:
    """Return the routes.

    Args:
        state: Returns how the store stands.
        programs: Knows the health of the watched programs.
        hub: Knows the streams.
        counters: What is counted.
    """

    async def alive(_: Request) -> Response:
        found = _health(state())
        # Names and states only: who asks needs no token, and details may name files.
        parts = {part.name: part.state for part in found.parts}
        document = {
            "status": "alive",
            "health": found.state,
            "parts": parts,
            "programs": programs.counts(),
        }
        return json_answer(document)

    async def ready(_: Request) -> Response:
        now = state()
        document = {
            "status": "ready" if not now.problem else "not ready",
            "problem": now.problem,
            "waiting_bytes": now.waiting,
        }
        answer = json_answer(document, 503 if now.problem else 200)
        if now.problem:
            answer.raw_headers.append(retry_after(DEFAULT_LIMITS.retry_after_seconds))
        return answer

    async def metrics(_: Request) -> Response:
        return Response(_metrics(state(), hub, counters), media_type=_METRICS)

    endpoints = dict(zip(HEALTH_PATHS, (alive, ready, metrics), strict=True))
    return [Route(path, endpoint, methods=["GET"]) for path, endpoint in endpoints.items()]


def _health(state: FeedState) -> Health:
    """Return the health of the server's parts."""
    problem = state.problem
    store = PartHealth("store", "degraded" if problem else "healthy", problem)
    return Health((store, *health().parts))


def _metrics(state: FeedState, hub: Hub, counters: Counters) -> bytes:
    """Return the counters as Prometheus reads them."""
    gauges = {
        "store_change": state.change,
        "store_waiting_bytes": state.waiting,
        "store_problem": int(bool(state.problem)),
        "streams": hub.streams,
    }
    counted = {
        _ODD.sub("_", name.removeprefix("server.")): value
        for name, value in sorted(counters.snapshot().items())
        if name.startswith("server.")
    }
    counted |= {"stored_records": state.stored, "skipped_lines": state.skipped}
    lines: list[str] = []
    for kind, values in (("gauge", gauges), ("counter", counted)):
        for name, value in values.items():
            full = f"otel_ext_server_{name}" + ("_total" if kind == "counter" else "")
            lines += [f"# TYPE {full} {kind}", f"{full} {value}"]
    return ("\n".join(lines) + "\n").encode()

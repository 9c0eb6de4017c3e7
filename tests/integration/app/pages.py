"""A WSGI program with spans of its own, by the OpenTelemetry API only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from opentelemetry import trace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

tracer = trace.get_tracer("pages")

# With --preload the master imports the program, and this span belongs to the master.
with tracer.start_as_current_span("import"):
    NAME = "pages"


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with the number of the process."""
    with tracer.start_as_current_span("request", attributes={"path": environ["PATH_INFO"]}):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]

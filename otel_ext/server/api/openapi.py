"""Describes the questions, and what is taken, as an OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.server.api.routes import LINE_TYPES, PREFIX, RECORDS_PATH, ROUTES, STREAM
from otel_ext.server.api.schemas import COMPONENTS, TEXT, named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.server.api.parameters import Parameter
    from otel_ext.server.api.routes import Route

__all__ = ["openapi"]

_STATUSES = {
    "400": "A parameter is unknown, missing or wrong.",
    "404": "There is no such trace or span.",
    "503": "The store cannot be read now.",
}
_TAKING = {
    "200": "What became of the lines.",
    "400": "The body is not valid gzip.",
    "408": "The body has not arrived in time.",
    "413": "The body is too large.",
    "415": "The body has another media type.",
    "503": "The records cannot be kept now; Retry-After says when to send them again.",
}


def openapi(version: str) -> dict[str, object]:
    """Return the document.

    Args:
        version: The version of the server.
    """
    paths = {f"{PREFIX}{route.path}": {"get": _operation(route)} for route in ROUTES}
    stream = _operation(STREAM, media_type="text/event-stream")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "otel-ext",
            "version": version,
            "description": (
                "Traces, running spans, logs and processes. Times in fields that end in _ns are"
                " texts of nanoseconds since 1970, durations and ages numbers of nanoseconds."
            ),
        },
        "paths": {
            **paths,
            f"{PREFIX}{STREAM.path}": {"get": stream},
            f"{PREFIX}{RECORDS_PATH}": {"post": _taking()},
        },
        "components": {
            "schemas": dict(COMPONENTS),
        },
    }


def _operation(route: Route, media_type: str = "application/json") -> dict[str, object]:
    schema = named(route.form) if route.form else TEXT
    return {
        "summary": route.about,
        "operationId": route.path.strip("/").replace("/", "-").replace("{", "").replace("}", ""),
        "parameters": _parameters(route.parameters),
        "responses": {
            "200": {"description": "The answer.", "content": {media_type: {"schema": schema}}},
            **{
                status: {"description": about, "content": _json("Error")}
                for status, about in _STATUSES.items()
            },
        },
    }


def _taking() -> dict[str, object]:
    return {
        "summary": "Keep records; 200 means that they survive the death of the server.",
        "operationId": "records",
        "requestBody": {
            "description": "A record of otel-ext on each line; it may be compressed with gzip.",
            "required": True,
            "content": {media_type: {"schema": TEXT} for media_type in LINE_TYPES},
        },
        "responses": {
            status: {
                "description": about,
                "content": _json("Taken" if status == "200" else "Error"),
            }
            for status, about in _TAKING.items()
        },
    }


def _json(form: str) -> dict[str, object]:
    return {"application/json": {"schema": named(form)}}


def _parameters(parameters: Sequence[Parameter]) -> list[dict[str, object]]:
    return [
        {
            "name": one.name,
            "in": "path" if one.in_path else "query",
            "required": one.is_required,
            "description": one.about,
            "schema": dict(one.schema),
        }
        for one in parameters
    ]

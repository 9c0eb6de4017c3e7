"""Logs and events, the newest first."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.server.api.parameters import place_in, place_text
from otel_ext.store.queries import LogQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.server.api.context import Context
    from otel_ext.server.api.parameters import Values
    from otel_ext.store.protocol import StoredLog

__all__ = ["log_document", "logs"]

_LIMIT: Final = 200
# After it the answer has what was found so far; `next` leads to the rest.
_SECONDS: Final = 2.0


def logs(context: Context, values: Values) -> dict[str, object]:
    """Return logs and events."""
    limit, text, span_id = values.number("limit", _LIMIT), values.text("q"), values.text("span_id")
    query = LogQuery(
        text=text,
        trace_id=values.text("trace_id"),
        levels=[values.text("level")] if values.has("level") else (),
        since_ns=values.number("since"),
        until_ns=values.number("until") if values.has("until") else None,
        before=place_in(values.text("cursor")),
    )
    services = context.services()
    found: list[dict[str, object]] = []
    following = None
    deadline = monotonic() + _SECONDS
    for log in context.store.logs(query):
        if len(found) >= limit or (following is not None and monotonic() > deadline):
            break
        following = log.place
        if _is_wanted(log, text, span_id):
            found.append(log_document(log, services))
    else:
        following = None
    return {
        "logs": found,
        "next": None if following is None else place_text(following),
    }


def log_document(log: StoredLog, services: Mapping[str, str]) -> dict[str, object]:
    """Return a log for JSON.

    Args:
        log: The log.
        services: The service of each process, by its id.
    """
    return {
        "id": place_text(log.place),
        "time_ns": str(log.time_ns),
        "level": log.level,
        "text": log.text,
        "attributes": log.attributes,
        "trace_id": log.trace_id,
        "span_id": log.span_id,
        "service": services.get(log.process, ""),
        "process": log.process,
        "kind": log.kind,
    }


def _is_wanted(log: StoredLog, text: str, span_id: str) -> bool:
    if span_id and log.span_id != span_id:
        return False
    wanted = text.casefold()
    values = (log.text, *map(str, log.attributes.values())) if wanted else ()
    return not wanted or any(wanted in value.casefold() for value in values)

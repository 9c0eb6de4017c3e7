"""Logs and events, the newest first."""

from __future__ import annotations

import re
from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.server.security.answers import RequestError
from otel_ext.store.queries import LogQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.server.api.context import Context
    from otel_ext.server.api.parameters import Values
    from otel_ext.store.protocol import StoredLog
    from otel_ext.store.queries import Place

__all__ = ["log_document", "logs"]

_LIMIT: Final = 200
# After it the answer has what was found so far; `next` leads to the rest.
_SECONDS: Final = 2.0
_CURSOR: Final = re.compile(r"(\d{1,9})\.(\d{1,18})", re.ASCII)


def logs(context: Context, values: Values) -> dict[str, object]:
    """Return logs and events."""
    limit, text, span_id = values.number("limit", _LIMIT), values.text("q"), values.text("span_id")
    query = LogQuery(
        text=text,
        trace_id=values.text("trace_id"),
        levels=[values.text("level")] if values.has("level") else (),
        since_ns=values.number("since"),
        until_ns=values.number("until") if values.has("until") else None,
        before=_place(values.text("cursor")),
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
        "next": None if following is None else f"{following[0]}.{following[1]}",
    }


def log_document(log: StoredLog, services: Mapping[str, str]) -> dict[str, object]:
    """Return a log for JSON.

    Args:
        log: The log.
        services: The service of each process, by its id.
    """
    return {
        "id": f"{log.place[0]}.{log.place[1]}",
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


def _place(cursor: str) -> Place | None:
    if not cursor:
        return None
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        hint = "Take it from the answer before."
        raise RequestError(400, "The parameter cursor is wrong", hint=hint)
    return int(match[1]), int(match[2])

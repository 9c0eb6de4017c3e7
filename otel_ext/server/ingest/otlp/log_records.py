"""Makes records of OTLP's log records, whichever SDK has sent them.

=============================  =========================================================
of a log record                in the record
=============================  =========================================================
a body that is a text          its text
any other body                 the attribute `body`; of a log, its text is the body as JSON
event name                     the name of an `event`, instead of a log
severity number, else text     `level`: `trace`, `debug`, `info`, `warning`, `error`,
                               `critical`, or the sender's own; an attribute of an event
scope                          `logger`
time, else observed time       time; that of the arrival without either
trace id, span id              both or neither: one alone becomes an attribute
`code.*` attributes            the call site
=============================  =========================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.formats.read.pieces import call_site_in
from otel_ext.record.model import Record
from otel_ext.record.sanitise.budget import unique
from otel_ext.record.sanitise.values import encode_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.record.model import Process, Scope
    from otel_ext.server.ingest.otlp.received import Received

__all__ = ["keep", "log_record"]

# The levels, of four severity numbers each, from 1 on.
_LEVELS: Final = ("trace", "debug", "info", "warning", "error", "critical")
_STEP: Final = 4
# Other names of the same levels.
_NAMES: Final = {"warn": "warning", "fatal": "critical", "err": "error", "information": "info"}
_LONGEST_TEXT: Final = 1_024


def log_record(received: Received, process: Process, scope: Scope | None, seq: int) -> Record:
    """Return the record of a log record of any SDK.

    Args:
        received: The log record.
        process: The process that made it.
        scope: What made it.
        seq: The record's number.

    >>> from otel_ext.record.model import Process
    >>> from otel_ext.server.ingest.otlp.received import Received
    >>> log = Received(5, "", "", 13, "WARN", "", "card refused", {"tries": 2})
    >>> record = log_record(log, Process("p"), None, 7)
    >>> record.kind, record.name, record.level, record.attributes
    ('log', 'card refused', 'warning', {'tries': 2})
    """
    attributes = dict(received.attributes)
    event, level, has_ids = received.event_name, _level(received), received.has_ids
    if not has_ids:
        keep(attributes, received.ids)
    name = event or _text_of(received.body)
    if received.body is not None and (event or not isinstance(received.body, str)):
        keep(attributes, {"body": received.body})
    if event and level:
        keep(attributes, {"level": level})
    return Record(
        kind="event" if event else "log",
        phase=None,
        name=name,
        time_ns=received.time_ns,
        seq=seq,
        process=process,
        call_site=call_site_in(attributes),
        attributes=attributes,
        trace_id=received.trace_id if has_ids else "",
        span_id=received.span_id if has_ids else "",
        level="" if event else level,
        logger="" if event or scope is None else scope.name,
    )


def keep(attributes: dict[str, object], more: Mapping[str, object]) -> None:
    """Add what has no other place, beside the sender's own attributes of the same name."""
    for key, value in more.items():
        attributes[unique(key, attributes, {})] = value


def _level(received: Received) -> str:
    index = (received.severity - 1) // _STEP
    if 0 <= index < len(_LEVELS):
        return _LEVELS[index]
    text = received.severity_text.lower()
    return _NAMES.get(text, text)


def _text_of(body: object) -> str:
    if isinstance(body, str):
        return body
    if body is None:
        return ""
    text = encode_value(body).decode()
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"

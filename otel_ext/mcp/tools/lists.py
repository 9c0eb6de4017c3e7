"""The tools `find_traces` and `errors`: lists over many traces."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Final

from otel_ext.mcp.answer import Answer
from otel_ext.mcp.sources.source import ListQuery
from otel_ext.readable import count_of, duration, local_time

if TYPE_CHECKING:
    from otel_ext.mcp.question import Question
    from otel_ext.mcp.sources.source import ErrorLine, TraceLine

__all__ = ["ERRORS_SINCE", "errors", "find_traces"]

ERRORS_SINCE: Final = "24h"
"""Since when errors are looked for, if nothing else is said."""

_LIMIT: Final = 20
_ERRORS: Final = 20
_DAY_NS: Final = 86_400 * 10**9


def find_traces(question: Question) -> Answer:
    """Return a list of traces."""
    values = question.values
    query = ListQuery(
        values.text("search"),
        values.number("since"),
        values.text("order", "newest"),
        values.number("limit", _LIMIT),
        values.text("cursor"),
    )
    found = question.source.traces(query)
    answer = Answer(
        f"{count_of(len(found.traces), 'trace')} of {question.source.about()}, {query.order} first."
    )
    shown = answer.add_fitting((_line(question, one), _item(question, one)) for one in found.traces)
    answer.say(found.note)
    if shown < len(found.traces):
        answer.say(f"The last {len(found.traces) - shown:,} did not fit: use limit={shown}.")
    elif found.searched_until_ns:
        until = local_time(found.searched_until_ns, date=True)
        answer.say(f"The time ran out at traces of {until}: go on with cursor={found.cursor}.")
    elif found.cursor:
        answer.say(f"There may be more: go on with cursor={found.cursor}.")
    if not found.traces:
        answer.say("Nothing is found. A shorter search, or a longer time in since, finds more.")
    return answer


def _line(question: Question, one: TraceLine) -> str:
    safe = question.safe
    service = f"{safe(one.service)}: " if one.service else ""
    line = f"{local_time(one.start_ns, date=True)} {service}{safe(one.name)}"
    line += f" {duration(one.duration_ns)} {safe(one.state)}, {count_of(one.spans, 'span')}"
    for number, word in ((one.open, "open"), (one.errors, "failed")):
        line += f", {number:,} {word}" if number else ""
    line += f" trace={safe(one.trace_id)}"
    if one.found is not None:
        spans = " ".join(f"span={safe(each)}" for each in one.matches)
        line += f" found {one.found:,}: {spans}"
    return line


def _item(question: Question, one: TraceLine) -> dict[str, object]:
    safe = question.safe
    return {
        "trace_id": safe(one.trace_id),
        "start_ns": str(one.start_ns),
        "duration_ns": one.duration_ns,
        "name": safe(one.name),
        "service": safe(one.service),
        "state": safe(one.state),
        "spans": one.spans,
        "open": one.open,
        "errors": one.errors,
        "matches": [safe(each) for each in one.matches],
    }


def errors(question: Question) -> Answer:
    """Return errors by operation and text."""
    since_ns = question.values.number("since", time_ns() - _DAY_NS)
    limit = question.values.number("limit", _ERRORS)
    found = question.source.errors(since_ns)
    since = local_time(since_ns, date=True)
    answer = Answer(
        f"{count_of(len(found), 'different error')} in {question.source.about()} since {since},"
        " the most frequent first; trace and span are those of the newest."
    )
    shown = answer.add_fitting(
        (_error_line(question, one), _error_item(question, one)) for one in found[:limit]
    )
    if shown < len(found):
        answer.say(
            f"{len(found) - shown:,} left out, less frequent: use a larger limit, or a shorter"
            " time in since; find_traces with the search `error:/…/` finds one."
        )
    if not found:
        answer.say("No span has failed in that time; another time in since may find some.")
    return answer


def _error_line(question: Question, one: ErrorLine) -> str:
    safe = question.safe
    service = f"{safe(one.service)}: " if one.service else ""
    line = f"{one.spans:,} × {service}{safe(one.name)}: {safe(one.text) or '(no text)'}"  # noqa: RUF001
    if one.place:
        line += f" at {safe(one.place)}"
    line += f", last {local_time(one.last_ns, date=True)}"
    return f"{line} trace={safe(one.trace_id)} span={safe(one.span_id)}"


def _error_item(question: Question, one: ErrorLine) -> dict[str, object]:
    safe = question.safe
    return {
        "service": safe(one.service),
        "name": safe(one.name),
        "text": safe(one.text),
        "spans": one.spans,
        "place": safe(one.place),
        "last_ns": str(one.last_ns),
        "trace_id": safe(one.trace_id),
        "span_id": safe(one.span_id),
    }

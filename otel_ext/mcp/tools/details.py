"""The tools `show_span` and `logs`: everything about one span, and what was logged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.errors import UsageError
from otel_ext.mcp.answer import Answer
from otel_ext.mcp.texts import escaped
from otel_ext.observe.location import frames_of, opened_at
from otel_ext.readable import count_of, duration, local_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_ext.mcp.question import Question
    from otel_ext.record.model import Record

__all__ = ["logs", "show_span"]

# Characters of a value, and of one that is asked for by its key.
_VALUE: Final = 400
_WHOLE: Final = 16_000
# Bytes of the line of the latter, which fits into an answer.
_WHOLE_BYTES: Final = 18_000
_STACK: Final = 4_000
# Bytes of all attributes of a span.
_FIELDS: Final = 9_000
_LOGS: Final = 50
_LOG_FIELDS: Final = 300
_MOST_EVENTS: Final = 30
_MOST_LINKS: Final = 20
_MOST_FRAMES: Final = 30
_STACKTRACE: Final = "exception.stacktrace"


def show_span(question: Question) -> Answer:
    """Return all that is recorded of one span, or one of its attributes whole."""
    values = question.values
    trace_id, span_id = values.text("trace_id"), values.text("span_id")
    records = [question.texts.record(one) for one in question.source.records(trace_id, span_id)]
    if not records:
        hint = "Copy both ids from one answer; a span that is not recorded has no details"
        raise UsageError("there is no such span in this trace", hint=hint)
    wanted = values.text("attribute")
    answer = Answer(f"Span {span_id} of trace {trace_id}; secrets are replaced by [redacted: …].")
    for record in records:
        if len(records) > 1:
            answer.add(f"of process {question.safe(record.process.id)}, one of several:")
        if wanted:
            answer.add(_attribute(question, record, wanted))
        else:
            for line in _lines(question, record):
                answer.add(line)
    if answer.left_out:
        answer.say(
            f"{count_of(answer.left_out, 'line')} left out: the argument attribute shows one"
            " attribute whole."
        )
    return answer


def _attribute(question: Question, record: Record, name: str) -> str:
    if name not in record.attributes:
        hint = "show_span without the argument attribute lists those that it has"
        raise UsageError("the span has no such attribute", hint=hint)
    value, limit = record.attributes[name], _WHOLE
    line = f"{question.safe(name)} = {question.texts.value(value, limit)}"
    while len(line.encode()) > _WHOLE_BYTES:
        limit //= 2
        line = f"{question.safe(name)} = {question.texts.value(value, limit)}"
    return line


def _lines(question: Question, record: Record) -> Iterator[str]:
    safe = question.safe
    yield f"name: {safe(record.name)}"
    yield f"state: {_state(record)}"
    if record.error:
        yield f"error: {question.texts.safe(record.error, _VALUE)}"
    yield f"started: {local_time(record.started_ns, date=True)}"
    if record.parent_span_id:
        yield f"parent: span={record.parent_span_id}"
    yield f"kind: {record.span_kind or 'internal'}"
    if record.call_site.is_known:
        yield f"opened at: {safe(str(opened_at(record)))}"
    yield f"process: {safe(record.process.id)}"
    for what, one in (("thread", record.thread), ("task", record.task), ("scope", record.scope)):
        if one is not None:
            yield f"{what}: {safe(one.name)}"
    yield from _fields(question, "attribute", record.attributes)
    yield from _stack(question, record)
    yield from _events(question, record)
    for link in record.links[:_MOST_LINKS]:
        yield f"link: trace={link.trace_id} span={link.span_id}"
        yield from _fields(question, "  of the link", link.attributes)
    if len(record.links) > _MOST_LINKS:
        yield f"and {count_of(len(record.links) - _MOST_LINKS, 'link')} more"


def _state(record: Record) -> str:
    if record.phase != "end":
        return "open (running_now shows whether its process runs, and where it is)"
    took = duration(record.time_ns - record.start_ns)
    if record.abandoned:
        return f"abandoned: {record.abandoned}, after {took}"
    status = record.status.code if record.status is not None else "unset"
    return f"ended after {took}, status {status}{', cancelled' if record.is_cancelled else ''}"


def _fields(question: Question, what: str, fields: Mapping[str, object]) -> Iterator[str]:
    """Yield a line for each field; of many the rest by their names, so that others fit, too."""
    room = _FIELDS
    names = [name for name in fields if name != _STACKTRACE]
    for number, name in enumerate(names):
        line = f"{what}: {question.safe(name)} = {question.texts.value(fields[name], _VALUE)}"
        room -= len(line.encode())
        if room < 0:
            rest = ", ".join(names[number:])
            yield f"{what}: and {len(names) - number:,} more: {question.texts.safe(rest, _VALUE)}"
            return
        yield line


def _stack(question: Question, record: Record) -> Iterator[str]:
    """Yield where an open span was when it was last looked at, innermost first."""
    frames = frames_of(record) if record.phase == "update" else []
    if frames:
        yield f"stack at {local_time(record.time_ns)}, innermost first:"
    for frame in frames[:_MOST_FRAMES]:
        yield f"  {question.safe(str(frame))}"


def _events(question: Question, record: Record) -> Iterator[str]:
    for event in record.events[-_MOST_EVENTS:]:
        after = duration(event.time_ns - record.started_ns)
        yield f"event {after} after the start: {question.safe(event.name)}"
        yield from _fields(question, "  of the event", event.attributes)
        stack = event.attributes.get(_STACKTRACE)
        if isinstance(stack, str):
            yield from _stacktrace(stack)
    if len(record.events) > _MOST_EVENTS:
        yield f"and {count_of(len(record.events) - _MOST_EVENTS, 'earlier event')}"


def _stacktrace(text: str) -> Iterator[str]:
    """Yield the end of a stack trace, which shows where it was raised."""
    lines = text[-_STACK:].splitlines()
    if len(text) > _STACK:
        yield f"  | … ({len(text):,} characters)"
    yield from (f"  | {escaped(line, _VALUE)}" for line in lines)


def logs(question: Question) -> Answer:
    """Return the logs and events of a trace or of one of its spans, by time."""
    values = question.values
    found = question.source.logs(values.text("trace_id"), values.text("span_id"))
    level, text = values.text("level").lower(), values.text("text").casefold()
    chosen = [
        record
        for record in map(question.texts.record, found)
        if level in {"", record.level.lower()} and _contains(record, text)
    ]
    offset, limit = values.number("offset"), values.number("limit", _LOGS)
    whose = "span" if values.text("span_id") else "trace"
    answer = Answer(
        f"{count_of(len(chosen), 'log')} of the {whose}, by time"
        f"{_day(chosen)}; {count_of(len(found), 'log')} without level and text."
    )
    wanted = chosen[offset : offset + limit]
    shown = offset + answer.add_fitting((_log(question, one), None) for one in wanted)
    if shown < len(chosen):
        answer.say(f"{len(chosen) - shown:,} later ones left out: go on with offset={shown}.")
    return answer


def _day(records: Sequence[Record]) -> str:
    return f", the first at {local_time(records[0].time_ns, date=True)}" if records else ""


def _contains(record: Record, text: str) -> bool:
    if not text:
        return True
    values = (record.name, *map(str, record.attributes.values()))
    return any(text in value.casefold() for value in values)


def _log(question: Question, record: Record) -> str:
    line = f"{local_time(record.time_ns)} {question.safe(record.level or record.kind)}"
    line += f" {question.texts.safe(record.name, _VALUE)}"
    if record.attributes:
        line += f" {question.texts.value(dict(record.attributes), _LOG_FIELDS)}"
    if record.call_site.is_known:
        line += f" at {question.safe(str(opened_at(record)))}"
    return f"{line} span={question.safe(record.span_id)}" if record.span_id else line

"""Completes the last word of a search with what is stored."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Final

import orjson

from otel_ext.record.model import META_KEY, SPAN_KINDS
from otel_ext.search.parse import FIELDS, STATES
from otel_ext.store.queries import TraceQuery

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_ext.analysis.traces.span import Span
    from otel_ext.server.api.context import Context
    from otel_ext.server.api.parameters import Values
    from otel_ext.store.protocol import TraceSummary

__all__ = ["completion"]

_MOST_WORDS: Final = 20
# Values are those of the newest traces: all of them would be too many to look at.
_MOST_TRACES: Final = 50
_MOST_SPANS: Final = 1_000
_LONGEST_VALUE: Final = 80
_NEEDS_QUOTES: Final = frozenset(' \t"():,=')


def completion(context: Context, values: Values) -> dict[str, object]:
    """Return words that begin as the last word of a search."""
    word = values.text("q").rpartition(" ")[2].lstrip("-(")
    key, separator, beginning = word.partition(":")
    if separator:
        found = _values(context, key, beginning.lstrip('"'))
        words = [(f"{key}:{_quoted(value)}", count) for value, count in found]
    else:
        words = [(name, 0) for name in _keys(context) if name.startswith(word)]
    return {"words": [{"text": text, "count": count} for text, count in words[:_MOST_WORDS]]}


def _keys(context: Context) -> Iterable[str]:
    yield from (f"{field}:" for field in FIELDS)
    yield from STATES
    yield from (f"{name}:" for name in context.store.attribute_names() if not _is_odd(name))


def _values(context: Context, key: str, beginning: str) -> list[tuple[str, int]]:
    choices = {"state": STATES, "kind": SPAN_KINDS, "is": ("root", "leaf", "critical", "orphan")}
    if key in choices:
        return [(word, 0) for word in choices[key] if word.startswith(beginning)]
    traces = islice(context.store.candidates(TraceQuery()), _MOST_TRACES)
    counter: Counter[str] = Counter()
    if key == "service":
        services = context.services()
        counter.update(
            service for one in traces for service in {services.get(p, "") for p in one.processes}
        )
    elif key == "name":
        counter.update(span.name for span in _spans(context, traces))
    else:
        for line in context.store.lines_of(_spans(context, traces)).values():
            fields: dict[str, object] = orjson.loads(line)
            if key in fields and key != META_KEY:
                counter[str(fields[key])] += 1
    matching = ((value, count) for value, count in counter.most_common() if value)
    return [
        (value, count)
        for value, count in matching
        if value.startswith(beginning) and len(value) <= _LONGEST_VALUE
    ]


def _spans(context: Context, traces: Iterable[TraceSummary]) -> list[Span]:
    spans = (span for one in traces for span in context.store.spans_of(one.trace_id).spans)
    return list(islice(spans, _MOST_SPANS))


def _is_odd(name: str) -> bool:
    return not _NEEDS_QUOTES.isdisjoint(name)


def _quoted(value: str) -> str:
    if not _is_odd(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

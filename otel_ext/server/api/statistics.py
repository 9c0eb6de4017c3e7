"""Operations and errors over many traces, by service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.server.api.parameters import interval_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.server.api.context import Context
    from otel_ext.server.api.parameters import Values
    from otel_ext.store.protocol import ErrorGroup, StoredOperation

__all__ = ["errors", "operations"]

_LIMIT: Final = 200
# An exception's type and its text, as records have them.
_SEPARATOR: Final = ": "


class _Operation:
    """What is known so far of the spans of one service, name and kind."""

    def __init__(self) -> None:
        self.errors = self.open = self.total = self.longest = 0
        self.durations: dict[int, int] = {}
        self.last = ""

    def add(self, one: StoredOperation) -> None:
        """Add what one process has recorded."""
        self.errors += one.errors
        self.open += one.open
        self.total += one.total_ns
        self.longest = max(self.longest, one.longest_ns)
        self.last = self.last or one.latest_trace
        for duration, count in one.durations.items():
            self.durations[duration] = self.durations.get(duration, 0) + count


def operations(context: Context, values: Values) -> dict[str, object]:
    """Return the statistics of each operation, those that took longest in all first."""
    since, until = interval_in(values, context.now_ns())
    services = context.services()
    wanted = values.text("service")
    found: dict[tuple[str, str, str], _Operation] = {}
    for one in context.store.operations(since, until):
        service = services.get(one.process, "")
        if wanted and service != wanted:
            continue
        found.setdefault((service, one.name, one.kind), _Operation()).add(one)
    ordered = sorted(found.items(), key=lambda item: (-item[1].total, item[0]))
    return {
        "from_ns": str(since),
        "to_ns": str(until),
        "operations": [
            {
                "service": service,
                "name": name,
                "kind": kind,
                "count": sum(one.durations.values()) + one.open,
                "errors": one.errors,
                "open": one.open,
                **_percentiles(one.durations, one.longest),
                "max_ns": one.longest if one.durations else None,
                "total_ns": one.total,
                "slowest": None,
                "last": one.last or None,
                "buckets": sorted(one.durations.items()),
            }
            for (service, name, kind), one in ordered
        ],
    }


def _percentiles(durations: Mapping[int, int], longest: int) -> dict[str, int | None]:
    """Return the durations that so many in a hundred do not exceed, within 4.5 %."""
    total = sum(durations.values())
    ordered = sorted(durations.items())
    found: dict[str, int | None] = {}
    for percent in (50, 95, 99):
        below, value = 0, None
        for duration, count in ordered:
            below += count
            value = min(duration, longest)
            if below * 100 >= total * percent:
                break
        found[f"p{percent}_ns"] = value
    return found


def errors(context: Context, values: Values) -> dict[str, object]:
    """Return the errors by operation and text, the most frequent first, then the latest."""
    since, until = interval_in(values, context.now_ns())
    services = context.services()
    groups: dict[tuple[str, ...], ErrorGroup] = {}
    for one in context.store.errors(since, until):
        # A program that was started again is another process.
        key = (services.get(one.process, ""), one.name, one.file, str(one.line), one.text)
        groups[key] = _together(groups[key], one) if key in groups else one
    found = sorted(groups.values(), key=lambda one: (one.spans, one.last_ns), reverse=True)
    return {
        "errors": [
            {
                "type": kind if separator else "",
                "text": text if separator else one.text,
                "service": services.get(one.process, ""),
                "name": one.name,
                "place": f"{one.file}:{one.line}" if one.line else "",
                "count": one.spans,
                "first_ns": str(one.first_ns),
                "last_ns": str(one.last_ns),
                "trace_id": one.trace_id,
                "span_id": one.span_id,
            }
            for one in found[: values.number("limit", _LIMIT)]
            for kind, separator, text in (one.text.partition(_SEPARATOR),)
        ]
    }


def _together(one: ErrorGroup, other: ErrorGroup) -> ErrorGroup:
    """Return the errors of two groups as one, with the example of the later."""
    later = one if one.last_ns >= other.last_ns else other
    return later._replace(spans=one.spans + other.spans, first_ns=min(one.first_ns, other.first_ns))

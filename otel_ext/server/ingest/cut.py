"""Cuts records to the limits of a request, with the notes of the record format."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from otel_ext.record.model import UNKNOWN_CALL_SITE, Link, Record, Scope, SpanEvent
from otel_ext.record.sanitise.budget import left_out, unique
from otel_ext.record.sanitise.sanitiser import count_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.server.ingest.limits import IngestLimits

__all__ = ["cut", "cut_scope"]

Item = TypeVar("Item", Link, SpanEvent)

# Characters of JSON that each record repeats: one long text must not grow with their number.
_LONGEST_CALL_SITE: Final = 4_096
_LONGEST_SCOPE: Final = 1_024


def cut(record: Record, limits: IngestLimits) -> Record:
    """Return a record within the limits; itself if it is."""
    attributes, events, links = record.attributes, record.events, record.links
    if len(attributes) > limits.attributes:
        record = record._replace(attributes=_cut_fields(attributes, limits.attributes))
    if events:
        events = _cut_items(events, limits.events, limits.attributes)
        record = record if events is record.events else record._replace(events=events)
    if links:
        links = _cut_items(links, limits.links, limits.attributes)
        record = record if links is record.links else record._replace(links=links)
    if len(record.call_site.fragment) > _LONGEST_CALL_SITE:
        record = record._replace(call_site=UNKNOWN_CALL_SITE)
    return record


def cut_scope(scope: Scope | None) -> Scope | None:
    """Return the scope of many records, with a name that is not too long.

    >>> len(cut_scope(Scope("x" * 5_000)).name)
    1024
    """
    if scope is None or len(scope.name) + len(scope.version) <= _LONGEST_SCOPE:
        return scope
    name = scope.name[:_LONGEST_SCOPE]
    return Scope(name, scope.version[: _LONGEST_SCOPE - len(name)])


def _cut_fields(fields: Mapping[str, object], most: int) -> Mapping[str, object]:
    if len(fields) <= most:
        return fields
    kept = dict(islice(fields.items(), most))
    kept[unique("…", kept, {})] = left_out(len(fields), most, "keys")
    return kept


def _cut_items(items: tuple[Item, ...], most: int, most_fields: int) -> tuple[Item, ...]:
    """Return events or links; the last one counts those that are too many."""
    if len(items) <= most and max(len(item.attributes) for item in items) <= most_fields:
        return items
    kept = items if len(items) <= most else items[: most - 1]
    made = [item._replace(attributes=_cut_fields(item.attributes, most_fields)) for item in kept]
    if len(items) > most:
        made.append(count_of(items[most - 1], len(items) - most + 1))
    return tuple(made)

"""Writes event records whose data may not change on the way, not even by redaction.

Each destination is asked first what it would make of the record. Only if all of them keep
the data as they are, the record is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.inflight.event_records import event_record
from otel_ext.inflight.origin import NOWHERE
from otel_ext.inflight.tracker import event_senders
from otel_ext.record.entities import ENTITY
from otel_ext.record.model import EMPTY, PlainAttributes
from otel_ext.record.sanitise.sanitiser import marked_safe
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.fork import check_process

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.inflight.origin import Origin
    from otel_ext.record.entities import Entity
    from otel_ext.record.model import Record
    from otel_ext.record.sanitise.sanitiser import Sanitiser

__all__ = ["ExactData", "ExactOutcome", "write_exact_event"]

# What counts a record that its caller's thread could not hand over.
_LOSSES: Final = (
    "dropped.queue_full",
    "dropped.write_failed",
    "dropped.encode_failed",
    "dropped.not_written",
    "dropped.closed",
    "dropped.forked",
    "dropped.hook_failed",
    "dropped.exporter_hangs",
    "reduced",  # written without its data
)
_ID: Final = "entity.id"


class ExactData(NamedTuple):
    """The data of such a record.

    Attributes:
        attributes: Plain data, at the top level of the line.
        size: About how many bytes they have as JSON.
        flat: All the texts and numbers in them by their paths, for a fast check; None if that
            would not tell all, as for lists.
    """

    attributes: Mapping[str, object]
    size: int
    flat: Mapping[str, object] | None = None


class ExactOutcome(NamedTuple):
    """What has become of such a record.

    Attributes:
        is_written: Whether each destination has accepted it. False also if a record of another
            thread was dropped at the same moment.
        altered: What a destination would have made of it; None if all keep it as it is.
    """

    is_written: bool
    altered: Record | None = None


def write_exact_event(
    name: str, data: ExactData, *, entity: Entity, origin: Origin = NOWHERE
) -> ExactOutcome:
    """Write an event record to each destination, if all of them keep its data as they are.

    It runs on the caller's thread. An exporter that redacts by itself (`RedactingExporter`)
    is not asked.

    Args:
        name: The event's name.
        data: The data.
        entity: The entity that the record is about.
        origin: Where it comes from.

    >>> from otel_ext.record.entities import Entity
    >>> data = ExactData({"state": {"done": 3}}, 20, {"state.done": 3})
    >>> write_exact_event("checkpoint", data, entity=Entity("checkpoint", "import")).altered
    """
    check_process()
    senders = event_senders()
    if not senders:
        return ExactOutcome(is_written=False)
    meta: dict[str, object] = {ENTITY: entity.as_metadata()}
    record = event_record(name, data.attributes, EMPTY, origin)
    safe: list[Record] = []
    for tracker in senders:
        clean = _checked(tracker.sanitiser, record, data, entity, meta)
        if clean.attributes != data.attributes or clean.extra != meta:
            return ExactOutcome(is_written=False, altered=clean)
        safe.append(clean)
    before = _lost()
    for tracker, clean in zip(senders, safe, strict=True):
        tracker.begin()
        tracker.emit_safe(clean)
    return ExactOutcome(is_written=_lost() == before)


def _checked(
    sanitiser: Sanitiser,
    record: Record,
    data: ExactData,
    entity: Entity,
    meta: Mapping[str, object],
) -> Record:
    """Return the record as `sanitiser` makes it safe."""
    record = record._replace(process=sanitiser.process(record.process))
    if data.flat is not None and _ID not in data.flat:
        fields = PlainAttributes(data.flat)
        fields[_ID] = entity.id
        if sanitiser.check(record._replace(attributes=fields)):
            attributes = PlainAttributes(data.attributes)
            attributes.size, attributes.nested = data.size, len(fields)
            return record._replace(attributes=attributes, extra=marked_safe(meta))
    return sanitiser.sanitise(record._replace(extra=meta))


def _lost() -> tuple[int, ...]:
    return tuple(map(COUNTERS.value, _LOSSES))

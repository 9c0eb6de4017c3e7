"""`record_event`: emits an event to subscribers, and writes it to the program's records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.events.bus import emit
from otel_ext.inflight.event_records import write_event
from otel_ext.inflight.origin import origin_here
from otel_ext.record.model import EMPTY
from otel_ext.runtime.guard import report_problem
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.inflight.origin import Origin

__all__ = ["record_event"]


def record_event(
    name: str,
    measurements: Mapping[str, float] = EMPTY,  # type: ignore[assignment]
    metadata: Mapping[str, object] = EMPTY,
    *,
    origin: Origin | None = None,
) -> None:
    """Emit an event, and write it as a record of kind `event`; never raises.

    `otel-ext events` and the store find it by its name, time, trace and process, and by the
    metadata `correlation_id`. Without a configured processor only subscribers get it.

    Args:
        name: Such as `cache.miss`. A dot separates groups, for prefixes.
        measurements: Numbers; at the top level of the record, beside the metadata.
        metadata: Facts. A fact with the name of a measurement is left out of the record.
        origin: Where it comes from; by default the caller's span, call site and thread.

    >>> record_event("cache.full", {"size": 3}, {"cache": "pages"})
    """
    emit(name, measurements, metadata)
    try:
        attributes = {**metadata, **measurements}
        write_event(name, attributes, origin=origin_here(2) if origin is None else origin)
    except Exception as error:  # noqa: BLE001 - such as metadata that are not a mapping
        report_problem(f"the event {short_repr(name)} is not recorded", error)

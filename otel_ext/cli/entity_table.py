"""Formats entities, such as registered agents, as a table that fits the terminal, or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.exporters.console.attributes import PLAIN_WIDTH, format_attributes
from otel_ext.observe.location import opened_at
from otel_ext.readable import duration
from otel_ext.record.sanitise.values import encode_object
from otel_ext.record.timestamps import format_ns
from otel_ext.terminal.canvas import STATE_STYLES
from otel_ext.terminal.table import Column, table_lines
from otel_ext.terminal.text import LONGEST, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_ext.observe.entities import ObservedEntity
    from otel_ext.terminal.canvas import Canvas

__all__ = ["entity_json", "entity_lines"]

_SECOND: Final = 1_000_000_000
_OTHERS: Final = (
    Column("PROCESS", share=0.2),
    Column("SPAN", share=0.25),
    Column("WHERE", share=0.25, optional=1, least=16),
    Column("ATTRIBUTES", share=0.2, optional=2, least=12),
)


def entity_lines(
    entities: Sequence[ObservedEntity],
    kind: str,
    canvas: Canvas,
    *,
    branches: Sequence[str] = (),
) -> Iterator[str]:
    """Yield the headings and one line for each entity, without newlines.

    Args:
        entities: The entities.
        kind: Their type, for the heading.
        canvas: Width and colors.
        branches: What to draw before each id, if they are a tree; none by default.
    """
    columns = (
        Column("AGE", is_number=True),
        Column("STATE"),
        Column(printable(kind).upper(), share=0.3),
        *_OTHERS,
    )
    drawn = branches or [""] * len(entities)
    rows = [_row(branch, one) for branch, one in zip(drawn, entities, strict=True)]
    styles = [STATE_STYLES.get(one.state, "") for one in entities]
    kept = [at for at in range(len(columns)) if at <= 2 or any(row[at] for row in rows)]  # noqa: PLR2004
    yield from table_lines(
        [columns[at] for at in kept], [[row[at] for at in kept] for row in rows], canvas, styles
    )


def _row(branch: str, one: ObservedEntity) -> tuple[str, ...]:
    span = one.span
    current = f"{span.record.name} {duration(span.age_ns)}" if span is not None else ""
    return (
        duration(one.age_ns),
        one.state,
        branch + printable(one.entity.id, LONGEST),
        printable(one.process.label, LONGEST),
        printable(current, LONGEST),
        printable(_where(one), LONGEST),
        format_attributes(one.record.attributes, PLAIN_WIDTH),
    )


def _where(one: ObservedEntity) -> str:
    """Return where its span is, else where its newest record was made."""
    if one.span is not None and one.span.location.frame.file:
        location = one.span.location
        return f"{'at' if location.is_now else 'opened'} {location.frame}"
    made = str(opened_at(one.record))
    return f"made {made}" if made else ""


def entity_json(one: ObservedEntity) -> bytes:
    """Return one entity as a JSON object in UTF-8, with the keys that the docs list."""
    record, span = one.record, one.span
    current = None
    if span is not None:
        current = {
            "trace_id": span.record.trace_id,
            "span_id": span.record.span_id,
            "name": span.record.name,
            "state": span.state,
            "age_seconds": span.age_ns / _SECOND,
            "where": {**span.location.frame.as_dict(), "now": span.location.is_now},
        }
    fields: dict[str, object] = {
        "type": one.entity.type,
        "id": one.entity.id,
        "state": one.state,
        "age_seconds": one.age_ns / _SECOND,
        "recorded": format_ns(record.time_ns),
        "process": one.process.as_dict(),
        "span": current,
        "made": opened_at(record).as_dict(),
        "thread": record.thread.name if record.thread else None,
        "task": record.task.name if record.task else None,
        "attributes": record.attributes,
    }
    return encode_object(fields)

"""Selects spans of a trace by name, duration and outcome."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from otel_ext.cli.arguments import seconds
from otel_ext.cli.commands.tree.forest import has_failed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from otel_ext.observe.snapshot import ObservedSpan
    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Record

__all__ = ["SpanFilter", "add_filters"]


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add the options that select spans; the spans above a selected one are shown with it."""
    parser.add_argument("--name", metavar="GLOB", help="only spans of this name (*, ?, [...])")
    parser.add_argument(
        "--slower", metavar="SECONDS", type=seconds, help="only spans that took at least this long"
    )
    parser.add_argument("--errors", action="store_true", help="only spans that failed")
    parser.add_argument("--running", action="store_true", help="only spans that run now")
    parser.add_argument(
        "--lost", action="store_true", help="only spans without an end because their process died"
    )


class SpanFilter:
    """Keeps the spans that meet all conditions, and the spans above them.

    Args:
        args: The options of `add_filters`; without any, all spans are kept.
        running: The open spans, by key.
    """

    def __init__(self, args: argparse.Namespace, running: Mapping[SpanKey, ObservedSpan]) -> None:
        def is_lost(record: Record) -> bool:
            one = running.get(record.key)
            return record.abandoned is not None or (one is not None and one.state == "lost")

        def took(record: Record) -> float:
            if record.phase == "end":
                return (record.time_ns - record.start_ns) / 1e9
            one = running.get(record.key)
            return 0.0 if one is None else one.age_ns / 1e9

        self._matched: set[str] = set()
        self._conditions: list[Callable[[Record], bool]] = []
        if args.name is not None:
            self._conditions.append(lambda record: fnmatchcase(record.name, args.name))
        if args.slower is not None:
            self._conditions.append(lambda record: took(record) >= args.slower)
        if args.errors:
            self._conditions.append(has_failed)
        if args.running:
            self._conditions.append(lambda record: record.phase != "end" and not is_lost(record))
        if args.lost:
            self._conditions.append(is_lost)

    @property
    def matched(self) -> frozenset[str] | None:
        """Ids of the spans that met the conditions; None if all spans are kept."""
        return frozenset(self._matched) if self._conditions else None

    def apply(self, records: Sequence[Record]) -> list[Record]:
        """Return the matching records of one trace, and the records above them."""
        if not self._conditions:
            return list(records)
        by_id = {record.span_id: record for record in records}
        kept: dict[str, Record] = {}
        for record in records:
            if not all(condition(record) for condition in self._conditions):
                continue
            self._matched.add(record.span_id)
            above: Record | None = record
            while above is not None and above.span_id not in kept:
                kept[above.span_id] = above
                above = by_id.get(above.parent_span_id)
        return list(kept.values())

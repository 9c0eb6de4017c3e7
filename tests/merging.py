"""Merges records that a test has at once; the product takes them one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.record.merge import Merger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Record


def merge(records: Iterable[Record]) -> dict[SpanKey, Record]:
    """Return the winning record of each span in `records`, which are in any order."""
    merger = Merger()
    for record in records:
        merger.add(record)
    return dict(merger.spans)

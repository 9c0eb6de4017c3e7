"""Records of spans as the exporter writes them, and files of them, for measures of reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.shapes import FOUR
from otel_ext.record.codec import encode_line
from otel_ext.record.model import CallSite, Process, Record, Scope, Status, ThreadInfo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["records", "write_records"]

_PROCESS = Process("b00tb00t-4711-123456-cafe0001")
_BEGIN_NS = 1_790_000_000_000_000_000


def records(count: int) -> Iterator[Record]:
    """Yield a start and an end for each span; each trace is a chain of ten spans.

    Args:
        count: How many records.
    """
    call_site = CallSite("shop/orders.py", 42, "Orders.store")
    scope = Scope("shop.orders", "1.4")
    thread = ThreadInfo(140_211_765_123_776, "MainThread")
    for number in range(count // 2):
        start = Record(
            "span",
            "start",
            "GET /orders/{id}",
            _BEGIN_NS + number * 1_000_000,
            2 * number + 1,
            _PROCESS,
            call_site,
            FOUR,
            f"{number // 10 + 1:032x}",
            f"{number + 1:016x}",
            f"{number:016x}" if number % 10 else "",
            "server",
            scope,
            thread=thread,
        )
        yield start
        yield start._replace(
            phase="end",
            seq=2 * number + 2,
            start_ns=start.time_ns,
            time_ns=start.time_ns + 800_000,
            status=Status("unset"),
        )


def write_records(path: Path, count: int) -> None:
    """Write `count` records into a file."""
    with path.open("wb") as file:
        file.writelines(map(encode_line, records(count)))

"""The records of an hour of four services, for measures of the store and of the server."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from otel_ext.record.model import CallSite, Process, Record, Scope, Status, ThreadInfo
from otel_ext.runtime.process.records import process_start_record

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BEGIN_NS", "HOUR_NS", "RARE", "SPANS_PER_TRACE", "records_of_an_hour"]

_SECOND: Final = 10**9
BEGIN_NS: Final = 1_795_780_800 * _SECOND
"""When the hour begins, nanoseconds since the epoch."""

HOUR_NS: Final = 3_600 * _SECOND
SPANS_PER_TRACE: Final = 20

RARE: Final = "7e57ab1e"
"""The attribute `request.id` of one span."""

_PROCESSES: Final = tuple(
    Process(f"b00tb00t-{pid}-1-cafe000{pid}", pid=pid, resource={"service.name": f"service-{pid}"})
    for pid in range(1, 5)
)
_OPERATIONS: Final = tuple(f"GET /api/v1/resource{number}" for number in range(80))


def records_of_an_hour(count: int) -> Iterator[Record]:
    """Yield the start of each process, then a start and an end of each span.

    Args:
        count: How many spans.
    """
    random = Random(7)  # noqa: S311 - the same records each time
    numbers = [1] * len(_PROCESSES)
    for process in _PROCESSES:
        yield process_start_record(process, 1)._replace(time_ns=BEGIN_NS)
    for trace in range(max(count // SPANS_PER_TRACE, 1)):
        at = trace % len(_PROCESSES)
        begin = BEGIN_NS + trace * HOUR_NS * SPANS_PER_TRACE // max(count, SPANS_PER_TRACE)
        trace_id = f"{random.getrandbits(128) | 1:032x}"
        ids = [f"{random.getrandbits(64) | 1:016x}" for _ in range(SPANS_PER_TRACE)]
        for place, span_id in enumerate(ids):
            numbers[at] += 2
            operation = random.randrange(20) * 4 + at
            start = Record(
                "span",
                "start",
                _OPERATIONS[operation],
                begin + place * 1_000_000,
                numbers[at],
                _PROCESSES[at],
                CallSite("shop/views.py", 10 + operation, "view"),
                {
                    "http.request.method": "GET",
                    "http.route": _OPERATIONS[operation][4:],
                    "http.response.status_code": 200,
                    "user.id": random.randrange(100_000),
                    "request.id": RARE if trace == place == 0 else f"{random.getrandbits(32):08x}",
                    "db.query.text": "SELECT id, name FROM items WHERE id = $1",
                },
                trace_id,
                span_id,
                ids[(place - 1) // 2] if place else "",
                "server",
                Scope("shop", "1.4"),
                thread=ThreadInfo(140_211_765_123_776, "MainThread"),
            )
            yield start
            took = int(random.lognormvariate(0, 0.6) * (operation + 3) * 100_000)
            failed = random.random() < 0.01  # noqa: PLR2004 - one in a hundred
            yield start._replace(
                phase="end",
                seq=start.seq + 1,
                start_ns=start.time_ns,
                time_ns=start.time_ns + took,
                status=Status("error", "out of stock") if failed else Status("unset"),
            )

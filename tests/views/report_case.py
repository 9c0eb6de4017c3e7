"""The records behind the files in `tests/cases/report`; run as a module, writes these files."""

from __future__ import annotations

import gzip
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from otel_ext.analysis.errors import errors_in, group_errors
from otel_ext.analysis.traces.forest import Forest, Observed
from otel_ext.analysis.traces.times import times_of
from otel_ext.formats.write.written import TraceToWrite
from otel_ext.observe.process_names import ProcessName
from otel_ext.record.codec import encode_line
from otel_ext.record.model import META_KEY, CallSite, Link, Process, Record, SpanEvent, Status
from otel_ext.views.report_cut import cut
from otel_ext.views.report_data import LoggedTrace, report_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.analysis.traces.span import State
    from otel_ext.analysis.traces.tree import TraceTree

__all__ = ["ERRORS", "FILE", "document", "errors", "plain"]

_CASES: Final = Path(__file__).parent.parent / "cases" / "report"
FILE: Final = _CASES / "states.json"
ERRORS: Final = _CASES / "errors.json"
_START_NS: Final = 1_792_000_000_000_000_000
_MS: Final = 1_000_000
_NOW_NS: Final = _START_NS + 1_000 * _MS
_SHOP = Process("shop-1", 11)
_BANK = Process("bank-1", 12)
_MAIL = Process("mail-1", 13)
_NAMES: Final = {
    "shop-1": ProcessName(11, "shop", "shop.py"),
    "bank-1": ProcessName(12, "bank", "bank.py"),
    "mail-1": ProcessName(13, "", "mail.py"),
}
_FIRST: Final = "a" * 32
_DEEP: Final = "b" * 32
_STACK: Final = (
    "Traceback (most recent call last):\n"
    '  File "shop/pay.py", line 58, in charge\n    post(amount)\n'
    '  File "/usr/lib/python3.12/site-packages/client/api.py", line 9, in post\n'
    "    raise Declined(reason)\nclient.api.Declined: no cover\n"
)


def _key(number: int, trace_id: str = _FIRST) -> tuple[str, str]:
    return trace_id, f"{number:016x}"


def _begun(name: str, number: int, at: float, process: Process = _SHOP, **fields: Any) -> Record:  # noqa: ANN401 - any field of a record
    """Return the start of a span, `at` milliseconds after the first."""
    parent = fields.pop("parent", 1)
    record = Record(
        "span",
        "start",
        name,
        _START_NS + round(at * _MS),
        number,
        process,
        CallSite("shop/app.py", 10 + number, name.split(maxsplit=1)[0]),
        trace_id=_FIRST,
        span_id=f"{number:016x}",
        parent_span_id=f"{parent:016x}" if parent else "",
        span_kind="internal",
    )
    return record._replace(**fields)


def _ended(
    name: str,
    number: int,
    at: float,
    until: float,
    process: Process = _SHOP,
    error: str = "",
    **fields: Any,  # noqa: ANN401 - any field of a record
) -> Record:
    begun = _begun(name, number, at, process, **fields)
    return begun._replace(
        phase="end",
        start_ns=begun.time_ns,
        time_ns=_START_NS + round(until * _MS),
        status=Status("error", error) if error else Status("unset"),
    )


def _records() -> Iterator[Record]:
    """Yield spans in every state; the numbers are those of the rows in the viewer's tests."""
    attributes = {"user.id": 2**53 + 1, "order.id": 2**63 - 1, "ratio": 0.5, "sku": ["a", 1]}
    yield _begun("POST /checkout", 1, 0, parent=0, span_kind="server", attributes=attributes)
    yield _ended("load cart", 2, 4, 96, links=(Link(_DEEP, f"{1:016x}", {"why": "same user"}),))
    exception = {"exception.type": "client.api.Declined", "exception.message": "no cover"}
    exception["exception.stacktrace"] = _STACK
    events = (
        SpanEvent("retry", _START_NS + 130 * _MS, {"attempt": 2**60}),
        SpanEvent("exception", _START_NS + 190 * _MS, exception),
    )
    yield _ended("charge", 3, 100, 200, error="no cover", events=events)
    yield _ended("POST bank", 4, 110, 180, parent=3, error="HTTP 402", span_kind="client")
    yield _ended("POST /charges", 5, 115, 175, _BANK, parent=4, error="HTTP 402")
    yield _ended("fallback", 6, 205, 240)
    yield _ended("look up", 7, 206, 210, parent=6, error="not found")
    yield _ended("parse", 16, 207, 209, parent=7, error="not found")
    yield _ended("look up", 17, 212, 213, parent=6, error="not found")
    yield _ended("look up", 18, 320, 321, error="not found")
    yield _ended("vouchers", 8, 206, 230, extra={"cancelled": True})
    yield _ended("reserve", 9, 210, 400, abandoned="garbage-collected")
    yield _begun("wait for lock", 10, 250)
    yield _begun("write", 11, 260, _BANK)
    yield _begun("compute", 12, 270, _BANK)
    yield _begun("notify", 13, 280, _MAIL)
    yield _begun("watch", 14, 290)
    yield _ended("audit", 15, 300, 310, _BANK, parent=99)
    for number, parent in ((1, 0), (2, 1), (3, 2), (4, 1)):
        yield _ended(
            f"level {parent}", number, 500 + number, 600 - number, trace_id=_DEEP, parent=parent
        )


_STATES: Final[dict[tuple[str, str], State]] = {
    _key(1): "running",
    _key(10): "stalled",
    _key(11): "blocked",
    _key(12): "hung",
    _key(13): "lost",
}


def _logs(trace_id: str) -> list[Record]:
    if trace_id != _FIRST:
        return []
    first = Record("log", None, "card declined", _START_NS + 190 * _MS, 50, _SHOP, level="error")
    first = first._replace(trace_id=_FIRST, span_id=f"{3:016x}", attributes={"code": 2**53 + 1})
    event = Record("event", None, "cart.loaded", _START_NS + 90 * _MS, 51, _SHOP)
    return [event._replace(trace_id=_FIRST, span_id=f"{2:016x}"), first._replace(span_id="")]


def _logged(tree: TraceTree) -> LoggedTrace:
    records = {record.key: record for record in _records()}
    trace = TraceToWrite(tree, times_of(tree), records, _NAMES)
    kept = cut(tree, 3) if tree.trace_id == _DEEP else None
    return LoggedTrace(trace, _logs(tree.trace_id), kept=kept)


def _trees() -> tuple[TraceTree, ...]:
    forest = Forest()
    for record in _records():
        forest.add(orjson.loads(encode_line(record))[META_KEY])
    seen = {"shop-1": _NOW_NS, "bank-1": _NOW_NS, "mail-1": _START_NS + 700 * _MS}
    # Which process opened a span does not matter here: no id is used twice.
    states: dict[tuple[str, str, str], State] = {
        (process, *key): state for key, state in _STATES.items() for process in seen
    }
    return tuple(forest.trees(Observed(states, seen)))


def document() -> bytes:
    """Return the document that is written now."""
    return report_document(
        [_logged(tree) for tree in _trees()],
        where={**dict.fromkeys(_STATES, ""), _key(10): "shop/locks.py:41 wait"},
        note="left out: 1 span beyond 19",
        written_ns=_NOW_NS,
    )


def errors() -> dict[str, Any]:
    """Return the errors of the first trace, as the terminal finds them."""
    tree, services = _trees()[0], {name: one.service for name, one in _NAMES.items()}
    return {
        "errors": [one._asdict() for one in errors_in(tree)],
        "groups": [
            {**one.operation._asdict(), "text": one.text, "errors": one.errors}
            | {"swallowed": one.swallowed}
            for one in group_errors([tree], services)
        ],
    }


def plain(data: bytes) -> dict[str, Any]:
    """Return a document without what depends on the machine; its details are inflated."""
    found: dict[str, Any] = orjson.loads(data)
    found["zone"] = "+01:00"
    found["chunks"] = {
        name: orjson.loads(gzip.decompress(b64decode(chunk)))
        for name, chunk in found["chunks"].items()
    }
    return found


if __name__ == "__main__":
    written = orjson.loads(document())
    ERRORS.write_bytes(orjson.dumps(errors(), option=orjson.OPT_INDENT_2))
    FILE.write_bytes(orjson.dumps({**written, "zone": "+01:00"}, option=orjson.OPT_INDENT_2))

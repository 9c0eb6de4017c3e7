"""Which spans link to a span: what every store answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.store.records import NOON, SECOND, span_line
from tests.store.stores import PAIRS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.store.stores import Pair

DAY = 86_400 * SECOND


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Return an empty store of each kind."""
    with PAIRS[request.param]() as opened:
        yield opened


def linking(pair: Pair, trace: int = 1, span: int = 1, limit: int = 10) -> list[tuple[int, int]]:
    """Return the numbers of the traces and spans that link to a span."""
    found = pair.store.linking_to(f"{trace:032x}", f"{span:016x}", limit)
    return [(int(trace_id, 16), int(span_id, 16)) for trace_id, span_id in found]


def test_links_from_any_trace_and_day(pair: Pair) -> None:
    """The trace that started last comes first, then ids decide; the span itself may be unknown."""
    pair.write(
        span_line("end", 9, trace=4, at=NOON + SECOND, links=[(1, 1), (1, 2)]),
        span_line("end", 8, trace=4, seq=2, at=NOON + 2 * SECOND, links=[(1, 1)]),
        span_line("start", 1, trace=2, seq=3, at=NOON + 5 * SECOND, links=[(1, 1)]),
    )
    pair.write(span_line("end", 7, trace=3, seq=4, at=NOON - DAY, links=[(1, 1)]))
    assert linking(pair) == [(2, 1), (4, 8), (4, 9), (3, 7)]
    assert linking(pair, limit=3) == [(2, 1), (4, 8), (4, 9)]
    assert linking(pair, limit=1) == [(2, 1)]
    assert linking(pair, span=2) == [(4, 9)]
    assert linking(pair, trace=2) == []
    assert pair.store.linking_to("no", "ids", 10) == []


def test_links_that_are_written_again(pair: Pair) -> None:
    """A span is named once: after its start and its end, a repeat, and records of two processes."""
    start = span_line("start", 2, links=[(1, 1)])
    end = span_line("end", 2, seq=2, links=[(1, 1), (1, 1), (1, 3)])
    for lines in ([start], [end], [start, end], [span_line("end", 2, process="q", links=[(1, 1)])]):
        pair.write(*lines)
    assert linking(pair) == [(1, 2)]
    assert linking(pair, span=3) == [(1, 2)]


def test_more_links_than_are_kept(pair: Pair) -> None:
    """Of one record, 128 links are known."""
    pair.write(span_line("end", 2, links=[(1, n) for n in range(1_000)]))
    assert [n for n in range(1_000) if linking(pair, span=n)] == list(range(128))


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        {"trace_id": f"{1:032x}", "span_id": f"{1:016x}"},
        [None, 7, "link", [], {}],
        [{"trace_id": f"{1:032x}"}, {"trace_id": 1, "span_id": 1}],
        [{"trace_id": f"{1:031x}", "span_id": f"{1:017x}"}],
        [{"trace_id": f"{171:032X}", "span_id": f"{1:016x}"}, {"trace_id": "x", "span_id": "y"}],
    ],
)
def test_links_of_another_form(pair: Pair, odd: object) -> None:
    """What is not a link is left out, and its record is stored all the same."""
    record = json.loads(span_line("end", 2, links=[(1, 5)]))
    meta = record["__tracer_meta__"]
    meta["links"] = [*odd, *meta["links"]] if isinstance(odd, list) else odd
    pair.write(json.dumps(record).encode())
    assert pair.store.totals().spans == 1
    assert linking(pair) == linking(pair, trace=171) == []
    assert linking(pair, span=5) == ([(1, 2)] if isinstance(odd, list) else [])

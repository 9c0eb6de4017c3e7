"""Received records have processes and numbers that stay the same, and never meet by chance."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope

from otel_ext.record.decode import decode_line
from otel_ext.record.merge import Merger
from otel_ext.server.ingest.numbers import Numbers
from otel_ext.server.ingest.otlp.traces import read_traces
from tests.server.ingest.otlp_requests import NOW, key_values, numbers, span, spans_request

if TYPE_CHECKING:
    from otel_ext.record.model import Record

SHOP = {"service.name": "shop", "process.pid": 7}


def records_of(body: bytes, by: Numbers) -> list[Record]:
    """Return the records of a request with spans."""
    return [decode_line(line) for line in read_traces(body, by).lines.splitlines()]


def test_a_resource_has_the_same_process_in_all_requests_and_runs() -> None:
    """The order of its attributes does not matter; another resource is another process."""
    again = dict(reversed(SHOP.items()))
    ids = [
        {record.process.id for record in records_of(body.SerializeToString(), numbers())}
        for body in (
            spans_request([span()], SHOP),
            spans_request([span(), span()], again),
            spans_request([span()], {**SHOP, "process.pid": 8}),
        )
    ]
    assert [len(one) for one in ids] == [1, 1, 1]
    assert ids[0] == ids[1] != ids[2]


def test_each_request_introduces_its_process_once() -> None:
    """Before its first record, so that the lines need no others; all introductions are alike."""
    body = spans_request([span(), span()], SHOP)
    body.MergeFrom(spans_request([span(name="other scope")], SHOP))
    by = numbers()
    found = records_of(body.SerializeToString(), by)
    assert [record.event for record in found] == [
        *("process.start", "work.end", "work.end", "other scope.end")
    ]
    start = found[0]
    assert (start.seq, start.time_ns, start.extra["pid"]) == (0, NOW, 7)
    later = records_of(spans_request([span(name="x")], SHOP).SerializeToString(), by)
    assert later[0] == start


def test_a_process_that_has_no_record_is_not_introduced() -> None:
    """If all its spans are rejected, or if it has none."""
    assert not records_of(
        spans_request([span(name="x", trace_id=b"")]).SerializeToString(), numbers()
    )
    assert not records_of(spans_request([], SHOP).SerializeToString(), numbers())


@pytest.mark.parametrize(
    ("name", "is_kept"),
    [("5f3c-4711-889012-c0ffee42", True), ("../../x", False), ("x" * 129, False), (7, False)],
)
def test_a_scope_may_name_the_process(name: object, is_kept: bool) -> None:
    """As our exporter does; only a valid id is one."""
    scope = InstrumentationScope(name="lib", attributes=key_values({"otel_ext.process": name}))
    found = records_of(spans_request([span()], SHOP, scope).SerializeToString(), numbers())
    ids = {record.process.id for record in found}
    assert (ids == {name}) is is_kept
    assert len(ids) == 1


def test_numbers_go_on_after_a_restart() -> None:
    """They are the time of arrival in microseconds, which a JavaScript number can hold."""
    first = Numbers(clock=lambda: NOW)
    assert first.first_of(b"a", 10_000) == NOW // 1_000
    assert first.first_of(b"b", 1) == NOW // 1_000 + 10_000
    restarted = Numbers(clock=lambda: NOW + 10**9)
    assert restarted.first_of(b"c", 1) == NOW // 1_000 + 10**6
    assert NOW // 1_000 < 2**53


def test_numbers_of_many_threads_are_distinct() -> None:
    """One object numbers the requests of all."""
    by = numbers()
    found: list[int] = []

    def take(name: int) -> None:
        found.extend(by.first_of(b"%d %d" % (name, n), 3) for n in range(200))

    threads = [Thread(target=take, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({first + at for first in found for at in range(3)}) == 4 * 200 * 3


def test_a_request_that_is_sent_again_is_a_copy() -> None:
    """A sender that did not get the answer sends the same bytes; other requests between."""
    by = Numbers(clock=lambda: NOW)
    body = spans_request([span(), span(span_id=b"abcdefgh")], SHOP).SerializeToString()
    first = read_traces(body, by)
    for n in range(500):
        by.first_of(b"%d" % n, 1)
    assert read_traces(body, by) == first


def test_a_span_that_is_sent_again_counts_once() -> None:
    """Also in another request, after its end, or out of order: by the merge rule."""
    by = Numbers(clock=lambda: NOW)
    start = spans_request([span(end_time_unix_nano=0)], SHOP).SerializeToString()
    end = spans_request([span()], SHOP).SerializeToString()
    both = spans_request([span(), span(end_time_unix_nano=0)], SHOP).SerializeToString()
    merger = Merger()
    for body in (end, start, both, end):
        for record in records_of(body, by):
            merger.add(record)
    (one,) = merger.spans.values()
    assert (one.phase, one.start_ns, one.time_ns) == ("end", NOW, NOW + 5_000)


def test_of_two_starts_the_later_one_counts() -> None:
    """A sender of unfinished spans may send them again with more attributes."""
    by = Numbers(clock=lambda: NOW)
    merger = Merger()
    for n in (1, 2):
        open_span = span(end_time_unix_nano=0, attributes={"n": n})
        for record in records_of(spans_request([open_span]).SerializeToString(), by):
            merger.add(record)
    (one,) = merger.spans.values()
    assert one.attributes == {"n": 2}

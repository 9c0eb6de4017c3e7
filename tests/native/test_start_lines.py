"""The start of a span as its line: the same as from a record, which is made when asked."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation import set_span_in_context

from otel_ext._accel import load_speed
from otel_ext.exporters import CompatExporter, JsonlExporter
from otel_ext.inflight.settings import InflightSettings
from otel_ext.inflight.table import span_key
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.record.codec import encode_line
from otel_ext.record.model import META_KEY, PlainAttributes, Record
from otel_ext.redaction.redactor import Redactor
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.listeners import LISTENERS
from tests.processors.spans import Recorder, provider_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import Span

    from otel_ext.inflight.table import Entry

pytestmark = pytest.mark.skipif(load_speed() is None, reason="the compiled part was not built")

SECRET = "Bearer abcdefghijklmnopqrst"  # noqa: S105 - what redaction finds
texts = st.sampled_from(["GET", "/orders/12", 'say "hi"', "é", "", SECRET, "x" * 5_000, "\ud800"])
values = st.one_of(
    texts,
    st.integers(-(2**65), 2**65),
    st.floats(),
    st.booleans(),
    st.lists(st.integers(0, 9), max_size=3),
)
keys = st.sampled_from(["http.method", "password", "n", "url.path", "timestamp", "é"])
attributes = st.dictionaries(keys, values, max_size=4)


class Ways:
    """Two processors of the same spans: one writes lines, the other makes records."""

    def __init__(self, *, redacts: bool = True, **options: Any) -> None:  # noqa: ANN401
        redactors = [Redactor() if redacts else None for _ in range(2)]
        self.path = Path(mkdtemp(), "trace.jsonl")
        self.compat = False
        journal = JsonlExporter(self.path, durability="write")
        exporter = CompatExporter(journal, enabled=partial(getattr, self, "compat"))
        self.lines = LifecycleSpanProcessor(exporter, redactor=redactors[0], **options)
        self.recorder = Recorder()
        records = LifecycleSpanProcessor(self.recorder, redactor=redactors[1])
        self.provider = provider_of(self.lines, records)
        self.tracer = self.provider.get_tracer("tests.scope", "1")
        self.start().end()  # until open spans are watched, Python is called
        self.read_bytes = 0
        self.forget()

    def forget(self) -> None:
        """Forget what was written and recorded so far."""
        self.written()
        self.recorder.clear()

    def switch(self, compat: str) -> None:
        """Switch compat mode `on` or `off`."""
        self.compat = compat == "on"

    def meet(self, attributes: dict[str, Any]) -> None:
        """Make a span with these attributes: keys and texts that are new need Python once."""
        self.start(attributes=attributes).end()
        self.forget()

    def start(self, name: str = "GET /orders", **options: Any) -> Any:  # noqa: ANN401
        """Start a span."""
        return self.tracer.start_span(name, **options)

    def entry(self, span: Span) -> Entry:
        """Return what the table of the first one keeps of an open span."""
        entry = self.lines.tracker.table.get(span_key(span.get_span_context()))
        assert entry is not None
        return entry

    def is_line(self, span: Span) -> bool:
        """Return whether that is a line."""
        return not isinstance(self.entry(span).kept, Record)

    def written(self) -> list[dict[str, Any]]:
        """Return the new lines of spans in the file."""
        self.provider.force_flush()
        new = self.path.read_bytes()[self.read_bytes :]
        self.read_bytes += len(new)
        lines = map(json.loads, new.splitlines())
        return [numberless(line) for line in lines if line[META_KEY]["kind"] == "span"]

    def recorded(self) -> list[dict[str, Any]]:
        """Return what the lines of the other one's new records would be."""
        lines = [numberless(json.loads(encode_line(one))) for one in self.recorder.spans]
        self.recorder.clear()
        return lines


def numberless(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line without the number of the record, since each processor takes one."""
    del line[META_KEY]["seq"]
    return line


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "redacting"])
def both(request: pytest.FixtureRequest) -> Iterator[Ways]:
    """Provide both ways, with and without redaction."""
    ways = Ways(redacts=request.param)
    yield ways
    ways.provider.shutdown()


@given(first=attributes, later=attributes, name=texts, failed=st.booleans(), linked=st.booleans())
def test_the_lines_are_those_of_records(
    both: Ways,
    first: dict[str, Any],
    later: dict[str, Any],
    name: str,
    failed: bool,
    linked: bool,
) -> None:
    """Whatever a program does with a span, its lines are those that its records would have."""
    both.forget()
    links = [Link(SpanContext(7, 9, is_remote=True), later)] if linked else []
    span = both.start(name, attributes=first, links=links, kind=SpanKind.CLIENT)
    child = both.tracer.start_span(name, context=set_span_in_context(span), attributes=later)
    child.add_link(SpanContext(7, 9, is_remote=False))
    child.end()
    span.set_attributes(later)
    if failed:
        span.update_name(name + "!")
        span.record_exception(ValueError(name))
        span.set_status(Status(StatusCode.ERROR, name))
    span.end()
    assert both.written() == both.recorded()


@pytest.mark.parametrize(
    ("given_attributes", "is_line"),
    [
        ({}, True),
        ({"http.method": "GET", "n": 7, "ratio": 0.5, "ok": True}, True),
        ({"text": 'say "hi"'}, True),
        ({"numbers": (1, 2)}, False),
        ({"text": "é"}, False),
        ({"authorization": SECRET}, False),
        ({"text": SECRET}, False),
        ({"n": 2**64}, False),
    ],
)
def test_what_needs_python_needs_a_record(
    both: Ways, given_attributes: dict[str, Any], is_line: bool
) -> None:
    """Plain attributes that are surely safe become a line; for others there is a record."""
    both.meet(given_attributes)
    span = both.start(attributes=given_attributes)
    redacts = isinstance(both.lines._sanitiser, Redactor)  # noqa: SLF001 - which of them this is
    assert both.is_line(span) == (is_line or (not redacts and SECRET in given_attributes.values()))
    span.end()
    assert both.written() == both.recorded()


def test_the_record_is_made_when_asked(both: Ways) -> None:
    """It has the fields of the record that was not made, and is made once."""
    both.meet({"a": "x", "b": 1.5})
    parent = both.start("parent")
    context = set_span_in_context(parent)
    span = both.start("work", context=context, attributes={"a": "x", "b": 1.5})
    entry = both.entry(span)
    assert both.is_line(span)
    assert entry.name == "work"
    record = entry.record
    assert isinstance(entry.kept, Record)
    assert entry.record is record
    other = both.recorder.spans[-1]
    assert record._replace(seq=0) == other._replace(seq=0)
    assert isinstance(record.attributes, PlainAttributes)
    assert isinstance(other.attributes, PlainAttributes)
    assert record.attributes.size == other.attributes.size
    both.forget()
    span.end()
    parent.end()
    assert both.written() == both.recorded()


@pytest.mark.parametrize("position", range(3))
def test_an_end_repeats_only_what_is_still_the_same(both: Ways, position: int) -> None:
    """An attribute that was set again, at any place among the first ones, has its new value."""
    both.meet({"a": "x", "b": "y", "c": "z"})
    span = both.start(attributes={"a": "x", "b": "y", "c": "z"})
    assert both.is_line(span)
    span.set_attribute("abc"[position], "new")
    span.set_attribute("d", 4)
    span.end()
    end = both.written()[-1]
    assert end["abc"[position]] == "new"
    assert end["d"] == 4
    assert end == both.recorded()[-1]


def test_whoever_asks_for_records_gets_them_from_the_next_one_on() -> None:
    """A listener, or compat mode, while a span is open: its end is a record."""
    ways = Ways()
    ways.meet({"a": 1})
    heard: list[Record] = []
    for begin, stop in (
        (partial(LISTENERS.add, heard.append), partial(LISTENERS.remove, heard.append)),
        (partial(ways.switch, "on"), partial(ways.switch, "off")),
    ):
        span = ways.start(attributes={"a": 1})
        assert ways.is_line(span)
        begin()
        span.end()
        stop()
        start, end = ways.written()
        assert "timestamp" not in start
        assert end.pop("timestamp", None) == (end[META_KEY]["timestamp"] if not heard else None)
        assert [start, end] == ways.recorded()
        assert [one.phase for one in heard] in ([], ["end"])
        heard.clear()
    ways.provider.shutdown()


def test_a_full_table_gets_records() -> None:
    """A span that the table refuses is counted; its lines are written."""
    ways = Ways(inflight=InflightSettings(max_open_spans=1))
    before = COUNTERS.value("inflight.refused")
    spans = [ways.start(attributes={"n": number}) for number in range(3)]
    assert COUNTERS.value("inflight.refused") - before == 2
    assert ways.written() == ways.recorded()
    for span in spans:
        span.end()
    assert len(ways.written()) == len(spans)
    ways.provider.shutdown()


def test_a_key_that_runs_code_needs_a_record(both: Ways) -> None:
    """No code runs between the check of the attributes and the moment they are written."""
    span = both.start()

    class Key(str):
        __slots__ = ()

        def __hash__(self) -> int:
            span.set_attribute("later", SECRET)
            return str.__hash__(self)

    changing = both.start(attributes={Key("k"): "v"})
    assert not both.is_line(changing)
    changing.end()
    span.end()
    assert both.written() == both.recorded()


def test_a_line_keeps_nothing_alive(both: Ways) -> None:
    """What a span's line holds is released with its end."""
    value = "a text of its own, " + str(object())
    both.meet({"text": value})
    before = sys.getrefcount(value)
    for _ in range(100):
        span = both.start(attributes={"text": value})
        assert both.is_line(span)
        span.end()
        del span
    both.forget()
    assert sys.getrefcount(value) - before < 10  # caches of recent texts

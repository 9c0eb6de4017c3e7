"""The compiled part leaves odd input to the Python code, so both give the same result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from otel_ext._accel import load_speed
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.record import capture, codec
from otel_ext.record.model import Process, Record, SpanEvent
from otel_ext.record.sanitise.sanitiser import PLAIN
from tests.processors.spans import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import Event, Span

pytestmark = pytest.mark.skipif(load_speed() is None, reason="the compiled part was not built")

PROCESS = Process("b00t-1-2-cafe0001")


class OddText(str):
    """A text that formats as another one."""

    __slots__ = ()

    def __format__(self, _: str) -> str:
        return "shown"


class Number:
    """An object that converts to a whole number."""

    def __index__(self) -> int:
        return 7


class Faulty:
    """An object that raises when it is asked whether it is true."""

    def __bool__(self) -> bool:
        raise ValueError("broken on purpose")


ODD: list[dict[str, object]] = [
    {"links": None},
    {"links": []},
    {"links": {}},
    {"links": 5},
    {"phase": "end", "events": None},
    {"phase": "end", "events": []},
    {"phase": "end", "events": (SpanEvent("e", 1, {}, cast("int", Faulty())),)},
    {"phase": "end", "events": (SpanEvent("e", 1, {}, cast("int", "3")),)},
    {"parent_span_id": None},
    {"parent_span_id": 2**80},
    {"parent_span_id": b""},
    {"parent_span_id": object()},
    {"parent_span_id": OddText("ab")},
    {"trace_id": OddText("ab")},
    {"span_kind": None},
    {"phase": "extra"},
    {"phase": ""},
    {"phase": None},
    {"seq": True},
    {"seq": Number()},
    {"time_ns": Number()},
    {"kind": "log", "level": None},
    {"kind": "log", "trace_id": 3},
]


def outcome(encode: Callable[[Record], bytes], record: Record) -> object:
    """Return the encoded line, or the type of the error."""
    try:
        return encode(record)
    except Exception as error:  # noqa: BLE001 - any type is compared
        return type(error)


@pytest.mark.parametrize("fields", ODD, ids=[",".join(one) for one in ODD])
def test_a_field_of_another_type_is_encoded_as_by_python(fields: dict[str, object]) -> None:
    """No field is read as another type; an unknown phase is refused."""
    usual = PLAIN.sanitise(Record("span", "start", "work", 10**18, 1, PROCESS, span_kind="server"))
    record = usual._replace(**{"trace_id": "ab" * 16, "span_id": "cd" * 8, **fields})  # type: ignore[arg-type]
    assert outcome(codec.encode_line, record) == outcome(codec.encode_line_python, record)


def test_a_record_without_all_its_fields_is_not_read_beyond_its_end() -> None:
    """`tuple.__new__` makes such records; they are left to the Python code."""
    new_record = cast("Any", tuple.__new__)  # pyright: ignore[reportUnknownMemberType]
    whole = Record("span", "start", "work", 10**18, 1, PROCESS, trace_id="ab" * 16)
    for size in (0, 1, 8, len(Record._fields) - 1):
        short = new_record(Record, whole[:size])
        assert outcome(codec.encode_line, short) == outcome(codec.encode_line_python, short)


FACTS: list[dict[str, object]] = [
    {"pid": 7, "argv": ["a", "b c"], "resource": {"service.name": "shop", "n": [1, 2.5, None]}},
    {"resource": {}},
    {"resource": {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}},
    {"resource": {"quoted": '"', "umlaut": "\xfc", 3: "x", "__tracer_meta__": 1}},
    {"resource": {"long": "x" * 70_000}},
    {"resource": {"many": ["x" * 4_000] * 40}},
    {"resource": {"nan": float("nan"), "deep": {"set": {1}}}},
    {"__tracer_meta__": 1},
    {},
]


@pytest.mark.parametrize("kind", ["process", "log", "span"])
@pytest.mark.parametrize("facts", FACTS, ids=[",".join(map(str, one)) for one in FACTS])
def test_nested_data_is_encoded_as_by_python(
    facts: dict[str, object], kind: Literal["process", "log", "span"]
) -> None:
    """Nested extra facts and dicts in attributes are encoded to the same line."""
    record = Record(kind, None, "process.start", 10**18, 1, PROCESS, extra=facts, attributes=facts)
    if kind == "span":
        record = record._replace(phase="start", trace_id="ab" * 16, span_id="cd" * 8)
    record = PLAIN.sanitise(record)
    assert codec.encode_line(record) == codec.encode_line_python(record)
    only_facts = PLAIN.sanitise(record._replace(attributes={}))
    assert codec.encode_line(only_facts) == codec.encode_line_python(only_facts)


IDS = [(2**128, 5), (2**128 + 1, 5), (2**135, 5), (-1, 5), (5, 2**64), (5, -2), (2**128 - 1, 1)]


@pytest.mark.parametrize(("trace_id", "span_id"), IDS)
def test_ids_that_do_not_fit_do_not_become_other_ids(trace_id: int, span_id: int) -> None:
    """An id that is too large or negative never becomes that of another trace."""

    class Ids(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return trace_id

        def generate_span_id(self) -> int:
            return span_id

    provider = TracerProvider(shutdown_on_exit=False, id_generator=Ids())
    span = cast("Span", provider.get_tracer("t").start_span("work"))

    def ids(make: Callable[[Span, Process, int], Record]) -> object:
        try:
            record = make(span, PROCESS, 1)
        except (OverflowError, ValueError):
            return "refused"
        return record.trace_id, record.span_id

    assert ids(capture.capture_start) == ids(capture.capture_start_python)


class Scrubbed(ReadableSpan):
    """A span as scrubbing processors pass it on, whose properties hide the original's values."""

    def __init__(self, inner: ReadableSpan) -> None:
        super().__init__(
            inner.name,
            context=inner.context,
            parent=inner.parent,
            resource=inner.resource,
            attributes=inner.attributes,
            events=inner.events,
            kind=inner.kind,
            instrumentation_scope=inner.instrumentation_scope,
            status=inner.status,
            start_time=inner.start_time,
            end_time=inner.end_time,
        )

    @property
    def name(self) -> str:
        """Another name than the original's."""
        return "scrubbed"

    @property
    def events(self) -> tuple[Event, ...]:
        """No events."""
        return ()


def test_a_span_of_another_class_is_recorded_as_it_shows_itself() -> None:
    """Its public properties count, and not its fields with the names of the SDK's."""
    recorder = Recorder()
    processor = LifecycleSpanProcessor(recorder)
    span = cast("Span", TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("secret"))
    processor.on_start(span)
    span.add_event("secret")
    span.end()
    processor.on_end(Scrubbed(span._readable_span()))  # noqa: SLF001 - as the SDK makes it
    end = recorder.records[-1]
    assert (end.phase, end.name, end.events) == ("end", "scrubbed", ())
    processor.shutdown()


def test_a_descriptor_that_is_set_later_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A descriptor that a program sets on the SDK's class after the first spans is used."""
    span = cast("Span", TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("kept"))
    assert capture.capture_start(span, PROCESS, 1).name == "kept"
    monkeypatch.setattr(type(span), "_name", property(lambda _: "later"), raising=False)
    assert capture.capture_start(span, PROCESS, 2).name == "later"


@pytest.mark.since(3, 11)  # Python 3.10 follows it where code is hot
def test_the_descriptor_of_another_class_is_not_followed() -> None:
    """A slot borrowed from another class is not read at its offset in the borrower's objects."""

    class Holder:
        __slots__ = ("fragment",)

    class Borrower:
        __slots__ = ("other",)
        fragment = Holder.__dict__["fragment"]

    borrower = Borrower()
    setattr(borrower, "other", '"file":"wrong"')  # noqa: B010 - slots that no checker sees
    record = Record("span", "start", "w", 10**18, 1, PROCESS, trace_id="ab" * 16, span_id="cd" * 8)
    odd = record._replace(call_site=borrower)  # type: ignore[arg-type]
    assert outcome(codec.encode_line, odd) is TypeError


def test_record_only_may_be_any_true_value() -> None:
    """`record_only=1` records what `record_only=True` does, compiled or not."""
    span = cast("Span", TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("x"))
    record_only = cast("bool", 1)
    compiled = capture.identify(span, record_only)
    assert compiled == capture.identify_python(span, record_only)

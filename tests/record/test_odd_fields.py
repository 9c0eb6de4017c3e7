"""One bad field of a span loses only itself, in compiled and Python code."""

from __future__ import annotations

import datetime as dt
import enum
import time
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.record import capture, codec
from otel_ext.record.decode import decode_line
from otel_ext.record.model import (
    EMPTY,
    UNKNOWN_CALL_SITE,
    CallSite,
    Process,
    Record,
    SpanEvent,
    ThreadInfo,
)
from otel_ext.record.model import Status as RecordStatus
from otel_ext.record.schema.validation import validate_line
from otel_ext.record.untyped import (
    capture_untyped_end,
    capture_untyped_start,
    reduce_record,
    time_of,
)
from otel_ext.redaction.redactor import Redactor
from otel_ext.testing import RecordCapture
from tests.examples import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

PROCESS = Process("b00t-7-1-cafe0001")
CONTEXT = SpanContext(1, 2, is_remote=False)
NOW = 1_792_000_000_000_000_000


class Hostile:
    """Raises on every access."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(name) if name.startswith("__") else LookupError(name)

    def __str__(self) -> NoReturn:
        raise LookupError

    def __bool__(self) -> NoReturn:
        raise LookupError

    def __eq__(self, other: object) -> NoReturn:
        raise LookupError

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[object]:
        raise LookupError


class Name(str):
    """A text whose `__str__` raises."""

    __slots__ = ()

    def __str__(self) -> NoReturn:
        raise LookupError


class Kind(enum.Enum):
    """A kind of another library."""

    SERVER = 1
    MANY = 99


class Odd(NamedTuple):
    """An event or a link that a program made itself."""

    name: object = "e"
    timestamp: object = NOW
    attributes: object = None
    context: object = None


def span_with(**fields: object) -> ReadableSpan:
    """Return an ended span with these private fields, which the SDK does not check."""
    made = ReadableSpan("job", CONTEXT, start_time=NOW, end_time=NOW + 5, attributes={"n": 1})
    for name, value in fields.items():
        setattr(made, f"_{name}", value)
    return made


def line_of(record: Record, encode: codec.Encoder = codec.encode_line) -> Record:
    """Return the record decoded from its line, which must be valid."""
    line = encode(record)
    assert validate_line(line) == [], line
    return decode_line(line)


PAIRS = [
    (capture.capture_start, capture.capture_end, codec.encode_line),
    (capture.capture_start_python, capture.capture_end_python, codec.encode_line_python),
]


def both(span: ReadableSpan) -> tuple[Record, Record]:
    """Return start and end of `span`, decoded; compiled and Python code must agree."""
    found: list[tuple[Record, Record]] = []
    lines: list[tuple[bytes, bytes]] = []
    for start_of, end_of, encode in PAIRS:
        start = start_of(span, PROCESS, 1)
        # Call sites in this function, and the current times, differ.
        start = start._replace(call_site=UNKNOWN_CALL_SITE, time_ns=_rounded(start.time_ns))
        end = end_of(span, PROCESS, 2, start)
        end = end._replace(
            time_ns=_rounded(end.time_ns),
            events=tuple(one._replace(time_ns=_rounded(one.time_ns)) for one in end.events),
        )
        lines.append((encode(start), encode(end)))
        found.append((line_of(start, encode), line_of(end, encode)))
    assert lines[0] == lines[1]
    return found[0]


def _rounded(time_ns: int) -> int:
    """Return a time within an hour of now as 0."""
    return 0 if abs(time_ns - time.time_ns()) < 3_600 * 10**9 else time_ns


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (NOW, NOW),
        (float(NOW), NOW),
        (NOW / 1e9, NOW),
        (dt.datetime.fromtimestamp(NOW // 10**9, dt.timezone.utc), NOW),
        (dt.datetime.fromtimestamp(NOW // 10**9), NOW),  # noqa: DTZ006 - local time, as Python has it
        (-1, -1),
        (2**70, 2**70),
    ],
)
def test_other_types_of_times_are_converted(value: object, expected: int) -> None:
    """Floats of nanoseconds and of seconds, and datetimes, are converted."""
    assert time_of(value) == expected
    start, end = both(span_with(start_time=value, end_time=value, events=[Odd(timestamp=value)]))
    if abs(expected) < 2**63 and expected > 0:
        assert (start.time_ns, end.time_ns, end.events[0].time_ns) == (expected,) * 3


@pytest.mark.parametrize(
    "value",
    ["yesterday", "1792000000000000000", 1.5, float("nan"), float("inf"), -1e30, b"7", True, None],
)
def test_invalid_times_become_now(value: object) -> None:
    """A value that cannot be a time becomes the current time."""
    before = time.time_ns()
    assert before <= time_of(value) <= time.time_ns()
    both(span_with(start_time=value, end_time=value, events=[Odd(timestamp=value)]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, "None"),
        (5, "5"),
        (b"x", "b'x'"),
        (Name("text"), "text"),
        (["a"], "['a']"),
        (Hostile(), "<unprintable: Hostile>"),
    ],
)
def test_names_become_text(name: object, expected: str) -> None:
    """A span's or event's name that is not a text becomes text; redaction keeps the rest."""
    start, end = both(span_with(name=name, events=[Odd(name=name)]))
    assert (start.name, end.name, end.events[0].name) == (expected,) * 3
    redacted = Redactor().redact(capture.capture_end(span_with(name=name), PROCESS, 2, start))
    assert (redacted.name, dict(redacted.attributes)) == (expected, {"n": 1})


def test_redaction_of_a_record_with_a_name_that_is_not_a_text() -> None:
    """A record that a program made itself does not lose other fields either."""
    record = Record("event", None, cast("str", 5), 0, 1, PROCESS, attributes={"n": 1})
    redacted = Redactor().redact(record)
    assert (redacted.name, dict(redacted.attributes)) == ("5", {"n": 1})


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (SpanKind.CLIENT, "client"),
        ("server", "internal"),
        (3, "producer"),
        (Kind.SERVER, "server"),
        (Kind.MANY, "internal"),
        (-1, "internal"),
        (None, "internal"),
        ([], "internal"),
        (Hostile(), "internal"),
    ],
)
def test_unknown_kinds_are_internal(kind: object, expected: str) -> None:
    """A kind that OpenTelemetry does not define becomes `internal`."""
    assert [one.span_kind for one in both(span_with(kind=kind))] == [expected] * 2


@pytest.mark.parametrize(
    ("status", "code", "description"),
    [
        (Status(StatusCode.ERROR, "broken"), "error", "broken"),
        (StatusCode.ERROR, "error", ""),
        ("ERROR", "error", ""),
        (2, "error", ""),
        (Status(cast("Any", "ok")), "ok", ""),
        (Status(cast("Any", 7)), "unset", ""),
        ("broken", "unset", ""),
        (None, "unset", ""),
        (Hostile(), "unset", ""),
    ],
)
def test_odd_statuses(status: object, code: str, description: str) -> None:
    """A code instead of a status is converted; anything else is `unset`."""
    end = both(span_with(status=status))[1]
    assert end.status is not None
    assert (end.status.code, end.status.description) == (code, description)


def test_links_and_events_of_odd_shape() -> None:
    """Unusable parts of one do not affect others; a link without valid context is left out."""
    links = [Odd(), None, Link(CONTEXT, {"a": 1}), Odd(context=CONTEXT, attributes=[1]), Hostile()]
    events = [Odd(attributes={1: 2}), "text", None, Odd(attributes={"a"}), Hostile()]
    end = both(span_with(links=links, events=events))[1]
    assert [dict(link.attributes) for link in end.links] == [{"a": 1}, {"…": "<unprintable: list>"}]
    assert len(end.events) == len(events)
    assert dict(end.events[0].attributes) == {"1": 2}
    for name in ("links", "events"):
        both(span_with(**{name: 5}))
        both(span_with(**{name: Hostile()}))


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({1: 2, None: 3, b"k": 4}, {"1": 2, "None": 3, "b'k'": 4}),
        (None, {}),
        ([("a", 1)], {"…": "<unprintable: attributes>"}),
        ("text", {"…": "<unprintable: mappingproxy>"}),
    ],
)
def test_attributes_of_odd_shape(attributes: object, expected: dict[str, object]) -> None:
    """Keys become text; anything but a mapping is noted under the key `…`."""
    for record in both(span_with(attributes=attributes)):
        assert dict(record.attributes) == expected


def test_attributes_that_raise() -> None:
    """Only they are lost."""
    assert [one.name for one in both(span_with(attributes=Hostile()))] == ["job"] * 2


def test_a_parent_and_a_scope_of_odd_shape() -> None:
    """Only they are left out."""
    for odd in (5, "text", Odd(), Hostile()):
        for record in both(span_with(parent=odd, instrumentation_scope=odd)):
            assert (record.parent_span_id, dict(record.attributes)) == ("", {"n": 1})


def test_a_container_that_cannot_be_encoded_stays_an_object() -> None:
    """An event's attributes at the limits of the walk are an object with a note in it."""

    class Broken(dict[str, object]):
        def items(self) -> NoReturn:
            raise RecursionError

    record = capture.capture_end(span_with(), PROCESS, 2, None)
    event = SpanEvent("e", NOW, Broken(a=1))
    end = line_of(record._replace(events=(event,), links=()))
    assert dict(end.events[0].attributes) == {"…": "<unprintable: Broken>"}


def test_a_reduced_record_is_valid() -> None:
    """Ids, times, status and call site stay; a note that counts the data replaces it."""
    record = capture.capture_end(span_with(status=Status(StatusCode.ERROR, "x")), PROCESS, 2, None)
    odd = record._replace(
        name=cast("str", 5),
        time_ns=cast("int", "x"),
        scope=cast("Any", 5),
        thread=cast("Any", "main"),
        span_kind="odd",
        events=cast("Any", (1, 2)),
        status=cast("Any", Status(StatusCode.ERROR)),
    )
    least = line_of(reduce_record(odd))
    assert least.key == record.key
    assert least.status == RecordStatus("error")
    assert dict(least.attributes) == {"…": "<left out: 1 keys>"}
    assert line_of(reduce_record(record)).call_site == record.call_site
    log = Record("log", None, "logged", NOW, 1, PROCESS, level="info", thread=ThreadInfo(1, "t"))
    assert line_of(reduce_record(log)).attributes == EMPTY


rubbish = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=4),
    st.binary(max_size=3),
    st.builds(Hostile),
    st.builds(Name, st.text(max_size=3)),
    st.sampled_from([Kind.MANY, StatusCode.OK, SpanKind.SERVER, CONTEXT, object()]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.integers() | st.none() | st.text(max_size=2), st.floats(), max_size=2),
)
odd_items = st.lists(
    rubbish | st.builds(Odd, rubbish, rubbish, rubbish, rubbish | st.just(CONTEXT)), max_size=3
)
SLOTS = ("name", "parent", "attributes", "kind", "start_time", "end_time", "status")


@examples(2)
@given(
    st.dictionaries(st.sampled_from((*SLOTS, "instrumentation_scope")), rubbish, max_size=4),
    odd_items | rubbish,
    odd_items | rubbish,
)
def test_both_lines_are_valid_whatever_the_fields_hold(
    fields: dict[str, object], links: object, events: object
) -> None:
    """A span with garbage anywhere has a valid start and end, the same in both codes."""
    start, end = both(span_with(links=links, events=events, **fields))
    assert (start.phase, end.phase) == ("start", "end")
    assert start.key == end.key == (f"{1:032x}", f"{2:016x}")


def test_a_resource_of_another_type() -> None:
    """A resource of another type counts as the process's first one; no record is lost."""
    records = RecordCapture()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(LifecycleSpanProcessor(records))
    for resource in (5, "text", [1], Hostile(), {"a": Hostile()}, {"a": Hostile()}, None):
        span = cast("Any", provider.get_tracer("test").start_span("work"))
        span._resource = resource  # noqa: SLF001 - as a subclass or a wrapper may have it
        span.end()
    phases = [record.phase for record in records.records if record.kind == "span"]
    assert phases == ["start", "end"] * 7


def test_only_ids_are_required() -> None:
    """A span with invalid ids has no record; nothing else prevents one."""
    with pytest.raises(ValueError, match="no context"):
        capture_untyped_start(ReadableSpan("job"), PROCESS, 1)
    with pytest.raises(ValueError, match="is not an id of 16 bytes"):
        capture_untyped_end(
            ReadableSpan("job", SpanContext(2**130, 2, is_remote=False)), PROCESS, 1, None
        )
    assert (
        capture_untyped_start(span_with(), PROCESS, 1, CallSite("a.py", 1, "f")).call_site.file
        == "a.py"
    )

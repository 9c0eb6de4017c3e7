"""The compiled steps between a hook and the ring buffer do what the Python ones do."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, SpanContext

from otel_ext._accel import load_speed
from otel_ext.exporters import CompatExporter, JsonlExporter
from otel_ext.exporters.redacting import RedactingExporter
from otel_ext.inflight.settings import InflightSettings
from otel_ext.processors import LifecycleSpanProcessor, lifecycle
from otel_ext.record import codec
from otel_ext.record.model import PlainAttributes, Process, Record
from otel_ext.record.sanitise.sanitiser import Sanitiser
from otel_ext.redaction.redactor import Redactor
from otel_ext.runtime.counters import COUNTERS
from tests.processors.spans import Recorder, provider_of, provider_with

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

speed = load_speed()
pytestmark = pytest.mark.skipif(speed is None, reason="the compiled part was not built")

PROCESS = Process("b00t-1-2-cafe0001")
words = st.sampled_from(
    [
        *("GET", "/orders/12", "shop.example", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"),
        *("Bearer abcdefghijklmnop", "https://u:pw@h/", "4111 1111 1111 1111", "password=x"),
        *("AKIAABCDEFGHIJKLMNOP", "é", "a" * 70_000, "", "plain text of some length"),
    ]
)
keys = st.sampled_from(["http.method", "password", "api_key", "n", "set-cookie", "url.path"])
values = st.one_of(
    words,
    st.text(max_size=20),
    st.integers(),
    st.sampled_from([4_111_111_111_111_111, 2**64, True, None, 0.5, (1, "Bearer abcdefghijkl")]),
)


def record_of(attributes: dict[str, object], name: str = "GET /orders") -> Record:
    """Return a start record."""
    record = Record("span", "start", name, 10**18, 1, PROCESS, attributes=attributes)
    return record._replace(trace_id="ab" * 16, span_id="cd" * 8)


def without_identity(record: Record) -> Record:
    """Return `record` without the fields that differ in each span."""
    return record._replace(seq=0, trace_id="", span_id="", time_ns=0, start_ns=0)


def test_both_ways_through_the_hooks_agree() -> None:
    """The compiled and the Python hooks make equal records and equal table entries."""
    exporter = Recorder()
    processor = LifecycleSpanProcessor(exporter)
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t", "1")
    for begin, end in (
        (LifecycleSpanProcessor.begin_span, LifecycleSpanProcessor.end_span),
        (lifecycle.begin_span, lifecycle.end_span),
    ):
        with tracer.start_as_current_span("outer", attributes={"a": 1}) as outer:
            assert not len(processor.tracker.table)
            begin(processor, outer)  # type: ignore[arg-type]
            assert len(processor.tracker.table) == 1
        end(processor, outer)  # type: ignore[arg-type]
        assert not len(processor.tracker.table)
    processor.shutdown()
    for slow, quick in zip(exporter.spans[:2], exporter.spans[2:], strict=True):
        assert without_identity(slow) == without_identity(quick)
        assert slow.seq < quick.seq


def test_a_full_table_refuses() -> None:
    """A full table counts each refused span, whose records are exported as usual."""
    exporter = Recorder()
    processor = LifecycleSpanProcessor(exporter, inflight=InflightSettings(max_open_spans=1))
    provider = provider_of(processor)
    before = COUNTERS.value("inflight.refused")
    spans = [provider.get_tracer("t").start_span("work") for _ in range(3)]
    assert len(processor.tracker.table) == 1
    assert COUNTERS.value("inflight.refused") - before == 2
    for span in spans:
        span.end()
    provider.shutdown()
    assert [record.phase for record in exporter.spans] == ["start"] * 3 + ["end"] * 3


@pytest.mark.parametrize("special", ['"', "\\", "\x00", "\x1f", "\x7f", "é", " ", "!", "~"])
def test_each_special_character_is_found_at_each_position(special: str) -> None:
    """Both encoders write a text alike, wherever in it the special character is."""
    for size in range(1, 20):
        for index in range(size):
            text = "a" * index + special + "b" * (size - index - 1)
            record = Sanitiser().sanitise(record_of({text: text}, name=text))
            assert codec.encode_line(record) == codec.encode_line_python(record)


@pytest.mark.parametrize("made", [Sanitiser, Redactor])
@given(attributes=st.dictionaries(keys, values, max_size=4), name=words)
def test_what_the_compiled_check_finds_safe_is_safe(
    made: Callable[[], Sanitiser], attributes: dict[str, object], name: str
) -> None:
    """Python's check agrees, and a walk changes nothing in such a record."""
    assert speed is not None
    sanitiser = made()
    record = record_of(attributes, name)
    sanitiser.sanitise(record)  # so that keys and texts are known
    refused: list[Record] = []
    assert sanitiser.known is not None
    check: Callable[[Record], object] = speed.bind_check(
        **sanitiser.known._asdict(), is_safe=refused.append
    )
    check(record._replace(attributes=PlainAttributes(attributes)))
    if refused:
        return
    fresh = record._replace(attributes=PlainAttributes(attributes))
    assert sanitiser.is_safe(fresh)
    assert check(fresh) is True
    assert made().make_safe(fresh) == record
    assert codec.encode_line(fresh) == codec.encode_line(record)


@pytest.mark.parametrize("made", [Sanitiser, Redactor])
def test_a_record_of_a_known_kind_is_checked_without_python(
    made: Callable[[], Sanitiser],
) -> None:
    """The second record with the same keys and names does not reach the Python code."""
    assert speed is not None
    sanitiser = made()
    record = record_of({"http.method": "GET", "url.path": "/orders/12"})
    assert sanitiser.known is not None
    asked: list[Record] = []
    check: Callable[[Record], object] = speed.bind_check(
        **sanitiser.known._asdict(), is_safe=asked.append
    )
    check(record)
    assert asked == [record]  # its keys were not known, and its attributes are not a copy
    safe = sanitiser.sanitise(record)
    assert check(safe) is True
    assert asked == [record]


@pytest.mark.parametrize(
    ("answer", "called"), [(False, "second"), (True, "third"), (OSError(), "third")]
)
def test_the_switch_is_evaluated_each_time(answer: object, called: str) -> None:
    """The compiled switch calls one function or the other; a failure counts as yes."""
    assert speed is not None
    calls: list[str] = []

    def ask() -> bool:
        if isinstance(answer, OSError):
            raise answer
        return bool(answer)

    def second(_: Record) -> None:
        calls.append("second")

    def third(_: Record) -> None:
        calls.append("third")

    speed.bind_choice(ask=ask, no=second, yes=third)(record_of({}))
    assert calls == [called]


class Slotted:
    """A switch that stores its value in a slot, as the one of this package."""

    __slots__ = ("on",)

    on: object


class Computed:
    """A switch that computes its value in a property."""

    @property
    def on(self) -> object:
        """Return False, unlike the text in the other cases."""
        return False


def choice(ask: Callable[[], bool], calls: list[str]) -> Callable[[Record], None]:
    """Return the compiled switch, whose two functions append their name to `calls`."""
    assert speed is not None

    def no(_: Record) -> None:
        calls.append("no")

    def yes(_: Record) -> None:
        calls.append("yes")

    bound: Callable[[Record], None] = speed.bind_choice(ask=ask, no=no, yes=yes)
    return bound


@pytest.mark.parametrize("kind", [Slotted, SimpleNamespace])
def test_a_switch_that_only_reads_an_attribute_is_read_each_time(kind: Any) -> None:  # noqa: ANN401
    """The attribute of `partial(getattr, ...)` is read without the call; the result is the same."""
    calls: list[str] = []
    holder = kind()
    export = choice(partial(getattr, holder, "on"), calls)
    for answer in (False, True, 0, "text", False):
        holder.on = answer
        export(record_of({}))
    del holder.on
    export(record_of({}))
    assert calls == ["no", "yes", "yes", "yes", "no", "yes"]


@pytest.mark.parametrize(
    "ask",
    [
        partial(getattr, Computed(), "on"),
        partial(getattr, object(), "on", *[False]),
        partial(bool, 0),
    ],
    ids=["property", "default", "other function"],
)
def test_other_partial_functions_are_called(ask: Callable[[], bool]) -> None:
    """Only the plain form is read directly; all others are called."""
    calls: list[str] = []
    choice(ask, calls)(record_of({}))
    assert calls == ["no"]


def test_an_interrupt_while_the_switch_is_evaluated_is_raised() -> None:
    """The compiled path does not swallow an exception that ends a program."""
    assert speed is not None

    def interrupt() -> bool:
        raise KeyboardInterrupt

    export = speed.bind_choice(ask=interrupt, no=print, yes=print)
    with pytest.raises(KeyboardInterrupt):
        export(record_of({}))


def test_an_interrupt_while_a_span_is_captured_is_raised() -> None:
    """Ctrl-C is raised wherever Python code runs, also in code that the compiled hooks call."""
    times = [0]

    class Interrupted(dict[str, object]):
        def copy(self) -> dict[str, object]:
            times[0] += 1
            if times[0] == 1:
                raise KeyboardInterrupt
            return super().copy()

    link = Link(SpanContext(1, 2, is_remote=False))
    link._attributes = Interrupted()  # type: ignore[assignment]  # noqa: SLF001 - stands in for a signal
    span: Any = TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("job")
    span._links = (link,)  # noqa: SLF001 - the SDK makes links of its own
    with pytest.raises(KeyboardInterrupt):
        lifecycle.begin_span(LifecycleSpanProcessor(Recorder()), span)
    assert times == [1]


def test_a_subclass_is_called(tmp_path: Path) -> None:
    """An exporter whose `export` is overridden is called, not bypassed."""
    seen: list[Record] = []

    class Own(JsonlExporter):
        def export(self, record: Record) -> None:
            seen.append(record)
            super().export(record)

    provider = provider_with(CompatExporter(Own(tmp_path), enabled=lambda: False))
    for _ in range(2):
        provider.get_tracer("t").start_span("work").end()
    provider.shutdown()
    assert [record.phase for record in seen if record.kind == "span"] == ["start", "end"] * 2


def test_a_journal_that_raises_is_counted(tmp_path: Path) -> None:
    """An exception of the journal is counted and reported, and the hook returns."""
    exporter = JsonlExporter(tmp_path, open_records=list)
    export = exporter.fast_export
    export(record_of({}))

    def fail(_: bytes) -> bool:
        raise OSError("broken on purpose")

    exporter._journal.append = fail  # noqa: SLF001 - nothing public breaks it
    before = COUNTERS.value("dropped.write_failed")
    export(record_of({}))
    assert COUNTERS.value("dropped.write_failed") - before == 1
    exporter.shutdown()


def test_compat_mode_takes_effect_with_the_next_record(tmp_path: Path) -> None:
    """The compiled path evaluates the switch for each record, with and without redaction."""
    for redactor in (None, Redactor()):
        folder = tmp_path / ("redacting" if redactor else "plain")
        mode = {"compat": False}
        journal = JsonlExporter(folder, open_records=list)
        inner = journal if redactor is None else RedactingExporter(journal, redactor)
        provider = provider_with(CompatExporter(inner, enabled=partial(mode.__getitem__, "compat")))
        for mode["compat"] in (False, False, True, False):
            provider.get_tracer("t").start_span("work", attributes={"n": 1}).end()
        provider.shutdown()
        (path,) = folder.glob("*.jsonl")
        spans = [line for line in path.read_bytes().splitlines() if b'"kind":"span"' in line]
        stamped = [line.startswith(b'{"timestamp"') for line in spans]
        assert stamped == [False] * 4 + [True] * 2 + [False] * 2


@given(st.binary(max_size=200))
def test_lines_are_counted(data: bytes) -> None:
    """The result is the number of newlines."""
    assert speed is not None
    assert speed.count_lines(memoryview(data)) == data.count(b"\n")

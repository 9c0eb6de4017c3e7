"""The compiled part has no side effects: no half-built record, no lost interrupt, no leak."""

from __future__ import annotations

import gc
import signal
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import Link, SpanContext

from otel_ext.exporters import JsonlExporter
from otel_ext.exporters.redacting import RedactingExporter
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.record.capture import here
from otel_ext.record.model import PlainAttributes, Process, Record, SpanEvent
from otel_ext.record.sanitise.sanitiser import PLAIN
from otel_ext.redaction import Redactor
from tests.processors.spans import provider_of, provider_with
from tests.programs import python, succeed
from tests.redaction import planted
from tests.untraced import untraced

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span

    from otel_ext.protocols import RecordExporter

PROCESS = Process("b00t-1-2-cafe0001")


def test_a_record_is_seen_by_the_collector_only_when_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`gc.get_objects()` during the start or end of a span returns no record without fields."""
    found: list[tuple[object, ...]] = []
    link = Link(SpanContext(1, 2, is_remote=False), {"a": 1})

    class Watched(dict[str, object]):
        """Attributes of a link, which are copied while the record is built."""

        def copy(self) -> dict[str, object]:
            found.extend(tuple(one) for one in gc.get_objects() if type(one) is Record)
            return dict(self)

    class Watching(SpanProcessor):
        """Replaces them after the SDK has copied them itself."""

        def on_start(self, span: Span, parent_context: Context | None = None) -> None:
            for link in span.links:
                monkeypatch.setattr(link, "_attributes", Watched(a=1))

    ours = LifecycleSpanProcessor(JsonlExporter(tmp_path, open_records=list))
    tracer = provider_of(Watching(), ours).get_tracer("t")
    still_open = tracer.start_span("open")
    for _ in range(3):
        tracer.start_span("work", links=[link]).end()
    assert still_open.is_recording()
    assert found
    complete = len(Record._fields)
    assert all(len(one) == complete for one in found)


def test_attributes_may_change_while_they_are_searched() -> None:
    """As by another thread: what is searched stays alive."""
    redactor = Redactor()
    known = redactor.known
    assert known is not None
    seen: list[str] = []

    def clear(text: str) -> bool:
        seen.append(text.upper())
        attributes.clear()
        seen.extend(f"{text} {number}" for number in range(20))
        return True

    redactor.use(known._replace(keys={"a": known.clean_key}, is_suspicious=clear, search=clear))
    record = redactor.sanitise(planted.span("start"))
    assert redactor.check(record)
    for number in range(500):
        attributes = PlainAttributes({"a": f"token=text number {number}", "b": 1})
        redactor.sanitise(record._replace(attributes=attributes))
        assert f"TOKEN=TEXT NUMBER {number}" in seen


@pytest.fixture
def interrupted() -> Generator[Callable[[], object], None, None]:
    """Return a function that raises `KeyboardInterrupt` by a real signal, a moment later."""

    def raise_it(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    # Python swallows what is raised in the callbacks of weak references, left by other tests.
    gc.collect()
    gc.disable()
    before = signal.signal(signal.SIGALRM, raise_it)
    with untraced():
        yield lambda: signal.setitimer(signal.ITIMER_REAL, 0.0005)
        signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    gc.enable()


def test_ctrl_c_during_the_search_for_secrets_reaches_the_program(
    tmp_path: Path, interrupted: Callable[[], object]
) -> None:
    """No interrupt is swallowed while the prefilter searches a long text."""
    exporter = RedactingExporter(JsonlExporter(tmp_path, open_records=list))
    tracer = provider_with(exporter).get_tracer("t")
    tracer.start_span("warm").end()
    text = "é" + "_a " * 21_000
    arrived = 0
    for number in range(20):
        try:
            interrupted()
            for _ in range(200):  # the signal comes within one of them
                tracer.start_span("work", attributes={"text": f"{text}{number}"}).end()
        except KeyboardInterrupt:
            arrived += 1
    assert arrived == 20


class Interrupting(dict[str, object]):
    """Attributes that raise `KeyboardInterrupt` when they are read."""

    def _interrupt(self) -> None:
        raise KeyboardInterrupt

    __iter__ = __len__ = __bool__ = items = _interrupt  # type: ignore[assignment]


def test_an_interrupt_while_a_record_is_encoded_reaches_the_program(tmp_path: Path) -> None:
    """The exporter does nothing further between the interrupt and the program."""
    exporter = JsonlExporter(tmp_path, open_records=list)
    tracer = provider_with(exporter).get_tracer("t")
    tracer.start_span("x").end()
    asked: list[str] = []

    class Journal(type(exporter._journal)):  # type: ignore[misc]  # noqa: SLF001 - as a debugger's proxy
        def __getattribute__(self, name: str) -> object:
            asked.append(name)
            return object.__getattribute__(self, name)

    process = next(iter(exporter._introduced.values()))  # noqa: SLF001 - a known one
    events = (SpanEvent("e", 1, Interrupting(a=1)),)
    record = Record("span", "end", "w", 10**18, 1, process, trace_id="ab" * 16, span_id="cd" * 8)
    exporter._journal.__class__ = Journal  # noqa: SLF001
    with pytest.raises(KeyboardInterrupt):
        exporter.fast_export(record._replace(span_kind="internal", events=events))
    assert asked == []


class OddMeta(type):
    """A metaclass that raises `KeyboardInterrupt` when its attribute is read."""

    def __getattribute__(cls, name: str) -> object:
        if name == "fragment":
            raise KeyboardInterrupt
        return type.__getattribute__(cls, name)


class Interrupted(metaclass=OddMeta):
    """A call site of that class."""

    fragment = '"file":"a.py"'


def test_an_interrupt_while_a_class_is_inspected_reaches_the_program() -> None:
    """Reading a slot of a class does not clear an interrupt."""
    from otel_ext.record import codec  # noqa: PLC0415 - chooses its encoder at import

    if codec.encode_line is codec.encode_line_python:
        pytest.skip("the compiled part was not built")
    record = Record("span", "start", "w", 10**18, 1, PROCESS, trace_id="ab" * 16, span_id="cd" * 8)
    record = PLAIN.sanitise(record)
    with pytest.raises(KeyboardInterrupt):
        codec.encode_line(record._replace(call_site=Interrupted()))  # type: ignore[arg-type]


OPENING = """
import gc, sys, weakref
from otel_ext.record.call_site import find_call_site
from otel_ext.record.capture import here
find = {"here": here, "find_call_site": find_call_site}[sys.argv[1]]
made = []
for number in range(40):
    code = compile("find(1)\\nfind(1)", f"<script {number}>", "exec")
    exec(code, {"find": find})
    made.append(weakref.ref(code))
    del code
gc.collect()
print(sum(one() is not None for one in made))
"""


@pytest.mark.parametrize("find", ["here", "find_call_site"])
def test_code_that_opened_a_span_is_freed(find: str, tmp_path: Path) -> None:
    """Code that is compiled for each run, as in notebooks and templates, is not kept alive."""
    # In a program of its own: coverage keeps all code that it has measured since Python 3.14.
    assert succeed(python("-c", OPENING, find), tmp_path).out == "0\n"


def test_code_at_the_address_of_freed_code_has_its_own_call_site() -> None:
    """A cached call site is dropped with its code, so no other code gets it."""
    for number in range(300):
        names: dict[str, object] = {"find": here}
        exec(compile(f"{chr(10) * number}found = find(1)[0]", "<script>", "exec"), names)  # noqa: S102
        assert getattr(names["found"], "line", 0) == number + 1


def test_threads_that_read_all_objects_do_no_harm(tmp_path: Path) -> None:
    """A thread reads all records, as a leak hunter does, while spans start and end."""
    tracer = provider_with(JsonlExporter(tmp_path, open_records=list)).get_tracer("t")
    link = Link(SpanContext(1, 2, is_remote=False), {"a": 1})
    stop = threading.Event()

    def read_records() -> None:
        while not stop.is_set():
            for one in gc.get_objects():
                if type(one) is Record:
                    assert one.extra is not None
                    assert one.name

    hunter = threading.Thread(target=read_records)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        hunter.start()
        for _ in range(300):
            tracer.start_span("work", links=[link]).end()
    finally:
        stop.set()
        hunter.join()
        sys.setswitchinterval(interval)


WIRINGS: list[Callable[[JsonlExporter], RecordExporter]] = [lambda one: one, RedactingExporter]


@pytest.mark.parametrize("wrap", WIRINGS)
def test_the_documented_wiring_asks_the_table_for_open_spans(
    wrap: Callable[[JsonlExporter], RecordExporter], tmp_path: Path
) -> None:
    """The exporter keeps no records of open spans, which would rule out the compiled path."""
    journal = JsonlExporter(tmp_path)
    provider = TracerProvider(shutdown_on_exit=False)
    processor = LifecycleSpanProcessor(wrap(journal))
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("t")
    tracer.start_span("warm").end()
    still_open = tracer.start_span("open")
    assert journal._open == {}  # noqa: SLF001 - the records that it would keep
    assert [one.name for one in journal._open_records()] == ["open"]  # noqa: SLF001
    assert journal._fast_path is not None  # noqa: SLF001 - the compiled steps have what they need
    still_open.end()
    processor.shutdown()


def test_an_exporter_that_delegates_is_not_bypassed(tmp_path: Path) -> None:
    """One that changes records and delegates all else gets every record, and no compiled hook."""
    journal = JsonlExporter(tmp_path)

    class Scrubbing:
        never_waits = never_starts_spans = True

        def __getattr__(self, name: str) -> object:
            return getattr(journal, name)

        def export(self, record: Record) -> None:
            journal.export(record._replace(name="scrubbed"))

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return journal.force_flush(timeout_millis)

        def shutdown(self) -> None:
            journal.shutdown()

    processor = LifecycleSpanProcessor(Scrubbing())
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("t")
    tracer.start_span("warm").end()
    secret = tracer.start_span("secret")
    assert [one.name for one in journal._open_records()] == ["scrubbed"]  # noqa: SLF001
    secret.end()
    processor.shutdown()
    text = "".join(file.read_text() for file in tmp_path.rglob("*.jsonl"))
    assert '"event":"scrubbed.start"' in text
    assert "secret" not in text

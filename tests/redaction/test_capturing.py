"""Sanitising at capture, end to end: what is written whatever the program and its exporters do."""

from __future__ import annotations

import io
import uuid
from enum import Enum
from typing import TYPE_CHECKING

import pytest
import structlog
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from otel_ext.exporters import JsonlExporter
from otel_ext.exporters.redacting import RedactingExporter
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.processors.tracer_meta import TracerMetaTap
from otel_ext.record.codec import encode_line
from otel_ext.record.decode import decode_line
from otel_ext.record.model import PlainAttributes, SpanEvent
from otel_ext.record.sanitise.sanitiser import Sanitiser
from otel_ext.redaction import RedactionSettings, Redactor
from tests.processors.spans import Recorder
from tests.redaction.planted import PROCESS, log, span

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otel_ext.record.model import Record

SECRET = "hunter2hunter2"  # noqa: S105 - planted


class Key(str, Enum):
    """A key that is a text of another type."""

    USER = "user"


@pytest.mark.parametrize("made", [Sanitiser, Redactor])
def test_a_key_of_another_type_than_its_twin_loses_nothing(made: Callable[[], Sanitiser]) -> None:
    """After `user` was seen as a plain text, a subclass of `str` with that text is converted."""
    sanitiser = made()
    for key in ("user", Key.USER):
        record = sanitiser.sanitise(log(attributes=PlainAttributes({key: "ann", "n": 1})))
        assert decode_line(encode_line(record)).attributes == {"user": "ann", "n": 1}
        assert [type(one) for one in record.attributes] == [str, str]


@pytest.mark.parametrize("made", [Sanitiser, Redactor])
def test_a_record_whose_name_is_not_a_text_is_repaired(made: Callable[[], Sanitiser]) -> None:
    """Only the name is converted."""
    record = made().sanitise(log(attributes=PlainAttributes(n=1))._replace(name=["x"]))  # type: ignore[arg-type]
    assert (record.name, record.attributes) == ("['x']", {"n": 1})


@pytest.mark.parametrize("text", ["x" * 3_000_000, "\xe9" * 3_000_000], ids=["ascii", "others"])
def test_a_huge_text_is_not_searched_whole(text: str) -> None:
    """The fast check stops at its length."""
    redactor = Redactor()
    assert redactor.known is not None
    searched: list[int] = []

    def search(found: str) -> bool:
        searched.append(len(found))
        return True

    redactor.use(redactor.known._replace(is_suspicious=search, search=search))
    record = log(attributes=PlainAttributes(n=1))
    assert redactor.check(redactor.redact(record)) is True
    assert redactor.check(record._replace(attributes=PlainAttributes(n=text))) is False
    assert len(text) not in searched


@pytest.mark.parametrize("made", [Sanitiser, Redactor])
@pytest.mark.parametrize(("text", "size"), [("x" * 100, 100), ("\U0001f600" * 100, 400)])
def test_the_size_of_a_record_is_in_bytes(
    made: Callable[[], Sanitiser], text: str, size: int
) -> None:
    """A queue limits its memory by it, and a request its length."""
    found = made().sanitise(log(attributes={"text": text})).attributes
    assert isinstance(found, PlainAttributes)
    assert size <= found.size <= size + 20


def values_of(recorder: Recorder) -> list[str]:
    """Return all texts that a callback can change, of all recorded spans."""
    return [
        one
        for record in recorder.records
        if record.kind == "span"
        for one in (record.name, str(record.attributes.get("user")), record.call_site.function)
    ]


def test_a_callback_gets_each_value_once() -> None:
    """An end has its call site from the start, and an update all of it, as changed then."""
    redactor = Redactor(callback=lambda _, value: f"h:{value}" if type(value) is str else value)
    recorder = Recorder()
    processor = LifecycleSpanProcessor(recorder, redactor=redactor)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("t")
    tracer.start_span("x", attributes={"user": "ann"}).end()
    tracer.start_span("y", attributes={"user": "ann"})
    processor.tracker.watchdog.dump()
    processor.shutdown()
    assert len(values_of(recorder)) >= 12
    assert all(one.startswith("h:") and "h:h:" not in one for one in values_of(recorder))


def test_a_callback_gets_values_of_every_simple_type() -> None:
    """Dates and identifiers reach it as texts."""
    redactor = Redactor(callback=lambda path, value: "someone" if path == "user" else value)
    record = log(attributes={"user": uuid.UUID(int=7)})
    assert redactor.redact(record).attributes == {"user": "someone"}


def test_the_facts_of_every_process_are_redacted(tmp_path: Path) -> None:
    """With several providers a file also begins with the facts of the first one's process."""
    exporter = RedactingExporter(JsonlExporter(tmp_path))
    first = TracerProvider(resource=Resource({"api.token": SECRET}), shutdown_on_exit=False)
    first.add_span_processor(LifecycleSpanProcessor(Recorder()))
    first.get_tracer("t").start_span("elsewhere").end()
    second = TracerProvider(resource=Resource({"service.name": "second"}), shutdown_on_exit=False)
    processor = LifecycleSpanProcessor(exporter)
    second.add_span_processor(processor)
    second.get_tracer("t").start_span("here").end()
    processor.shutdown()
    (path,) = tmp_path.glob("*.jsonl")
    assert b"second" in path.read_bytes()
    assert SECRET.encode() not in path.read_bytes()


def test_an_exporter_may_change_a_record() -> None:
    """What it puts in is written like any other value."""
    record = Sanitiser().sanitise(span("end", attributes={"n": 1}))
    odd = {"o": object(), "n": float("nan")}
    changed = record._replace(events=(SpanEvent("e", 1, odd),))
    found = decode_line(encode_line(changed))
    assert found.attributes == {"n": 1}
    assert found.events[0].attributes["n"] == "NaN"


def unchanged(record: Record) -> Record:
    """Return the record."""
    return record


def test_logs_for_an_exporter_that_redacts_are_left_to_it() -> None:
    """Whatever the processor is passed, that exporter gets the program's own values."""
    recorder = Recorder()
    raw = b"token=" + SECRET.encode() + b" " * 60_000
    for redact in (None, unchanged):
        tap = TracerMetaTap(
            structlog.processors.KeyValueRenderer(), RedactingExporter(recorder), redact=redact
        )
        structlog.wrap_logger(structlog.PrintLogger(io.StringIO()), processors=[tap]).info(
            "x", v=raw
        )
    assert len(recorder.records) == 2
    assert all(
        str(one.attributes["v"]).startswith("token=[redacted: token]") for one in recorder.records
    )


@pytest.mark.parametrize(
    "text",
    [
        "--password=hunter2hunter2 -v",
        "run --api-key hunter2hunter2",
        "next=%3Fpassword%3Dhunter2hunter2",
        "{%22password%22%3A%22hunter2hunter2%22}",
    ],
)
@pytest.mark.parametrize(
    "settings", [RedactionSettings(mode="strict"), RedactionSettings(keys=("iban",))]
)
def test_more_rules_find_what_the_default_ones_find(text: str, settings: RedactionSettings) -> None:
    """Strict mode and keys of the user's own add to the default rules."""
    record = log(attributes={"text": text})._replace(process=PROCESS)
    assert SECRET not in str(Redactor(settings).redact(record).attributes)

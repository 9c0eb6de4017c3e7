"""Redaction of output: around exporters, in files, on terminals, through `configure`."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import structlog
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

import otel_ext
from otel_ext.config import load_config
from otel_ext.errors import ConfigError
from otel_ext.exporters import CompatExporter, ConsoleExporter, FanOut, JsonlExporter
from otel_ext.exporters.redacting import RedactingExporter
from otel_ext.journal.settings import JournalSettings
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.processors.tracer_meta import TracerMetaRenderer
from otel_ext.protocols import LineExporter
from otel_ext.redaction import Redactor
from otel_ext.runtime.counters import COUNTERS
from tests.redaction.planted import PROCESS, log, span

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otel_ext.protocols import RecordExporter
    from otel_ext.record.model import Record

SECRET = "hunter2hunter2"  # noqa: S105 - planted
PROGRAM = """
import sys
import structlog
from opentelemetry import trace
import otel_ext

otel_ext.configure(output=sys.argv[1], console="off")
otel_ext.configure_structlog(renderer="json")
tracer = trace.get_tracer("app")
secret = {"password": "hunter2hunter2"}
with tracer.start_as_current_span("GET /?token=hunter2hunter2", attributes=secret) as span:
    span.set_attribute("db.url", "postgres://app:hunter2hunter2@db/x")
    structlog.get_logger().info("login token=hunter2hunter2", cookie="hunter2hunter2", n=1)
    try:
        with tracer.start_as_current_span("inner"):
            raise ValueError("password: hunter2hunter2")
    except ValueError:
        pass
"""


class Sink:
    """An exporter that keeps its records and does not write lines."""

    never_starts_spans = True
    never_waits = True

    def __init__(self) -> None:
        self.records: list[Record] = []

    def export(self, record: Record) -> None:
        """Keep one record."""
        self.records.append(record)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing."""
        return True

    def shutdown(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("style", ["json", "people"])
def test_the_terminal_shows_no_secret(style: str) -> None:
    """Lines for people and for programs contain no secrets."""
    stream = io.StringIO()
    exporter = RedactingExporter(ConsoleExporter(stream, style=style))  # type: ignore[arg-type]
    exporter.export(log(name=f"token={SECRET}", attributes={"password": SECRET, "n": 1}))
    exporter.export(span("start", attributes={"password": SECRET}))
    exporter.shutdown()
    assert SECRET not in stream.getvalue()
    assert "[redacted: password]" in stream.getvalue()


def test_the_wrapper_still_chooses_the_encoding() -> None:
    """Compat mode selects the encoding through the redactor, if it wraps an exporter of lines."""
    stream = io.StringIO()
    redacting = RedactingExporter(ConsoleExporter(stream, style="json"))
    assert isinstance(redacting, LineExporter)
    CompatExporter(redacting).export(log(attributes={"password": SECRET}))
    line = json.loads(stream.getvalue())
    assert line["timestamp"] == line["__tracer_meta__"]["timestamp"]
    assert line["password"] == "[redacted: password]"  # noqa: S105 - a mark
    assert not isinstance(RedactingExporter(Sink()), LineExporter)


def test_an_exporter_of_records_gets_redacted_ones() -> None:
    """Queued or sent records hold no secret, nor does their process."""
    sink = Sink()
    exporter = RedactingExporter(sink)
    plain = span("start", attributes={"n": 1})
    exporter.export(plain)
    exporter.export(span("start", attributes={"password": SECRET}))
    assert sink.records[0] == plain
    assert sink.records[1].attributes == {"password": "[redacted: password]"}
    assert sink.records[1].process is PROCESS


def test_exporters_that_share_a_redactor_redact_once() -> None:
    """A record for several exporters is redacted, and counted, once."""
    COUNTERS.reset()
    redactor = Redactor()
    sinks = Sink(), Sink()
    lines = ConsoleExporter(io.StringIO(), style="json")
    fan = FanOut(*(RedactingExporter(one, redactor) for one in (*sinks, lines)))
    fan.export(log(attributes={"password": SECRET}))
    assert COUNTERS.value("redacted.password") == 1
    assert sinks[0].records == sinks[1].records


BYTES = b"token=" + SECRET.encode() + b" " * 60_000


def alone(one: RedactingExporter) -> RecordExporter:
    """Return the exporter itself."""
    return one


def inside(one: RedactingExporter) -> RecordExporter:
    """Return an exporter around it."""
    return CompatExporter(FanOut(one))


@pytest.mark.parametrize("wrap", [alone, inside])
def test_an_exporter_that_redacts_gets_the_programs_own_values(
    wrap: Callable[[RedactingExporter], RecordExporter],
) -> None:
    """A secret in bytes is found, also in so many that plain data has them as base64."""
    sink = Sink()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(LifecycleSpanProcessor(wrap(RedactingExporter(sink))))
    provider.get_tracer("t").start_span("x", attributes={"raw": BYTES}).end()
    structlog.wrap_logger(
        structlog.ReturnLogger(), processors=[TracerMetaRenderer(wrap(RedactingExporter(sink)))]
    ).info("x", raw=BYTES)
    spans_and_logs = [one for one in sink.records if one.kind != "process"]
    found = [str(one.attributes["raw"]) for one in spans_and_logs]
    assert len(found) == 3
    assert all(one.startswith("token=[redacted: token]") for one in found)


def test_a_processor_with_a_redactor_redacts_for_every_exporter(tmp_path: Path) -> None:
    """Records in the table of open spans, and what is made of them, hold no secret either."""
    sink = Sink()
    journal = JsonlExporter(tmp_path)
    processor = LifecycleSpanProcessor(FanOut(journal, sink), redactor=Redactor())
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    span = provider.get_tracer("t").start_span("x", attributes={"password": SECRET, "raw": BYTES})
    (opened,) = processor.tracker.table.start_records()
    assert SECRET not in str(opened)
    assert processor.tracker.watchdog.dump() == 1
    processor.shutdown()  # which writes an end for the open span
    span.end()
    assert [one.phase for one in sink.records if one.kind == "span"] == ["start", "update", "end"]
    assert SECRET not in str(sink.records)
    assert all(SECRET.encode() not in path.read_bytes() for path in tmp_path.rglob("*.jsonl"))


def test_a_callback_that_starts_spans_does_not_recurse() -> None:
    """The records of its own spans are emptied, since it cannot be called for them."""
    sink = Sink()
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("t")

    def start_one(_path: str, value: object) -> object:
        tracer.start_span("inner").end()
        return value

    redactor = Redactor(callback=start_one)
    provider.add_span_processor(LifecycleSpanProcessor(sink, redactor=redactor))
    tracer.start_span("outer").end()
    names = {one.name for one in sink.records if one.kind == "span"}
    assert names == {"outer", "[redacted: error]"}


def test_a_callback_may_start_spans() -> None:
    """With a callback the processor watches for recursion."""
    assert RedactingExporter(Sink()).never_starts_spans
    callback = Redactor(callback=lambda _, value: value)
    assert not RedactingExporter(Sink(), callback).never_starts_spans


def test_the_journals_own_records_are_redacted(tmp_path: Path) -> None:
    """The lines that begin a file, and open spans repeated in the next, hold no secret."""
    settings = JournalSettings(segment_size=64 * 1024)
    journal = JsonlExporter(tmp_path, settings=settings)
    exporter = CompatExporter(RedactingExporter(journal), enabled=False)
    exporter.export(span("start", attributes={"password": SECRET}))
    for number in range(200):
        exporter.export(log(attributes={"filler": "x" * 1_000, "token": SECRET, "n": number}))
        exporter.force_flush()
    exporter.shutdown()
    files = list(tmp_path.glob("*.jsonl"))
    assert len(files) > 1
    assert all(SECRET.encode() not in path.read_bytes() for path in files)


@pytest.mark.parametrize("mode", ["default", "off"])
def test_a_program_that_is_configured_is_redacted(tmp_path: Path, mode: str) -> None:
    """After `configure` no file or log line has a secret, even from the command line."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), f"--password={SECRET}", "--token", SECRET],
        env={
            **os.environ,
            "OTEL_EXT_REDACT": mode,
            "OTEL_RESOURCE_ATTRIBUTES": f"service.api_key={SECRET}",
        },
        capture_output=True,
        check=True,
        text=True,
    )
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"process.start" in written
    assert b"exception.stacktrace" in written
    if mode == "off":
        assert SECRET.encode() in written
        return
    # The command line contains the program's own text, after `-c`.
    lines = [line for line in written.splitlines() if b'"process.start"' not in line]
    assert all(SECRET.encode() not in line for line in lines)
    (start,) = [line for line in written.splitlines() if b'"process.start"' in line]
    meta = json.loads(start)["__tracer_meta__"]
    assert meta["argv"][-3:] == [
        "--password=[redacted: password]",
        "--token",
        "[redacted: token]",
    ]
    assert meta["resource"]["service.api_key"] == "[redacted: api-key]"
    assert SECRET not in done.stdout + done.stderr
    assert "[redacted: cookie]" in done.stdout


def test_a_callback_is_passed_in_code(tmp_path: Path) -> None:
    """`configure(redact_callback=…)` calls the function for each value."""
    with otel_ext.configure(
        tracer_provider=TracerProvider(),  # the global one can be set only once
        output=tmp_path,
        console="off",
        redact_callback=lambda path, value: "gone" if path == "user" else value,
    ) as handle:
        assert handle.exporter is not None
        handle.exporter.export(log(attributes={"user": "ann", "n": 1}))
    (path,) = tmp_path.glob("*.jsonl")
    assert '"user":"gone","n":1' in path.read_text()


def test_a_callback_that_is_not_a_function_is_refused(tmp_path: Path) -> None:
    """`configure` raises an error that names the argument."""
    with pytest.raises(ConfigError, match="redact_callback"):
        otel_ext.configure(output=tmp_path, redact_callback="x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("OTEL_EXT_REDACT", "stict", "Did you mean 'strict'"),
        ("OTEL_EXT_REDACT_VALUES", r"(a)\1", "backreferences"),
        ("OTEL_EXT_REDACT_KEYS", r"(?=x)x", "lookarounds"),
        ("OTEL_EXT_REDACT_SCAN_LIMIT", "10", "1 KiB"),
        ("OTEL_EXT_REDACT_HMAC_KEY", "too short", "at least 16"),
    ],
)
def test_wrong_settings_are_explained(variable: str, value: str, message: str) -> None:
    """The error for a wrong setting has its name, its source and the remedy."""
    with pytest.raises(ConfigError) as caught:
        load_config(file=os.devnull, environ={variable: value})
    assert message in str(caught.value)
    assert variable in str(caught.value)
    if "HMAC" in variable:
        assert value not in str(caught.value)


def test_patterns_come_from_everywhere() -> None:
    """Texts with commas or lines, and lists, give the same patterns."""
    for patterns in (r"a{1,3},b[,]c", "a{1,3}\nb[,]c", [r"a{1,3}", "b[,]c"]):
        config = load_config({"redact_keys": patterns}, file=os.devnull, environ={})
        assert config.redaction.keys == ("a{1,3}", "b[,]c")


def test_the_key_is_shown_nowhere() -> None:
    """Neither the settings as text nor a message shows the HMAC key."""
    key = "a key that stays hidden"
    config = load_config({"redact_hmac_key": key}, file=os.devnull, environ={})
    shown = [setting.kind.format(value) for setting, value, _ in config.items()]
    assert "(set)" in shown
    assert key not in "".join(shown)


@pytest.mark.parametrize("wrap", [CompatExporter, FanOut, RedactingExporter])
def test_the_first_line_is_prepared_through_any_wrapper(
    wrap: Callable[[RecordExporter], RecordExporter],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """It has no secrets, and nothing is reported."""
    resource = Resource({"service.name": "shop", "password": SECRET})
    processor = LifecycleSpanProcessor(RedactingExporter(wrap(JsonlExporter(tmp_path))))
    processor.prepare(resource)
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(processor)
    provider.get_tracer("t").start_span("work").end()
    provider.shutdown()
    (file,) = tmp_path.glob("*.jsonl")
    text = file.read_text()
    assert '"password":"[redacted: password]"' in text
    assert SECRET not in text
    assert not capfd.readouterr().err

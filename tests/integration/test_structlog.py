"""`configure_structlog` beside a program's own chain, `logging`, and the official package."""

from __future__ import annotations

import io
import json
import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import structlog

from tests.sdk import SDK

if SDK < (1, 39):
    pytest.skip(
        "needs OpenTelemetry 1.39: before it logs have other classes, and there is no"
        " instrumentation of structlog",
        allow_module_level=True,
    )

from opentelemetry.instrumentation.structlog import (  # pyright: ignore[reportMissingTypeStubs]
    StructlogInstrumentor,
)
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from structlog.processors import JSONRenderer, KeyValueRenderer, TimeStamper, add_log_level

from otel_ext.errors import ConfigError
from otel_ext.processors.stdlib_bridge import StdlibBridge
from otel_ext.processors.structlog_chain import is_official
from otel_ext.processors.tracer_meta import TracerMetaProcessor, TracerMetaRenderer
from otel_ext.record.decode import decode_line
from otel_ext.setup.structlog import configure_structlog
from tests.structlog_kit import META, Kept, fail

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from structlog.typing import EventDict, Processor

Output: TypeAlias = "pytest.CaptureFixture[bytes]"


@pytest.fixture(autouse=True)
def as_in_a_new_process(unconfigured_structlog: None) -> Iterator[None]:
    """Begin and end each test with an unconfigured structlog that is not instrumented."""
    del unconfigured_structlog
    yield
    if StructlogInstrumentor().is_instrumented_by_opentelemetry:
        StructlogInstrumentor().uninstrument()


@contextmanager
def bare_root() -> Generator[None]:
    """Remove all handlers of the root logger during the block, also those of pytest."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    root.setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


@pytest.fixture
def official() -> Iterator[InMemoryLogRecordExporter]:
    """Activate the official instrumentation; return what it exports to."""
    exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    StructlogInstrumentor().instrument(logger_provider=provider)
    yield exporter
    provider.shutdown()


def lines(captured: Output) -> list[str]:
    """Return the lines that were written to standard output since the last call."""
    return captured.readouterr().out.decode().splitlines()


def test_one_call_configures_everything(capsysbinary: Output) -> None:
    """Without a terminal logs are printed as records, and the same records are exported."""
    kept = Kept()
    configure_structlog(kept)
    log = structlog.get_logger("shop")
    with TracerProvider().get_tracer("t").start_as_current_span("s"):
        structlog.contextvars.bind_contextvars(request="r1")
        log.info("stored", order={"id": 7})
    log.debug("not at this level")
    try:
        fail(KeyError("id"))
    except KeyError:
        log.exception("failed")
    stored, failed = (decode_line(line) for line in lines(capsysbinary))
    assert kept.names == [stored.name, failed.name] == ["stored", "failed"]
    assert stored.attributes == {"order": {"id": 7}, "request": "r1"}
    assert stored.span_id == kept.records[0].span_id != ""
    assert (stored.level, stored.logger) == ("info", "shop")
    assert stored.call_site.function == "test_one_call_configures_everything"
    assert str(failed.attributes["exception"]).endswith("KeyError: 'id'")


def test_logs_on_a_terminal(capsysbinary: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal logs are readable lines, and escape sequences in an event are escaped."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    kept = Kept()
    configure_structlog(kept)
    structlog.get_logger().info("stored\x1b[2J", order=7)
    (line,) = lines(capsysbinary)
    assert "stored\\x1b[2J" in line
    assert META not in line
    assert kept.names == ["stored\x1b[2J"]
    assert kept.records[0].attributes == {"order": 7}


def test_a_second_call_replaces_the_first(capsysbinary: Output) -> None:
    """Each log is exported once, to the exporter of the last call, also by cached loggers."""
    first, second = Kept(), Kept()
    configure_structlog(first)
    log = structlog.get_logger()
    log.info("a")
    configure_structlog(second)
    log.info("b")
    structlog.get_logger().info("c")
    assert (first.names, second.names) == (["a"], ["b", "c"])
    assert len(lines(capsysbinary)) == 3


def test_changing_from_json_to_console_reaches_cached_loggers(capsysbinary: Output) -> None:
    """A cached logger prints with the renderer of the last call, be it text or bytes."""
    configure_structlog(Kept(), renderer="json")
    cached = structlog.get_logger()
    cached.info("a")
    configure_structlog(Kept(), renderer="console")
    cached.info("b")
    structlog.get_logger().info("c")
    a, b, c = lines(capsysbinary)
    assert decode_line(a).name == "a"
    assert META not in b
    assert META not in c


def test_a_configuration_of_the_programs_own_is_kept(capsysbinary: Output) -> None:
    """Its processors and its output stay as they are; each log becomes a record besides."""
    chain: list[Processor] = [add_log_level, TimeStamper(fmt="iso", utc=True), JSONRenderer()]
    structlog.configure(processors=chain, cache_logger_on_first_use=True)
    log = structlog.get_logger()
    log.info("before")
    first, second = Kept(), Kept()
    configure_structlog(first)
    configure_structlog(second)
    log.info("after", n=1)
    before, after = (json.loads(line) for line in lines(capsysbinary))
    assert before.keys() == {"event", "level", "timestamp"}
    assert after.keys() == {"event", "level", "n", "timestamp"}
    assert (first.names, second.names) == ([], ["after"])
    assert second.records[0].attributes == {"n": 1, "timestamp": after["timestamp"]}


def test_a_chosen_renderer_replaces_the_last_of_the_programs_own(capsysbinary: Output) -> None:
    """With the renderer json the program's chain ends in records; its other processors stay."""
    structlog.configure(processors=(add_log_level, KeyValueRenderer()))
    kept = Kept()
    configure_structlog(kept, renderer="json")
    configure_structlog(kept, renderer="json")
    structlog.get_logger().info("x", n=1)
    (line,) = lines(capsysbinary)
    assert decode_line(line).attributes == kept.records[0].attributes == {"n": 1}
    assert kept.names == ["x"]


def test_a_renderer_of_the_users(capsysbinary: Output) -> None:
    """Any structlog renderer can print, while the records are exported."""
    kept = Kept()
    configure_structlog(kept, renderer=KeyValueRenderer(key_order=["event"]))
    structlog.get_logger().info("x", n=1)
    assert lines(capsysbinary) == ["event='x' n=1 level='info'"]
    assert kept.names == ["x"]


@pytest.mark.parametrize("final", [TracerMetaProcessor, TracerMetaRenderer])
def test_a_processor_of_ours_in_the_chain_is_not_added_again(
    final: Any,  # noqa: ANN401 - either class
    capsysbinary: Output,
) -> None:
    """Where the program itself uses one of our processors, nothing is added."""
    kept = Kept()
    rest = [JSONRenderer()] if final is TracerMetaProcessor else []
    made: Any = TracerMetaProcessor(kept) if rest else TracerMetaRenderer(kept, text=True)
    structlog.configure(processors=[made, *rest])
    configure_structlog(kept)
    structlog.get_logger().info("x")
    assert kept.names == ["x"]
    assert len(lines(capsysbinary)) == 1


@pytest.mark.parametrize("instrument_first", [True, False])
def test_beside_the_official_instrumentation(
    instrument_first: bool,
    capsysbinary: Output,
) -> None:
    """In either order: one line, one record, one OpenTelemetry log with the event as body."""
    exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    kept = Kept()
    steps: list[Callable[[], object]] = [
        lambda: StructlogInstrumentor().instrument(logger_provider=provider),
        lambda: configure_structlog(kept),
    ]
    for step in steps if instrument_first else reversed(steps):
        step()
    configure_structlog(kept)
    assert any(map(is_official, structlog.get_config()["processors"]))
    structlog.get_logger().info("stored", n=1)
    (line,) = lines(capsysbinary)
    assert decode_line(line).name == "stored"
    assert kept.names == ["stored"]
    (sent,) = exporter.get_finished_logs()
    assert sent.log_record.body == "stored"
    assert dict(sent.log_record.attributes or {}) == {"n": 1}
    StructlogInstrumentor().uninstrument()
    assert not any(map(is_official, structlog.get_config()["processors"]))


def test_a_programs_chain_beside_the_official_instrumentation(
    official: InMemoryLogRecordExporter, capsysbinary: Output
) -> None:
    """A chain configured under the instrumentation is wrapped behind it, and nothing doubles."""
    kept = Kept()
    structlog.configure(processors=[add_log_level, JSONRenderer()])
    configure_structlog(kept)
    configure_structlog(kept)
    structlog.get_logger().info("x", n=1)
    assert json.loads(lines(capsysbinary)[0]) == {"event": "x", "level": "info", "n": 1}
    assert kept.names == ["x"]
    assert [item.log_record.body for item in official.get_finished_logs()] == ["x"]


def test_logs_of_the_standard_library(capsysbinary: Output) -> None:
    """With `stdlib` other libraries' logs are records too, printed where no handler does so."""
    with bare_root():
        kept = Kept()
        configure_structlog(kept, stdlib=True)
        configure_structlog(kept, stdlib=True)
        with TracerProvider().get_tracer("t").start_as_current_span("s") as span:
            logging.getLogger("lib.db").info("slow %s", "q", extra={"took": 1.5, "level": 9})
        try:
            fail(OSError("gone"))
        except OSError:
            logging.getLogger("lib").exception("failed")
        structlog.get_logger().info("own")
        slow, failed, own = (decode_line(line) for line in lines(capsysbinary))
        assert kept.names == [slow.name, failed.name, own.name] == ["slow q", "failed", "own"]
        assert (slow.level, slow.logger) == ("info", "lib.db")
        assert slow.attributes == {"took": 1.5, "level": 9}
        assert slow.call_site.function == "test_logs_of_the_standard_library"
        assert slow.span_id == f"{span.get_span_context().span_id:016x}"
        assert str(failed.attributes["exception"]).endswith("OSError: gone")


def test_the_programs_handlers_go_on_printing(capsysbinary: Output) -> None:
    """Where the root logger has a handler, the bridge only exports and changes no level."""
    with bare_root():
        output = io.StringIO()
        logging.basicConfig(stream=output, format="%(message)s")
        kept = Kept()
        configure_structlog(kept, stdlib=True)
        logging.getLogger("lib").warning("hello")
        logging.getLogger("lib").info("below the root's level")
        assert output.getvalue() == "hello\n"
        assert kept.names == ["hello"]
        assert lines(capsysbinary) == []


@pytest.mark.parametrize("wrapped", [True, False])
def test_structlog_through_logging_is_not_doubled(wrapped: bool) -> None:
    """Events that structlog sends through `logging` are exported once, by structlog's chain."""
    with bare_root():
        output = io.StringIO()
        handler = logging.StreamHandler(output)
        last: Any = JSONRenderer()
        if wrapped:
            last = structlog.stdlib.ProcessorFormatter.wrap_for_formatter
            handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=JSONRenderer()))
        logging.getLogger().addHandler(handler)
        structlog.configure(
            processors=[last],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
        )
        kept = Kept()
        configure_structlog(kept, stdlib=True)
        structlog.get_logger("shop").warning("own", n=1)
        logging.getLogger("lib").warning("foreign")
        assert kept.names == ["own", "foreign"]
        assert kept.records[0].logger == "shop"
        assert kept.records[0].call_site.function == "test_structlog_through_logging_is_not_doubled"
        assert json.loads(output.getvalue().splitlines()[0]) == {"event": "own", "n": 1}


def broken(_logger: object, _method: str, _event_dict: EventDict) -> EventDict:
    """A structlog processor that raises."""
    raise RuntimeError("broken")


def test_the_bridge_survives_mistakes_of_callers(capfd: pytest.CaptureFixture[str]) -> None:
    """A log whose arguments do not fit is exported, and a processor that raises is reported."""
    kept = Kept()
    log = logging.Logger("x")  # noqa: LOG001 - kept apart from the program's tree
    log.addHandler(StdlibBridge(TracerMetaProcessor(kept)))
    log.warning("%d of %d", "one")  # noqa: PLE1206 - the mistake in question
    log.warning("fine")
    log.addHandler(StdlibBridge(broken))
    log.warning("still fine")
    assert kept.names == ["%d of %d", "fine", "still fine"]
    assert "StdlibBridge: a log record is lost: RuntimeError: broken" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"renderer": "xml"},
            "renderer='xml' is not a valid renderer. Use auto, console, json or a structlog",
        ),
        ({"level": "loud"}, "level='loud' is not a log level. Use debug, info, warning, error"),
        ({"level": 7}, "level=7 is not a log level"),
    ],
)
def test_an_invalid_argument_is_an_error(arguments: dict[str, Any], message: str) -> None:
    """The error names the renderer or level, and what is allowed; nothing is configured."""
    with pytest.raises(ConfigError, match=message):
        configure_structlog(**arguments)
    assert not structlog.is_configured()

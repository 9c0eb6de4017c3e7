"""Errors while a log becomes a record never reach the caller."""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
import structlog
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider

from otel_ext.processors import log_recorder, tracer_meta
from otel_ext.processors.tracer_meta import (
    TracerMetaProcessor,
    TracerMetaRenderer,
    TracerMetaTap,
)
from otel_ext.record.decode import decode_line
from otel_ext.runtime.counters import COUNTERS
from tests.programs import in_child
from tests.structlog_kit import META, Kept, fail, logger
from tests.threads import in_threads

if TYPE_CHECKING:
    from otel_ext.record.model import Record


class Hostile:
    """A value whose methods raise."""

    def __str__(self) -> str:
        raise RuntimeError("hostile")

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("hostile")

    __hash__ = None  # type: ignore[assignment]


class Raising(Kept):
    """An exporter that raises."""

    def export(self, record: Record) -> None:
        """Raise."""
        super().export(record)
        raise OSError("disk gone")


class Logging(Kept):
    """An exporter that logs about every record, under a lock that is not reentrant."""

    def __init__(self, log: object = None) -> None:
        super().__init__()
        self.log = log
        self._lock = threading.Lock()

    def export(self, record: Record) -> None:
        """Keep the record, and log."""
        with self._lock:
            super().export(record)
            self.log.info("exported", name=record.name)  # type: ignore[attr-defined]


def test_awkward_values_lose_only_themselves() -> None:
    """NaN, bytes, surrogates, huge integers and hostile objects each have an encoding."""
    loop: list[object] = []
    loop.append(loop)
    line = logger(TracerMetaRenderer()).info(
        "x\ud800",
        nan=float("nan"),
        raw=b"\x00\xff",
        lone="a\ud800",
        big=10**30,
        hostile=Hostile(),
        loop=loop,
        level=Hostile(),
        fine=1,
    )
    read = decode_line(line)
    values = read.attributes
    assert read.name == "x\ufffd"
    assert (values["nan"], values["raw"], values["lone"]) == ("NaN", "AP8=", "a\ufffd")
    assert (values["big"], values["fine"]) == (str(10**30), 1)
    assert values["hostile"] == values["level"] == "<unprintable: Hostile>"
    assert read.level == "info"


def test_keys_of_other_types_than_text() -> None:
    """Keys of other types, as bound by `bind(**)` or a context class, become text."""
    assert json.loads(TracerMetaRenderer()(None, "info", {1: "a", "event": "x"}))["1"] == "a"  # type: ignore[dict-item]


def test_a_hostile_event_and_a_hostile_exception() -> None:
    """An event or exception whose text raises is shown by its type."""

    def formatter(exc_info: object) -> str:
        raise RuntimeError(f"no formatter for {type(exc_info)}")

    render = TracerMetaRenderer(exceptions=structlog.processors.ExceptionRenderer(formatter))
    try:
        fail(KeyError("x"))
    except KeyError:
        read = decode_line(logger(render).exception(Hostile()))
    assert read.name == read.attributes["event"] == "<unprintable: Hostile>"
    assert read.attributes["exception"] == "<unprintable: KeyError>"


def test_an_exporter_that_raises_loses_only_the_record(capfd: pytest.CaptureFixture[str]) -> None:
    """The line is printed; the loss is counted, and reported once on stderr."""
    exporter = Raising()
    before = COUNTERS.value("dropped.export_failed")
    for kind in (TracerMetaProcessor, TracerMetaRenderer):
        for _ in range(3):
            assert META in str(logger(kind(exporter)).info("x"))
    assert len(exporter.records) == 6
    assert COUNTERS.value("dropped.export_failed") == before + 6
    assert capfd.readouterr().err.count("TracerMetaRenderer: a log record is lost") <= 1


def test_an_exporter_that_logs_does_not_call_itself() -> None:
    """A log written inside an exporter is printed but not exported: no recursion, no deadlock."""
    exporter = Logging()
    log = exporter.log = logger(TracerMetaRenderer(exporter))
    before = COUNTERS.value("dropped.reentrant")
    assert b'"event":"x"' in log.info("x")
    assert exporter.names == ["x"]
    assert COUNTERS.value("dropped.reentrant") == before + 1
    log.info("y")
    assert exporter.names == ["x", "y"]


@pytest.mark.parametrize("broken", ["time_ns", "here", "get_current"])
def test_each_dependency_may_raise(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever step of making a record fails, the event dict is returned unchanged."""

    def raise_it(*_: object) -> None:
        raise RuntimeError(broken)

    monkeypatch.setattr(f"otel_ext.processors.log_capture.{broken}", raise_it)
    out = logger(TracerMetaProcessor(Kept())).info("x", n=1)[1]
    assert out == {"n": 1, "event": "x"}
    assert json.loads(logger(TracerMetaRenderer(Kept())).info("x", n=1)) == {"n": 1, "event": "x"}
    tapped = TracerMetaTap(structlog.processors.JSONRenderer(), Kept())
    assert json.loads(logger(tapped).info("x", n=1)) == {"n": 1, "event": "x"}


@pytest.mark.parametrize(
    ("module", "broken"),
    [(tracer_meta, "encode_line"), (log_recorder, "format_ns")],
)
def test_encoding_may_raise(module: object, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the codec fails, the line is printed without metadata."""

    def raise_it(*_: object) -> None:
        raise RuntimeError(broken)

    monkeypatch.setattr(module, broken, raise_it)
    render = structlog.processors.JSONRenderer()
    assert '"n": 1' in logger(TracerMetaProcessor(Kept()), render).info("x", n=1, deep=[1])
    assert b'"n":1' in logger(TracerMetaRenderer(Kept())).info("x", n=1, deep=[1])


def test_a_compat_switch_that_raises_loses_no_line() -> None:
    """When the user's function for compat mode fails, the log is printed."""
    render = TracerMetaRenderer(compat=lambda: fail(ValueError("no")))
    assert json.loads(logger(render).info("x", n=1)) == {"n": 1, "event": "x"}


def test_queued_records_do_not_change_with_the_users_objects() -> None:
    """A kept record does not change when the user changes an object after the call."""
    kept = Kept()
    items = [1]
    logger(TracerMetaProcessor(kept)).info("x", items=items, deep={"a": items})
    items.append(2)
    assert kept.records[0].attributes == {"items": [1], "deep": {"a": [1]}}


def test_the_event_dict_is_not_changed_in_place() -> None:
    """The event dict of the call does not change, so a later failure can return it."""
    event_dict = {"event": "x", "n": 1, "level": "info", "exc_info": ValueError("v")}
    before = dict(event_dict)
    TracerMetaProcessor()(None, "info", event_dict)
    TracerMetaRenderer()(None, "info", event_dict)
    assert event_dict == before


def test_warnings_that_the_sdk_writes_under_its_locks() -> None:
    """The bridge neither hangs nor recurses on a warning written inside a span's locks."""
    kept = Kept()
    handler = logging.StreamHandler(open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[TracerMetaRenderer(kept, text=True)])
    )
    sdk = logging.getLogger("opentelemetry")
    sdk.addHandler(handler)
    try:
        with TracerProvider().get_tracer("t").start_as_current_span("s") as span:
            span.end()
            worker = threading.Thread(target=span.set_attribute, args=("k", 1), daemon=True)
            with trace.use_span(span):
                span.set_attribute("k", 1)
                span.set_attribute("bad", object())  # type: ignore[arg-type]
            worker.start()
            worker.join(5)
            assert not worker.is_alive()
    finally:
        sdk.removeHandler(handler)
        handler.stream.close()
    warnings = [record for record in kept.records if "ended span" in record.name]
    assert len(warnings) >= 2
    assert all(record.logger.startswith("opentelemetry.") for record in warnings)
    assert warnings[0].span_id == trace.format_span_id(span.get_span_context().span_id)


def test_logs_of_an_export_are_not_exported() -> None:
    """While the SDK suppresses instrumentation to export, library logs are only printed."""
    kept = Kept()
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[TracerMetaRenderer(kept, text=True)]
    )
    record = logging.LogRecord("urllib3", 10, "/x.py", 1, "POST", (), None)
    key = context._SUPPRESS_INSTRUMENTATION_KEY  # noqa: SLF001 - what the SDK itself sets
    token = context.attach(context.set_value(key, value=True))
    try:
        assert '"event":"POST"' in formatter.format(record)
    finally:
        context.detach(token)
    assert not kept.records
    formatter.format(record)
    assert kept.names == ["POST"]


def test_loggers_can_be_copied_and_pickled() -> None:
    """A bound logger can be copied and pickled; its pickled copy prints without exporting."""
    kept = Kept()
    for chain in (
        [TracerMetaProcessor(kept), structlog.processors.JSONRenderer()],
        [TracerMetaRenderer(kept, text=True, compat=True)],
        [TracerMetaTap(structlog.processors.JSONRenderer(), kept)],
    ):
        log = structlog.wrap_logger(
            structlog.PrintLogger(),
            processors=chain,  # type: ignore[arg-type]
            wrapper_class=structlog.make_filtering_bound_logger(0),
        ).bind(a=1)
        copy.deepcopy(log).info("copied")
        travelled = pickle.loads(pickle.dumps(log))  # noqa: S301 - bytes of this test
        travelled.info("travelled")
    assert kept.names == ["copied"] * 3


def test_threads_at_once() -> None:
    """Eight threads log through one processor: records and numbers are unique, threads right."""
    kept = Kept()
    log = logger(TracerMetaRenderer(kept))

    def work(number: int) -> None:
        for index in range(200):
            log.info("x", number=number, index=index)

    in_threads(*(partial(work, n) for n in range(8)), names=[f"w{n}" for n in range(8)])
    assert len({record.seq for record in kept.records}) == 1_600
    assert all(
        record.thread is not None and record.thread.name == f"w{record.attributes['number']}"
        for record in kept.records
    )


@pytest.mark.forks
def test_a_forked_child_is_another_process() -> None:
    """After a fork the child's logs have an incarnation of their own and count from one."""
    log = logger(TracerMetaRenderer())
    parent = decode_line(log.info("x"))
    child = decode_line(in_child(lambda: log.info("y").decode()).encode())
    assert child.process.id != parent.process.id
    assert child.seq == 1
    # A worker that another test left behind may have taken a number meanwhile.
    assert decode_line(log.info("z")).seq > parent.seq

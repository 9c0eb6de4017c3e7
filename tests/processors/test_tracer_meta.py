"""`TracerMetaProcessor`, `TracerMetaRenderer` and `TracerMetaTap` in real structlog chains."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from otel_ext.processors.tracer_meta import (
    TracerMetaProcessor,
    TracerMetaRenderer,
    TracerMetaTap,
)
from otel_ext.record.codec import encode_compat_line, encode_line
from otel_ext.record.decode import decode_line
from otel_ext.runtime.counters import COUNTERS
from tests.structlog_kit import META, Kept, drop, fail, logger

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("unconfigured_structlog")


def nested(
    log: Any,  # noqa: ANN401 - as structlog's
    event: object = "stored",
    /,
    **fields: object,
) -> dict[str, Any]:
    """Log through a single processor and return the event dict that it returns."""
    returned: dict[str, Any] = log.info(event, **fields)[1]
    return returned


def test_user_keys_stay_on_top_and_metadata_is_nested() -> None:
    """Metadata comes first under one key; the user's keys, nested ones too, do not change."""
    order = {"id": 7, "items": [{"sku": "a"}, {"sku": "b"}]}
    out = nested(logger(TracerMetaProcessor(), name="shop"), order=order, note=None)
    assert list(out) == [META, "order", "note"]
    assert out["order"] is order
    meta = out[META]
    assert meta["event"] == "stored"
    assert meta["kind"] == "log"
    assert meta["version"] == 2
    assert meta["level"] == "info"
    assert meta["logger"] == "shop"
    assert meta["function"].endswith("nested")
    assert meta["file"].endswith("test_tracer_meta.py")
    assert meta["thread"] == {"id": threading.get_ident(), "name": "MainThread"}
    assert "trace_id" not in meta
    assert "provisional" not in meta


@pytest.mark.parametrize("compat", [False, True])
def test_a_json_renderer_prints_the_same_line_as_the_file(compat: bool) -> None:
    """Processor plus JSONRenderer, renderer, and encoder give the same bytes for a record."""
    kept = Kept()
    render = structlog.processors.JSONRenderer(serializer=orjson.dumps)
    encode = encode_compat_line if compat else encode_line
    with TracerProvider().get_tracer("t").start_as_current_span("s"):
        line = logger(TracerMetaProcessor(kept, compat=compat), render).info("é 1", a=[1], b="x")
        assert line == encode(kept.records[0])[:-1]
        line = logger(TracerMetaRenderer(kept, compat=compat)).info("é 1", a=[1], b="x")
        assert line == encode(kept.records[1])[:-1]
    read = decode_line(line)
    assert (read.name, read.kind, read.attributes) == ("é 1", "log", {"a": [1], "b": "x"})


def test_ids_of_the_current_span() -> None:
    """Each log has the trace and span id of the span that is current at that moment."""
    tracer = TracerProvider().get_tracer("t")
    log = logger(TracerMetaRenderer())
    with tracer.start_as_current_span("outer") as outer:
        first = json.loads(log.info("a"))[META]
        with tracer.start_as_current_span("inner") as inner:
            second = json.loads(log.info("b"))[META]
        third = json.loads(log.info("c"))[META]
    for meta, span in ((first, outer), (second, inner), (third, outer)):
        context = span.get_span_context()
        assert meta["trace_id"] == trace.format_trace_id(context.trace_id)
        assert meta["span_id"] == trace.format_span_id(context.span_id)
    assert "trace_id" not in json.loads(log.info("d"))[META]


def test_numbers_are_those_of_the_process() -> None:
    """Records of several processors share one sequence of numbers and one process."""
    logs = [logger(TracerMetaRenderer()) for _ in range(3)]
    metas = [json.loads(log.info("x"))[META] for log in logs]
    assert [meta["seq"] - metas[0]["seq"] for meta in metas] == [0, 1, 2]
    assert len({meta["process"] for meta in metas}) == 1


def test_level_and_logger_of_structlogs_own_processors_move() -> None:
    """The keys of add_log_level and add_logger_name become metadata, not user data."""
    log = logger(
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        TracerMetaProcessor(),
        name="shop",
    )
    out = log.warning("x")[1]
    assert list(out) == [META]
    assert (out[META]["level"], out[META]["logger"]) == ("warning", "shop")


def test_user_keys_with_names_of_metadata_stay() -> None:
    """A level, logger, timestamp, trace_id or exception that the user passed stays on top."""
    fields = {
        "level": 5,
        "logger": "mine",
        "timestamp": "noon",
        "trace_id": "t",
        "exception": "e",
        "seq": 1,
    }
    out = nested(logger(TracerMetaProcessor(), name="shop"), **fields)
    assert {key: out[key] for key in fields} == fields
    assert (out[META]["level"], out[META]["logger"]) == ("info", "shop")


def test_a_user_key_named_tracer_meta_is_kept() -> None:
    """`__tracer_meta__` of the user becomes `user.__tracer_meta__` with every processor."""
    out = nested(logger(TracerMetaProcessor()), **{META: "mine"})
    assert out["user." + META] == "mine"
    assert out[META]["event"] == "stored"
    line = json.loads(logger(TracerMetaRenderer()).info("stored", **{META: "mine"}))
    assert line["user." + META] == "mine"


@pytest.mark.parametrize("compat", [True, lambda: True])
def test_compat_adds_the_timestamp_at_the_top(compat: bool | Callable[[], bool]) -> None:
    """In compat mode, fixed or from a function, the nested timestamp is on top as well."""
    out = nested(logger(TracerMetaProcessor(compat=compat)))
    assert list(out) == ["timestamp", META]
    assert out["timestamp"] == out[META]["timestamp"]


def test_compat_never_overwrites_a_timestamp() -> None:
    """A timestamp of the user, or of a TimeStamper, wins in compat mode and is counted."""
    before = COUNTERS.value("compat.timestamp_kept")
    out = nested(logger(TracerMetaProcessor(compat=True)), timestamp="noon")
    line = json.loads(logger(TracerMetaRenderer(compat=True)).info("x", timestamp="noon"))
    assert out["timestamp"] == line["timestamp"] == "noon"
    assert COUNTERS.value("compat.timestamp_kept") == before + 2


@pytest.mark.parametrize(
    ("event", "text"),
    [({"a": 1}, "{'a': 1}"), (42, "42"), (ValueError("no"), "no"), (b"x", "b'x'")],
)
def test_an_event_of_another_type_than_text(event: object, text: str) -> None:
    """Its text is the record's event; the value itself stays under the key `event`."""
    out = nested(logger(TracerMetaProcessor()), event)
    assert out[META]["event"] == text
    assert out["event"] is event


def test_no_event_at_all() -> None:
    """A log call without an event makes a record with an empty one."""
    line = logger(TracerMetaRenderer()).info(None, n=1)
    read = decode_line(line)
    assert (read.name, read.attributes) == ("", {"n": 1})


def test_exceptions_are_rendered() -> None:
    """`exc_info` becomes `exception`: text by default, structured on request."""
    structured = structlog.processors.dict_tracebacks
    try:
        fail(KeyError("id"))
    except KeyError:
        text = logger(TracerMetaProcessor()).exception("failed")[1]
        frames = logger(TracerMetaProcessor(exceptions=structured)).exception("failed")[1]
    assert text["exception"].startswith("Traceback (most recent call last):")
    assert text["exception"].endswith("KeyError: 'id'")
    assert "exc_info" not in text
    assert text[META]["level"] == "error"
    assert frames["exception"][0]["exc_type"] == "KeyError"


def test_bound_context_variables_are_user_data() -> None:
    """Values that structlog.contextvars bound are on top of the record."""
    kept = Kept()
    log = logger(structlog.contextvars.merge_contextvars, TracerMetaRenderer(kept))
    with structlog.contextvars.bound_contextvars(request="r1"):
        log.info("x", n=1)
    log.info("y")
    assert [dict(record.attributes) for record in kept.records] == [{"request": "r1", "n": 1}, {}]


def test_cached_loggers_and_bound_loggers() -> None:
    """With cache_logger_on_first_use each call still has its own call site."""
    kept = Kept()
    structlog.configure(
        processors=[TracerMetaRenderer(kept)],
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    log = structlog.get_logger()
    log.info("a")
    log.bind(user="ann").info("b")
    first, second = kept.records
    assert second.call_site.line == first.call_site.line + 1
    assert second.attributes == {"user": "ann"}


def test_async_methods_record_their_callers_call_site_thread_and_span() -> None:
    """`ainfo` runs on an executor's thread, but its record is of where it was awaited."""
    kept = Kept()
    log = logger(TracerMetaRenderer(kept))
    tracer = TracerProvider().get_tracer("t")

    async def handle() -> int:
        with tracer.start_as_current_span("s") as span:
            await log.ainfo("hello", n=1)
            return span.get_span_context().span_id

    span_id = asyncio.run(handle())
    record = kept.records[0]
    assert record.call_site.file.endswith("test_tracer_meta.py")
    assert record.call_site.function.endswith("handle")
    assert record.call_site.line == handle.__code__.co_firstlineno + 2
    assert record.span_id == trace.format_span_id(span_id)
    assert record.thread is not None
    assert record.thread.name == "MainThread"


def test_async_exceptions_and_the_task_of_plain_calls() -> None:
    """`aexception` records its traceback; a plain call inside a task records the task."""
    kept = Kept()
    log = logger(TracerMetaRenderer(kept))

    async def handle() -> None:
        try:
            fail(OSError("gone"))
        except OSError:
            await log.aexception("failed")
        log.info("after")

    async def main() -> None:
        await asyncio.create_task(handle(), name="worker-1")

    asyncio.run(main())
    failed, after = kept.records
    assert str(failed.attributes["exception"]).endswith("OSError: gone")
    assert failed.level == "error"
    assert after.task is not None
    assert after.task.name == "worker-1"


def test_two_processors_in_one_chain_do_not_double() -> None:
    """The second processor keeps the first one's record, and exports only to another exporter."""
    kept, other = Kept(), Kept()
    log = logger(
        TracerMetaProcessor(kept, compat=True),
        TracerMetaProcessor(kept),
        TracerMetaProcessor(other),
        TracerMetaRenderer(kept),
    )
    line = log.info("x", n=1)
    assert len(kept.records) == len(other.records) == 1
    assert line + b"\n" == encode_line(kept.records[0])
    assert other.records[0] == kept.records[0]


def test_the_tap_leaves_the_output_alone() -> None:
    """The renderer gets the same event dict, and its output and DropEvent pass through."""
    kept = Kept()
    log = logger(TracerMetaTap(structlog.processors.KeyValueRenderer(), kept))
    assert log.info("x", n=1) == "n=1 event='x'"
    assert (kept.records[0].name, kept.records[0].attributes) == ("x", {"n": 1})

    assert logger(TracerMetaTap(drop, kept)).info("y") is None
    assert kept.records[1].name == "y"


def test_dropped_events_make_no_record() -> None:
    """An event that an earlier processor drops is neither exported nor printed."""
    kept = Kept()

    assert logger(drop, TracerMetaRenderer(kept)).info("x") is None
    assert not kept.records


def test_formatter_of_the_standard_library() -> None:
    """In a ProcessorFormatter, logs of `logging` have their own call site, level and logger."""
    kept = Kept()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
        processors=[TracerMetaRenderer(kept, text=True)],
    )
    record = logging.LogRecord("lib.db", 30, "/srv/db.py", 17, "slow %s", ("q",), None, "query")
    record.took = 1.5
    record.created = 1_792_000_000.25
    line = decode_line(formatter.format(record))
    assert (line.name, line.level, line.logger) == ("slow q", "warning", "lib.db")
    assert (line.call_site.file, line.call_site.line, line.call_site.function) == (
        "/srv/db.py",
        17,
        "query",
    )
    assert line.attributes == {"took": 1.5}
    assert line.time_ns == 1_792_000_000_250_000_000
    assert kept.records[0] == line


def test_metadata_survives_remove_processors_meta() -> None:
    """TracerMetaProcessor keeps the two keys that ProcessorFormatter removes after it."""
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[
            TracerMetaProcessor(),
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ]
    )
    record = logging.LogRecord("lib", 20, "/srv/a.py", 1, "hello", (), None)
    assert list(json.loads(formatter.format(record))) == [META]

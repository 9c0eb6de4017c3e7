"""The encodings by name, as they arrive, and their attributes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, get_args

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otel_ext.errors import ConfigError
from otel_ext.exporters.otlp.encoding.compiled import encode_log
from otel_ext.exporters.otlp.encoding.encodings import ENCODINGS
from otel_ext.exporters.otlp.exporter import OTLPRecordExporter
from otel_ext.exporters.otlp.settings import OtlpEncoding
from otel_ext.inflight.tracker import dump
from tests.exporters import samples
from tests.otlp.providers import sending
from tests.otlp.sink import mapping_of
from tests.programs import wait_until

if TYPE_CHECKING:
    from tests.otlp.sink import Sink


def test_logfire_gets_a_pending_span(http_sink: Sink) -> None:
    """The pending span has a new id, the real span as its parent, and names the real parent."""
    with sending(encoding="logfire", grace=0.0) as (provider, _):
        tracer = provider.get_tracer("t")
        with (
            tracer.start_as_current_span("outer") as outer,
            tracer.start_as_current_span("inner", attributes={"a": 1}) as inner,
        ):
            wait_until(lambda: len(http_sink.spans) >= 2, "the pending spans arrive")
            pending = {span.name: span for span in http_sink.spans}
        provider.force_flush(10_000)
    wait_until(lambda: len(http_sink.spans) >= 4, "the real spans arrive")
    ids = {one: f"{one.get_span_context().span_id:016x}" for one in (outer, inner)}
    inner_pending = pending["inner"]
    assert inner_pending.parent_span_id == ids[inner] != inner_pending.span_id
    assert inner_pending.attributes == {
        "a": 1,
        "logfire.span_type": "pending_span",
        "logfire.pending_parent_id": ids[outer],
    }
    assert pending["outer"].attributes["logfire.pending_parent_id"] == "0" * 16
    assert inner_pending.start_ns == inner_pending.end_ns
    assert len({span.span_id for span in http_sink.spans}) == 4
    assert not http_sink.starts()


def test_same_id_sends_a_span_without_an_end(http_sink: Sink) -> None:
    """The unfinished span has the id and start of the real one, and no end."""
    with sending(encoding="same-id", grace=0.0) as (provider, _):
        with provider.get_tracer("t").start_as_current_span("work"):
            wait_until(lambda: http_sink.spans, "the unfinished span arrives")
        provider.force_flush(10_000)
    wait_until(lambda: len(http_sink.spans) == 2, "the real span arrives")
    unfinished, finished = http_sink.named("work")
    assert unfinished.span_id == finished.span_id
    assert unfinished.start_ns == finished.start_ns
    assert unfinished.end_ns == 0 < finished.end_ns


def test_an_update_shows_where_a_span_is_now(http_sink: Sink) -> None:
    """An update is an event with the stack; it replaces a start that was not sent yet."""
    with (
        sending(grace=60.0) as (provider, _),
        provider.get_tracer("t").start_as_current_span("stuck"),
    ):
        time.sleep(0.05)
        assert dump() >= 1
        wait_until(lambda: http_sink.of("otel_ext.span.update"), "the update arrives")
    (update,) = http_sink.of("otel_ext.span.update")
    assert update.body == "stuck.update"
    stack = update.attributes["otel_ext.stack"]
    assert isinstance(stack, list)
    assert stack
    assert not http_sink.starts("stuck")


def test_an_abandoned_end_is_an_event_not_a_span(http_sink: Sink) -> None:
    """A span that never ended gets no invented end: its real one may still come."""
    with sending() as (provider, _):
        span = provider.get_tracer("t").start_span("left open")
    wait_until(lambda: http_sink.of("otel_ext.span.end"), "the event arrives")
    (event,) = http_sink.of("otel_ext.span.end")
    assert event.attributes["otel_ext.abandoned"] == "shutdown"
    assert event.span_id == f"{span.get_span_context().span_id:016x}"
    assert not http_sink.spans


def test_every_name_has_an_encoding() -> None:
    """The names that settings accept are those of the encodings."""
    assert get_args(OtlpEncoding) == tuple(ENCODINGS)


def test_an_unknown_encoding_is_refused() -> None:
    """The error lists those that exist."""
    with pytest.raises(ConfigError, match="Use one of: events, logfire, same-id"):
        OTLPRecordExporter(encoding="spans")


def test_an_unsupported_protocol_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """For `http/json` the error names the variable and the supported protocols."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    with pytest.raises(ConfigError, match="OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json'"):
        OTLPRecordExporter()


def test_the_start_follows_from_the_age_of_an_update() -> None:
    """With `same-id`, an updated span keeps its start time."""
    update = samples.start()._replace(phase="update", time_ns=5_000, extra={"age_ns": 2_000})
    span = ENCODINGS["same-id"].as_span(update)
    assert (span.start_ns, span.time_ns) == (3_000, 0)


def attributes_of(**fields: Any) -> dict[str, object]:  # noqa: ANN401 - any field of a record
    """Return the attributes of the log record of a start."""
    log = LogRecord.FromString(encode_log(samples.start(**fields), 1))
    return mapping_of(log.attributes)


def test_user_data_wins_over_ours() -> None:
    """An attribute that the user has set is never replaced by one with OpenTelemetry's name."""
    own = {"code.line.number": 77, "thread.name": "mine"}
    assert own.items() <= attributes_of(attributes=own).items()


def test_ours_win_under_our_own_names() -> None:
    """Readers rely on them."""
    made = attributes_of(attributes={"otel_ext.seq": "mine", "otel_ext.other": 1})
    assert (made["otel_ext.seq"], made["otel_ext.other"]) == (1, 1)


def test_huge_user_data_leaves_room_for_ours() -> None:
    """Of attributes without end some are left out, and ours are complete."""
    made = attributes_of(
        attributes={f"key {n}": n for n in range(100_000)}, extra={"stalled": True}
    )
    assert made["otel_ext.span.name"] == "load"
    assert (made["otel_ext.seq"], made["otel_ext.stalled"]) == (1, True)
    assert made["otel_ext.left_out"]

"""Records that our exporter sends as log records are the same records again when received."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otel_ext.exporters.otlp.encoding.requests import LOGS, SPANS
from otel_ext.observe.event_query import EventQuery
from otel_ext.record.codec import encode_line
from otel_ext.record.decode import decode_line
from otel_ext.record.entities import Entity, entity_of
from otel_ext.record.merge import Merger
from otel_ext.record.model import (
    ABANDONED_CAUSES,
    SPAN_KINDS,
    UNKNOWN_CALL_SITE,
    UNSET_STATUS,
    CallSite,
    Link,
    Process,
    Record,
    Scope,
    TaskInfo,
    ThreadInfo,
)
from otel_ext.record.sanitise.sanitiser import sanitised
from otel_ext.runtime.process.records import process_end_record, process_start_record
from otel_ext.server.ingest.otlp.logs import read_logs, read_logs_json
from otel_ext.server.ingest.otlp.traces import read_traces, read_traces_json
from tests.examples import examples
from tests.exporters import samples
from tests.server.ingest.otlp_requests import CODEC, NOW, contents, key_values, numbers
from tests.store.stores import sqlite_pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.record.model import Abandoned

PROCESS = Process(
    "5f3c9a1e-4711-889012-c0ffee42", 4711, 889012, "5f3c", "web-3", ("python", "serve.py")
)
RESOURCE: dict[str, object] = {"service.name": "shop", "ports": [1, 2]}
SHOP = Process(PROCESS.id, 4711, 889012, "5f3c", "web-3", ("python", "serve.py"), RESOURCE)

TEXTS = st.text(max_size=12)
# What OTLP can hold, and what no setting of the exporter replaces.
SCALARS = (
    st.none() | TEXTS | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=9)
)
VALUES = st.recursive(
    SCALARS | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
KEYS = TEXTS.filter(lambda key: not key.startswith("otel_ext.")) | st.sampled_from(
    [
        *("code.file.path", "code.line.number", "code.function.name", "thread.id", "thread.name"),
        *("trace_id", "timestamp", "level", "body", "__tracer_meta__"),
    ]
)
ATTRIBUTES = st.dictionaries(KEYS, VALUES, max_size=5)
COUNTS = st.integers(0, 2**63 - 1)
IDS = {
    "trace_id": st.integers(1, 2**128 - 1).map("{:032x}".format),
    "span_id": st.integers(1, 2**64 - 1).map("{:016x}".format),
}
COMMON: dict[str, Any] = {
    "time_ns": st.integers(1, 2**63),
    "seq": COUNTS,
    "process": st.just(SHOP),
    "call_site": st.just(UNKNOWN_CALL_SITE) | st.builds(CallSite, TEXTS, COUNTS, TEXTS),
    "attributes": ATTRIBUTES,
    "thread": st.none() | st.builds(ThreadInfo, st.integers(-(2**63), 2**63 - 1), TEXTS),
    "task": st.none() | st.builds(TaskInfo, st.integers(1, 2**63 - 1), TEXTS),
}
SPAN: dict[str, Any] = {
    **COMMON,
    **IDS,
    "name": TEXTS,
    "kind": st.just("span"),
    "parent_span_id": st.just("") | IDS["span_id"],
    "span_kind": st.sampled_from(SPAN_KINDS),
    "scope": st.none() | st.builds(Scope, TEXTS.filter(bool), TEXTS),
    "links": st.lists(st.builds(Link, **IDS, attributes=ATTRIBUTES), max_size=3).map(tuple),
}
STACKS = st.lists(
    st.fixed_dictionaries({"file": TEXTS, "line": COUNTS, "function": TEXTS}), max_size=3
)
UPDATES = st.fixed_dictionaries(
    {"age_ns": COUNTS}, optional={"stalled": st.booleans(), "stack": STACKS}
)
DEATHS = st.fixed_dictionaries(
    {},
    optional={
        "signal": st.just("SIGKILL"),
        "exit_status": st.integers(-(2**63), 2**63 - 1),
        "last_seen": st.just("2026-11-20T16:00:34.000250Z"),
    },
)
TOTALS = st.fixed_dictionaries(
    {
        **dict.fromkeys(("open_spans", "last_seq", "accepted", "written"), COUNTS),
        "dropped": st.dictionaries(TEXTS, COUNTS, max_size=3),
    },
    optional={"buffer_peak": COUNTS, "memory_bytes": COUNTS},
)
ENTITIES = st.builds(Entity, TEXTS.filter(bool), TEXTS.filter(bool), st.booleans())


def about(entity: Entity) -> dict[str, object]:
    """Return the metadata that name an entity."""
    return {"entity": entity.as_metadata()}


NOTHING: dict[str, object] = {}
ABOUT = st.just(NOTHING) | ENTITIES.map(about)
RECORDS = st.one_of(
    st.builds(Record, phase=st.just("start"), **SPAN),
    st.builds(Record, phase=st.just("update"), extra=UPDATES, **SPAN),
    st.builds(
        Record,
        phase=st.just("end"),
        extra=DEATHS,
        abandoned=st.sampled_from(ABANDONED_CAUSES),
        status=st.just(UNSET_STATUS),
        start_ns=COUNTS,
        **SPAN,
    ),
    st.builds(
        Record,
        kind=st.just("log"),
        phase=st.none(),
        name=TEXTS,
        level=TEXTS | st.sampled_from(["info", "Warning", "error"]),
        logger=TEXTS,
        **COMMON,
    ),
    st.builds(
        Record, kind=st.just("event"), phase=st.none(), name=TEXTS, extra=ABOUT, **COMMON, **IDS
    ),
    st.builds(
        Record,
        kind=st.just("process"),
        phase=st.none(),
        name=st.just("process.heartbeat"),
        extra=TOTALS,
        **COMMON,
    ),
)


def received(records: Sequence[Record]) -> list[Record]:
    """Return records after they were sent in protobuf, which must be as in JSON."""
    request = CODEC.encode(LOGS, [sanitised(one) for one in records])
    assert request is not None
    result = read_logs(request.body, numbers())
    assert (result.records, result.rejected, result.reasons) == (len(records), 0, "")
    assert result.lines == read_logs_json(CODEC.to_json(request), numbers()).lines
    contents(result)
    lines = result.lines.splitlines()
    return [one for one in map(decode_line, lines) if one.seq or one.name != "process.start"]


def assert_arrives(*records: Record) -> None:
    """Check that what arrives is what a file would have had."""
    assert received(records) == [decode_line(encode_line(one)) for one in records]


@examples(5)
@given(RECORDS)
def test_any_record_arrives_as_it_is(record: Record) -> None:
    """Starts, updates, abandoned ends, logs, events and heartbeats, with any data of the user."""
    assert_arrives(record)


def test_the_start_and_end_of_a_process_arrive() -> None:
    """With its facts; its resource is that of the request."""
    start = process_start_record(SHOP, 1)
    end = process_end_record(SHOP, 9, {"last_seq": 9, "dropped": {"queue_full": 2}})
    assert_arrives(start, end)
    (found, _) = received([start, end])
    assert (found.extra["pid"], found.extra["resource"]) == (4711, RESOURCE)


@pytest.mark.parametrize("deleted", [False, True])
def test_what_an_event_is_about_arrives(deleted: bool) -> None:
    """An agent of another machine is one here, with its owner's thread and the user's data."""
    entity = Entity("agent", "importer-1", deleted)
    users = {"role": "import", "entity": "theirs", "otel_ext": {"entity": 1}}
    record = Record("event", None, "agent.registered", NOW, 7, SHOP, attributes=users)
    record = record._replace(
        thread=ThreadInfo(5, "T"),
        task=TaskInfo(3, "Task-3"),
        extra={"entity": entity.as_metadata()},
    )
    assert_arrives(record)
    (found,) = received([record])
    assert (entity_of(found), found.attributes, found.kind) == (entity, users, "event")
    with sqlite_pair() as pair:
        pair.write(encode_line(found).rstrip())
        assert [one.entity for one in pair.store.entities("agent")] == [entity][deleted:]
        assert [one.entity for one in pair.store.events(EventQuery())] == [entity]


def test_the_process_is_introduced_unless_its_start_is_first() -> None:
    """By its resource, with number 0, which its own start has not."""
    for records, expected in (
        ([process_start_record(SHOP, 1), log("paid")], [1]),
        ([log("paid"), process_start_record(SHOP, 1)], [0, 1]),
    ):
        request = CODEC.encode(LOGS, records)
        assert request is not None
        lines = read_logs(request.body, numbers()).lines.splitlines()
        starts = [one for one in map(decode_line, lines) if one.name == "process.start"]
        assert [one.seq for one in starts] == expected
        assert {(one.process.id, str(one.extra["resource"])) for one in starts} == {
            (PROCESS.id, str(RESOURCE))
        }


def log(name: str, **fields: Any) -> Record:  # noqa: ANN401 - any field of a record
    """Return a log of the shop."""
    return samples.log(name, process=SHOP, **fields)


def test_the_users_attributes_may_have_the_names_of_ours() -> None:
    """Call site and thread have OpenTelemetry's names in a log record, which the user's keep."""
    users = {"code.file.path": "theirs.py", "thread.id": "four", "thread.name": None}
    site = CallSite("ours.py", 7, "main")
    assert_arrives(
        samples.start("work", 1, process=SHOP, attributes=users, call_site=site),
        log("paid", attributes=users, thread=ThreadInfo(5, "T")),
        log("paid", attributes=users, call_site=site),
    )


def test_a_trace_without_a_span_is_an_attribute() -> None:
    """A record has both ids or neither."""
    (found,) = received([log("told", trace_id="0" * 31 + "1")])
    assert (found.trace_id, found.attributes) == ("", {"trace_id": "0" * 31 + "1"})


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
@pytest.mark.parametrize("cause", [None, *ABANDONED_CAUSES])
def test_an_end_meets_its_start(cause: Abandoned | None, encoding: str) -> None:
    """They have the same ids and the same process, whichever way they take; the end counts."""
    start = samples.start("work", 7, process=SHOP)
    end = samples.end("work", 7, process=SHOP, abandoned=cause, attributes={"n": 1}, seq=8)
    signal = SPANS if cause is None else LOGS
    merger = Merger()
    for one, way in ((end, signal), (start, LOGS)):
        request = CODEC.encode(way, [one])
        assert request is not None
        if way == SPANS:
            read = read_traces if encoding == "protobuf" else read_traces_json
        else:
            read = read_logs if encoding == "protobuf" else read_logs_json
        body = request.body if encoding == "protobuf" else CODEC.to_json(request)
        found = [decode_line(line) for line in read(body, numbers()).lines.splitlines()]
        assert {record.process.id for record in found} == {PROCESS.id}
        for record in found:
            merger.add(record)
    (span,) = merger.spans.values()
    assert (span.phase, span.abandoned, span.attributes) == ("end", cause, {"n": 1})
    assert (span.start_ns, span.time_ns) == (start.time_ns, end.time_ns)


def test_a_changed_record_is_a_log() -> None:
    """If a collector has removed attributes, nothing is lost, and nothing is made up."""
    record = samples.start("work", 7, process=SHOP, attributes={"n": 1})
    request = CODEC.encode(LOGS, [record])
    assert request is not None
    for missing in ("otel_ext.kind", "otel_ext.phase", "otel_ext.process"):
        decoded = ExportLogsServiceRequest.FromString(request.body)
        (message,) = decoded.resource_logs[0].scope_logs[0].log_records
        kept = [pair for pair in message.attributes if pair.key != missing]
        del message.attributes[:]
        message.attributes.extend(kept)
        (found,) = contents(read_logs(decoded.SerializeToString(), numbers()))
        meta = found["__tracer_meta__"]
        assert (meta["kind"], meta["event"]) == ("event", "otel_ext.span.start")
        assert (found["n"], found["body"]) == (1, "work.start")


@examples(2)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                *("kind", "phase", "process", "seq", "stack", "age_ns", "stalled", "abandoned"),
                *("span.links", "span.link_attributes", "span.parent_id", "span.kind", "span.name"),
                *("start_ns", "task.id", "task.name", "code.line.number", "thread.id"),
            ]
        ),
        VALUES | st.sampled_from(["0" * 16, "log", "end", ["0" * 32 + "-" + "0" * 16], [5]]),
        min_size=1,
    )
)
def test_a_record_with_other_values_is_valid(changes: dict[str, object]) -> None:
    """Whatever another program sends under our names; received() checks the lines."""
    record = samples.start("work", 7, process=SHOP, phase="update", extra={"age_ns": 5})
    request = CODEC.encode(LOGS, [record])
    assert request is not None
    decoded = ExportLogsServiceRequest.FromString(request.body)
    (message,) = decoded.resource_logs[0].scope_logs[0].log_records
    plain = sanitised(samples.log(attributes=changes)).attributes
    for pair in key_values({f"otel_ext.{key}": value for key, value in plain.items()}):
        message.attributes.append(pair)
    (found,) = contents(read_logs(decoded.SerializeToString(), numbers()))
    assert found["__tracer_meta__"]["trace_id"] == record.trace_id


def test_time_stays_exact() -> None:
    """Up to the microseconds of a line."""
    (found,) = received([log("paid", time_ns=NOW + 1_999)])
    assert found.time_ns == NOW + 1_000

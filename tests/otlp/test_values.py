"""Values of any type are sent; endless data is cut, and the attributes beside it stay."""

from __future__ import annotations

import enum
import math
from datetime import date
from typing import TYPE_CHECKING, NoReturn

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otel_ext.exporters.otlp.encoding.compiled import encode_log
from otel_ext.exporters.otlp.encoding.encodings import ENCODINGS
from otel_ext.exporters.otlp.encoding.requests import RequestCodec
from otel_ext.exporters.otlp.encoding.values import ByteBudget, encode_attributes
from otel_ext.record.model import CallSite, Process, Scope, TaskInfo, ThreadInfo
from otel_ext.record.sanitise.sanitiser import sanitised
from tests.exporters import samples
from tests.otlp.sink import mapping_of

if TYPE_CHECKING:
    from collections.abc import Mapping

CODEC = RequestCodec(ENCODINGS["events"])


def sent(attributes: Mapping[str, object], budget: ByteBudget) -> KeyValueList:
    """Return attributes as a receiver decodes them."""
    return KeyValueList.FromString(encode_attributes(b"\n", attributes, budget))


def written(attributes: dict[str, object]) -> dict[str, object]:
    """Return attributes as they arrive, after the queue has sanitised their record."""
    record = sanitised(samples.end("work", 1, attributes=attributes))
    made = sent(record.attributes, ByteBudget())
    found = mapping_of(made.values)
    assert len(found) == len(made.values)  # each name once
    return found


def circular() -> dict[str, object]:
    """Return a parent whose children refer to it."""
    parent: dict[str, object] = {}
    parent["children"] = [{"parent": parent, "n": number} for number in range(9)]
    return parent


@pytest.mark.parametrize(
    "value",
    [circular(), [[[["x" * 1_000_000] * 1_000] * 1_000] * 1_000], [[[1] * 9_999] * 9_999] * 9_999],
    ids=["circular", "texts", "numbers"],
)
def test_endless_data_is_cut_and_other_attributes_stay(value: object) -> None:
    """They arrive, and the endless one with a note."""
    found = written({"before": [1], "value": value, "after": {"a": [2]}})
    assert (found["before"], found["after"]) == ([1], {"a": [2]})
    notes = ("left out", "…[+", "<circular>")
    assert any(note in repr(found["value"]) for note in notes)


class Color(enum.IntEnum):
    """A number with a name."""

    RED = 3


class Shout(str):
    """A text that shows itself in another way."""

    __slots__ = ()

    def __str__(self) -> str:
        """Return another text."""
        return "HEY"


class Spoilt(list[int]):
    """A list that cannot be read."""

    def __iter__(self) -> NoReturn:
        """Raise."""
        raise RuntimeError


CASES: list[tuple[object, object]] = [
    (None, None),
    (True, True),
    (2**63 - 1, 2**63 - 1),
    (-(2**63), -(2**63)),
    (2**63, "9223372036854775808"),
    (1.5, 1.5),
    (math.inf, "Infinity"),
    (b"\x00\xff", b"\x00\xff"),
    ("\ud83d\ude00 \ud800", "\N{GRINNING FACE} \ufffd"),
    ((1, "a", None), [1, "a", None]),
    ([], []),
    ({}, {}),
    ({"a": {2: [{}]}}, {"a": {"2": [{}]}}),
    (date(2026, 11, 28), "2026-11-28"),
    (Color.RED, 3),
    (Shout("hey"), "hey"),
    (Spoilt([1]), "<unprintable: Spoilt>"),
]


@pytest.mark.parametrize(("value", "arrives"), CASES)
def test_a_value_of_any_type_arrives(value: object, arrives: object) -> None:
    """As OTLP has it, or as a text where OTLP has none."""
    attributes = {"before": 1, "value": value, "after": "x"}
    found = written(attributes)
    assert found == {"before": 1, "value": arrives, "after": "x"}
    assert type(found["value"]) is type(arrives)


def test_names_that_come_out_the_same_are_sent_once() -> None:
    """OTLP requires that; the last one counts, if they are cut to the same text."""
    assert written({chr(0xD800): 1, "\ufffd": [2]}) == {"\ufffd": 1, "\ufffd (2)": [2]}
    made = sent({"a" * 200: 1, "b" * 200: [2]}, ByteBudget(90))
    assert mapping_of(made.values) == {"": [2]}
    assert len(made.values) == 1


def test_a_resource_of_any_types_is_sent() -> None:
    """Without redaction nothing else has made its values plain."""
    odd = {"ports": {1}, "on": date(2026, 11, 28), "bad": Spoilt([1]), "name": "\ud800"}
    process = Process("b0-7-1-00000000", pid=7, resource=odd)
    request = CODEC.encode("spans", [samples.end("work", 1, process=process)])
    assert request is not None
    (found,) = ExportTraceServiceRequest.FromString(request.body).resource_spans
    assert mapping_of(found.resource.attributes) == {
        "ports": [1],
        "on": "2026-11-28",
        "bad": "<unprintable: Spoilt>",
        "name": "\ufffd",
    }


def test_texts_that_no_sanitiser_changes_are_sent() -> None:
    """The file of the call site, the thread, the task and the scope may have a lone surrogate."""
    record = samples.log(
        "paid",
        call_site=CallSite("a\udc80.py", 1, "main"),
        thread=ThreadInfo(1, "T\ud800"),
        task=TaskInfo(2, "t\ud800"),
        scope=Scope("s\ud800"),
    )
    request = CODEC.encode("logs", [sanitised(record)])
    assert request is not None
    (found,) = ExportLogsServiceRequest.FromString(request.body).resource_logs
    (of_scope,) = found.scope_logs
    sent = mapping_of(of_scope.log_records[0].attributes)
    assert of_scope.scope.name == "s\ufffd"
    assert sent["code.file.path"] == "a\ufffd.py"
    assert (sent["thread.name"], sent["otel_ext.task.name"]) == ("T\ufffd", "t\ufffd")


def test_deep_values_are_cut() -> None:
    """At a depth that every receiver accepts."""
    value: object = "x"
    for _ in range(30):
        value = [value]
    assert "<too deep>" in repr(written({"value": value}))


def test_none_has_an_empty_value() -> None:
    """Receivers read null, in JSON too; without a value an attribute is invalid."""
    made = sent({"key": None}, ByteBudget())
    assert made.values[0].HasField("value")


def test_a_log_may_have_a_trace_without_a_span() -> None:
    """It arrives with the id of its trace alone."""
    log = LogRecord.FromString(encode_log(samples.log("told", trace_id="0" * 31 + "1"), 1))
    assert (log.trace_id.hex(), log.span_id) == ("0" * 31 + "1", b"")

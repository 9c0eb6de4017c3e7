"""`JsonLinesSender`: the requests of a destination of the user's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.exporters import JsonLinesSender, ResilientExporter
from otel_ext.exporters.delivery.persistent.entries import encode_letter
from otel_ext.protocols import Request, RequestSender, SendResult
from otel_ext.record.model import Process
from tests.exporters.samples import Counted
from tests.resilient.destination import PROCESS, decoded, final, finals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.record.model import Record

OTHER = Process("b0-8-1-00000000", pid=8, resource={"service.name": "other"})


class Nowhere(JsonLinesSender):
    """Accepts everything."""

    def send(self, request: Request) -> SendResult:
        """Accept it."""
        return SendResult(ok=True)


SENDER = Nowhere()


def encoded(records: Sequence[Record]) -> Request:
    """Return a request with records."""
    request = SENDER.encode("", records)
    assert request is not None
    return request


def test_it_is_a_sender_with_one_signal() -> None:
    """`send` is all that a subclass must have."""
    assert isinstance(SENDER, RequestSender)
    assert SENDER.signals == ("",)
    assert SENDER.signal_of(final("any")) == ""
    with pytest.raises(TypeError, match="send"):
        JsonLinesSender()  # type: ignore[abstract]
    ResilientExporter(SENDER, folder=None).shutdown()


@given(st.lists(st.sampled_from([PROCESS, OTHER]), min_size=1, max_size=40))
def test_each_half_has_the_facts_of_its_processes(processes: list[Process]) -> None:
    """Records keep their order, and each has the resource of its process, however often split."""
    records = [
        one._replace(process=process)
        for one, process in zip(finals(len(processes)), processes, strict=True)
    ]
    rest = [encoded(records)]
    found: list[Record] = []
    while rest:
        request = rest.pop(0)
        halves = SENDER.split(request)
        if len(halves) == 1:
            assert halves == [request]
            found += decoded(request.body, request.records)
        else:
            assert sum(half.records for half in halves) == request.records
            rest = [*halves, *rest]
    assert [one.name for one in found] == [one.name for one in records]
    assert [one.process.resource for one in found] == [one.resource for one in processes]


@given(st.lists(st.sampled_from([PROCESS, OTHER]), min_size=1, max_size=9))
def test_joined_requests_have_one_line_about_each_process(processes: list[Process]) -> None:
    """All records are there, in order, with their resources."""
    records = [
        one._replace(process=process)
        for one, process in zip(finals(len(processes)), processes, strict=True)
    ]
    joined = SENDER.join([encoded([record]) for record in records])
    found = decoded(joined.body, joined.records)
    assert [one.name for one in found] == [one.name for one in records]
    assert [one.process.resource for one in found] == [one.resource for one in processes]
    assert len(joined.body.splitlines()) == len(records) + len({one.id for one in processes})


def test_a_record_that_cannot_be_encoded_is_counted() -> None:
    """The others are sent; without any there is no request."""
    counted = Counted()
    bad = final("bad")._replace(call_site=None)  # type: ignore[arg-type]
    request = encoded([*finals(2), bad])
    assert request.records == 2
    assert SENDER.encode("", [bad]) is None
    assert counted("remote.not_encoded") == 2


def test_a_dead_letter_is_a_line_for_people() -> None:
    """With the record and the reason; a body that is not lines of records is shown as text."""
    letter = encode_letter(encoded([final("bad", 1, n=7)]), "no such \ud800 tenant\n", SENDER)
    assert letter.count(b"\n") == 1
    shown = json.loads(letter)
    assert shown["refused"] == "no such ? tenant\n"
    assert shown["record"]["n"] == 7
    assert shown["record"]["__tracer_meta__"]["event"] == "bad.end"
    several = json.loads(encode_letter(encoded(finals(2)), "", SENDER))
    assert [one["__tracer_meta__"]["event"] for one in several["record"]] == [
        "span 0.end",
        "span 1.end",
    ]
    missing = json.loads(encode_letter(Request("", b"half a li", 2), "", SENDER))
    assert missing["record"] == "half a li"
    broken = json.loads(encode_letter(Request("", b"\xff{", 1), "", SENDER))
    assert broken["record"] == {"base64": "/3s="}

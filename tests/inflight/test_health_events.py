"""Parts that do not work as configured show in the records, for `doctor` and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider

from otel_ext.inflight import health_events
from otel_ext.inflight.health_events import HEALTH_CHANGED, HealthEvents
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.record.entities import HEALTH, Entity, entity_of
from otel_ext.runtime.health import HealthCell
from otel_ext.testing import RecordCapture
from tests.cli.watched import parts_of, run_on_traces, shop
from tests.programs import becomes_true

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from otel_ext.record.model import Record

PART = "a part of this test"
DEGRADED = """\
from otel_ext.runtime.health import HealthCell
        cell = HealthCell("exchange rates")
        cell.failed("no rates since\\tnoon")
        wait_for_the_bank()"""


def about_the_part(capture: RecordCapture) -> list[Record]:
    """Return the events about the part of this test."""
    found = [record for record in capture.records if record.event == HEALTH_CHANGED]
    return [record for record in found if (about := entity_of(record)) and about.id == PART]


def test_each_change_of_a_state_is_one_event() -> None:
    """Healthy from the start: no event. Degraded, failed and healthy again: one each."""
    capture = RecordCapture()
    provider = TracerProvider()
    provider.add_span_processor(LifecycleSpanProcessor(capture))
    events, cell = HealthEvents(), HealthCell(PART)
    events.run()
    assert about_the_part(capture) == []
    cell.degraded("slow")
    events.run()
    cell.degraded("slower")  # another text, the same state
    events.run()
    cell.failed("gone")
    events.run()
    cell.healthy()
    events.run()
    events.run()
    provider.shutdown()
    found = about_the_part(capture)
    states = [(one.attributes["state"], entity_of(one)) for one in found]
    assert states == [
        ("degraded", Entity(HEALTH, PART)),
        ("failed", Entity(HEALTH, PART)),
        ("healthy", Entity(HEALTH, PART, deleted=True)),
    ]
    assert [one.attributes.get("detail") for one in found] == ["slow", "gone", None]


def test_another_reason_is_told_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detail may have a number that changes all the time, so not each one is an event."""
    capture = RecordCapture()
    provider = TracerProvider()
    provider.add_span_processor(LifecycleSpanProcessor(capture))
    events, cell = HealthEvents(), HealthCell(PART)
    cell.failed("gone for 1 s")
    events.run()
    cell.failed("gone for 2 s")
    events.run()
    monkeypatch.setattr(health_events, "_DETAIL_SECONDS", 0.0)
    cell.failed("the disk is full")
    events.run()
    provider.shutdown()
    details = [one.attributes["detail"] for one in about_the_part(capture)]
    assert details == ["gone for 1 s", "the disk is full"]


def test_doctor_names_the_part_of_a_program(tmp_path: Path) -> None:
    """What a running program records of its health needs attention, with controls escaped."""
    with shop(tmp_path, body=DEGRADED) as program:
        label = f"{program.pid} shop_one.py"

        def is_named() -> bool:
            checks = run_on_traces(tmp_path, "doctor", "--json").document["parts"]
            own = [check for check in checks if check["part"] == label]
            return ("failed", r"exchange rates: no rates since\tnoon") in {
                (check["state"], check["detail"]) for check in own
            }

        assert becomes_true(is_named, 20)
        program.kill()
        program.wait()
        left = parts_of(run_on_traces(tmp_path, "doctor", "--json"))
        assert label not in left

"""The health that parts report."""

from __future__ import annotations

import gc
import json
import time
from dataclasses import FrozenInstanceError

import pytest

from otel_ext.runtime.health import Health, HealthCell, PartHealth, health, register_part


def test_a_part_reports_its_state_and_since_when() -> None:
    """The moment changes with the state, not with the detail."""
    cell = HealthCell("part-1")
    healthy_since = cell.report().since_ns
    cell.healthy("busy")
    assert cell.report() == PartHealth("part-1", "healthy", "busy", healthy_since)
    time.sleep(0.002)
    cell.degraded("disk full")
    degraded = cell.report()
    assert (degraded.state, degraded.detail) == ("degraded", "disk full")
    assert degraded.since_ns > healthy_since
    cell.failed("no disk")
    assert health().part("part-1") == cell.report()


def test_the_whole_is_as_bad_as_its_worst_part() -> None:
    """One degraded part degrades, one failed part fails the whole; without parts it is healthy."""
    well = PartHealth("a", "healthy")
    ill = PartHealth("b", "degraded")
    dead = PartHealth("b", "failed")
    assert Health(()).state == "healthy"
    assert Health((well, ill)).state == "degraded"
    assert Health((well, ill, dead)).state == "failed"
    assert Health((well, ill, dead)).part("b") == dead
    assert Health((well,)).part("b") is None


def test_a_part_that_is_gone_is_no_longer_listed() -> None:
    """The registry holds parts weakly."""
    cell = HealthCell("part-2")
    assert health().part("part-2") is not None
    del cell
    gc.collect()
    assert health().part("part-2") is None


def test_a_part_whose_report_raises_is_failed_and_hides_no_other() -> None:
    """The error is shown as the state of that part."""

    class Broken:
        def report(self) -> PartHealth:
            raise ZeroDivisionError("really broken")

    broken = Broken()
    register_part(broken.report)
    other = HealthCell("part-3")
    found = health()
    part = found.part("Broken")
    assert part is not None
    assert part.state == "failed"
    assert "really broken" in part.detail
    assert found.part("part-3") == other.report()


def test_the_answer_cannot_be_changed_and_is_ready_for_json() -> None:
    """The health is an immutable snapshot that converts to plain data."""
    found = Health((PartHealth("a", "degraded", "why", 1_000_000_000),))
    with pytest.raises(FrozenInstanceError):
        found.parts = ()  # type: ignore[misc]
    assert json.loads(json.dumps(found.as_dict())) == {
        "state": "degraded",
        "parts": [
            {
                "name": "a",
                "state": "degraded",
                "detail": "why",
                "since": "1970-01-01T00:00:01.000000Z",
            }
        ],
    }

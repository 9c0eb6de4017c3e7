"""Entities by the server: seen live in the folder, or heard of from elsewhere."""

from __future__ import annotations

from contextlib import closing
from time import time_ns
from typing import TYPE_CHECKING, Any

import pytest

from otel_ext.feed.feeder import Feeder, feed_all
from otel_ext.journal.recovery.recover import recover
from tests.observe.agents import TWO_AGENTS, running
from tests.programs import suspend, wait_until
from tests.server.api.asked import Asked, asked
from tests.store.records import SECOND, event_line, process_line, span_line

if TYPE_CHECKING:
    from pathlib import Path


def states(api: Asked, **given: str) -> dict[str, str]:
    """Return the state of each entity by its id."""
    return {one["id"]: one["state"] for one in api.ask("/entities", **given)["entities"]}


def feed(api: Asked, folder: Path) -> None:
    """Store what is in the folder."""
    feed_all(Feeder(folder, api.writer), lambda _: None)


def test_a_program_that_runs_stops_and_dies(tmp_path: Path) -> None:
    """Its agents have its state and their span, whether it is stored already or not."""
    body = 'register("cut", "checkpoint")\n' + TWO_AGENTS
    with running(tmp_path, body) as (folder, process), asked(folder) as api:
        assert states(api, type="agent") == {"importer": "running", "mailer": "running"}
        feed(api, folder)
        answer = api.ask("/entities", type="agent")
        assert answer["total"] == 2
        one = answer["entities"][0]
        assert (one["type"], one["span"], one["source"]) == ("agent", "fetch", "folder")
        assert one["attributes"] == {"role": "import"}
        assert one["made_at"].startswith("agents.py:")
        assert one["age_ns"] > one["span_age_ns"] > 0
        assert api.ask("/running")["spans"][0]["span_id"] == one["span_id"]
        assert states(api, type="service") == {}
        assert states(api, process=one["process"]).keys() == {"cut", "importer", "mailer"}
        assert states(api, process="other") == {}
        assert api.ask("/entities", limit="1")["total"] == 3
        suspend(process)
        hung = {"importer": "hung", "mailer": "hung"}
        wait_until(lambda: states(api, type="agent") == hung, "they hang")
        process.kill()
        process.wait()
        lost = {"importer": "lost", "mailer": "lost", "cut": "idle"}
        wait_until(lambda: states(api) == lost, "they are lost")
        recover(folder)
        wait_until(lambda: states(api) == {"cut": "idle"}, "the recovery ends them")
        feed(api, folder)
        assert states(api) == {"cut": "idle"}


def sent(**agent: Any) -> list[bytes]:  # noqa: ANN401 - fields of a line
    """Return what a process on another machine has sent: two agents, and a span of one."""
    now = time_ns()
    lines = [
        process_line(process="far", heartbeat_ms=5_000, at=now - 30 * SECOND),
        event_line("a", process="far", seq=2, at=now - SECOND, entity=("agent", "busy"), **agent),
        event_line("a", process="far", seq=3, at=now - SECOND, entity=("agent", "idle")),
        span_line("start", 1, process="far", seq=4, at=now - SECOND, name="fetch"),
    ]
    owner = b'"entity":{"type":"agent","id":"busy"}'
    thread = b'"thread":{"id":7,"name":"MainThread"},'
    return [line.replace(owner, thread + owner) for line in lines]


def test_a_process_of_another_machine(tmp_path: Path) -> None:
    """What it has sent counts: who works on what, until it is silent or has ended."""
    with asked(tmp_path) as api:
        api.write(*sent(role="x"))
        assert states(api) == {"busy": "running", "idle": "idle"}
        busy = api.ask("/entities")["entities"][0]
        assert (busy["span"], busy["service"], busy["source"]) == ("fetch", "shop", "received")
        assert busy["attributes"] == {"role": "x"}
        api.write(process_line("process.end", process="far", seq=9, at=time_ns()))
        assert states(api) == {}


@pytest.mark.parametrize("seconds", [60, 7_200])
def test_a_silent_process(tmp_path: Path, seconds: int) -> None:
    """Its agents are lost; nothing says that they have ended."""
    at = time_ns() - seconds * SECOND
    with asked(tmp_path) as api:
        api.write(
            process_line(process="far", heartbeat_ms=5_000, at=at),
            event_line("a", process="far", seq=2, at=at, entity=("agent", "a")),
            event_line("c", process="far", seq=3, at=at, entity=("checkpoint", "c")),
        )
        assert states(api) == {"a": "lost", "c": "idle"}


def test_an_empty_server(tmp_path: Path) -> None:
    """It has none."""
    with asked(tmp_path) as api, closing(api.store):
        assert api.ask("/entities")["total"] == 0

"""What runs now: programs that run, hang and die, and processes that only send."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from time import time_ns
from typing import TYPE_CHECKING, Any

import pytest

from otel_ext.feed.feeder import Feeder, feed_all
from tests.durability.kit import HEAD
from tests.programs import python, started, suspend, wait_until, write_program
from tests.server.api.asked import Asked, asked
from tests.store.records import SECOND, process_line, span_line

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Generator
    from pathlib import Path

WAITS = (
    f"{HEAD}with tracer.start_as_current_span('outer'), tracer.start_as_current_span('inner'):\n"
    "    open(sys.argv[1] + '/ready', 'w').close()\n"
    "    time.sleep(600)\n"
)


REGISTERS = (
    f"{HEAD}from otel_ext.inflight.event_records import write_event\n"
    "from otel_ext.inflight.origin import origin_here\n"
    "from otel_ext.record.entities import Entity\n"
    "agent = Entity('agent', 'importer-1')\n"
    "write_event('agent.registered', {'role': 'x'}, entity=agent, origin=origin_here())\n"
    "write_event('agent.registered', entity=Entity('agent', 'idler'))\n"
    "with tracer.start_as_current_span('import'):\n"
    "    open(sys.argv[1] + '/ready', 'w').close()\n"
    "    time.sleep(600)\n"
)


@contextmanager
def watched(tmp_path: Path, code: str = WAITS) -> Generator[tuple[Asked, subprocess.Popen[bytes]]]:
    """Run a program with open spans, whose records are stored."""
    folder = tmp_path / "records"
    program = write_program(tmp_path, code)
    with started(python(program, folder), cwd=tmp_path) as process, asked(folder) as api:
        wait_until((folder / "ready").exists, "the spans are open")
        yield api, process


def states(api: Asked) -> dict[str, str]:
    """Return the state of each span that runs."""
    return {one["name"]: one["state"] for one in api.ask("/running")["spans"]}


def test_a_program_that_runs(tmp_path: Path) -> None:
    """Its spans are there with depth, place and age, as are its traces and itself."""
    with watched(tmp_path) as (api, process):
        wait_until(lambda: len(states(api)) == 2, "both spans are seen")
        answer = api.ask("/running")
        outer, inner = answer["spans"]
        assert (outer["name"], outer["root"], outer["depth"]) == ("outer", True, 0)
        assert (inner["name"], inner["root"], inner["depth"]) == ("inner", False, 1)
        assert inner["opened_at"].startswith("program.py:")
        assert [(one["pid"], one["open"], one["source"]) for one in answer["processes"]] == [
            (process.pid, 2, "folder")
        ]


def test_registered_agents(tmp_path: Path) -> None:
    """Each has its state and the span that its thread works on; all are lost with the program."""
    with watched(tmp_path, REGISTERS) as (api, process):

        def seen() -> dict[str, tuple[str, str]]:
            agents = api.ask("/running")["agents"]
            return {one["id"]: (one["state"], one["span"]) for one in agents}

        busy = {"importer-1": ("running", "import"), "idler": ("idle", "")}
        wait_until(lambda: seen() == busy, "both agents are seen")
        answer = api.ask("/running")
        importer = answer["agents"][0]
        assert (answer["agents_total"], importer["attributes"]) == (2, {"role": "x"})
        assert importer["trace_id"] == answer["spans"][0]["trace_id"]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        gone = {"importer-1": ("lost", "import"), "idler": ("lost", "")}
        wait_until(lambda: seen() == gone, "both are lost")


def test_a_program_that_is_stopped(tmp_path: Path) -> None:
    """Its spans hang."""
    with watched(tmp_path) as (api, process):
        wait_until(lambda: states(api) == dict.fromkeys(("outer", "inner"), "running"), "they run")
        suspend(process)
        wait_until(lambda: states(api) == dict.fromkeys(("outer", "inner"), "hung"), "they hang")
        assert api.ask("/processes")["processes"][0]["condition"] == "stopped"


def test_a_program_that_is_killed(tmp_path: Path) -> None:
    """Its spans are lost until recovery ends them."""
    with watched(tmp_path) as (api, process):
        wait_until(lambda: len(states(api)) == 2, "both spans are seen")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_until(lambda: states(api) == dict.fromkeys(("outer", "inner"), "lost"), "both lost")
        assert api.ask("/processes")["processes"][0]["condition"] == "dead"


@pytest.mark.parametrize(
    ("age", "state", "condition"), [(1, "running", "alive"), (60, "lost", "silent")]
)
def test_a_process_that_sends(tmp_path: Path, age: int, state: str, condition: str) -> None:
    """Its spans run, and are lost once three heartbeats are missing; every answer says so."""
    now = time_ns()
    with asked(tmp_path) as api:
        api.write(
            process_line(at=now - (age + 1) * SECOND, heartbeat_ms=5_000),
            span_line("start", 1, seq=2, at=now - age * SECOND),
        )
        answer = api.ask("/running")
        assert [(one["state"], one["process"]) for one in answer["spans"]] == [(state, "p")]
        assert [
            (one["condition"], one["open"], one["source"], one["service"])
            for one in answer["processes"]
        ] == [(condition, 1, "received", "shop")]
        assert api.ask("/traces")["traces"][0]["state"] == state
        trace: Any = api.ask(f"/traces/{1:032x}")
        assert trace["processes"][0]["state"] == ("alive" if state == "running" else "lost")


def test_processes_that_have_ended(tmp_path: Path) -> None:
    """They are there only if all are asked for."""
    now = time_ns()
    with asked(tmp_path) as api:
        api.write(
            process_line(at=now), process_line("process.end", seq=2, at=now, reason="shutdown")
        )
        assert api.ask("/processes")["processes"] == []
        assert [one["condition"] for one in api.ask("/processes", all="1")["processes"]] == [
            "ended"
        ]


def test_a_program_that_was_recorded_is_no_sender(tmp_path: Path) -> None:
    """Stored and ended, a program of the folder is still one of the folder."""
    folder = tmp_path / "records"
    program = write_program(tmp_path, f"{HEAD}tracer.start_span('a').end()\nhandle.shutdown()\n")
    with started(python(program, folder), cwd=tmp_path) as process:
        process.wait(30)
    with asked(folder) as api:
        feed_all(Feeder(folder, api.writer), lambda _: None)
        found = api.ask("/processes", all="1")["processes"]
        assert [(one["condition"], one["source"]) for one in found] == [("ended", "folder")]

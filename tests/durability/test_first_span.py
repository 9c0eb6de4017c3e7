"""Set-up prepares the first span of a process, so that it costs little more than the others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.resources import Resource

from otel_ext._accel import load_speed
from otel_ext.journal.ring_layout import RING_SUFFIX
from otel_ext.runtime.process.incarnation import Incarnation
from otel_ext.runtime.process.records import PROCESS_START
from tests.figures import report_figures
from tests.programs import execute, python, records_in, write_program

if TYPE_CHECKING:
    from pathlib import Path

SET_UP = {
    "configure": """
import otel_ext
otel_ext.configure(output=sys.argv[1], console="off", tracer_provider=provider)
""",
    "processor": """
from otel_ext.exporters import JsonlExporter
from otel_ext.processors import LifecycleSpanProcessor
provider.add_span_processor(LifecycleSpanProcessor(JsonlExporter(sys.argv[1])))
""",
}
# Prints what the thread imports, makes and opens during its first span, and then whether
# the worker runs.
WATCHED = """
import json, os, sys, threading
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
provider = TracerProvider(resource=Resource({{"service.name": "shop"}}))
{set_up}
from otel_ext.runtime.worker import shared_worker
made = os.path.exists(sys.argv[1])
tracer = provider.get_tracer("first")
seen = []
watching = True
def watch(event, arguments):
    if watching and threading.get_ident() == threading.main_thread().ident:
        if event in ("import", "open", "os.mkdir"):
            name = os.path.basename(os.fsdecode(arguments[0]))
            name = "RING" if name.endswith("{suffix}") else name
            seen.append(f"{{event}} {{name}}" + " with a worker" * shared_worker().is_alive)
sys.addaudithook(watch)
span = tracer.start_span("first")
watching = False
span.end()
print(json.dumps([made, seen, shared_worker().is_alive]))
"""


# Prints how many functions the thread of the first span calls.
COUNTED = """
import sys
from opentelemetry.sdk.trace import TracerProvider
provider = TracerProvider(shutdown_on_exit=False)
{set_up}
tracer = provider.get_tracer("first")
calls = 0
def count(frame, event, argument):
    global calls
    calls += event in ("call", "c_call")
sys.setprofile(count)
with tracer.start_as_current_span("first"):
    pass
sys.setprofile(None)
print(calls)
"""


@pytest.mark.parametrize("way", sorted(SET_UP))
def test_the_first_span_takes_few_steps(tmp_path: Path, way: str) -> None:
    """Its thread calls a bounded number of functions more than it does without otel-ext."""

    def calls(set_up: str) -> int:
        program = write_program(tmp_path, COUNTED.format(set_up=set_up))
        done = execute(python(program, tmp_path), cwd=tmp_path)
        assert done.code == 0, done.err
        return int(done.out)

    beyond = calls(SET_UP[way]) - calls("")
    report_figures("first span", way=way, calls_more_than_without=beyond)
    assert beyond <= (800 if load_speed() is None else 620)


@pytest.mark.parametrize("way", sorted(SET_UP))
def test_the_first_span_makes_the_ring_buffer_and_little_else(tmp_path: Path, way: str) -> None:
    """It reads nothing in /proc and imports nothing; the worker starts after the files are open."""
    folder = tmp_path / "traces"
    program = write_program(tmp_path, WATCHED.format(set_up=SET_UP[way], suffix=RING_SUFFIX))
    done = execute(python(program, folder), cwd=tmp_path)
    assert done.code == 0, done.err
    made, seen, has_worker = json.loads(done.out)
    assert not made
    assert seen == ["os.mkdir traces", "os.mkdir .blackbox", "open .blackbox", "open RING"]
    assert has_worker


def test_the_first_line_of_the_file_is_made_at_set_up(tmp_path: Path) -> None:
    """It is older than the first span, and equals one made with the first record."""
    text = WATCHED.format(set_up=SET_UP["configure"], suffix=RING_SUFFIX)
    program = write_program(tmp_path, text)
    done = execute(python(program, tmp_path / "traces"), cwd=tmp_path)
    assert done.code == 0, done.err
    start, span = records_in(tmp_path / "traces")[:2]
    assert (start.name, span.name) == (PROCESS_START, "first")
    assert (start.seq, span.seq) == (1, 2)
    assert start.time_ns < span.time_ns
    assert start.call_site.file == program.name or start.call_site.file == str(program)
    assert start.extra["resource"] == {"service.name": "shop"}


OTHER = """
import sys
import otel_ext
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
otel_ext.configure(output=sys.argv[1], console="off")
trace.set_tracer_provider(TracerProvider(resource=Resource({"service.name": "late"})))
trace.get_tracer("t").start_span("work").end()
"""


def test_the_first_line_has_the_resource_of_the_first_span(tmp_path: Path) -> None:
    """A line that was prepared for one provider is not used for the spans of another."""
    program = write_program(tmp_path, OTHER)
    done = execute(python(program, tmp_path / "traces"), cwd=tmp_path)
    assert done.code == 0, done.err
    found = records_in(tmp_path / "traces")
    starts = [record for record in found if record.name == PROCESS_START]
    assert [one.extra["resource"] for one in starts] == [{"service.name": "late"}]
    assert {record.process.id for record in found} == {starts[0].process.id}
    assert "." not in starts[0].process.id


def test_an_expected_resource_takes_no_number() -> None:
    """The first resource that is recorded gets the incarnation's id, expected or not."""
    one, two = Resource({"a": 1}), Resource({"b": 2})
    mine = Incarnation()
    expected = mine.expect(one)
    assert mine.process_for(one) is expected
    assert mine.process_for(two).id == f"{mine.id}.2"
    other = Incarnation()
    other.expect(one)
    assert other.process_for(two).id == other.id
    assert other.process_for(one).id == f"{other.id}.2"

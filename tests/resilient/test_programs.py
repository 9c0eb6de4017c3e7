"""Whole programs whose collector is down: what they leave on disk, and what sends it."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_ext.exporters.delivery.persistent.entries import entries_in
from otel_ext.exporters.delivery.persistent.files import list_files
from tests.otlp.sink import Sink, black_hole
from tests.programs import (
    environment,
    execute,
    python,
    started,
    wait_until,
    write_program,
)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

# The port "discard", on which nothing listens.
DEAD = 9
# Seconds, at most, that PROGRAM waits until the records on disk are sent.
SENT = "30"
# Seconds; an exit that waits for an answer of the destination takes 10 s for each request.
UNHELD = 8.0
PROGRAM = """
import glob, json, sys, time
from opentelemetry import trace
import otel_ext
name, count, most = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
otel_ext.configure(otlp=True, output="out", retry_initial_interval="100ms")
tracer = trace.get_tracer("t")
for number in range(count):
    tracer.start_span(f"{name} {number}", attributes={"n": number}).end()
until = time.monotonic() + most
while glob.glob("out/.queue/*.requests") and time.monotonic() < until:
    time.sleep(0.02)
print(json.dumps({"at": time.time()}), flush=True)
if len(sys.argv) > 4:
    time.sleep(60)
"""


@pytest.fixture
def sink() -> Generator[Sink, None, None]:
    """Run a receiver of OTLP."""
    made = Sink()
    yield made
    made.close()


def sending_to(port: int, **more: str) -> dict[str, str]:
    """Return an environment that names a collector on a port of loopback."""
    return environment(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_SERVICE_NAME="shop",
        **more,
    )


def persisted(folder: Path) -> list[str]:
    """Return the names of the final records that wait on disk."""
    names: list[str] = []
    for file in sorted((folder / "out" / ".queue").glob("otlp.*.requests")):
        with suppress(FileNotFoundError):  # the running program has replaced it
            for entry in entries_in(file.read_bytes()):
                request = ExportTraceServiceRequest.FromString(entry.request.body)
                names += [
                    span.name
                    for of_resource in request.resource_spans
                    for of_scope in of_resource.scope_spans
                    for span in of_scope.spans
                ]
    return names


def send_rest(program: Path, folder: Path, sink: Sink) -> None:
    """Run a program until nothing waits on disk: a short run leaves its own last records."""
    for _ in range(6):
        done = execute(python(program, "last", "1", SENT), cwd=folder, env=sending_to(sink.port))
        assert done.code == 0, done.err
        if not list_files(folder / "out" / ".queue"):
            return
    raise AssertionError("records stay on disk")


def wanted(name: str, count: int) -> list[str]:
    """Return the names that a run of the program makes."""
    return sorted(f"{name} {number}" for number in range(count))


@pytest.mark.parametrize("limit", ["", "500ms"])
def test_blackholed_the_program_ends_in_time_and_all_is_sent_by_the_next(
    tmp_path: Path, sink: Sink, limit: str
) -> None:
    """Batches without an answer are on disk at exit, and arrive with the next run."""
    program = write_program(tmp_path, PROGRAM)
    more = {"OTEL_EXT_OTLP_EXIT_TIMEOUT": limit} if limit else {}
    with black_hole() as port:
        env = sending_to(port, **more)
        done = execute(python(program, "first", "3000", "0"), cwd=tmp_path, env=env)
        took = time.time() - json.loads(done.out)["at"]
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    assert took < UNHELD
    assert sorted(persisted(tmp_path)) == wanted("first", 3000)
    second = execute(python(program, "second", "5", SENT), cwd=tmp_path, env=sending_to(sink.port))
    assert second.code == 0, second.err
    names = sorted(span.name for span in sink.spans)
    assert names == wanted("first", 3000) + wanted("second", 5)
    assert not persisted(tmp_path)
    assert {span.resource["service.name"] for span in sink.spans} == {"shop"}
    (one,) = sink.named("first 17")
    assert one.attributes["n"] == 17


def test_killed_while_the_collector_is_away(tmp_path: Path, sink: Sink) -> None:
    """After kill -9 in an outage, the next program sends all records on disk, once."""
    program = write_program(tmp_path, PROGRAM)
    command = python(program, "first", "700", "0", "stay")
    with started(command, cwd=tmp_path, env=sending_to(DEAD)) as process:
        wait_until(lambda: len(persisted(tmp_path)) >= 700, "everything is on disk")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    send_rest(program, tmp_path, sink)
    names = [span.name for span in sink.spans if span.name.startswith("first")]
    assert sorted(names) == wanted("first", 700)


@pytest.mark.slow
def test_killed_again_and_again_while_it_replays(tmp_path: Path, sink: Sink) -> None:
    """If programs are killed while they send from disk, no record is lost."""
    program = write_program(tmp_path, PROGRAM)
    first = execute(python(program, "first", "6000", "0"), cwd=tmp_path, env=sending_to(DEAD))
    assert first.code == 0, first.err
    there = len(persisted(tmp_path))
    assert there == 6000
    for number in range(4):
        command = python(program, f"again{number}", "1", "0", "stay")
        with started(command, cwd=tmp_path, env=sending_to(sink.port)) as process:
            time.sleep(0.6 + 0.15 * number)
            process.kill()
            process.wait()
    send_rest(program, tmp_path, sink)
    names = {span.name for span in sink.spans if span.name.startswith("first")}
    assert sorted(names) == wanted("first", 6000)


FORKING = """
import os, sys, time
from opentelemetry import trace
import otel_ext
handle = otel_ext.configure(otlp=True, output="out", retry_initial_interval="100ms")
tracer = trace.get_tracer("t")
for number in range(50):
    tracer.start_span(f"parent {number}").end()
handle.flush(1.0)
time.sleep(1.0)
children = []
for child in range(3):
    pid = os.fork()
    if pid == 0:
        for number in range(20):
            tracer.start_span(f"child {child} {number}").end()
        handle.shutdown(1.0)
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
tracer.start_span("parent after").end()
"""


def test_a_forked_child_has_its_own_queue(tmp_path: Path, sink: Sink) -> None:
    """Parent and children each keep their own records; everything arrives once."""
    program = write_program(tmp_path, FORKING, "forking.py")
    done = execute(python(program), cwd=tmp_path, env=sending_to(DEAD))
    assert done.code == 0, done.err
    # A child may have taken over the files of an earlier child that has ended.
    children = [f"child {child} {number}" for child in range(3) for number in range(20)]
    wanted_names = sorted([*wanted("parent", 50), "parent after", *children])
    assert sorted(persisted(tmp_path)) == wanted_names
    program = write_program(tmp_path, PROGRAM)
    execute(python(program, "next", "1", SENT), cwd=tmp_path, env=sending_to(sink.port))
    names = sorted(span.name for span in sink.spans if not span.name.startswith("next"))
    assert names == wanted_names


def test_without_persistent_queue_nothing_is_written(tmp_path: Path) -> None:
    """If it is disabled, there is no folder, and the exit is as quick."""
    program = write_program(tmp_path, PROGRAM)
    env = sending_to(DEAD, OTEL_EXT_PERSISTENT_QUEUE="false")
    done = execute(python(program, "first", "100", "0"), cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    assert not (tmp_path / "out" / ".queue").exists()
    assert time.time() - json.loads(done.out)["at"] < UNHELD


LATE = """
import atexit
def at_exit():
    kept.end()
    tracer.start_span("late").end()
atexit.register(at_exit)  # runs after what configure() registers
from opentelemetry import trace
import otel_ext
otel_ext.configure(otlp=True, output="out")
tracer = trace.get_tracer("t")
kept = tracer.start_span("kept")
tracer.start_span("early").end()
"""


def test_the_next_program_sends_spans_of_late_exit_handlers(tmp_path: Path, sink: Sink) -> None:
    """Handlers that run after ours: their spans wait on disk; so does a real end that is late."""
    program = write_program(tmp_path, LATE, "late.py")
    done = execute(python(program), cwd=tmp_path, env=sending_to(sink.port))
    assert (done.code, done.err) == (0, "")
    assert [span.name for span in sink.spans] == ["early"]
    assert sorted(persisted(tmp_path)) == ["kept", "late"]
    program = write_program(tmp_path, PROGRAM)
    execute(python(program, "next", "1", SENT), cwd=tmp_path, env=sending_to(sink.port))
    names = sorted(span.name for span in sink.spans)
    assert names == ["early", "kept", "late", "next 0"]
    assert not persisted(tmp_path)

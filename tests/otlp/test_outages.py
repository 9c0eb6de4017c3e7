"""The collector stops and restarts; the program forks or ends meanwhile."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from otel_ext.exporters.delivery.queue import QueueLimits
from tests.otlp.providers import sending
from tests.otlp.sink import black_hole
from tests.programs import environment, execute, python, started, wait_until, write_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.otlp.sink import Collector, Sink


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "protocol", ["http/protobuf", pytest.param("grpc", marks=pytest.mark.storm)]
)
def test_no_ended_span_is_lost_while_the_collector_restarts(
    peers: tuple[Collector, Sink], monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    """Killed under load and started again: every final span arrives, and long spans' starts."""
    collector, sink = peers
    for name, value in collector.settings(protocol).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3")
    names: set[str] = set()
    with sending(limits=QueueLimits(50_000, 1 << 28)) as (provider, exporter):
        tracer = provider.get_tracer("t")
        with tracer.start_as_current_span("whole run"):
            for second in range(12):
                if second == 4:
                    # A killed collector loses what it has not forwarded: let it do so first.
                    assert provider.force_flush(10_000)
                    wait_until(lambda: names <= {one.name for one in sink.spans}, "all so far")
                    collector.kill()
                if second == 7:
                    collector.start()
                    # Else the next try may come after the starts that are asserted below.
                    wait_until(lambda: provider.force_flush(5_000), "the collector is tried")
                with tracer.start_as_current_span(f"second {second}"):
                    for number in range(100):
                        name = f"span {second}-{number}"
                        tracer.start_span(name).end()
                        names.add(name)
                        time.sleep(0.01)
                names.add(f"second {second}")
            wait_until(lambda: provider.force_flush(5_000), "everything is sent")
        names.add("whole run")
        assert provider.force_flush(10_000)
        # Not from `health()`, which may list queues of earlier tests by the same name.
        part = exporter.health.report()
    wait_until(lambda: names <= {one.name for one in sink.spans}, "every span arrives")
    arrived = [one.name for one in sink.spans]
    starts = {one.body for one in sink.starts()}
    assert "whole run.start" in starts
    assert {f"second {second}.start" for second in (0, 9)} <= starts
    # Only the batch in flight when the collector died may be sent twice.
    assert len(arrived) - len(set(arrived)) <= 512
    assert part.state == "healthy", part


IMPORTING = """
import os, sys, time
from opentelemetry import trace
import otel_ext
handle = otel_ext.configure(otlp=True, console="off")
known = set(sys.modules)
trace.get_tracer("t").start_span("work").end()
assert handle.flush(20)
while not os.path.exists("arrived"):
    time.sleep(0.01)
print(*(set(sys.modules) - known), flush=True)
"""


def test_the_sending_thread_imports_nothing(sink: Sink, tmp_path: Path) -> None:
    """If a process forks meanwhile, its child would wait for that import forever."""
    program = write_program(tmp_path, IMPORTING)
    names = [name for name in os.environ if name.startswith("OTEL_")]
    env = environment(**{name: os.environ[name] for name in names})
    with started(python(program), cwd=tmp_path, env=env) as process:
        # A request that is not answered within a second is sent again later.
        wait_until(lambda: sink.named("work"), "the span arrives")
        (tmp_path / "arrived").touch()
        assert process.wait(30) == 0
    assert (tmp_path / "output.txt").read_text("utf-8").strip() == ""


EXITING = """
import sys, time
from opentelemetry import trace
import otel_ext
otel_ext.configure(otlp=True, otlp_exit_timeout=sys.argv[1])
tracer = trace.get_tracer("t")
tracer.start_span("left open")
for _ in range(2000):
    tracer.start_span("work").end()
time.sleep(1.2)
print(time.time())
"""


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("configured", [2.0, 3.5])
def test_a_destination_that_never_answers_does_not_delay_the_exit(
    tmp_path: Path, protocol: str, configured: float
) -> None:
    """A program whose collector accepts connections and never answers ends in the set time."""
    program = write_program(tmp_path, EXITING)
    with black_hole() as port:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        }
        done = execute(python(program, str(configured)), cwd=tmp_path, env=environment(**variables))
    ended = time.time()
    assert done.code == 0, done.err
    # Waiting for a request would take 10 s; the margin is for a busy machine.
    assert ended - float(done.out.split()[-1]) < configured + 5.0
    assert "Traceback" not in done.err


def test_an_unreachable_destination_does_not_delay_the_exit(tmp_path: Path) -> None:
    """The connection is refused."""
    program = write_program(tmp_path, EXITING)
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    done = execute(python(program, "2.0"), cwd=tmp_path, env=environment(**variables))
    assert done.code == 0, done.err
    assert time.time() - float(done.out.split()[-1]) < 8.0


FORKING = """
import json, os, time
from opentelemetry import trace
import otel_ext
handle = otel_ext.configure(otlp=True)
tracer = trace.get_tracer("t")
tracer.start_span("warm up").end()
handle.flush()
with tracer.start_as_current_span("before"):
    for number in range(50):
        tracer.start_span(f"queued {number}").end()
    pid = os.fork()
    if pid == 0:
        with tracer.start_as_current_span("in the child"):
            pass
        ok = handle.flush(10)
        os._exit(0 if ok else 7)
_, status = os.waitpid(pid, 0)
with tracer.start_as_current_span("after"):
    pass
print(json.dumps({"child": os.waitstatus_to_exitcode(status), "flushed": handle.flush(10)}))
"""


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_forked_child_sends_only_its_own_records(
    peers: tuple[Collector, Sink], tmp_path: Path, protocol: str
) -> None:
    """The parent sends what was queued before the fork; the child opens its own connection."""
    collector, sink = peers
    program = write_program(tmp_path, FORKING)
    variables = collector.settings(protocol)
    done = execute(python(program), cwd=tmp_path, env=environment(**variables))
    assert done.code == 0, done.err
    assert json.loads(done.out) == {"child": 0, "flushed": True}, done.err
    wanted = {"warm up", "before", "after", "in the child", *(f"queued {n}" for n in range(50))}
    wait_until(lambda: wanted <= {span.name for span in sink.spans}, "every span arrives")
    assert len(sink.spans) == len(wanted)
    (inside,) = sink.named("in the child")
    (before,) = sink.named("before")
    assert inside.parent_span_id == before.span_id

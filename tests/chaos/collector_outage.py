"""A program: a collector is killed and started again under load, and nothing may be missing.

    python collector_outage.py [SECONDS] [SPANS PER SECOND]

A child makes spans at the rate given, and long ones beside them, while the
collector is killed and started again every ten seconds. At the end every final
span must be at the sink behind the collector, and so must the starts of the long
ones; the child's memory must have stayed within 32 MiB. What a collector has
taken and not handed on when it is killed is its own loss, so it is cut off a
moment before, in the middle of whatever is under way. Prints what was found as
JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.otlp.sink import Relay, collecting
from tests.programs import environment

if TYPE_CHECKING:
    from tests.otlp.sink import Collector

DEFAULT_SECONDS = 120
DEFAULT_RATE = 5_000
LIMIT = 32 * 1024 * 1024
PERIOD = 10.0
AWAY = 3.0

CHILD = """
import json, sys, time
from opentelemetry import trace
import otel_ext
from otel_ext.inflight.heartbeat import memory_bytes
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.health import health
seconds, rate = float(sys.argv[1]), int(sys.argv[2])
handle = otel_ext.configure(otlp=True, output=sys.argv[3], otlp_queue_spans=20_000)
tracer = trace.get_tracer("load")
def load(seconds):
    made, longest, times = 0, 0, []
    began = time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        with tracer.start_as_current_span(f"second {int(now)}"):
            until = int(now) + 1
            while (now := time.monotonic() - began) < min(until, seconds):
                due = int(now * rate) - made
                for _ in range(due):
                    before = time.perf_counter_ns()
                    tracer.start_span("work", attributes={"number": made}).end()
                    times.append(time.perf_counter_ns() - before)
                    made += 1
                time.sleep(0.002)
    times.sort()
    return made, times[len(times) * 99 // 100]
_, calm = load(10)
handle.flush(20)
before = memory_bytes()
print("ready", flush=True)
made, p99 = load(seconds)
after = memory_bytes()
found = {"made": made, "p99_ns": p99, "calm_p99_ns": calm, "grown": after - before}
print(json.dumps(found), flush=True)
sys.stdin.readline()
until = time.monotonic() + 300
while time.monotonic() < until:
    done = handle.flush(10)
    parts = [health().part(name) for name in ("OTLP", "OTLP spill")]
    if done and all(part is None or part.state == "healthy" for part in parts):
        break
    time.sleep(1)
print(json.dumps(COUNTERS.snapshot()), flush=True)
"""


def disturb(collector: Collector, relay: Relay, until: float) -> int:
    """Kill the collector and start it again, until then; return how often."""
    kills = 0
    while time.monotonic() + PERIOD < until:
        time.sleep(PERIOD - AWAY)
        relay.cut()
        time.sleep(0.5)
        collector.kill()
        kills += 1
        time.sleep(AWAY)
        collector.start()
        relay.open()
    return kills


def main(seconds: float, rate: int) -> int:
    """Run the load, disturb it, and compare."""
    with tempfile.TemporaryDirectory() as name, collecting(Path(name)) as (collector, sink):
        folder = Path(name)
        relay = Relay(collector.http)
        relay.open()
        program = folder / "load.py"
        program.write_text(CHILD, encoding="utf-8")
        words = [sys.executable, str(program), str(seconds), str(rate), str(folder / "traces")]
        child = subprocess.Popen(
            words,
            env=environment(
                **collector.settings("http/protobuf", relay.port), OTEL_EXPORTER_OTLP_TIMEOUT="3"
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        warm = len(sink.spans)
        kills = disturb(collector, relay, time.monotonic() + seconds)
        found = json.loads(child.stdout.readline())
        child.stdin.write(os.linesep)
        child.stdin.flush()
        counters = json.loads(child.stdout.readline())
        child.wait()
        time.sleep(1)
        arrived = Counter(
            span.attributes.get("number") for span in sink.spans[warm:] if span.name == "work"
        )
        missing = [number for number in range(found["made"]) if not arrived[number]]
        report = {
            **found,
            "kills": kills,
            "missing": len(missing),
            "twice": sum(times - 1 for times in arrived.values()),
            "starts": len(sink.starts()),
            "counters": {k: v for k, v in counters.items() if k.startswith("remote.")},
        }
        print(json.dumps(report))
        return 1 if missing or found["grown"] > LIMIT else 0


if __name__ == "__main__":
    raise SystemExit(
        main(
            float(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_SECONDS,
            int(sys.argv[2]) if len(sys.argv) > 2 else DEFAULT_RATE,
        )
    )

"""A program: a collector is killed and started again under load, and nothing may be missing.

    python collector_outage.py [SECONDS] [SPANS PER SECOND] [PROTOCOL] [PERIOD]

A child makes spans at that rate, with queues of the default sizes, and beside them
long spans that last for a second. Meanwhile this program kills the collector and
starts it again every PERIOD seconds. At the end the sink behind the collector must
have every final span, and the start of each long one, unless its end overtook it,
which is counted; no more may have arrived twice than were counted; the child's
memory must have grown by at most 32 MiB. What a collector has accepted and not
forwarded when it is killed is its own loss, so its connections are cut a moment
before, in the middle of requests. Prints the findings as JSON, with the p99 of
starting and ending a span beside that of a calm time of the same run.
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
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.otlp.sink import Relay, collecting
from tests.programs import environment

if TYPE_CHECKING:
    from tests.otlp.sink import Collector, Sink

DEFAULT_SECONDS = 120
DEFAULT_RATE = 5_000
LIMIT = 32 * 1024 * 1024
# Limits of the 99th percentile: as a ratio to that of the calm time, and in microseconds.
# Both are wide, since the machine also runs the collector, its sink and the relay.
MOST_RATIO = 20.0
MOST_P99 = 20_000.0
PERIOD = 10.0
AWAY = 3.0
CALM = 5.0
# Once the sink gets nothing for so many seconds, the collector has forwarded everything.
QUIET = 0.5
# Seconds, at the most, until the last records have arrived.
ARRIVING = 60.0

CHILD = """
import json, sys, time
from opentelemetry import trace
import otel_ext
from otel_ext.inflight.heartbeat import memory_bytes
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.health import health
seconds, rate, calm_seconds = float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[4])
handle = otel_ext.configure(otlp=True, output=sys.argv[3], console="off")
tracer = trace.get_tracer("load")
def load(seconds, long):
    made, full, times = 0, 0, []
    began = time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        with tracer.start_as_current_span(f"{long} {full}"):
            until = now + 1
            while (now := time.monotonic() - began) < until:
                due = int(now * rate) - made
                for _ in range(due):
                    before = time.perf_counter_ns()
                    tracer.start_span("work", attributes={"number": made}).end()
                    times.append(time.perf_counter_ns() - before)
                    made += 1
                time.sleep(0.002)
            full += 1
    took = time.monotonic() - began
    del times[: len(times) // 10]  # the first second pays for imports
    times.sort()
    return made, full, times[len(times) * 99 // 100], made / took
_, _, calm, _ = load(calm_seconds, "calm")
handle.flush(20)
before = memory_bytes()
print("ready", flush=True)
cpu = time.process_time()
made, long, p99, reached = load(seconds, "second")
found = {
    "made": made, "long": long, "p99_us": p99 / 1e3, "calm_p99_us": calm / 1e3,
    "grown": memory_bytes() - before, "rate": round(reached),
    "cpu": round((time.process_time() - cpu) / seconds, 2),
}
print(json.dumps(found), flush=True)
sys.stdin.readline()
until = time.monotonic() + 300
while time.monotonic() < until:
    done = handle.flush(10)
    parts = [part for part in health().parts if part.name.startswith("OTLP")]
    if done and all(part.state == "healthy" for part in parts if "circuit" not in part.name):
        break
    time.sleep(0.2)
print(json.dumps(COUNTERS.snapshot()), flush=True)
"""


def settle(sink: Sink) -> None:
    """Wait until the collector has forwarded what it accepted."""
    before = -1
    while (now := len(sink.requests)) != before:
        before = now
        time.sleep(QUIET)


def disturb(collector: Collector, sink: Sink, relay: Relay, until: float, period: float) -> int:
    """Kill the collector and start it again, up to the time `until`; return how often."""
    kills = 0
    while time.monotonic() + period < until:
        time.sleep(period - AWAY)
        relay.cut()
        settle(sink)
        collector.kill()
        kills += 1
        time.sleep(AWAY)
        collector.start()
        relay.open()
    return kills


def run(seconds: float, rate: int, protocol: str, period: float) -> dict[str, Any]:
    """Run the load with outages of the collector, and return the findings."""
    with tempfile.TemporaryDirectory() as name, collecting(Path(name)) as (collector, sink):
        folder = Path(name)
        relay = Relay(collector.grpc if protocol == "grpc" else collector.http)
        relay.open()
        program = folder / "load.py"
        program.write_text(CHILD, encoding="utf-8")
        arguments = (program, seconds, rate, folder / "traces", CALM)
        with subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env=environment(
                **collector.settings(protocol, relay.port), OTEL_EXPORTER_OTLP_TIMEOUT="3"
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdout.readline()
            warm = len(sink.spans)
            kills = disturb(collector, sink, relay, time.monotonic() + seconds, period)
            found = json.loads(child.stdout.readline())
            child.stdin.write(os.linesep)
            child.stdin.flush()
            counters = json.loads(child.stdout.readline())
        until = time.monotonic() + ARRIVING
        outcome = compare(sink, warm, found["made"], found["long"])
        overtaken = counters.get("remote.overtaken_starts", 0)
        while (
            outcome["missing"] or outcome["missing_starts"] > overtaken
        ) and time.monotonic() < until:
            time.sleep(QUIET)
            outcome = compare(sink, warm, found["made"], found["long"])
        remote = {name: value for name, value in counters.items() if name.startswith("remote.")}
        ratio = round(found["p99_us"] / found["calm_p99_us"], 2)
        return {
            **found,
            "p99_ratio": ratio,
            "kills": kills,
            **outcome,
            "counters": remote,
        }


def compare(sink: Sink, warm: int, made: int, long: int) -> dict[str, int]:
    """Return how many final spans and starts are missing, and how many came twice."""
    finals = Counter(
        span.attributes.get("number") for span in sink.spans[warm:] if span.name == "work"
    )
    finals.update(span.name for span in sink.spans[warm:] if span.name.startswith("second "))
    # A collector is free to send again what its own destination has not answered.
    starts = Counter(str(event.attributes["otel_ext.span.name"]) for event in sink.starts())
    wanted: list[object] = [*range(made), *(f"second {number}" for number in range(long))]
    return {
        "missing": sum(not finals[one] for one in wanted),
        "missing_starts": sum(not starts[f"second {number}"] for number in range(long)),
        "twice": sum(times - 1 for found in (finals, starts) for times in found.values()),
    }


def problems_of(report: dict[str, Any]) -> list[str]:
    """Return the promises that a report shows broken."""
    counted = report["counters"].get("remote.maybe_twice", 0)
    overtaken = report["counters"].get("remote.overtaken_starts", 0)
    without = report["missing_starts"]
    checks = {
        f"{report['missing']} final spans are missing": report["missing"],
        f"{without} starts of long spans are missing, {overtaken} counted": without > overtaken,
        f"{report['twice']} came twice, {counted} counted": report["twice"] > counted,
        f"memory grew by {report['grown'] >> 20} MiB": report["grown"] > LIMIT,
        f"p99 is {report['p99_ratio']} times that of calm": (
            report["p99_ratio"] > MOST_RATIO and report["p99_us"] > MOST_P99
        ),
    }
    return [text for text, is_so in checks.items() if is_so]


def main(
    seconds: str = str(DEFAULT_SECONDS),
    rate: str = str(DEFAULT_RATE),
    protocol: str = "http/protobuf",
    period: str = str(PERIOD),
) -> int:
    """Run the outages and print the report; return 1 if it has problems."""
    report = run(float(seconds), int(rate), protocol, float(period))
    problems = problems_of(report)
    print(json.dumps({**report, "problems": problems}))
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))

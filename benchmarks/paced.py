"""Records spans at a steady rate, and probes among them that say when they started.

As a program: `python -m benchmarks.paced FOLDER RATE`. It prints the id of the trace of the probes,
and ends them a while after each other. When its standard input ends it prints when each of them
has started, in milliseconds since the epoch, as JSON.
"""

from __future__ import annotations

import json
import select
import sys
from collections import deque
from itertools import count
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Final

from opentelemetry import trace

import otel_ext
from benchmarks.shapes import FOUR

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

__all__ = ["PROBE"]

PROBE: Final = "probe "
"""The beginning of a probe's name; its start follows."""

_PROBES_A_SECOND: Final = 10
# So many are open at once: a page shows them all.
_OPEN: Final = 20
_STEPS_A_SECOND: Final = 100
_SPANS_PER_TRACE: Final = 10


def _record(tracer: Tracer, spans: int) -> None:
    """Record traces with so many spans in all, at once."""
    for _ in range(spans // _SPANS_PER_TRACE):
        with tracer.start_as_current_span("GET /orders/{id}", attributes=FOUR):
            for _ in range(_SPANS_PER_TRACE - 1):
                with tracer.start_as_current_span("step", attributes=FOUR):
                    pass


class _Probes:
    """Starts probes below a span.

    Args:
        tracer: Makes them.
        root: Their parent.
    """

    def __init__(self, tracer: Tracer, root: Span) -> None:
        self._tracer = tracer
        self._context = trace.set_span_in_context(root)
        self._open: deque[Span] = deque()
        self.started: list[str] = []

    def start(self) -> None:
        """Start one, and end the oldest if too many are open."""
        now = f"{time_ns() / 1e6:.1f}"
        self._open.append(self._tracer.start_span(PROBE + now, self._context, attributes=FOUR))
        self.started.append(now)
        if len(self._open) > _OPEN:
            self._open.popleft().end()

    def end(self) -> None:
        """End all."""
        for probe in self._open:
            probe.end()


def main() -> int:
    """Record as the command line says."""
    folder, rate = sys.argv[1], int(sys.argv[2])
    recording = otel_ext.configure(output=folder, console="off")
    tracer = trace.get_tracer("benchmark")
    root = tracer.start_span("probes")
    probes = _Probes(tracer, root)
    sys.stdout.write(f"{root.get_span_context().trace_id:032x}\n")
    sys.stdout.flush()
    began = perf_counter()
    for step in count():
        pause = max(0.0, began + step / _STEPS_A_SECOND - perf_counter())
        if select.select([sys.stdin], [], [], pause)[0]:
            break
        if step % (_STEPS_A_SECOND // _PROBES_A_SECOND) == 0:
            probes.start()
        _record(tracer, rate // _STEPS_A_SECOND)
    probes.end()
    root.end()
    recording.shutdown()
    sys.stdout.write(json.dumps(probes.started))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A span processor that only keeps a table of open spans, and waits with a deadline."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from otel_ext.inflight import reaper, table, watchdog
from otel_ext.inflight.reaper import Reaper
from otel_ext.inflight.table import InflightTable, span_key
from otel_ext.record.capture import capture_end, capture_start
from otel_ext.runtime.process import incarnation
from tests.programs import ROOT, becomes_true, python, succeed
from tests.threads import on_thread

if TYPE_CHECKING:
    import pytest
    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

    from otel_ext.record.model import Record
    from tests.programs import Done

PROGRAMS = Path(__file__).parent / "programs"


def run_program(name: str, *words: str) -> Done:
    """Run one of the programs of this folder, which import from `tests`."""
    command = python("-X", "faulthandler", PROGRAMS / name, *words)
    return succeed(command, PROGRAMS, PYTHONPATH=str(ROOT))


class Clock:
    """The monotonic clock of the table, the reaper and the watchdog, which a test sets ahead."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._ahead_ns = 0
        for module in (reaper, table, watchdog):
            patch.setattr(module, "monotonic_ns", self._monotonic_ns)
        patch.setattr(reaper, "monotonic", lambda: self._monotonic_ns() / 1e9)

    def _monotonic_ns(self) -> int:
        return time.monotonic_ns() + self._ahead_ns

    def advance(self, seconds: float) -> None:
        """Set the clock ahead."""
        self._ahead_ns += round(seconds * 1e9)


class Tracking(SpanProcessor):
    """Keeps a table and collects the final records, as the real processor does."""

    def __init__(self, kept_in: InflightTable | None = None, *, grace: float = 0.05) -> None:
        self.table = InflightTable() if kept_in is None else kept_in
        self.ends: list[Record] = []
        self.abandoned: list[Record] = []
        self.ignored = 0
        self.reaper = Reaper(self.table, self.abandoned.append, grace=grace)
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self)
        self.tracer: Tracer = self.provider.get_tracer("tests.inflight")

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Add the span to the table."""
        del parent_context
        current = incarnation.current()
        process = current.process_for(span.resource)
        self.table.add(capture_start(span, process, current.next_seq()), span)

    def on_end(self, span: ReadableSpan) -> None:
        """Remove the span from the table, and keep its end record."""
        context = span.get_span_context()
        assert context is not None
        key = span_key(context)
        start = self.table.pop(key)
        if start is None and self.table.is_inherited(key, span.start_time):
            self.ignored += 1
            return
        current = incarnation.current()
        process = current.process_for(span.resource)
        self.ends.append(capture_end(span, process, current.next_seq(), start))

    def reap_until(self, count: int) -> list[Record]:
        """Run the reaper as the worker would, until it emitted `count` ends or time is up."""

        def enough() -> bool:
            self.reaper.run()
            return len(self.abandoned) >= count

        becomes_true(enough)
        return self.abandoned

    def reap_for(self, seconds: float) -> list[Record]:
        """Run the reaper for some time and return the records that it emitted."""
        becomes_true(self.reaper.run, seconds)
        return self.abandoned

    def ended_by_thread(self, name: str) -> Span:
        """Open a span on a thread that ends without ending it; return the span."""
        spans: list[Span] = []
        on_thread(lambda: spans.append(self.tracer.start_span(name)), "short-lived")  # type: ignore[arg-type]
        return spans[0]

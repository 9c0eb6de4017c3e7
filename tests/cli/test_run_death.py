"""`otel-ext run` and `recover` show what a dead program was doing, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext.cli.ended_spans import ended_by, lines_of, open_in
from otel_ext.journal.recovery.recover import recover
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.text import cells
from tests.programs import OTEL_EXT, execute, python, record, spans_in, write_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.watched import Shop

PROGRAM = """
import os, signal, sys
from opentelemetry import trace
tracer = trace.get_tracer("shop")
with tracer.start_as_current_span("checkout", attributes={"order.id": 17}):
    with tracer.start_as_current_span("pay"):
        if len(sys.argv) > 1:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.measured
def test_the_summary_shows_what_was_running(tmp_path: Path) -> None:
    """With the signal, and the spans as a tree with attributes and lines."""
    program = write_program(tmp_path, PROGRAM)
    done = execute([OTEL_EXT, "run", "--", *python(program, "die")], cwd=tmp_path)
    lines = done.err.splitlines()
    assert "otel-ext: ended by SIGKILL." in lines
    at = lines.index("otel-ext: what was running when it died:")
    first, second = lines[at + 1 : at + 3]
    assert "checkout  order.id=17" in first
    assert f"opened {program.name}:5" in first
    assert "└─ pay" in second or "`- pay" in second
    assert f"opened {program.name}:6" in second


LATE_DEATH = """
import os, signal, time
from opentelemetry import trace
with trace.get_tracer("shop").start_as_current_span("pay"):
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_span_lasts_until_the_death_was_noticed(tmp_path: Path) -> None:
    """Not only until the last record or heartbeat, which may be much earlier."""
    execute([OTEL_EXT, "run", "--", *python("-c", LATE_DEATH)], cwd=tmp_path)
    start, end = spans_in(tmp_path / "traces")
    assert end.abandoned == "process-died"
    assert end.time_ns - start.time_ns >= 200_000_000


def test_an_orderly_end_shows_no_spans(tmp_path: Path) -> None:
    """Only spans that a death left open are shown."""
    assert "when it died" not in record(tmp_path, "-c", PROGRAM).err


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_lines_fit_the_terminal(dead_shop: Shop, width: int) -> None:
    """Names and locations are cut so that no line is too wide; attributes are included."""
    folder = dead_shop.folder / "traces"
    found = open_in(folder)
    report = recover(folder)
    lines = list(lines_of(ended_by(report, found), report.spans, Canvas(width)))
    assert len(lines) == 2
    assert max(map(cells, lines)) <= width
    assert all("shop_one.py" in line for line in lines) or width == 40
    assert "user=ann" in lines[0] or width < 120

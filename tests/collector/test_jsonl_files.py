"""The real Collector's file_log receiver reads our files: nothing is lost or read twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext.record.timestamps import format_ns, parse_timestamp
from tests.collector.otelcol import Log, logs, running, settled
from tests.programs import environment, execute, python, recorded, records_in, write_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.programs import Done

pytestmark = pytest.mark.collector

PROGRAM = """\
import sys
import otel_ext
import structlog
from opentelemetry import trace

otel_ext.configure_structlog()
tracer = trace.get_tracer("shop")
with tracer.start_as_current_span("order", attributes={"cart": {"items": [1, 2]}}):
    structlog.get_logger("shop").warning("low", left=2)
    for number in range(int(sys.argv[1])):
        with tracer.start_as_current_span("pay", attributes={"number": number}):
            pass
"""
ROUTES = ("spans", "inflight", "logs")


def record(folder: Path, *words: str, program: str = PROGRAM, **settings: str) -> Done:
    """Record the program into `folder/traces`, by default in compat mode."""
    path = write_program(folder, program)
    env = environment(**{"OTEL_EXT_COMPAT_MODE": "true", **settings})
    done = execute(recorded(folder / "traces", *python(path, *words)), cwd=folder, env=env)
    assert done.code == 0, done.err
    return done


def arrived(folder: Path) -> list[Log]:
    """Return everything that the Collector has written, on all routes."""
    return [log for route in ROUTES for log in logs(folder, route)]


@pytest.mark.parametrize("compat_mode", ["true", "false"])
def test_every_record_arrives_once_on_its_route(tmp_path: Path, compat_mode: str) -> None:
    """Spans, records in flight, and logs take three routes, with time, ids and level."""
    with running("jsonl.yaml", tmp_path):
        record(tmp_path, "20", OTEL_EXT_COMPAT_MODE=compat_mode)
        written = records_in(tmp_path / "traces")
        settled(lambda: len(arrived(tmp_path)), len(written), "every record arrives")
    assert {log.event for log in logs(tmp_path, "spans")} == {"otel_ext.span.end"}
    assert {log.event for log in logs(tmp_path, "inflight")} >= {
        "otel_ext.process.start",
        "otel_ext.process.end",
        "otel_ext.span.start",
    }
    assert all(not log.event.endswith("span.end") for log in logs(tmp_path, "inflight"))
    assert [log.event for log in logs(tmp_path, "logs")] == ["otel_ext.log"]
    by_key = {log.key: log for log in arrived(tmp_path)}
    assert by_key.keys() == {(one.process.id, one.seq) for one in written}
    for one in written:
        log = by_key[one.process.id, one.seq]
        # A line has six digits of a second.
        assert format_ns(log.time_ns) == format_ns(one.time_ns) == log.meta["timestamp"]
        assert ("timestamp" in log.attributes) is (compat_mode == "true")
        assert (log.trace_id, log.span_id) == (one.trace_id or "", one.span_id or "")
        assert log.body == one.event


def test_data_and_level_are_kept(tmp_path: Path) -> None:
    """Nested data stays nested, whole numbers stay whole, and a warning is a warning."""
    record(tmp_path, "1")
    with running("jsonl.yaml", tmp_path):
        settled(lambda: len(arrived(tmp_path)), len(records_in(tmp_path / "traces")), "all arrives")
    (low,) = logs(tmp_path, "logs")
    assert (low.body, low.severity, low.attributes["left"]) == ("low", 13, 2)
    (order,) = [log for log in logs(tmp_path, "spans") if log.body == "order.end"]
    assert order.attributes["cart"] == {"items": [1, 2]}
    assert isinstance(order.meta["duration_ns"], int)


def test_the_torn_last_line_waits_for_its_end(tmp_path: Path) -> None:
    """Half a line is not a record; once its other half is there, it arrives, once."""
    record(tmp_path, "1")
    (file,) = (tmp_path / "traces").glob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-1]) + lines[-1][:40])
    with running("jsonl.yaml", tmp_path):
        settled(lambda: len(arrived(tmp_path)), len(lines) - 1, "the whole lines arrive")
        assert all(log.meta for log in arrived(tmp_path))
        with file.open("ab") as end:
            end.write(lines[-1][40:])
        settled(lambda: len(arrived(tmp_path)), len(lines), "the last line arrives")
    assert all(log.meta for log in arrived(tmp_path))


def test_a_line_that_is_not_a_record_is_kept_as_text(tmp_path: Path) -> None:
    """Garbage in a file affects no other line, and arrives among the ordinary logs."""
    record(tmp_path, "1")
    (file,) = (tmp_path / "traces").glob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + b"not a record\n" + b"".join(lines[1:]))
    with running("jsonl.yaml", tmp_path):
        settled(lambda: len(arrived(tmp_path)), len(lines) + 1, "every line arrives")
    assert [log.body for log in arrived(tmp_path) if not log.meta] == ["not a record"]


def test_rotated_files_are_read_to_their_ends(tmp_path: Path) -> None:
    """Files that begin alike, after a long command line, are distinguished."""
    # A new file begins when all waiting records have been written.
    flush = "        if number % 100 == 99: trace.get_tracer_provider().force_flush()\n"
    program = PROGRAM.replace("pass\n", f"pass\n{flush}")
    with running("jsonl.yaml", tmp_path):
        record(tmp_path, "500", "x" * 4_000, program=program, OTEL_EXT_SEGMENT_SIZE="64KiB")
        written = records_in(tmp_path / "traces")
        assert len(list((tmp_path / "traces").glob("*.jsonl"))) > 2
        settled(lambda: len(arrived(tmp_path)), len(written), "every record arrives")
    assert {log.key for log in arrived(tmp_path)} == {(one.process.id, one.seq) for one in written}


def test_a_restart_neither_repeats_nor_skips(tmp_path: Path) -> None:
    """The Collector continues where it stopped, also in a file that has grown meanwhile."""
    record(tmp_path, "1")
    with running("jsonl.yaml", tmp_path):
        settled(lambda: len(arrived(tmp_path)), len(records_in(tmp_path / "traces")), "all arrives")
    record(tmp_path, "2")
    with running("jsonl.yaml", tmp_path):
        written = records_in(tmp_path / "traces")
        settled(lambda: len(arrived(tmp_path)), len(written), "the rest arrives")
    assert len({log.key for log in arrived(tmp_path)}) == len(written)


def test_the_programs_own_timestamp_stays(tmp_path: Path) -> None:
    """It stays at the top level, unchanged; the record's time comes from its metadata."""
    program = PROGRAM.replace('"number": number', '"timestamp": "yesterday"')
    record(tmp_path, "1", program=program)
    with running("jsonl.yaml", tmp_path):
        settled(lambda: len(arrived(tmp_path)), len(records_in(tmp_path / "traces")), "all arrives")
    (pay,) = [log for log in logs(tmp_path, "spans") if log.body == "pay.end"]
    assert pay.attributes["timestamp"] == "yesterday"
    assert pay.time_ns == parse_timestamp(str(pay.meta["timestamp"]))


def test_the_spans_of_a_killed_program_arrive(tmp_path: Path) -> None:
    """The Collector reads the ends that recovery appends to a file."""
    program = PROGRAM.replace("pass\n", "import os; os.kill(os.getpid(), 9)\n")
    path = write_program(tmp_path, program)
    env = environment(OTEL_EXT_COMPAT_MODE="true")
    with running("jsonl.yaml", tmp_path):
        done = execute(recorded(tmp_path / "traces", *python(path, "1")), cwd=tmp_path, env=env)
        assert done.code == -9
        written = records_in(tmp_path / "traces")
        settled(lambda: len(arrived(tmp_path)), len(written), "every record arrives")
    ends = {log.body: log.meta.get("abandoned") for log in logs(tmp_path, "spans")}
    assert ends == {"order.end": "process-died", "pay.end": "process-died"}

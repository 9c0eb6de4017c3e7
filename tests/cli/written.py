"""Writes files as processes leave them behind, for commands to read."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from otel_ext.exporters import JsonlExporter
from otel_ext.record.codec import encode_line
from otel_ext.record.model import CallSite, Process, Record
from otel_ext.runtime.process.records import process_start_record

if TYPE_CHECKING:
    from pathlib import Path

# A process of an earlier boot of this machine, so it is certainly dead.
DEAD = Process("00000000-7-5-00000000", 7, 5, "00000000-0000", socket.gethostname(), ("app.py",))
# A process of another machine, about which nothing is known.
FAR = Process("11111111-8-5-00000000", 8, 5, "11111111-1111", "far-away.example", ("far.py",))


def span(
    name: str, number: int = 1, process: Process = DEAD, parent: str = "", phase: str = "start"
) -> Record:
    """Return a start record, or one of another phase."""
    now = time.time_ns()
    record = Record("span", "start", name, now - 10**9, number, process, CallSite("a.py", 3, "f"))
    record = record._replace(trace_id="a" * 32, span_id=f"{number:016x}", parent_span_id=parent)
    if phase == "end":
        return record._replace(phase="end", start_ns=record.time_ns, time_ns=now)
    return record


def event(name: str, number: int = 1, process: Process = DEAD) -> Record:
    """Return an event record."""
    now = time.time_ns()
    return Record("event", None, name, now - 10**9, number, process, CallSite("a.py", 3, "f"))


def write(folder: Path, process: Process, *records: Record, raw: bytes = b"") -> Path:
    """Write a process's file and return its path."""
    folder.mkdir(exist_ok=True, mode=0o700)
    lines = [encode_line(process_start_record(process, 1)), *map(encode_line, records), raw]
    path = folder / f"{process.id}.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def exported(path: Path, *records: Record) -> Path:
    """Write records into a folder or file as this process's exporter does; return the path."""
    exporter = JsonlExporter(path, durability="write" if path.suffix else None)
    for record in records:
        exporter.export(record)
    exporter.shutdown()
    return path

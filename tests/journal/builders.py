"""Makes records, lines, ring buffers and journals for the tests of this folder."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from otel_ext.journal.files import open_folder
from otel_ext.journal.read.scanner import Line, Skipped, scan
from otel_ext.journal.ring_layout import RING_FOLDER, RingFacts
from otel_ext.journal.settings import JournalSettings
from otel_ext.journal.write.ring_buffer import RingBuffer
from otel_ext.record.codec import encode_line
from otel_ext.record.model import Process, Record, Status
from otel_ext.runtime.process.incarnation import Incarnation
from tests.programs import execute

if TYPE_CHECKING:
    from collections.abc import Generator

ROOT = Path(__file__).parents[2]
TRACE = "0" * 31 + "1"
BASE_NS = 1_800_000_000_000_000_000
ALONE = JournalSettings(recover_on_start=False)
KIB = 1024


def alone(**changes: Any) -> JournalSettings:  # noqa: ANN401 - of the fields' types
    """Return settings without recovery, and with these changes."""
    return replace(ALONE, **changes)


def span_id(number: int) -> str:
    """Return a span id made of `number`."""
    return f"{number:016x}"


def record(seq: int, process: str = "p", name: str = "tick") -> Record:
    """Return an event numbered `seq`."""
    return Record("event", None, name, BASE_NS + seq * 1000, seq, Process(process))


def line(seq: int, process: str = "p", name: str = "tick") -> bytes:
    """Return an event's line."""
    return encode_line(record(seq, process, name))


def start(seq: int, process: str = "p", number: int = 0, name: str = "work") -> Record:
    """Return the start of the span `number`, by default that of its seq."""
    return Record(
        kind="span",
        phase="start",
        name=name,
        time_ns=BASE_NS + seq * 1_000_000,
        seq=seq,
        process=Process(process),
        attributes={"number": number or seq},
        trace_id=TRACE,
        span_id=span_id(number or seq),
        parent_span_id=span_id(99),
        span_kind="client",
    )


def end(seq: int, process: str = "p", number: int = 0, name: str = "work") -> Record:
    """Return the end of the span `number`."""
    began = start(number or seq, process, number, name)
    return began._replace(
        phase="end",
        seq=seq,
        time_ns=BASE_NS + seq * 1_000_000,
        start_ns=began.time_ns,
        status=Status("ok"),
    )


def own_process(**facts: object) -> Process:
    """Return this process as a ring buffer describes it, but with these facts."""
    made = Incarnation().process
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def make_ring(
    folder: Path, *, size: int = 2 * 1024 * 1024, facts: RingFacts | None = None
) -> RingBuffer:
    """Create a ring buffer below `folder` for this process."""
    me = own_process()
    me.id = f"{me.id.rpartition('-')[0]}-00000000"
    made = facts or RingFacts(me, time.time_ns(), "", size, size // 2)
    path = folder / RING_FOLDER
    descriptor = open_folder(path, create=True)
    try:
        return RingBuffer.create(descriptor, path / f"{made.process.id}.ring", made)
    finally:
        os.close(descriptor)


def collect(ring: RingBuffer) -> bytes:
    """Drain a ring buffer and return what was in it."""
    out: list[bytes] = []

    def write(lines: memoryview) -> int:
        out.append(bytes(lines))
        return len(lines)

    assert ring.drain(write)
    return b"".join(out)


def lines_in(path: Path) -> list[Line]:
    """Return the whole lines of a file."""
    return [item for item in scan(path) if isinstance(item, Line)]


def damage_in(path: Path) -> list[Skipped]:
    """Return the damaged ranges of a file."""
    return [item for item in scan(path) if isinstance(item, Skipped)]


def seqs_in(folder: Path) -> list[int]:
    """Return the numbers of all records in a folder's files."""
    return [
        cast("int", one.meta["seq"])
        for path in sorted(folder.glob("*.jsonl"))
        for one in lines_in(path)
    ]


def program(text: str, *arguments: str | Path) -> list[str]:
    """Return the command that runs `text` as a Python program."""
    return [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)]


def run(text: str, *arguments: str | Path, timeout: float = 50.0) -> str:
    """Run `text` as a program and return what it prints; it must succeed."""
    done = execute(program(text, *arguments), cwd=ROOT, env=os.environ, timeout=timeout)
    assert done.code == 0, done.err
    return done.out


@contextmanager
def running(text: str, *arguments: str | Path) -> Generator[subprocess.Popen[str]]:
    """Run `text` as a program beside the test, and end it with the block."""
    process = subprocess.Popen(
        program(text, *arguments),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()

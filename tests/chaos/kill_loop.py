"""A program: kill a recording process again and again, recover, and compare with a ledger.

    python kill_loop.py [KILLS] [SEED]

Each child, forked from this process, starts and ends spans on two threads and
says so on a pipe only after the call has returned. It is killed with SIGKILL at
a random moment. After recovery every start and end of the ledger must be in the
folder, no record twice, and every span must have exactly one end. Prints what
was found as JSON. The tests run it with 100 kills; 10,000 is the long form.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from otel_ext.exporters.jsonl import JsonlExporter
from otel_ext.journal.reader import Located, read_records
from otel_ext.journal.recovery import recover
from otel_ext.processors.lifecycle import LifecycleSpanProcessor

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

DEFAULT_KILLS = 10_000
LONGEST_LIFE = 0.08
NOTE = 17  # one letter and 16 hex digits


def use_spans(tracer: Tracer, ledger: int, seed: int) -> NoReturn:
    """Start and end spans for ever; note each in the ledger once the call has returned."""
    dice = random.Random(seed)
    open_spans: list[Span] = []
    while True:
        if open_spans and dice.random() < 0.45:
            span = open_spans.pop(dice.randrange(len(open_spans)))
            span.end()
            letter = b"E"
        else:
            span = tracer.start_span("work", attributes={"text": "x" * dice.randrange(300)})
            open_spans.append(span)
            letter = b"S"
        os.write(ledger, letter + b"%016x" % span.get_span_context().span_id)


def child(folder: Path, ledger: int, seed: int) -> NoReturn:
    """Record into `folder` until the kill comes."""
    try:
        provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False)
        provider.add_span_processor(LifecycleSpanProcessor(JsonlExporter(folder)))
        tracer = provider.get_tracer("kill loop")
        beside = threading.Thread(target=use_spans, args=(tracer, ledger, seed + 1), daemon=True)
        beside.start()
        use_spans(tracer, ledger, seed)
    finally:
        os._exit(1)


def read_ledger(pipe: int, until: float) -> bytes:
    """Return what the child noted until its end, or until the moment given."""
    notes = b""
    while True:
        left = max(0.0, until - time.monotonic()) if until else None
        if not select.select([pipe], [], [], left)[0]:
            return notes
        block = os.read(pipe, 65536)
        if not block:
            return notes
        notes += block


def kill_one(folder: Path, dice: random.Random) -> tuple[set[str], set[str]]:
    """Run one child and kill it; return the spans whose start, and whose end, returned."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        child(folder, writer, dice.randrange(1 << 30))
    os.close(writer)
    notes = read_ledger(reader, time.monotonic() + dice.random() * LONGEST_LIFE)
    os.kill(pid, signal.SIGKILL)
    notes += read_ledger(reader, 0.0)
    os.close(reader)
    os.waitpid(pid, 0)
    whole = [notes[at : at + NOTE].decode() for at in range(0, len(notes) - NOTE + 1, NOTE)]
    started = {note[1:] for note in whole if note[0] == "S"}
    return started, {note[1:] for note in whole if note[0] == "E"}


def check(folder: Path, started: set[str], ended: set[str], found: Counter[str]) -> None:
    """Recover the folder twice and compare it with the ledger."""
    report = recover(folder)
    found["recovered spans"] += report.spans
    found["failed recoveries"] += len(report.failed)
    found["second recovery did something"] += bool(recover(folder).recovered)
    starts: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    real_ends: set[str] = set()
    keys: Counter[tuple[str, int]] = Counter()
    for path in folder.glob("*.jsonl"):
        for item in read_records(path):
            if not isinstance(item, Located):
                found[f"skipped: {item.reason}"] += 1
                continue
            record = item.record
            keys[record.process.id, record.seq] += 1
            if record.phase == "start":
                starts[record.span_id] += 1
            elif record.phase == "end":
                ends[record.span_id] += 1
                if record.abandoned is None:
                    real_ends.add(record.span_id)
    found["starts"] += len(started)
    found["missing starts"] += len(started - starts.keys())
    found["missing ends"] += len(ended - real_ends)
    found["records twice"] += sum(times > 1 for times in keys.values())
    found["spans without one end"] += sum(ends[span] != 1 for span in starts)
    found["left behind"] += sum(1 for _ in folder.glob(".blackbox/*"))


def main(kills: int, seed: int) -> None:
    """Kill as often as asked and print the sums."""
    dice = random.Random(seed)
    found: Counter[str] = Counter()
    base = Path(tempfile.mkdtemp(prefix="kill-loop-"))
    try:
        for number in range(kills):
            folder = base / str(number)
            started, ended = kill_one(folder, dice)
            if folder.exists():
                check(folder, started, ended, found)
                shutil.rmtree(folder)
            found["kills"] += 1
    finally:
        shutil.rmtree(base, ignore_errors=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_KILLS,
        int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time()),
    )

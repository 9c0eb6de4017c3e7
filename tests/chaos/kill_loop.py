"""A program: kills recording processes again and again, recovers, and compares with a ledger.

    python kill_loop.py [KILLS] [SEED] [JOBS]

Each child records as a user's program does, by `otel_ext.configure()`, on threads
and in tasks, nested and not, and notes each start and end on a pipe once the call
has returned. It is killed with SIGKILL at a random moment; now and then two share a
folder, and the one that survives may find the other dead. After recovery every start
and end of the ledger must be in the folder, no record twice, and every span must have
exactly one end, dated between its start and the kill. Prints the findings as JSON.
The tests run it with 100 kills; 10,000 is the long form.
"""

from __future__ import annotations

import asyncio
import importlib
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
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from opentelemetry import trace

import otel_ext
from otel_ext.journal.recovery.recover import recover
from otel_ext.runtime.counters import COUNTERS
from tests.durability.kit import read

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

DEFAULT_KILLS = 10_000
DEFAULT_JOBS = 2
LONGEST_LIFE = 0.06
SHARED = 0.15  # of the children use a folder with another
SETTLED = 0.8  # of the children live on from their first span, the others from the fork
NOTE = 17  # one letter and 16 hex digits
# These must be 0; the other figures are printed for information.
NEVER = (
    "missing starts",
    "missing ends",
    "records twice",
    "spans without one end",
    "ends out of time",
    "failed recoveries",
    "second recovery did something",
    "left behind",
    "not killed",
    "skipped: garbage",
    "skipped: nul",
)


class Killed(NamedTuple):
    """One process: what it noted, when it was killed, and whether the kill ended it."""

    started: set[str]
    ended: set[str]
    killed_ns: int
    was_killed: bool
    dropped: int


def note(ledger: int, letter: bytes, span: Span) -> None:
    """Note that a call has returned, after how many records a full ring buffer has refused."""
    dropped = COUNTERS.value("dropped.queue_full")
    if dropped:
        os.write(ledger, b"D%016x" % dropped)
    os.write(ledger, letter + b"%016x" % span.get_span_context().span_id)


def use_spans(tracer: Tracer, ledger: int, seed: int) -> NoReturn:
    """Start and end spans for ever, in any order."""
    dice = random.Random(seed)
    open_spans: list[Span] = []
    while True:
        if open_spans and dice.random() < 0.45:
            span = open_spans.pop(dice.randrange(len(open_spans)))
            span.end()
            note(ledger, b"E", span)
        else:
            span = tracer.start_span("work", attributes={"text": "x" * dice.randrange(300)})
            note(ledger, b"S", span)
            open_spans.append(span)


def nest_spans(tracer: Tracer, ledger: int, depth: int = 4) -> None:
    """Start a span and, inside it, others."""
    with tracer.start_as_current_span("nested", attributes={"depth": depth}) as span:
        note(ledger, b"S", span)
        for _ in range(2 if depth else 0):
            nest_spans(tracer, ledger, depth - 1)
    note(ledger, b"E", span)


async def use_in_tasks(tracer: Tracer, ledger: int) -> None:
    """Hold spans open in concurrent tasks."""

    async def hold() -> None:
        with tracer.start_as_current_span("task's") as span:
            note(ledger, b"S", span)
            await asyncio.sleep(0.002)
        note(ledger, b"E", span)

    while True:
        await asyncio.gather(*(hold() for _ in range(5)))


def child(folder: Path, ledger: int, seed: int) -> NoReturn:
    """Record into `folder` until the parent kills this process."""
    try:
        otel_ext.configure(output=folder, console="off")
        tracer = trace.get_tracer("kill loop")

        def nest() -> None:
            while True:
                nest_spans(tracer, ledger)

        def loop() -> None:
            asyncio.run(use_in_tasks(tracer, ledger))

        for body in (nest, loop):
            threading.Thread(target=body, daemon=True).start()
        use_spans(tracer, ledger, seed)
    except Exception:  # noqa: BLE001 - printed, and visible in the exit code
        traceback.print_exc()
    finally:
        os._exit(1)


def read_ledger(pipe: int, deadline: float) -> bytes:
    """Return the notes of a child until it ends, or until the deadline unless that is 0."""
    notes = b""
    while True:
        left = max(0.0, deadline - time.monotonic()) if deadline else None
        if not select.select([pipe], [], [], left)[0]:
            return notes
        block = os.read(pipe, 65536)
        if not block:
            return notes
        notes += block


def start_child(folder: Path, dice: random.Random) -> tuple[int, int]:
    """Start one child; return its pid and the pipe with its notes."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        child(folder, writer, dice.randrange(1 << 30))
    os.close(writer)
    return pid, reader


def kill(pid: int, pipe: int, dice: random.Random) -> Killed:
    """Let a child live for a moment, kill it, and return what it had noted."""
    if dice.random() < SETTLED:
        select.select([pipe], [], [], 10.0)
    notes = read_ledger(pipe, time.monotonic() + dice.random() * LONGEST_LIFE)
    os.kill(pid, signal.SIGKILL)
    notes += read_ledger(pipe, 0.0)
    os.close(pipe)
    status = os.waitpid(pid, 0)[1]
    whole = [notes[at : at + NOTE].decode() for at in range(0, len(notes) - NOTE + 1, NOTE)]
    started = {one[1:] for one in whole if one[0] == "S"}
    ended = {one[1:] for one in whole if one[0] == "E"}
    dropped = max((int(one[1:], 16) for one in whole if one[0] == "D"), default=0)
    return Killed(started, ended, time.time_ns(), os.WIFSIGNALED(status), dropped)


def check(folder: Path, killed: list[Killed], found: Counter[str]) -> None:
    """Recover the folder twice and compare it with the ledgers."""
    report = recover(folder)
    found["recovered spans"] += report.spans
    found["failed recoveries"] += len(report.failed)
    found["second recovery did something"] += bool(recover(folder).recovered)
    records, skipped = read(folder)
    found.update({f"skipped: {reason}": count for reason, count in skipped.items()})
    starts = {record.span_id: record for record in records if record.phase == "start"}
    ends = [record for record in records if record.phase == "end"]
    times = Counter(end.span_id for end in ends)
    real = {end.span_id for end in ends if end.abandoned is None}
    last_kill = max(one.killed_ns for one in killed)
    keys = Counter((record.process.id, record.seq) for record in records)
    for one in killed:
        found["starts"] += len(one.started)
        found["ends"] += len(one.ended)
        no_start, no_end = len(one.started - starts.keys()), len(one.ended - real)
        found["refused by a full ring buffer"] += one.dropped
        # What a full ring buffer refused was counted and noted; everything else was promised.
        if no_start + no_end > one.dropped:
            found["missing starts"] += no_start
            found["missing ends"] += no_end
    found["records twice"] += sum(count > 1 for count in keys.values())
    found["spans without one end"] += sum(times[span] != 1 for span in starts)
    found["ends out of time"] += sum(
        not starts[end.span_id].time_ns <= end.time_ns <= last_kill
        for end in ends
        if end.span_id in starts
    )
    found["left behind"] += sum(1 for _ in folder.glob(".blackbox/*"))


def import_what_children_need() -> None:
    """Import the modules that recording imports when it begins, so that no child has to."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with tempfile.TemporaryDirectory() as folder:
            otel_ext.configure(output=folder, console="off")
            trace.get_tracer("kill loop").start_span("first").end()
            os.write(writer, "\n".join(sys.modules).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as names:
        for name in names.read().split():
            if name.startswith(("otel_ext.", "opentelemetry.")):
                importlib.import_module(name)
    os.waitpid(pid, 0)


def work(kills: int, seed: int, pipe: int) -> NoReturn:
    """Kill so many processes; write a line to `pipe` after each, then the findings."""
    dice = random.Random(seed)
    found: Counter[str] = Counter()
    base = Path(tempfile.mkdtemp(prefix="kill-loop-"))
    try:
        while found["kills"] < kills:
            folder = base / str(found["kills"])
            together = 2 if dice.random() < SHARED and kills - found["kills"] > 1 else 1
            children = [start_child(folder, dice) for _ in range(together)]
            killed = [kill(pid, ledger, dice) for pid, ledger in children]
            found["not killed"] += sum(not one.was_killed for one in killed)
            if folder.exists():
                check(folder, killed, found)
                shutil.rmtree(folder)
            found["kills"] += together
            os.write(pipe, b".%d\n" % together)
        os.write(pipe, json.dumps(found).encode() + b"\n")
        shutil.rmtree(base, ignore_errors=True)
        os._exit(0)
    except Exception:  # noqa: BLE001 - printed, and visible in the exit code
        traceback.print_exc()
    finally:
        os._exit(1)


def main(kills: int, seed: int, jobs: int) -> int:
    """Kill `kills` processes, in `jobs` jobs at a time, and print the sums."""
    import_what_children_need()
    reader, writer = os.pipe()
    shares = [kills // jobs + (number < kills % jobs) for number in range(jobs)]
    pids: list[int] = []
    for number, share in enumerate(shares):
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            work(share, seed + number, writer)
        pids.append(pid)
    os.close(writer)
    found: Counter[str] = Counter()
    done, began = 0, time.monotonic()
    with os.fdopen(reader) as lines:
        for line in lines:
            if not line.startswith("."):
                found.update(json.loads(line))
                continue
            before, done = done, done + int(line[1:])
            if done // 100 > before // 100:
                rate = done / (time.monotonic() - began)
                sys.stderr.write(f"killed {done} of {kills}, {rate:.0f} a second\n")
    failed = sum(os.waitpid(pid, 0)[1] != 0 for pid in pids)
    sys.stdout.write(json.dumps({**{name: found[name] for name in NEVER}, **found}) + "\n")
    wrong = {name: found[name] for name in NEVER if found[name]}
    failed += not found["starts"]
    if wrong or failed:
        sys.stderr.write(f"failed with the seed {seed}: {wrong}\n")
    return 1 if wrong or failed else 0


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv))
    sys.exit(
        main(
            int(arguments.get(1, DEFAULT_KILLS)),
            int(arguments.get(2, time.time())),
            int(arguments.get(3, DEFAULT_JOBS)),
        )
    )

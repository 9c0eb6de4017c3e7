"""Spans recorded after our exit handler: by earlier handlers, finalizers and threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_ext.journal.files import ends_with_process_end
from otel_ext.journal.ring_layout import RING_FOLDER, RING_SUFFIX
from otel_ext.record.codec import encode_line
from tests.durability.kit import (
    HEAD,
    NOT_COMPILED,
    NOTE,
    assert_ended_once,
    assert_valid,
    command,
    ledger,
    read,
    read_line,
    recovered,
    running,
    tree_env,
)
from tests.merging import merge
from tests.programs import OTEL_EXT, execute, wait_until, write_program

if TYPE_CHECKING:
    from otel_ext.record.model import Record

# Registered before `configure()`, so all of these run after the handler that it registers.
LATE = """\
import atexit, builtins, logging, multiprocessing.util, os, sys, weakref

class Thing:
    pass

class Closing(logging.Handler):
    def emit(self, record):
        pass
    def close(self):
        tracer.start_span("logging").end()
        super().close()

def at_exit():
    kept.end()
    with tracer.start_as_current_span("parent"), tracer.start_as_current_span("child"):
        pass

thing, closing = Thing(), Closing()
weakref.finalize(thing, lambda: tracer.start_span("weakref").end())
multiprocessing.util.Finalize(None, lambda: tracer.start_span("Finalize").end(), exitpriority=1)
atexit.register(at_exit)
"""
FINALIZER = """
class Late:
    def __del__(self, tracer=tracer):
        tracer.start_span("finalizer").end()
builtins.late = Late()
"""
OWN_PROVIDER = """
import os, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from otel_ext.exporters import JsonlExporter
from otel_ext.processors import LifecycleSpanProcessor
provider = TracerProvider()
provider.add_span_processor(LifecycleSpanProcessor(JsonlExporter(sys.argv[1])))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("durability")
"""
LATE_NAMES = {"weakref", "Finalize", "parent", "child", "logging", "finalizer"}


def run_program(folder: Path, head: str, text: str) -> None:
    """Run a program, which must exit with 0 and print nothing."""
    done = subprocess.run(
        command(text, folder, head=head),
        env=tree_env(),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("setup", [HEAD, OWN_PROVIDER], ids=["configure", "provider"])
def test_spans_of_exit_handlers_that_run_after_ours_are_recorded(
    tmp_path: Path, setup: str, *, compiled: bool
) -> None:
    """Each has start and end, also those of finalizers; a span still open gets its real end."""
    head = ("" if compiled else NOT_COMPILED) + LATE + setup + FINALIZER
    run_program(
        tmp_path, head, 'kept, never = tracer.start_span("kept"), tracer.start_span("never")'
    )
    found = read(tmp_path)
    assert {one.name for one in found.phase("start")} == LATE_NAMES | {"kept", "never"}
    real = {one.name: one for one in found.phase("end") if not one.abandoned}
    assert set(real) == LATE_NAMES | {"kept"}
    [start] = found.phase("start", "kept")
    assert real["kept"].call_site == start.call_site
    assert [one.abandoned for one in found.phase("end", "never")] == ["shutdown"]
    last = found.records[-1]
    assert last.event == "process.end"
    assert last.extra["accepted"] == last.extra["written"] == len(found.records)
    # The file is closed, so that a recovery need not read it, and no ring buffer is left.
    [path] = tmp_path.iterdir()
    assert (path.suffix, ends_with_process_end(path)) == (".jsonl", True)
    assert_valid(tmp_path)
    assert recovered(tmp_path).records == found.records


@pytest.mark.parametrize("compiled", [True, False])
def test_the_first_span_may_come_from_a_late_handler(tmp_path: Path, *, compiled: bool) -> None:
    """A program that recorded nothing until then leaves a closed file and no ring buffer."""
    text = "import otel_ext\n"
    head = ("" if compiled else NOT_COMPILED) + "import atexit\n"
    head += 'atexit.register(lambda: tracer.start_span("late").end())\n' + HEAD
    run_program(tmp_path, head, text)
    found = read(tmp_path)
    assert [one.event for one in found.records] == [
        "process.start",
        "late.start",
        "process.end",
        "late.end",
        "process.end",
    ]
    assert [path.suffix for path in tmp_path.iterdir()] == [".jsonl"]
    assert recovered(tmp_path).records == found.records


def test_an_exit_without_late_spans_writes_one_process_end(tmp_path: Path) -> None:
    """The file contains one `process.end`, and no other file is left."""
    run_program(tmp_path, HEAD, 'tracer.start_span("done").end()')
    found = read(tmp_path)
    assert [one.event for one in found.records if one.kind == "process"] == [
        "process.start",
        "process.end",
    ]
    assert [path.suffix for path in tmp_path.iterdir()] == [".jsonl"]


HANGS = """
tracer.start_span("early").end()
def hang():
    with tracer.start_as_current_span("hangs late"):
        print("hangs", flush=True)
        time.sleep(100)
"""


def test_a_program_that_hangs_in_a_late_handler_is_shown_and_recovered(tmp_path: Path) -> None:
    """`ps` shows the span that hangs, and recovery ends it after a kill."""
    head = "import atexit\natexit.register(lambda: hang())\n" + HEAD
    with running(command(HANGS, tmp_path, head=head)) as process:
        assert read_line(process) == "hangs"
        shown = execute([OTEL_EXT, "ps", tmp_path], cwd=tmp_path, env=tree_env())
        assert "hangs late" in shown.out
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    found = recovered(tmp_path)
    assert_ended_once(found)
    # The program was shutting down.
    assert [one.abandoned for one in found.phase("end", "hangs late")] == ["shutdown"]


def test_a_span_that_a_late_handler_leaves_open_is_ended_by_recovery(tmp_path: Path) -> None:
    """The last `process.end` counts it as open, so recovery reads the file and ends it."""
    head = "import atexit\natexit.register(lambda: leave())\n" + HEAD
    text = """
    tracer.start_span("early").end()
    def leave():
        global left
        left = tracer.start_span("left")
        tracer.start_span("other").end()
    """
    run_program(tmp_path, head, text)
    before = read(tmp_path)
    assert [one.extra.get("open_spans", 0) for one in before.events("process.end")] == [0, 1]
    found = recovered(tmp_path)
    assert_ended_once(found)
    assert [one.abandoned for one in found.phase("end", "left")] == ["shutdown"]


BUSY = """
def work():
    note = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    while True:
        span = tracer.start_span("busy")
        name = format(span.get_span_context().span_id, "016x").encode()
        os.write(note, b"S" + name)
        span.end()
        os.write(note, b"E" + name)
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.2)
"""


def test_daemon_threads_lose_no_span_while_the_program_exits(tmp_path: Path) -> None:
    """Starts and ends that had returned before the interpreter stopped the threads are recorded."""
    notes, folder = tmp_path / "ledger", tmp_path / "traces"
    head = "import atexit, time\natexit.register(time.sleep, 0.2)\n" + HEAD
    run_program(folder, head, BUSY.replace("sys.argv[2]", repr(str(notes))))
    starts, ends = ledger(notes)
    assert len(starts) > NOTE
    found = recovered(folder)
    assert starts <= {one.span_id for one in found.phase("start")}
    # Spans that our handler found open have two ends, of which the real one wins.
    known = {key[1]: one for key, one in merge(found.records).items()}
    assert all(known[span_id].is_real_end for span_id in ends)
    left = [one for one in known.values() if one.phase != "end"]
    assert not left, f"{left}, and then {found.records[-1].seq - left[0].seq} records"
    assert not list(folder.glob(f"{RING_FOLDER}/*{RING_SUFFIX}"))


def test_an_outdated_process_end_does_not_close_the_file(tmp_path: Path) -> None:
    """One thread counts no open span, others go on, and the first writes last."""
    run_program(tmp_path, HEAD, 'tracer.start_span("done").end()')
    [path] = tmp_path.iterdir()
    [start], [end] = read(tmp_path).phase("start"), read(tmp_path).phase("end")
    last = read(tmp_path).records[-1]
    lines: list[Record] = []
    for number in range(100):
        span_id = f"{number + 2:016x}"
        lines += [start._replace(span_id=span_id), end._replace(span_id=span_id)]
    lines.append(start._replace(name="late", span_id="1" * 16))
    with path.open("ab") as file:
        for seq, one in enumerate(lines, last.seq + 2):
            file.write(encode_line(one._replace(seq=seq)))
        file.write(encode_line(last._replace(seq=last.seq + 1)))
    found = recovered(tmp_path)
    assert_ended_once(found)
    assert [one.abandoned for one in found.phase("end", "late")] == ["process-died"]
    assert recovered(tmp_path).records == found.records


INTERRUPTED = """
import threading
from otel_ext.processors import LifecycleSpanProcessor
capture = LifecycleSpanProcessor.end_span.__globals__["capture_end"]
go, reached = threading.Event(), threading.Event()
def stop_here(span, *rest):
    if span.name == "interrupted":
        reached.set()
        threading.Event().wait()
    return capture(span, *rest)
LifecycleSpanProcessor.end_span.__globals__["capture_end"] = stop_here
def work():
    go.wait()
    tracer.start_span("interrupted").end()
# Before the exit: from Python 3.12 on no thread can start later.
threading.Thread(target=work, daemon=True).start()
def late():
    go.set()
    reached.wait(20)
    for _ in range(100):
        tracer.start_span("late").end()
"""


def test_a_span_whose_end_was_interrupted_is_ended(tmp_path: Path) -> None:
    """Its thread stops before the end is written, while others go on."""
    run_program(tmp_path, "import atexit\natexit.register(lambda: late())\n" + HEAD, INTERRUPTED)
    found = recovered(tmp_path)
    assert len(found.phase("end", "late")) == 100
    assert_ended_once(found)
    assert [one.abandoned for one in found.phase("end", "interrupted")] == ["shutdown"]


def test_handlers_of_a_sitecustomize_under_run_are_recorded(tmp_path: Path) -> None:
    """`otel-ext run` sets up after the program's `sitecustomize`, so its handlers run late."""
    write_program(
        tmp_path,
        "import atexit\n"
        "def late():\n"
        "    from opentelemetry import trace\n"
        "    trace.get_tracer('site').start_span('late').end()\n"
        "atexit.register(late)\n",
        "sitecustomize.py",
    )
    program = write_program(tmp_path, "pass\n")
    folder = tmp_path / "traces"
    argv: list[str | Path] = [OTEL_EXT, "run", "--output", folder, "--", sys.executable, program]
    path = os.pathsep.join([str(tmp_path), tree_env()["PYTHONPATH"]])
    done = execute(argv, cwd=tmp_path, env=tree_env(PYTHONPATH=path))
    assert done.code == 0, done.err
    assert [one.phase for one in read(folder).records if one.name == "late"] == ["start", "end"]


SLOW_DISK = """
    notes = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
    os.close(2)  # strace delays every write, also those to standard error
    tracer.start_span("early").end()
    time.sleep(0.3)  # the worker is in its first write now
    def late():
        tracer.start_span("late").end()
        os.pwrite(notes, str(os.getpid()).encode(), 0)
"""


@pytest.mark.slow
@pytest.mark.needs("strace")
def test_late_spans_go_to_the_ring_buffer_while_the_disk_hangs(tmp_path: Path) -> None:
    """They do not wait for a disk for which the exit has waited in vain; recovery finds them."""
    trace = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null"]
    inject = ["-e", "trace=write,fdatasync", "-e", "inject=write,fdatasync:delay_enter=90s"]
    notes = tmp_path / "notes"
    head = "import atexit\natexit.register(lambda: late())\n" + HEAD
    argv = command(SLOW_DISK, tmp_path / "traces", notes, head=head)
    with subprocess.Popen([*trace, *inject, *argv], env=tree_env()) as tracer:
        wait_until(lambda: notes.exists() and notes.stat().st_size, "the late handler's note")
        pid = int(notes.read_bytes())
        os.kill(pid, signal.SIGKILL)
        tracer.kill()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the end of the last thread")
    found = recovered(tmp_path / "traces")
    assert_ended_once(found)
    assert [one.abandoned for one in found.phase("end", "late")] == [None]

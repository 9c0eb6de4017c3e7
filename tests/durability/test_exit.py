"""The end of a program: in order, in time, and by SIGTERM, with all records counted."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.durability.kit import (
    HEAD,
    NOT_COMPILED,
    assert_ended_once,
    assert_valid,
    command,
    exit_seconds,
    printed_object,
    read,
    read_line,
    recovered,
    running,
    tree_env,
)
from tests.figures import report_figures
from tests.programs import wait_until

BLOCKED = """
    import json
    notes = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
    os.close(2)  # strace delays every write, also those to standard error
    kept = [tracer.start_span(f"open {n}") for n in range(50)]
    time.sleep(0.3)  # the worker is in its first write now
    for number in range(500):
        tracer.start_span("more").end()
    began = time.monotonic()
    flushed = handle.flush(0.5)
    ended = time.monotonic()
    os.pwrite(notes, json.dumps([os.getpid(), flushed, ended - began, ended]).encode(), 0)
"""


@pytest.mark.slow
@pytest.mark.needs("strace")
@pytest.mark.parametrize("calls", ["write", "fdatasync", "write,fdatasync,unlink,fsync"])
def test_a_blocked_disk_does_not_hold_up_an_exit(tmp_path: Path, calls: str) -> None:
    """Flush gives up when its time is over, the program exits, and recovery finds all records."""
    trace = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null"]
    inject = ["-e", f"trace={calls}", "-e", f"inject={calls}:delay_enter=50s"]
    notes = tmp_path / "notes"
    argv = command(BLOCKED, tmp_path / "traces", notes)
    with subprocess.Popen([*trace, *inject, *argv], env=tree_env()) as tracer:
        wait_until(lambda: notes.exists() and notes.stat().st_size, "the program's last note")
        pid, flushed, took, ended = json.loads(notes.read_bytes())
        exit_took = exit_seconds(pid, ended)
        tracer.kill()
    report_figures(f"blocked {calls}", flush=f"{took:.2f} s", exit=f"{exit_took:.2f} s")
    if "write" in calls:
        assert flushed is False
    # The disk holds up each call for 50 s; the promises are 0.5 s and 2 s.
    assert took + exit_took < 30.0
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the end of the last thread")
    found = recovered(tmp_path / "traces")
    assert_ended_once(found)
    assert len(found.phase("start")) == 550
    assert len([end for end in found.phase("end", "more") if not end.abandoned]) == 500
    # Ended by the program itself, since it exited in order.
    assert {end.abandoned for end in found.phase("end") if end.name != "more"} == {"shutdown"}


def test_an_orderly_exit_ends_open_spans_and_writes_the_totals(tmp_path: Path) -> None:
    """Their ends have the cause `shutdown`; process.end has the totals; only the file is left."""
    text = """
    kept = [tracer.start_span(f"open {n}") for n in range(3)]
    for number in range(100):
        tracer.start_span("done").end()
    """
    done = subprocess.run(command(text, tmp_path), env=tree_env(), timeout=50, check=False)
    assert done.returncode == 0
    found = read(tmp_path)
    assert_ended_once(found)
    abandoned = {end.name: end.abandoned for end in found.phase("end") if end.abandoned}
    assert abandoned == {f"open {n}": "shutdown" for n in range(3)}
    last = found.records[-1]
    assert last.event == "process.end"
    totals = {key: last.extra[key] for key in ("accepted", "written", "dropped", "last_seq")}
    report_figures("process.end", **totals)
    assert totals["accepted"] == totals["written"] == len(found.records)
    assert totals["dropped"] == {}
    assert totals["last_seq"] == last.seq
    assert [path.suffix for path in tmp_path.iterdir()] == [".jsonl"]
    assert_valid(tmp_path)


TERMINATED = """
    def on_term(number, frame):
        os.write(1, b"the program's own handler\\n")  # print may be under way
        raise SystemExit(3)
    {install}
    handle = otel_ext.configure(output=sys.argv[1], console="off", handle_sigterm=True)
    tracer = trace.get_tracer("durability")
    span = tracer.start_span("open")
    tracer.start_span("done").end()
    print("ready", flush=True)
    while True:
        time.sleep(0.01)
"""
LATE_HEAD = HEAD.replace("handle =", "#")


@pytest.mark.parametrize("own", [False, True])
def test_sigterm_with_handle_sigterm(tmp_path: Path, own: bool) -> None:
    """The program's own handler runs; without one the process dies by the signal, in order."""
    install = "signal.signal(signal.SIGTERM, on_term)" if own else ""
    argv = command(TERMINATED.format(install=install), tmp_path, head=LATE_HEAD)
    with running(argv) as process:
        assert read_line(process) == "ready"
        process.terminate()
        rest = process.communicate(timeout=20)[0]
    assert process.returncode == (3 if own else -15)
    assert ("own handler" in rest) is own
    found = read(tmp_path)
    assert_ended_once(found)
    [end] = found.phase("end", "open")
    assert end.abandoned == "shutdown"
    assert found.records[-1].event == "process.end"
    assert [path.suffix for path in tmp_path.iterdir()] == [".jsonl"]


def test_sigterm_without_the_setting_is_a_kill(tmp_path: Path) -> None:
    """A process that SIGTERM ends at once leaves its ring buffer, and recovery ends its spans."""
    text = """
    span = tracer.start_span("open")
    print("ready", flush=True)
    while True:
        time.sleep(0.01)
    """
    with running(command(text, tmp_path)) as process:
        assert read_line(process) == "ready"
        process.terminate()
        assert process.wait(20) == -15
    found = recovered(tmp_path)
    assert [end.abandoned for end in found.phase("end")] == ["process-died"]


def test_an_exit_without_a_shutdown_is_quick(tmp_path: Path) -> None:
    """With an idle disk the exit handler does not wait; figures show how long it takes."""
    text = """
    import atexit, json
    atexit.register(lambda: print(json.dumps({"drained": time.monotonic() - began})))
    atexit.unregister(handle.drain)
    atexit.register(handle.drain)
    for number in range(1000):
        tracer.start_span("done").end()
    began = time.monotonic()
    """
    drained = printed_object(command(text, tmp_path))["drained"]
    report_figures("idle exit", drained=f"{drained} s")
    assert isinstance(drained, float)
    assert drained < 30.0


FIRST_SPAN_OF_A_FINALIZER = """
    import builtins
    class Late:
        def __del__(self, tracer=tracer, write=os.write):
            tracer.start_span("late").end()
            write(1, b"done")
    builtins.late = Late()
"""


@pytest.mark.parametrize("compiled", [True, False])
def test_the_first_span_may_come_while_the_interpreter_ends(
    tmp_path: Path, *, compiled: bool
) -> None:
    """Python starts no thread then, so nothing waits for one, and both records are written."""
    head = HEAD if compiled else NOT_COMPILED + HEAD
    # So that no exit handler runs.
    head += "import atexit\natexit._clear()\n"
    done = subprocess.run(
        command(FIRST_SPAN_OF_A_FINALIZER, tmp_path, head=head),
        env=tree_env(),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done", "")
    found = recovered(tmp_path)
    assert [(one.name, one.phase) for one in found.records if one.kind == "span"] == [
        ("late", "start"),
        ("late", "end"),
    ]

"""Liveness: a process that ended is dead, and no other is mistaken for it."""

from __future__ import annotations

import ast
import os
import signal
import subprocess

import pytest

from otel_ext.journal.liveness import identity_from_id, is_alive, zombie_status
from otel_ext.record.model import Process
from otel_ext.runtime.process.incarnation import Incarnation, process_start_time
from tests.journal.builders import own_process, run
from tests.programs import suspend

ME = own_process()


def living(pid: int) -> Process:
    """Return a process that lives now."""
    return own_process(pid=pid, start_time=process_start_time(pid))


def test_this_process_lives() -> None:
    """This process is alive, also by its incarnation's id alone."""
    assert is_alive(ME) == "alive"
    from_id = identity_from_id(Incarnation().id)
    assert from_id is not None
    assert is_alive(from_id) == "alive"


def test_a_reused_pid_is_not_taken_for_the_dead() -> None:
    """The same pid with another start time is another process."""
    assert is_alive(own_process(start_time=ME.start_time - 1)) == "dead"


def test_a_killed_process_is_dead_before_it_is_reaped() -> None:
    """A zombie is dead, and its wait status is known."""
    with subprocess.Popen(["sleep", "100"]) as process:
        one = living(process.pid)
        assert is_alive(one) == "alive"
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_alive(one) == "dead"
        status = zombie_status(one)
        assert status is not None
        assert status & 0x7F == signal.SIGKILL
    assert is_alive(one) == "dead"
    assert zombie_status(one) is None


def test_a_stopped_process_lives() -> None:
    """SIGSTOP is not death."""
    with subprocess.Popen(["sleep", "100"]) as process:
        suspend(process)
        assert is_alive(living(process.pid)) == "alive"
        process.kill()


def test_a_process_whose_main_thread_ended_lives() -> None:
    """The kernel shows it as a zombie while its other threads run."""
    text = """
        import ctypes, os, threading, time
        from otel_ext.journal.liveness import is_alive
        from tests.journal.builders import own_process
        me = own_process()
        def ask():
            time.sleep(0.3)
            os.write(1, is_alive(me).encode())
            os._exit(0)
        threading.Thread(target=ask).start()
        ctypes.CDLL(None).syscall(60, 0)  # exit of this thread alone
    """
    if os.uname().machine != "x86_64":
        pytest.skip("knows the number of the system call only for x86_64")
    assert run(text) == "alive"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"boot_id": "0" * 36}, "dead"),
        ({"boot_id": "0" * 36, "host": "elsewhere"}, "unknown"),
        ({"boot_id": "0" * 36, "host": ""}, "unknown"),
        ({"pid_namespace": 1}, "unknown"),
        ({"pid_namespace": 0, "host": "a-container"}, "unknown"),
        ({"pid_namespace": 0}, "alive"),
        ({"host": "renamed-since"}, "alive"),
        ({"boot_id": ""}, "unknown"),
        ({"boot_id": "", "host": "elsewhere"}, "unknown"),
        ({"start_time": 0}, "unknown"),
        ({"pid": 0}, "unknown"),
        ({"pid": -1}, "unknown"),
        ({"pid": 2**22 + 1}, "dead"),
        ({"pid": 2**40}, "unknown"),
    ],
)
def test_what_cannot_be_known_is_unknown(change: dict[str, object], expected: str) -> None:
    """Another boot of this host is dead; elsewhere, or half an identity, is unknown."""
    assert is_alive(own_process(**change)) == expected


@pytest.mark.needs("unshare")
def test_another_pid_namespace_is_not_mistaken_for_ours() -> None:
    """A process that is pid 1 in a container is not our pid 1."""
    text = """
from tests.journal.builders import own_process
me = own_process()
print((me.id, me.pid, me.start_time, me.boot_id, me.host, (), {}, me.pid_namespace))
"""
    flags = "-pf" if os.geteuid() == 0 else "-Urpf"
    out = run(
        f"""
        import subprocess, sys
        subprocess.run(["unshare", "{flags}", "--mount-proc", sys.executable, "-c", {text!r}],
                       check=True)
        """
    )
    inside = Process(*ast.literal_eval(out))
    assert inside.pid < 10
    assert inside.boot_id == ME.boot_id
    assert is_alive(inside) == "unknown"


@pytest.mark.parametrize("text", ["", "a-b-c-d", "b0-7-1", "b0-7-1-0000000g", "../x-1-1-00000000"])
def test_other_names_are_not_ids(text: str) -> None:
    """A name in another form has no identity."""
    assert identity_from_id(text) is None

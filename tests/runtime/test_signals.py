"""SIGTERM: the callback runs, and the program then ends, or lives on, as without it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from otel_ext.runtime.process.signals import chain_sigterm

ROOT = Path(__file__).parents[2]

# Each way a program may handle SIGTERM before the chain, with its exit status and output.
CASES = {
    "default": ("", -signal.SIGTERM, "ours\n"),
    "handler of the user's": (
        "signal.signal(signal.SIGTERM, lambda *_: (print('theirs', flush=True), sys.exit(7)))",
        7,
        "ours\ntheirs\n",
    ),
    "ignored": ("signal.signal(signal.SIGTERM, signal.SIG_IGN)", 0, "ours\nlived on\n"),
}
PROGRAM = """
import os, signal, sys, time
from otel_ext.runtime.process.signals import chain_sigterm
{before}
{chain}
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0.1)
print("lived on", flush=True)
"""


def run(before: str, chain: str) -> subprocess.CompletedProcess[str]:
    """Run a program that sends itself SIGTERM."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before, chain=chain)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("case", CASES)
def test_the_programs_own_handling_follows_the_callback(case: str) -> None:
    """The user's handler runs, the default kills by the signal, and ignored stays ignored."""
    before, status, output = CASES[case]
    done = run(before, "chain_sigterm(lambda: print('ours', flush=True))")
    assert (done.returncode, done.stdout) == (status, output), done.stderr


def test_a_failing_callback_does_not_stop_the_handling() -> None:
    """The user's handler runs even when the callback raises, and the error is reported."""
    before, status, _ = CASES["handler of the user's"]
    done = run(before, "chain_sigterm(lambda: 1 / 0)")
    assert (done.returncode, done.stdout) == (status, "theirs\n")
    assert "ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_handler_of_asyncio_still_runs() -> None:
    """SIGTERM reaches a loop that had set its handler before the chain."""
    program = (
        "import asyncio, os, signal\n"
        "from otel_ext.runtime.process.signals import chain_sigterm\n"
        "async def main():\n"
        "    notified = asyncio.Event()\n"
        "    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, notified.set)\n"
        "    chain_sigterm(lambda: print('ours', flush=True))\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    await asyncio.wait_for(notified.wait(), 10)\n"
        "    print('loop notified', flush=True)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "ours\nloop notified\n"), done.stderr


def test_restoring_puts_back_what_was_there() -> None:
    """After the restore the user's handler is in place again."""
    called: list[str] = []
    before = signal.getsignal(signal.SIGTERM)
    try:

        def theirs(*_: object) -> None:
            called.append("theirs")

        signal.signal(signal.SIGTERM, theirs)
        restore = chain_sigterm(lambda: called.append("ours"))
        signal.raise_signal(signal.SIGTERM)
        restore()
        assert signal.getsignal(signal.SIGTERM) is theirs
        signal.raise_signal(signal.SIGTERM)
        assert called == ["ours", "theirs", "theirs"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_restoring_does_not_displace_a_later_handler() -> None:
    """A handler that the program set after the chain stays."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        restore = chain_sigterm(lambda: None)

        def later(*_: object) -> None:
            pass

        signal.signal(signal.SIGTERM, later)
        restore()
        assert signal.getsignal(signal.SIGTERM) is later
    finally:
        signal.signal(signal.SIGTERM, before)


def test_outside_the_main_thread_nothing_is_changed() -> None:
    """Only the main thread may set handlers; elsewhere the call is harmless."""
    before = signal.getsignal(signal.SIGTERM)
    restores: list[object] = []
    thread = threading.Thread(target=lambda: restores.append(chain_sigterm(lambda: None)))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before
    assert callable(restores[0])
    restores[0]()
    assert signal.getsignal(signal.SIGTERM) is before

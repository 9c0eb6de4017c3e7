"""Runs a program as if it had been started directly, and returns how it ended.

The program gets our standard streams, our process group and our signal mask, so
the terminal treats it as the command the user typed: Ctrl-C and Ctrl-Z reach it
directly. A signal sent to this process alone (`kill`, a service manager, a
container runtime) is forwarded. This process then ends like the program: with its
exit code, or by the signal that ended it, as a shell or supervisor expects.
"""

from __future__ import annotations

import errno
import os
import signal
from time import time_ns
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from otel_ext.cli.runner.launch import CommandError
from otel_ext.cli.standard_streams import flush_streams
from otel_ext.runtime.process.incarnation import process_start_time

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ProgramEnd", "end_like", "replace_process", "supervise"]

_NAMES: Final = (
    *("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU"),
    "SIGWINCH",
)
_FORWARDED: Final[frozenset[int]] = frozenset(
    getattr(signal, name) for name in _NAMES if hasattr(signal, name)
)
_WANTED: Final = _FORWARDED | {signal.SIGCHLD}
# Python ignores these signals; the program must start with the default action.
_RESTORED: Final = tuple(
    getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ") if hasattr(signal, name)
)
_FROM_KERNEL: Final = 0x80  # SI_KERNEL of sigaction(2): sent by the terminal, so to the child too


class ProgramEnd(NamedTuple):
    """How the program ended.

    Attributes:
        pid: Its process id.
        outcome: Its exit code, or the negative number of the signal that ended it.
        start_time: When the kernel started it, in clock ticks since boot; 0 if unknown.
        seen_ns: When the end was noticed, nanoseconds since the epoch.
    """

    pid: int
    outcome: int
    start_time: int
    seen_ns: int


def supervise(command: list[str], environment: Mapping[str, str]) -> ProgramEnd:
    """Run `command` to its end and return how it ended.

    Raises:
        CommandError: The kernel refuses to start it.
    """
    # Some parents leave SIGCHLD ignored; then the end of a child is never reported.
    handler = signal.signal(signal.SIGCHLD, _ignore)
    before: set[int | signal.Signals] = signal.pthread_sigmask(signal.SIG_BLOCK, _WANTED)
    try:
        child = _spawn(command, environment, before)
        # Read before the child is reaped: pid and start time together identify one process.
        start_time = process_start_time(child)
        while True:
            number = _next_signal()
            if number == signal.SIGCHLD:
                outcome = _reap(child)
                if outcome is not None:
                    return ProgramEnd(child, outcome, start_time, time_ns())
            else:
                os.kill(child, number)
    finally:
        _forget_pending()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGCHLD, handler or signal.SIG_DFL)


def _ignore(_number: int, _frame: object) -> None:
    """Do nothing on a signal; unlike SIG_IGN, child processes do not inherit that."""


def _spawn(
    command: list[str], environment: Mapping[str, str], mask: set[int | signal.Signals]
) -> int:
    try:
        return os.posix_spawn(
            command[0], command, environment, setsigmask=mask, setsigdef=_RESTORED
        )
    except OSError as error:
        raise _refused(command[0], error) from error


def _reap(child: int) -> int | None:
    """Return the outcome of the program, or None if it has not ended.

    As process 1 of a container we inherit orphans; they are reaped too.
    """
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            return os.waitstatus_to_exitcode(status)
        if pid == 0:
            return None


def _next_signal() -> int:
    """Wait for SIGCHLD or a signal sent to this process alone, and return it."""
    if not hasattr(signal, "sigwaitinfo"):  # macOS
        return signal.sigwait(_WANTED)
    while True:
        info = signal.sigwaitinfo(_WANTED)
        if info.si_signo == signal.SIGCHLD or info.si_code != _FROM_KERNEL:
            return info.si_signo


def _forget_pending() -> None:
    """Drop the signals that arrived after the child ended; they were meant for it."""
    while pending := signal.sigpending() & _FORWARDED:
        signal.sigwait(pending)


def replace_process(command: list[str], environment: Mapping[str, str]) -> NoReturn:
    """Replace this process by `command`.

    Raises:
        CommandError: The kernel refuses to start it.
    """
    flush_streams()
    before = {number: signal.signal(number, signal.SIG_DFL) for number in _RESTORED}
    try:
        os.execve(command[0], command, environment)  # noqa: S606 - running it is the purpose
    except OSError as error:
        # With the default actions, the message about it could end this process without a word.
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        raise _refused(command[0], error) from error


def end_like(outcome: int) -> int:
    """Return the exit code `outcome`, or end by the signal if it is negative.

    A shell that waits for us sees Ctrl-C as Ctrl-C, not as a program that failed.
    """
    if outcome >= 0:
        return outcome
    flush_streams()
    _no_core_dump()
    number = -outcome
    if number not in {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    return 128 - outcome  # pragma: no cover - if the signal did not end us


def _no_core_dump() -> None:
    """Disable our core dump, which would replace that of the program."""
    import resource  # noqa: PLC0415 - POSIX only

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def _refused(path: str, error: OSError) -> CommandError:
    if error.errno == errno.ENOEXEC:
        hint = "It has no first line like #!/bin/sh and is not a program for this machine"
    elif error.errno == errno.ENOENT:
        hint = "The interpreter in its first line does not exist"
    else:
        hint = ""
    message = f"{path} cannot be started: {error.strerror}"
    code = 127 if error.errno == errno.ENOENT else 126
    return CommandError(message, hint=hint, exit_code=code)

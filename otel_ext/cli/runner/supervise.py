"""Runs a program as if we were not there, and knows how it ended.

The program gets our standard streams, our process group and our signal mask, so
the terminal treats it as the command the user typed: Ctrl-C and Ctrl-Z reach it
directly. A signal that someone sends to us alone (`kill`, a service manager, a
container runtime) is sent on. At the end we end the same way: with its exit code,
or by the signal that ended it, as `wait` in a shell or a supervisor expects.
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
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGTERM",
    "SIGUSR1",
    "SIGUSR2",
    "SIGTTIN",
    "SIGTTOU",
    "SIGWINCH",
)
_FORWARDED: Final[frozenset[int]] = frozenset(
    getattr(signal, name) for name in _NAMES if hasattr(signal, name)
)
_WANTED: Final = _FORWARDED | {signal.SIGCHLD}
# The interpreter ignores these for itself; a program must find the default.
_RESTORED: Final = tuple(
    getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ") if hasattr(signal, name)
)
_FROM_KERNEL: Final = 0x80  # SI_KERNEL of sigaction(2): the terminal, so the child got it too


class ProgramEnd(NamedTuple):
    """How the program ended.

    Attributes:
        pid: Its process id.
        outcome: Its exit code, or the negative number of the signal that ended it.
        start_time: When the kernel started it, in clock ticks since boot; 0 if unknown.
        seen_ns: When the end was seen, nanoseconds since the epoch.
    """

    pid: int
    outcome: int
    start_time: int
    seen_ns: int


def supervise(command: list[str], environment: Mapping[str, str]) -> ProgramEnd:
    """Run `command` to its end and return how it ended.

    Args:
        command: Path of the program and its arguments.
        environment: Its environment, complete.

    Raises:
        CommandError: The kernel refuses to start it.
    """
    # One that ignores SIGCHLD, as some parents leave it to us, never learns of an end.
    signal.signal(signal.SIGCHLD, _ignore)
    before: set[int | signal.Signals] = signal.pthread_sigmask(signal.SIG_BLOCK, _WANTED)
    try:
        child = _spawn(command, environment, before)
        # While it is not reaped the pid is its own, and only with this it names one process.
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


def _ignore(_number: int, _frame: object) -> None:
    """Handle a signal by doing nothing; unlike SIG_IGN, no program inherits that."""


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
    """Return the outcome of the program, if it has ended.

    As process 1 of a container we inherit orphans; they are let go of on the way.
    """
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            return os.waitstatus_to_exitcode(status)
        if pid == 0:
            return None


def _next_signal() -> int:
    """Wait for SIGCHLD or a signal that only we got, and return it."""
    if not hasattr(signal, "sigwaitinfo"):  # macOS
        return signal.sigwait(_WANTED)
    while True:
        info = signal.sigwaitinfo(_WANTED)
        if info.si_signo == signal.SIGCHLD or info.si_code != _FROM_KERNEL:
            return info.si_signo


def _forget_pending() -> None:
    """Drop what came after the child's end; it was meant for the child."""
    while pending := signal.sigpending() & _FORWARDED:
        signal.sigwait(pending)


def replace_process(command: list[str], environment: Mapping[str, str]) -> NoReturn:
    """Become `command`: nothing of us stays.

    Raises:
        CommandError: The kernel refuses to start it.
    """
    for number in _RESTORED:
        signal.signal(number, signal.SIG_DFL)
    flush_streams()
    try:
        os.execve(command[0], command, environment)  # noqa: S606 - running it is the purpose
    except OSError as error:
        raise _refused(command[0], error) from error


def end_like(outcome: int) -> int:
    """Return the exit code `outcome`, or end by the signal it stands for.

    A shell that waits for us sees Ctrl-C as Ctrl-C, not as a program that failed.

    Args:
        outcome: An exit code, or the negative number of a signal.
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
    return 128 - outcome  # pragma: no cover - where the signal did not end us


def _no_core_dump() -> None:
    """The program's own core dump tells; ours would only replace it."""
    import resource  # noqa: PLC0415 - POSIX only

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def _refused(path: str, error: OSError) -> CommandError:
    if error.errno == errno.ENOEXEC:
        hint = "It has no first line like #!/bin/sh, and is no program of this machine"
    elif error.errno == errno.ENOENT:
        hint = "The interpreter in its first line does not exist"
    else:
        hint = ""
    message = f"{path} cannot be started: {error.strerror}"
    code = 127 if error.errno == errno.ENOENT else 126
    return CommandError(message, hint=hint, exit_code=code)

"""Whether a process still lives, and never taking another for it.

A pid is used again; together with the moment the kernel started the process,
and the boot, it is unique. What happens on another host, or behind another PID
namespace, cannot be asked: there the answer is `unknown`, and a sign of life
has to do.
"""

from __future__ import annotations

import os
import re
import select
import socket
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from otel_ext.runtime.process.incarnation import boot_id, pid_namespace, process_start_time

if TYPE_CHECKING:
    from types import TracebackType

    from otel_ext.record.model import Process

__all__ = [
    "Liveness",
    "ProcessIdentity",
    "ProcessWatch",
    "identity_from_id",
    "identity_of",
    "is_alive",
    "is_this_boot",
    "liveness_of",
    "own_identity",
    "watch",
    "zombie_status",
]

Liveness = Literal["alive", "dead", "unknown"]

_POLL_SECONDS: Final = 0.2
_ID: Final = re.compile(r"([0-9a-z]+)-(\d{1,10})-(\d{1,19})-[0-9a-f]{8}(?:\.\d+)?", re.ASCII)
# Places in /proc/PID/stat behind the command, which may hold blanks (proc(5)).
_STATE, _THREADS, _START, _EXIT_CODE = 0, 17, 19, 49


class ProcessIdentity(NamedTuple):
    """What tells a process from every other.

    Attributes:
        pid: Its process id.
        start_time: When the kernel started it, in clock ticks since boot; 0 if unknown.
        boot_id: The kernel's identifier of the boot, or its first 8 digits; empty if unknown.
        host: Host name; empty if unknown.
        pid_namespace: Inode of the PID namespace that `pid` belongs to; 0 if unknown.
    """

    pid: int
    start_time: int = 0
    boot_id: str = ""
    host: str = ""
    pid_namespace: int = 0


def own_identity() -> ProcessIdentity:
    """Return the identity of this process.

    >>> is_alive(own_identity()) in ("alive", "unknown")
    True
    """
    pid = os.getpid()
    return ProcessIdentity(
        pid, process_start_time(pid), boot_id(), socket.gethostname(), pid_namespace()
    )


def identity_of(process: Process) -> ProcessIdentity:
    """Return the identity that a process record carries."""
    return ProcessIdentity(
        process.pid, process.start_time, process.boot_id, process.host, process.pid_namespace
    )


def identity_from_id(incarnation: str) -> ProcessIdentity | None:
    """Return what an incarnation's id alone says; None if it is no such id.

    >>> identity_from_id("0123abcd-7-99-00000000")
    ProcessIdentity(pid=7, start_time=99, boot_id='0123abcd', host='', pid_namespace=0)
    """
    match = _ID.fullmatch(incarnation)
    if match is None:
        return None
    boot = "" if match[1] == "noboot" else match[1]
    return ProcessIdentity(int(match[2]), int(match[3]), boot)


def is_alive(identity: ProcessIdentity) -> Liveness:
    """Return whether the process still lives.

    A process that has ended but whose parent has not asked for its end (a
    zombie) is dead.

    Args:
        identity: Of which process.

    Returns:
        `unknown` where it cannot be asked: another PID namespace, a platform
        without `/proc`, another user's hidden process, another host. Another
        boot under the same host name is `dead`.
    """
    if identity.pid <= 0:
        return "unknown"
    if not identity.boot_id or not boot_id():
        return _ask_kernel(identity.pid) if _is_same_host(identity) else "unknown"
    if not is_this_boot(identity.boot_id):
        return "dead" if identity.host and _is_same_host(identity) else "unknown"
    if not _is_same_namespace(identity):
        return "unknown"
    return _liveness_in_proc(identity)


def liveness_of(identity: ProcessIdentity) -> Liveness:
    """Return whether the process still lives, as far as that is proven.

    Like `is_alive`, but `unknown` where a process only looks dead: nobody said to
    which PID namespace its pid belongs, so it may be the one of a container, and here
    the pid of nobody or of another.

    >>> liveness_of(own_identity()._replace(pid=2**22 + 1, pid_namespace=0))
    'unknown'
    """
    found = is_alive(identity)
    is_blind = found == "dead" and not identity.pid_namespace and is_this_boot(identity.boot_id)
    return "unknown" if is_blind and pid_namespace() else found


def _is_same_namespace(identity: ProcessIdentity) -> bool:
    if identity.pid_namespace:
        return identity.pid_namespace == pid_namespace()
    # A container has a host name of its own.
    return _is_same_host(identity)


def _liveness_in_proc(identity: ProcessIdentity) -> Liveness:
    """Return whether a process of this boot and PID namespace lives."""
    stat = _stat(identity.pid)
    if stat is None:
        return _ask_kernel(identity.pid)
    if identity.start_time == 0:
        return "unknown"
    if int(stat[_START]) != identity.start_time:
        return "dead"
    # A main thread that ended while others run is shown as a zombie, too.
    is_zombie = stat[_STATE] in {b"Z", b"X", b"x"} and int(stat[_THREADS]) <= 1
    return "dead" if is_zombie else "alive"


def zombie_status(identity: ProcessIdentity) -> int | None:
    """Return the wait status of a process whose parent has not asked yet; None if unknown.

    The kernel shows it to those who might trace the process, else it shows 0.
    """
    stat = _stat(identity.pid)
    if stat is None or int(stat[_START]) != identity.start_time or stat[_STATE] != b"Z":
        return None
    return int(stat[_EXIT_CODE]) or None


def is_this_boot(boot: str) -> bool:
    """Whether `boot`, a boot id or its first digits, is the boot we are in."""
    return bool(boot) and boot_id().replace("-", "").startswith(boot.replace("-", ""))


def _is_same_host(identity: ProcessIdentity) -> bool:
    return identity.host in {"", socket.gethostname()}


def _stat(pid: int) -> list[bytes] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
        fields = text[text.rindex(b")") + 2 :].split()
    except (OSError, ValueError):
        return None
    return fields if len(fields) > _EXIT_CODE else None


def _ask_kernel(pid: int) -> Liveness:
    """Return `dead` if no process has this pid; whose it is cannot be told here."""
    if sys.platform == "win32":
        return "unknown"  # there, signal 0 is not a question
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "dead"
    except (OSError, OverflowError):
        pass
    return "unknown"


class ProcessWatch:
    """Waits for the death of one process; holds a pidfd where the kernel has them.

    >>> with watch(own_identity()) as me:
    ...     me.wait(0.0)
    False
    """

    def __init__(self, identity: ProcessIdentity) -> None:
        self.identity = identity
        self._descriptor = -1
        if is_alive(identity) == "alive" and hasattr(os, "pidfd_open"):
            with suppress(OSError):
                self._descriptor = os.pidfd_open(identity.pid)
        # Between the two the pid may have become somebody else's.
        if self._descriptor >= 0 and is_alive(identity) == "dead":
            self.close()

    def fileno(self) -> int:
        """Return the pidfd, readable when the process is dead; -1 if there is none."""
        return self._descriptor

    def wait(self, timeout: float) -> bool:
        """Wait for the death; whether the process is dead.

        Args:
            timeout: Seconds; 0 only looks.
        """
        if self._descriptor >= 0:
            poller = select.poll()
            poller.register(self._descriptor, select.POLLIN)
            return bool(poller.poll(max(0, int(timeout * 1000))))
        deadline = monotonic() + timeout
        while is_alive(self.identity) != "dead":
            left = deadline - monotonic()
            if left <= 0:
                return False
            sleep(min(left, _POLL_SECONDS))
        return True

    def close(self) -> None:
        """Stop watching. Twice is once."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> ProcessWatch:  # noqa: PYI034 - Python 3.10 has no Self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def watch(identity: ProcessIdentity) -> ProcessWatch:
    """Return a watch on the process; its death is seen at once, or within 0.2 s.

    Args:
        identity: Of which process.
    """
    return ProcessWatch(identity)

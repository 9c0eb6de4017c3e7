"""Checks whether a process still lives, without mistaking another process for it.

The kernel uses pids again; together with the start time of the process and the boot, a
pid is unique. On another host, or in another PID namespace, a process cannot be checked:
the answer is `unknown`, and callers judge by its last record.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from typing import Final, Literal

from otel_ext.record.model import Process
from otel_ext.runtime.process.incarnation import (
    INCARNATION_ID,
    NO_BOOT,
    START_TIME,
    boot_id,
    pid_namespace,
    process_stat,
)

__all__ = [
    "LONGEST_SILENCE",
    "STALE_STAMP_NS",
    "STAMP_SECONDS",
    "WORKER_LAG_NS",
    "Liveness",
    "identity_from_id",
    "is_alive",
    "is_this_boot",
    "liveness_of",
    "silence_limit",
    "zombie_status",
]

Liveness = Literal["alive", "dead", "unknown"]

# A writer that misses so many stamps or heartbeats in a row has stopped.
_MISSED: Final = 3
STAMP_SECONDS: Final = 1.0
"""Seconds after which a worker stamps its ring buffer again."""

STALE_STAMP_NS: Final = int(_MISSED * STAMP_SECONDS * 1e9)
"""Nanoseconds without a stamp of the ring buffer after which its worker counts as stopped."""

WORKER_LAG_NS: Final = 2_000_000_000
"""Nanoseconds a record waits in the ring buffer at most, unless the disk or the worker hangs."""

LONGEST_SILENCE: Final = 600.0
"""Seconds of silence after which a process without heartbeats counts as dead."""

_ID: Final = re.compile(rf"{INCARNATION_ID}(?:\.\d+)?", re.ASCII)
_SLACK_SECONDS: Final = 1.0
_STAMPED_SECONDS: Final = 15.0
# Fields of `process_stat`.
_STATE, _THREADS, _EXIT_CODE = 0, 17, 49


def identity_from_id(incarnation: str) -> Process | None:
    """Return the process by an incarnation's id alone; None if `incarnation` is not an id.

    Its `boot_id` has the first 8 digits only.

    >>> identity_from_id("0123abcd-7-99-00000000")
    Process('0123abcd-7-99-00000000', pid=7)
    """
    if _ID.fullmatch(incarnation) is None:
        return None
    boot, pid, start_time, _ = incarnation.split("-")
    return Process(incarnation, int(pid), int(start_time), "" if boot == NO_BOOT else boot)


def is_alive(process: Process) -> Liveness:
    """Return whether the process still lives.

    A zombie, which has ended and whose parent has not waited for it, is dead.

    Args:
        process: By its pid, start time, boot, host and PID namespace.

    Returns:
        `unknown` if it cannot be checked: in another PID namespace, on a platform without
        `/proc`, hidden from this user, or on another host. A process of another boot
        under the same host name is `dead`.

    >>> is_alive(Process("p"))
    'unknown'
    """
    if process.pid <= 0:
        return "unknown"
    if not process.boot_id or not boot_id():
        return _ask_kernel(process.pid) if _is_same_host(process) else "unknown"
    if not is_this_boot(process.boot_id):
        return "dead" if process.host and _is_same_host(process) else "unknown"
    if not _is_same_namespace(process):
        return "unknown"
    return _liveness_in_proc(process)


def liveness_of(process: Process) -> Liveness:
    """Return whether the process still lives, `dead` only if that is proven.

    Like `is_alive`, but `unknown` if the PID namespace of a process that looks dead is not
    known: it may run in a container, where its pid means another process than here.

    >>> liveness_of(Process("p", 2**22 + 1, 1, boot_id()))
    'unknown'
    """
    found = is_alive(process)
    is_blind = found == "dead" and not process.pid_namespace and is_this_boot(process.boot_id)
    return "unknown" if is_blind and pid_namespace() else found


def _is_same_namespace(process: Process) -> bool:
    if process.pid_namespace:
        return process.pid_namespace == pid_namespace()
    # Containers have their own host names.
    return _is_same_host(process)


def _liveness_in_proc(process: Process) -> Liveness:
    """Return the liveness of a process of this boot and PID namespace, from /proc."""
    stat = process_stat(process.pid)
    if len(stat) <= START_TIME:
        return _ask_kernel(process.pid)
    if process.start_time == 0:
        return "unknown"
    if int(stat[START_TIME]) != process.start_time:
        return "dead"
    # The kernel also shows a zombie if only the main thread has ended.
    is_zombie = stat[_STATE] in {b"Z", b"X", b"x"} and int(stat[_THREADS]) <= 1
    return "dead" if is_zombie else "alive"


def zombie_status(process: Process) -> int | None:
    """Return the wait status of a zombie; None if unknown.

    The kernel shows it to processes that may trace this one, and 0 to others.
    """
    stat = process_stat(process.pid)
    if len(stat) <= _EXIT_CODE or int(stat[START_TIME]) != process.start_time:
        return None
    return int(stat[_EXIT_CODE]) or None if stat[_STATE] == b"Z" else None


def is_this_boot(boot: str) -> bool:
    """Return whether `boot`, a boot id or its first digits, is the current boot."""
    return bool(boot) and boot_id().replace("-", "").startswith(boot.replace("-", ""))


def _is_same_host(process: Process) -> bool:
    return process.host in {"", socket.gethostname()}


def _ask_kernel(pid: int) -> Liveness:
    """Return `dead` if no process has this pid, else `unknown`: it may be another process."""
    if sys.platform == "win32":
        return "unknown"  # signal 0 is not a mere check there
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "dead"
    except (OSError, OverflowError):
        pass
    return "unknown"


def silence_limit(heartbeat_ms: int, *, has_ring: bool) -> float:
    """Return the seconds of silence after which a process counts as dead or hung.

    Its `process.start` record has the interval, so readers need no setting.

    Args:
        heartbeat_ms: Milliseconds between its heartbeats; 0 if it sends none.
        has_ring: Whether it has a ring buffer, which its worker stamps every second.

    >>> silence_limit(5_000, has_ring=False), silence_limit(60_000, has_ring=False)
    (16.0, 181.0)
    >>> silence_limit(0, has_ring=True), silence_limit(0, has_ring=False)
    (15.0, 600.0)
    """
    if heartbeat_ms:
        return _MISSED * heartbeat_ms / 1_000 + _SLACK_SECONDS
    return _STAMPED_SECONDS if has_ring else LONGEST_SILENCE

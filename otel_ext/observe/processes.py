"""The processes that `ps`, `top` and `doctor` show: their identity and condition."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from otel_ext.journal.liveness import is_alive
from otel_ext.observe.process_names import ProcessName
from otel_ext.readable import as_utf8, duration

if TYPE_CHECKING:
    from otel_ext.observe.liveness import Condition
    from otel_ext.record.model import Process, Record

__all__ = ["RunningProcess", "is_on_another_host", "living_argv"]


class RunningProcess(NamedTuple):
    """One incarnation of a process.

    Attributes:
        id: The incarnation's id.
        pid: Its process id; 0 if unknown.
        command: What it runs, short.
        host: Host name; empty if unknown.
        folder: Where its records are.
        condition: Whether it lives, hangs, is stopped or dead.
        last_seen_ns: When it was last active, nanoseconds since the epoch; 0 if unknown.
        last_seq: Number of its last record, as far as is known.
        rings: Its ring buffers.
        heartbeat: Its newest heartbeat record.
        worker_silent_ns: Time since its worker last stamped the ring buffer; None if unknown.
        service: The name of its service; empty if it has none.
        dropped: How many of its records were dropped, as far as is known.
        is_full: Whether one of its ring buffers has no room.
    """

    id: str
    pid: int
    command: str
    host: str
    folder: Path
    condition: Condition
    last_seen_ns: int
    last_seq: int
    rings: tuple[Path, ...]
    heartbeat: Record | None
    worker_silent_ns: int | None = None
    service: str = ""
    dropped: int = 0
    is_full: bool = False

    def merged_with(self, other: RunningProcess) -> RunningProcess:
        """Return this process merged with what another of its journals shows; the newest wins."""
        newest, older = sorted((self, other), key=lambda one: one.last_seen_ns, reverse=True)
        return newest._replace(
            command=newest.command or older.command,
            service=newest.service or older.service,
            last_seq=max(newest.last_seq, older.last_seq),
            dropped=max(newest.dropped, older.dropped),
            is_full=newest.is_full or older.is_full,
            rings=(*self.rings, *other.rings),
            heartbeat=newest.heartbeat or older.heartbeat,
        )

    @property
    def lives(self) -> bool:
        """Whether the process exists, running or not."""
        return self.condition in {"alive", "blocked", "hung", "stopped"}

    @property
    def label(self) -> str:
        """Its pid, and its service or command."""
        return ProcessName(self.pid, self.service, self.command).label or "?"

    @property
    def problem(self) -> str:
        """What is wrong with the process, for people; empty if nothing is known to be wrong."""
        return "; ".join(filter(None, (self._worker_problem, self.missing_ends_reason)))

    @property
    def missing_ends_reason(self) -> str:
        """Why its spans may have ended without a recorded end; empty if that cannot be.

        An alive process soon writes to its file what is open, whatever it dropped before.
        """
        if self.condition == "alive":
            return ""
        if self.dropped:
            return f"{self.dropped:,} of its records were dropped, so its spans may have ended"
        return "its ring buffer is full, so its spans may have ended" if self.is_full else ""

    @property
    def _worker_problem(self) -> str:
        if self.worker_silent_ns is None or self.condition not in {"blocked", "hung"}:
            return ""
        since = duration(self.worker_silent_ns)
        if self.condition == "blocked":
            return f"its disk blocks: nothing has been written for {since}"
        # An idle program whose disk blocks cannot be distinguished from one that hangs.
        return (
            f"its worker has written nothing for {since}:"
            " it hangs, or is idle while its disk blocks"
        )

    def as_dict(self) -> dict[str, object]:
        """Return the process for JSON."""
        silent_ns = self.worker_silent_ns
        return {
            "id": self.id,
            "pid": self.pid,
            "service": self.service or None,
            "command": self.command,
            "host": self.host,
            "folder": as_utf8(str(self.folder)),
            "condition": self.condition,
            "worker_silent_seconds": None if silent_ns is None else silent_ns / 1e9,
            "may_lack_ends": bool(self.missing_ends_reason),
        }


def is_on_another_host(process: Process) -> bool:
    """Whether the process runs on another machine."""
    return process.host not in {"", socket.gethostname()} and is_alive(process) == "unknown"


def living_argv(process: Process) -> tuple[str, ...]:
    """Return the command line of a living process from /proc; empty if it cannot be read."""
    if is_alive(process) != "alive":
        return ()
    try:
        text = Path(f"/proc/{process.pid}/cmdline").read_text("utf-8", "replace")
    except OSError:
        return ()
    return tuple(text.rstrip("\0").split("\0"))

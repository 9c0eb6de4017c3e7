"""The processes that `ps` and `top` speak of: who they are and whether they still run."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

from otel_ext.journal.liveness import ProcessIdentity, is_alive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_ext.record.model import Record

__all__ = [
    "Condition",
    "RunningProcess",
    "argv_of",
    "command_name",
    "condition_of",
    "is_elsewhere",
    "living_argv",
]

Condition = Literal["alive", "hung", "stopped", "dead", "silent"]
"""How a process is.

`hung`: it lives, but nothing of it runs; `stopped`: a signal or a debugger
stopped it; `silent`: whether it lives cannot be asked from here, and no sign of
life comes.
"""

# The worker stamps the box each second; three missed stamps are no accident.
_STALE_STAMP_NS: Final = 3_000_000_000
# Without a box, the heartbeat has to do: three missed of five seconds each.
_STALE_BEAT_NS: Final = 16_000_000_000


class RunningProcess(NamedTuple):
    """One incarnation of a process.

    Attributes:
        id: The incarnation's id.
        pid: Its process id; 0 if unknown.
        command: What it runs, short.
        host: Host name; empty if unknown.
        folder: Where its records are.
        condition: How it is.
        last_seen_ns: Its last sign of life, nanoseconds since the epoch; 0 if unknown.
        last_seq: Number of its last record, as far as is known.
        boxes: Its black boxes.
        heartbeat: Its newest heartbeat record.
    """

    id: str
    pid: int
    command: str
    host: str
    folder: Path
    condition: Condition
    last_seen_ns: int
    last_seq: int
    boxes: tuple[Path, ...]
    heartbeat: Record | None

    @property
    def lives(self) -> bool:
        """Whether the process is there, running or not."""
        return self.condition in {"alive", "hung", "stopped"}

    @property
    def label(self) -> str:
        """Its pid and command."""
        return f"{self.pid or '?'} {self.command}".rstrip()

    def as_dict(self) -> dict[str, object]:
        """Return the process for JSON."""
        return {
            "id": self.id,
            "pid": self.pid,
            "command": self.command,
            "host": self.host,
            "folder": str(self.folder),
            "condition": self.condition,
        }


def condition_of(
    identity: ProcessIdentity, *, stamp_ns: int, last_seen_ns: int, now_ns: int
) -> Condition:
    """Return how the process is.

    Args:
        identity: Which process.
        stamp_ns: When its worker last stamped its box; 0 without a box.
        last_seen_ns: Its last sign of life of any kind.
        now_ns: The time; all of them nanoseconds since the epoch.
    """
    liveness = is_alive(identity)
    if liveness == "dead":
        return "dead"
    silent_ns = now_ns - max(stamp_ns, last_seen_ns)
    if liveness == "unknown":
        return "silent" if silent_ns > _STALE_BEAT_NS else "alive"
    if _is_stopped(identity.pid):
        return "stopped"
    is_stale = now_ns - stamp_ns > _STALE_STAMP_NS if stamp_ns else silent_ns > _STALE_BEAT_NS
    return "hung" if is_stale else "alive"


def is_elsewhere(identity: ProcessIdentity) -> bool:
    """Whether the process belongs to another machine."""
    return (
        bool(identity.host)
        and identity.host != socket.gethostname()
        and (is_alive(identity) == "unknown")
    )


def _is_stopped(pid: int) -> bool:
    """Whether the kernel holds the process: stopped by a signal or traced (proc(5))."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        return stat[stat.rindex(b")") + 2 :][:1] in {b"T", b"t"}
    except (OSError, ValueError):
        return False


def command_name(argv: Sequence[str]) -> str:
    """Return what a command line runs, in one word or two.

    >>> command_name(["/usr/bin/python3", "-X", "dev", "srv/app.py", "--port", "80"])
    'app.py'
    >>> command_name(["python3.12", "-m", "http.server"])
    '-m http.server'
    >>> command_name(["/venv/bin/python", "/venv/bin/gunicorn", "app:app"])
    'gunicorn'
    >>> command_name(["python", "-c", "import this"])
    'python -c'
    """
    if not argv:
        return ""
    program = _base(argv[0])
    if not program.lower().startswith(("python", "pypy")):
        return program
    rest = iter(argv[1:])
    for word in rest:
        if word in {"-X", "-W", "--check-hash-based-pycs"}:
            next(rest, None)
        elif word.startswith("-m"):
            return f"-m {word[2:] or next(rest, '')}".rstrip()
        elif word.startswith("-c"):
            return f"{program} -c"
        elif not word.startswith("-") or word == "-":
            base = _base(word)
            return (
                f"{_base(word[: -len(base)].rstrip('/'))}/{base}" if base == "__main__.py" else base
            )
    return program


def _base(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2] or path


def living_argv(identity: ProcessIdentity) -> tuple[str, ...]:
    """Return the command line of a living process as the kernel tells it; empty if it does not."""
    if is_alive(identity) != "alive":
        return ()
    try:
        text = Path(f"/proc/{identity.pid}/cmdline").read_text("utf-8", "replace")
    except OSError:
        return ()
    return tuple(text.rstrip("\0").split("\0"))


def argv_of(extra: Mapping[str, object]) -> tuple[str, ...]:
    """Return the command line that a `process.start` record tells."""
    argv = extra.get("argv")
    return tuple(map(str, cast("list[object]", argv))) if isinstance(argv, list) else ()

"""The processes that `ps` and `top` speak of: who they are, and how."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from otel_ext.exporters.console_text import duration
from otel_ext.journal.liveness import ProcessIdentity, is_alive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_ext.cli.running_signs import Condition
    from otel_ext.record.model import Record

__all__ = [
    "RunningProcess",
    "argv_of",
    "command_name",
    "is_elsewhere",
    "living_argv",
]


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
        worker_silent_ns: For how long its worker has not stamped the box; None if unknown.
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
    worker_silent_ns: int | None = None

    def with_journal(self, other: RunningProcess) -> RunningProcess:
        """Return the process as two of its journals tell of it: by what was heard last."""
        newest, older = sorted((self, other), key=lambda one: one.last_seen_ns, reverse=True)
        return newest._replace(
            command=newest.command or older.command,
            last_seq=max(newest.last_seq, older.last_seq),
            boxes=(*self.boxes, *other.boxes),
            heartbeat=newest.heartbeat or older.heartbeat,
        )

    @property
    def lives(self) -> bool:
        """Whether the process is there, running or not."""
        return self.condition in {"alive", "blocked", "hung", "stopped"}

    @property
    def label(self) -> str:
        """Its pid and command."""
        return f"{self.pid or '?'} {self.command}".rstrip()

    @property
    def remark(self) -> str:
        """What is known of one that does not go on as it should; empty if there is nothing."""
        if self.worker_silent_ns is None or self.condition not in {"blocked", "hung"}:
            return ""
        since = duration(self.worker_silent_ns)
        if self.condition == "blocked":
            return f"its disk blocks: nothing has been written for {since}"
        # An idle program whose disk blocks looks the same from here.
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
            "command": self.command,
            "host": self.host,
            "folder": str(self.folder),
            "condition": self.condition,
            "worker_silent_seconds": None if silent_ns is None else silent_ns / 1e9,
        }


def is_elsewhere(identity: ProcessIdentity) -> bool:
    """Whether the process belongs to another machine."""
    return (
        bool(identity.host)
        and identity.host != socket.gethostname()
        and (is_alive(identity) == "unknown")
    )


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

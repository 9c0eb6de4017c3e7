"""The identity of this process since its start or fork: id, record numbers, facts.

Each start or fork is an incarnation of its own. Its id is unique across boots and
reuse of pids: `{boot}-{pid}-{start ticks}-{random}`.
"""

from __future__ import annotations

import os
import socket
import sys
from itertools import count
from typing import TYPE_CHECKING, Final, cast

from otel_ext.record.model import EMPTY, Process
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.fork import after_fork_in_child, check_process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "INCARNATION_ID",
    "NO_BOOT",
    "START_TIME",
    "Incarnation",
    "boot_id",
    "current",
    "declare_heartbeat",
    "pid_namespace",
    "process_start_time",
    "process_stat",
]

_BOOT_ID_FILE: Final = "/proc/sys/kernel/random/boot_id"
_NAMESPACE: Final = "/proc/self/ns/pid"
INCARNATION_ID: Final = r"[0-9a-z]{1,40}-\d{1,10}-\d{1,19}-[0-9a-f]{8}"
"""Regular expression of an incarnation's id, to be used with `re.ASCII`."""
NO_BOOT: Final = "noboot"
"""The boot in an id where the system has no boot id."""
START_TIME: Final = 19
"""Index of the start time among the fields of `process_stat`."""
_MOST_READ: Final = 4_096
_MAX_RESOURCES: Final = 256
_MAX_KNOWN: Final = 1_024

# The declared intervals in milliseconds; a forked child keeps them.
_heartbeats: Final[set[int]] = set()
# The id of this boot; a forked child keeps it.
_boot: Final[dict[str, str]] = {}


def declare_heartbeat(seconds: float) -> None:
    """Declare how often this program sends a heartbeat, for its next `process.start`.

    Args:
        seconds: The interval; the shortest one declared counts.
    """
    _heartbeats.add(max(int(seconds * 1_000), 1))


def boot_id() -> str:
    """Return the kernel's identifier of this boot; empty where the system has none."""
    found = _boot.get("id")
    if found is None:
        try:
            found = _boot["id"] = _read(_BOOT_ID_FILE).decode().strip()
        except (OSError, ValueError):
            return ""
    return found


def _read(path: str) -> bytes:
    """Return the bytes of a short file of the kernel.

    It runs on the thread of the first span, also in a forked child, where each object that
    is touched costs the copy of a page: so it uses neither `pathlib` nor `io`. It does not
    decode, because a program that gave up its rights may be unable to load an encoding.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, _MOST_READ)
    finally:
        os.close(descriptor)


def process_stat(pid: int) -> list[bytes]:
    """Return the fields of `/proc/PID/stat` after the command (proc(5)); empty if unknown."""
    try:
        stat = _read(f"/proc/{pid}/stat")
        # The command, in brackets, may contain spaces and brackets.
        return stat[stat.rindex(b")") + 2 :].split()
    except (OSError, ValueError):
        return []


def process_start_time(pid: int) -> int:
    """Return when the kernel started `pid`, in clock ticks since boot; 0 if unknown.

    Together with the boot id it distinguishes a process from a later one with the same pid.
    """
    stat = process_stat(pid)
    return int(stat[START_TIME]) if len(stat) > START_TIME else 0


def pid_namespace() -> int:
    """Return the inode of this process's PID namespace; 0 where the system has none."""
    try:
        return os.stat(_NAMESPACE).st_ino  # noqa: PTH116 - see `_read`
    except OSError:
        return 0


class Incarnation:
    """The identity and the record numbers of this process since its start or fork.

    Attributes:
        id: Its id.
        pid: Its process id.
        process: The process without its command line and its resource.
        counter: The counter that `next_seq` advances, for compiled code that does the same.

    >>> one = Incarnation()
    >>> one.next_seq() < one.next_seq()
    True
    >>> one.process_for(None).id == one.id
    True
    """

    def __init__(self) -> None:
        self.pid = pid = os.getpid()
        started, boot, host = process_start_time(pid), boot_id(), socket.gethostname()
        short_boot = boot.replace("-", "")[:8] or NO_BOOT
        self.id = f"{short_boot}-{pid}-{started}-{os.urandom(4).hex()}"
        self.process = Process(self.id, pid, started, boot, host, pid_namespace=pid_namespace())
        self.counter = count(1)
        # `__next__` is one step of the interpreter, so numbers are unique without a lock.
        self.next_seq: Callable[[], int] = self.counter.__next__
        self._first: dict[str, dict[str, object]] = {}
        self._numbers = count(2)
        self._processes: list[Process] = []
        self._expected: Process | None = None
        self._known: dict[int, tuple[object, Process]] = {}
        self._last: tuple[object, Process] | None = None

    @property
    def last_seq(self) -> int:
        """The last number returned by `next_seq`; 0 before the first."""
        return int(repr(self.counter)[6:-1]) - 1

    def process_for(self, resource: object) -> Process:
        """Return the process with `resource`, the same object each time.

        The first resource gets the incarnation's id. A program with several providers
        has several resources; each further one gets `ID.2`, `ID.3` and so on, with a
        process record of its own. Beyond 256 resources the rest share the first id.

        Args:
            resource: An OpenTelemetry `Resource`, a mapping, or None for "the first one".
        """
        last = self._last
        if last is not None and (resource is None or last[0] is resource):
            return last[1]
        if resource is None and self._expected is not None:
            resource = self._expected.resource
        elif resource is None:
            from opentelemetry import trace  # noqa: PLC0415 - slow; who only reads has no provider

            resource = getattr(trace.get_tracer_provider(), "resource", None)
        known = self._known.get(id(resource)) or self._remember(resource)
        if last is None:
            self._last = known
        return known[1]

    def expect(self, resource: object) -> Process:
        """Return the process with `resource` (see `process_for`), if that is recorded first.

        The resource that is recorded first gets the incarnation's id, so this call assigns none.
        """
        facts = _attributes_of(resource), _schema_url_of(resource)
        self._expected = expected = self.describe(self.id, *facts)
        return expected

    def _remember(self, resource: object) -> tuple[object, Process]:
        if len(self._known) >= _MAX_KNOWN:
            self._known = {}
        try:
            process = self._process_with(_attributes_of(resource), _schema_url_of(resource))
        except Exception:  # noqa: BLE001 - any object may replace a Resource; record the span
            process = self._process_with(self._first.get("resource", {}))
        # Holding the resource keeps its id() from being used again.
        return self._known.setdefault(id(resource), (resource, process))

    def _process_with(self, attributes: dict[str, object], schema_url: str = "") -> Process:
        """Return the process with these attributes; providers with equal ones share it."""
        # setdefault is one step: only one of several threads sets the first resource.
        first = self._first.setdefault("resource", attributes)
        for process in list(self._processes):
            if process.resource == attributes:
                return process
        if len(self._processes) >= _MAX_RESOURCES:
            return self._processes[0]
        name = self.id if first == attributes else f"{self.id}.{next(self._numbers)}"
        process = self.describe(name, attributes, schema_url)
        expected, self._expected = self._expected, None
        # Exporters look up the first line that they prepared by this object.
        if expected is not None and _varying(expected) == _varying(process):
            process = expected
        self._processes.append(process)
        return process

    def describe(
        self, name: str, attributes: Mapping[str, object], schema_url: str = ""
    ) -> Process:
        """Return this process under the id `name`, with its command line and a resource."""
        mine = self.process
        return Process(
            name,
            mine.pid,
            mine.start_time,
            mine.boot_id,
            mine.host,
            tuple(getattr(sys, "orig_argv", sys.argv)),
            attributes,
            mine.pid_namespace,
            min(_heartbeats.copy(), default=0),
            schema_url,
        )


def _attributes_of(resource: object) -> dict[str, object]:
    """Return the attributes of a `Resource` or mapping as a new dict."""
    found = getattr(resource, "attributes", resource) or EMPTY
    # The SDK's attributes have a `copy`; reading them one by one takes a lock each time.
    copy: Callable[[], object] | None = getattr(found, "copy", None)
    return dict(cast("Mapping[str, object]", found if copy is None else copy()))


def _schema_url_of(resource: object) -> str:
    found: object = getattr(resource, "schema_url", "")
    return found if type(found) is str else ""


def _varying(process: Process) -> tuple[object, ...]:
    """Return the fields in which two processes of one incarnation may differ."""
    return (
        process.id,
        process.argv,
        process.resource,
        process.heartbeat_ms,
        process.schema_url,
    )


class _Holder:
    """Holds the current incarnation, and drops it in a forked child."""

    def __init__(self) -> None:
        self._made: dict[str, Incarnation] = {}
        self._hooks = count()

    def current(self) -> Incarnation:
        found = self._made.get("current")
        if found is None:
            # setdefault is one step: two threads get the same object.
            mine = Incarnation()
            found = self._made.setdefault("current", mine)
            # Only once: a forked child inherits the hook.
            if next(self._hooks) == 0:
                after_fork_in_child(self.forget)
        return found

    def forget(self) -> None:
        self._made = {}
        COUNTERS.reset()


_HOLDER: Final = _Holder()


def current() -> Incarnation:
    """Return this process's incarnation; a forked child gets one of its own.

    >>> current() is current()
    True
    """
    check_process()
    return _HOLDER.current()

"""The owners of registered agents: threads, tasks, processes and other objects.

None is kept alive by what it owns. The end of a calling thread is noted by itself; all other
owners are asked, by the shared worker.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import weakref
from typing import TYPE_CHECKING, ClassVar, Final, cast

from otel_ext.errors import ConfigError
from otel_ext.inflight.owners import Owners, TaskOwner
from otel_ext.journal.liveness import is_alive
from otel_ext.record.capture import current_task, current_thread
from otel_ext.record.model import Process, TaskInfo, ThreadInfo
from otel_ext.runtime.guard import describe, report_problem
from otel_ext.runtime.process.incarnation import boot_id, pid_namespace, process_start_time
from otel_ext.runtime.tasks import running_task
from otel_ext.runtime.threads import is_gevent
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from asyncio import Task

    from otel_ext.inflight.owners import ThreadOwner

__all__ = ["Callers", "Owner", "owner_of", "runs"]

_PROCESS_TYPES: Final = (
    ("subprocess", "Popen"),
    ("multiprocessing.process", "BaseProcess"),
    ("asyncio.subprocess", "Process"),
)
# The type of `threading.current_thread()` in a thread that Python did not start.
_FOREIGN: Final = "_DummyThread"
_HINT: Final = "Use a thread, an asyncio task, a process, a pid or an object of a class."


class Owner:
    """What owns an agent.

    Attributes:
        reason: Why its agents go when it has ended.
        is_asked: Whether it must be asked if it has ended.
        thread: The thread whose spans are the agent's.
        task: The asyncio task whose spans are the agent's.
    """

    __slots__ = ("task", "thread")
    reason: ClassVar[str] = ""
    is_asked: ClassVar[bool] = True
    thread: ThreadInfo | None
    task: TaskInfo | None

    def __init__(self, thread: ThreadInfo | None = None, task: TaskInfo | None = None) -> None:
        self.thread = thread
        self.task = task

    @property
    def text(self) -> str:
        """A few words that name it."""
        raise NotImplementedError

    def is_alive(self) -> bool:
        """Return whether it has not ended."""
        raise NotImplementedError


class CallingThread(Owner):
    """The thread that registers; one object for each thread and registry."""

    __slots__ = ("reference",)
    reason = "owner-thread-ended"
    is_asked = False

    def __init__(self, reference: ThreadOwner) -> None:
        super().__init__(current_thread())
        self.reference = reference

    @property
    def text(self) -> str:
        """The thread's name."""
        return f"thread {short_repr(self.thread.name)}" if self.thread else "a thread"

    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self.reference.is_alive()


class OtherThread(Owner):
    """A thread by its object; one that has not started yet counts as alive."""

    __slots__ = ("_name", "_reference")
    reason = "owner-thread-ended"

    def __init__(self, thread: threading.Thread) -> None:
        super().__init__(_info_of(thread))
        self._name = _of_base(thread, "name")
        self._reference = weakref.ref(thread)

    @property
    def text(self) -> str:
        """The thread's name."""
        return f"thread {short_repr(self._name)}"

    def is_alive(self) -> bool:
        """Return whether the thread runs or is to start."""
        thread = self._reference()
        if thread is None:
            return False
        if self.thread is None:  # it may have started since
            self.thread = _info_of(thread)
            if self.thread is None:
                return True
        # One that Python did not start always says that it is alive.
        is_foreign = type(thread).__name__ == _FOREIGN
        return (is_foreign or threading.Thread.is_alive(thread)) and _is_on_system(thread)


class OwningTask(Owner):
    """An asyncio task."""

    __slots__ = ("_reference",)
    reason = "owner-task-ended"

    def __init__(self, task: Task[object], thread: ThreadInfo | None = None) -> None:
        super().__init__(thread, TaskInfo(id(task), task.get_name()))
        self._reference = TaskOwner(task)

    @property
    def text(self) -> str:
        """The task's name."""
        return f"task {short_repr(self.task.name)}" if self.task else "a task"

    def is_alive(self) -> bool:
        """Return whether the task is not finished."""
        return self._reference.is_alive()


class OtherProcess(Owner):
    """A process of this machine; a zombie counts as ended."""

    __slots__ = ("_identity", "_reference")
    reason = "owner-process-ended"

    def __init__(self, pid: int | None, process: object = None) -> None:
        super().__init__()
        self._reference = None if process is None else weakref.ref(process)
        self._identity = None if pid is None else _identity(pid)

    @property
    def text(self) -> str:
        """Its pid."""
        return "a process to start" if self._identity is None else f"process {self._identity.pid}"

    def is_alive(self) -> bool:
        """Return whether it runs or is to start."""
        if self._identity is None:
            process = None if self._reference is None else self._reference()
            if process is None:
                return False
            pid = _pid_of(process)
            if pid is None:
                return True
            self._identity = _identity(pid)
        return self._identity.pid > 0 and is_alive(self._identity) != "dead"


class OwningObject(Owner):
    """Any object, until it is collected."""

    __slots__ = ("_reference", "_type")
    reason = "owner-collected"

    def __init__(self, reference: weakref.ref[object], type_name: str) -> None:
        super().__init__()
        self._reference = reference
        self._type = type_name

    @property
    def text(self) -> str:
        """Its type."""
        return f"an object of type {self._type}"

    def is_alive(self) -> bool:
        """Return whether the object exists."""
        return self._reference() is not None


class Callers:
    """Returns the calling thread or task as an owner, and notes which threads have ended."""

    def __init__(self) -> None:
        self._owners = Owners()
        self._local = self._owners.local
        # Threads of C code that have left Python and may still run.
        self._leaving: list[ThreadOwner] = []

    def current(self) -> Owner:
        """Return the running asyncio task, else the calling thread."""
        if current_task() is not None:
            task = running_task()
            if task is not None:
                return OwningTask(task, current_thread())
        try:
            return cast("CallingThread", self._local.caller)
        except AttributeError:
            return self.thread()

    def thread(self) -> CallingThread:
        """Return the calling thread."""
        reference = self._owners.of_thread()
        if type(threading.current_thread()).__name__ != _FOREIGN:
            # The system has a thread for a moment after `join` has returned: do not ask it.
            reference.native_id = 0
        made = CallingThread(reference)
        self._local.caller = made
        return made

    def ended(self) -> list[ThreadOwner]:
        """Return the threads that have ended since the last call; for the worker only."""
        gone, leaving = self._owners.gone, self._leaving
        if not (gone or leaving):
            return []
        while gone:
            leaving.append(cast("ThreadOwner", gone.popleft()))
        running = [one for one in leaving if one.runs_on_system()]
        ended = [one for one in leaving if one not in running]
        self._leaving = running
        return ended


def runs(owner: Owner) -> bool:
    """Return whether an owner has not ended; one that cannot be asked counts as ended.

    >>> callers = Callers()
    >>> runs(callers.thread())
    True
    """
    try:
        return owner.is_alive()
    except Exception as error:  # noqa: BLE001 - it may run code of the program
        report_problem("an owner of agents cannot be asked, so it counts as ended", error)
        return False


def _of_base(thread: threading.Thread, name: str) -> object:
    """Return a property of a thread; a subclass may have code of its own for it."""
    return cast("object", vars(threading.Thread)[name].__get__(thread))


def _info_of(thread: threading.Thread) -> ThreadInfo | None:
    """Return a thread's id and name; None until it has started."""
    number = cast("int | None", _of_base(thread, "ident"))
    return None if number is None else ThreadInfo(number, cast("str", _of_base(thread, "name")))


def _is_on_system(thread: threading.Thread) -> bool:
    """Return whether a thread runs; one that Python did not start always says that it is alive."""
    if is_gevent() or sys.platform != "linux":
        return True
    number = _of_base(thread, "native_id")
    # Its object may be an older one, of a thread that had the same identifier.
    return (
        number is None
        or os.path.exists(f"/proc/self/task/{number}")  # noqa: PTH110 - for each check
        or _of_base(thread, "ident") in sys._current_frames()  # noqa: SLF001 - documented
    )


def _identity(pid: int) -> Process:
    started, boot, host = process_start_time(pid), boot_id(), socket.gethostname()
    return Process("", pid, started, boot, host, pid_namespace=pid_namespace())


def _is_process(given: object) -> bool:
    for module, name in _PROCESS_TYPES:
        known = getattr(sys.modules.get(module), name, None)
        if isinstance(known, type) and isinstance(given, known):
            return True
    return False


def _pid_of(process: object) -> int | None:
    try:
        pid: object = process.pid  # type: ignore[attr-defined]
    except ValueError:  # a closed multiprocessing.Process: it has ended
        return -1
    return pid if isinstance(pid, int) else None


def _task_of(given: object) -> Task[object] | None:
    task_type = getattr(sys.modules.get("asyncio"), "Task", None)
    is_task = isinstance(task_type, type) and isinstance(given, task_type)
    return cast("Task[object]", given) if is_task else None


def owner_of(given: object, callers: Callers) -> Owner:
    """Return a thread, task, process, pid or other object as an owner.

    Args:
        given: What is to own something.
        callers: Returns the owner for the calling thread.

    Raises:
        ConfigError: It cannot be watched.

    >>> owner_of(threading.current_thread(), Callers()).text
    "thread 'MainThread'"
    """
    try:
        return _owner_of(given, callers)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"owner={short_repr(given)} cannot be watched: {describe(error)}", hint=_HINT
        ) from error


def _owner_of(given: object, callers: Callers) -> Owner:
    if isinstance(given, threading.Thread):
        return callers.thread() if given is threading.current_thread() else OtherThread(given)
    task = _task_of(given)
    if task is not None:
        return OwningTask(task)
    if _is_process(given):
        return OtherProcess(_pid_of(given), given)
    if type(given) is int:
        if given <= 0:
            raise ConfigError(f"owner={given} is not a process id", hint="Use a number above 0.")
        return OtherProcess(given)
    try:
        return OwningObject(weakref.ref(given), type(given).__qualname__)
    except TypeError:
        raise ConfigError(
            f"owner={short_repr(given)} cannot be watched: a {type(given).__name__} has no weak"
            " references",
            hint=_HINT,
        ) from None

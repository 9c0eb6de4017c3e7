"""The table behind a `ServiceRegistry`: its entries, who waits for them, and its end."""

from __future__ import annotations

from contextlib import suppress
from time import sleep
from typing import TYPE_CHECKING, Protocol

from otel_ext.errors import ConfigError
from otel_ext.record.timestamps import format_ns
from otel_ext.runtime.deadline import is_exiting
from otel_ext.runtime.fork import after_fork_in_child, check_process
from otel_ext.runtime.process import incarnation
from otel_ext.services.announcements import ADDED, GONE, PAUSES, READY, announcer
from otel_ext.services.errors import not_registered
from otel_ext.services.waiting import Waiters
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from otel_ext.services.errors import NotRegisteredError
    from otel_ext.services.service_entry import ServiceEntry

__all__ = ["ServiceTable"]


class Namespace(Protocol):
    """A registry within another one."""

    def close(self) -> None:
        """Remove all that it has."""
        ...


class ServiceTable:
    """The services of one registry; each change is one step of the interpreter.

    Attributes:
        path: The names of its namespaces, with slashes; empty for none.
        items: The services by name.
        namespaces: The registries within this one by name.
        waiters: Who waits for a change.
    """

    def __init__(self, path: str = "") -> None:
        self.is_watched = False
        self.path = path
        self.items: dict[str, ServiceEntry] = {}
        self.namespaces: dict[str, Namespace] = {}
        self.waiters = Waiters()
        self._inherited: list[object] = []
        self._announcer = announcer()
        # Without its item once the table is closed.
        self._open: list[None] = [None]
        after_fork_in_child(self._reset)

    def add(self, entry: ServiceEntry) -> None:
        """Add a service, and wake who waits for it.

        Raises:
            ConfigError: Its name is in use, or the table is closed.
        """
        self.check_open()
        self._put(entry)
        # In this order: what cannot be queued is looked for in the registries that are watched.
        if not self.is_watched:
            self._announcer.watch(self)
        self._announcer.add(entry, ADDED)
        if entry.is_ready:
            self._announcer.add(entry, READY)
        if not self._open:  # another thread has closed it meanwhile
            self.remove(entry, "closed")
        self.check_open()
        self.waiters.wake(entry.name)

    def remove(self, entry: ServiceEntry, reason: str) -> bool:
        """Remove a service; return whether this call did."""
        if not entry.end():
            return False
        # Announced before the name is free: else the next one could come first in the records.
        self._announcer.add(entry, GONE, reason)
        if self.items.get(entry.name) is entry:
            self.items.pop(entry.name, None)
        return True

    def mark_ready(self, entry: ServiceEntry) -> None:
        """Mark a service as ready, and wake who waits for it."""
        if entry.become_ready():
            self._announcer.add(entry, READY)
            self.waiters.wake(entry.name)

    def get(self, name: object) -> ServiceEntry:
        """Return a service.

        Raises:
            NotRegisteredError: There is none of this name.
            ConfigError: The table is closed.
        """
        entry = self.find(name)
        if entry is None:
            raise self.missing(name)
        return entry

    def find(self, name: object) -> ServiceEntry | None:
        """Return a service; None if there is none of this name, whatever the name is."""
        check_process()
        entry = self.items.get(name) if isinstance(name, str) else None
        return entry if entry is not None and entry.is_live() else None

    def ready(self, name: str) -> tuple[object] | None:
        """Return a service that is ready, in a tuple, since it may be None.

        Raises:
            ConfigError: The table is closed.
        """
        check_process()
        self.check_open()
        entry = self.items.get(name)
        if entry is None or not entry.is_ready:
            return None
        try:
            return (entry.service,)
        except AttributeError:  # it is removed just now
            return None

    def missing(self, name: object) -> NotRegisteredError:
        """Return the error for a name that is not registered.

        Raises:
            ConfigError: The table is closed.
        """
        self.check_open()
        return not_registered("service", name, self.items.copy())

    def check_open(self) -> None:
        """Refuse the use of a closed table.

        Raises:
            ConfigError: It is closed.
        """
        if not self._open:
            where = f"namespace {self.path!r}" if self.path else "the registry of services"
            raise ConfigError(f"{where} is closed", hint="Use it within its `with` block.")

    def close(self) -> bool:
        """Refuse all further use; return False if it was closed before."""
        try:
            self._open.pop()
        except IndexError:
            return False
        return True

    def clear(self) -> None:
        """Remove all services, and wake all who wait; after `close`."""
        for entry in self.entries():
            self.remove(entry, "closed")
        self.waiters.wake(None)

    def entries(self) -> list[ServiceEntry]:
        """Return the services at one moment."""
        return list(self.items.copy().values())

    def check_owners(self) -> None:
        """Do nothing: a service belongs to the process."""

    def _put(self, entry: ServiceEntry) -> None:
        for pause in PAUSES:
            known = self.items.setdefault(entry.name, entry)
            if known is entry:
                return
            if known.is_live():
                raise _in_use(known)
            sleep(pause)  # another thread removes it just now
        # An interrupt ended the thread that removed it.
        self.items[entry.name] = entry

    def _reset(self) -> None:
        """Forget the parent's services, namespaces and waits, which a forked child has not."""
        # Kept, because freeing them could run code of the program within the fork.
        self._inherited.append((self.items, self.namespaces, self.waiters))
        self.items, self.namespaces = {}, {}
        self.waiters = Waiters()
        self.is_watched = False

    def __del__(self) -> None:
        # Without its registry one would show in the records until the process ends.
        with suppress(Exception):
            for entry in () if is_exiting() else self.entries():
                self.remove(entry, "registry-collected")


def _in_use(known: ServiceEntry) -> ConfigError:
    owner, since = f"thread {short_repr(known.registered_by)}", format_ns(known.registered_ns)
    return ConfigError(
        f"service {known.name!r} is registered already, by {owner} of process"
        f" {incarnation.current().pid}, since {since}",
        hint="Unregister it first, or use another name or a namespace.",
        context={"service": known.name, "owner": owner, "since_ns": known.registered_ns},
    )

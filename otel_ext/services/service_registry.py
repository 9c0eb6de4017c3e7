"""`ServiceRegistry`: the services of a program by name, in namespaces that are apart."""

from __future__ import annotations

import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from otel_ext.errors import ConfigError
from otel_ext.record.model import EMPTY
from otel_ext.runtime.fork import check_process
from otel_ext.services.announcements import plain_facts
from otel_ext.services.errors import NotReadyError, checked_name, not_registered
from otel_ext.services.service_entry import ServiceEntry
from otel_ext.services.service_health import checked_check
from otel_ext.services.service_table import ServiceTable
from otel_ext.services.waiting import task_waker
from otel_ext.settings.limits import check_limit
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from otel_ext.runtime.health import PartHealth

__all__ = ["ServiceRegistry"]

_HEALTH_SECONDS: Final = 5.0
# The longest single wait; locks refuse a much longer one.
_LONGEST_WAIT: Final = 3_600.0


class ServiceRegistry:
    """Keeps the services of this process by name, and lets others wait until one is ready.

    A service is any object that parts of the program share, such as a database pool. It shows
    in the records too: as an entity of type `service` with the events `service.registered`,
    `service.ready` and `service.unregistered`. The bus gets the same events. Both come up to
    0.1 s later, from a thread of otel-ext.

    Only `wait_for`, `wait_for_async` and `health_check` wait. A forked child has none of its
    parent's services.

    >>> services = ServiceRegistry()
    >>> services.register("cache", {}, ready=False)
    >>> services.is_ready("cache"), services.mark_ready("cache"), services.is_ready("cache")
    (False, None, True)
    >>> services.wait_for("cache", timeout=1), services.names()
    ({}, ['cache'])
    """

    def __init__(self) -> None:
        self._table = ServiceTable()
        self._parent: ServiceRegistry | None = None

    def __len__(self) -> int:
        return len(self._table.items)

    def __contains__(self, name: object) -> bool:
        return self._table.find(name) is not None

    def register(
        self,
        name: str,
        service: object,
        *,
        ready: bool = True,
        health: Callable[[], object] | None = None,
        metadata: Mapping[str, object] = EMPTY,
    ) -> None:
        """Register a service until `unregister`.

        Args:
            name: Its name, of 1 to 200 characters without a slash.
            service: The object, which is kept.
            ready: Whether it can be used already; else `mark_ready` says when.
            health: Its own check, for `health_check`: a function without arguments that
                returns None, a bool, `healthy`, `degraded` or `unhealthy`, or a `PartHealth`.
            metadata: What there is to say about it: attributes of its event records, beside
                `ready`. They should be values of JSON; others are made plain at once, and
                all are redacted in the records. Metadata called `ready`, `reason` (in the
                last record) and `id` (for subscribers) give way to what is said there.

        Raises:
            ConfigError: The name is not valid or is registered already, an argument is not
                valid, or the registry is closed.

        >>> services = ServiceRegistry()
        >>> services.register("db", object(), metadata={"host": "db-1"})
        >>> services.health_check("db").state
        'healthy'
        """
        check_process()
        table = self._table
        table.check_open()
        name = _checked_name(name)
        facts, check = _checked_metadata(name, metadata), checked_check(name, health)
        entry = ServiceEntry(table.path, name, service, facts, check)
        if ready:
            entry.become_ready()
        table.add(entry)

    def lookup(self, name: str) -> object:
        """Return the service with this name, ready or not.

        Raises:
            NotRegisteredError: There is none; the error names the nearest one.
            ConfigError: The registry is closed.

        >>> services = ServiceRegistry()
        >>> services.register("database", "a pool")
        >>> services.lookup("databse")
        Traceback (most recent call last):
        otel_ext.services.errors.NotRegisteredError: no service 'databse' is registered. Did you \
mean 'database'?
        """
        check_process()
        try:
            return self._table.items[name].service
        except (KeyError, TypeError, AttributeError):  # the last: it is removed just now
            pass
        raise self._table.missing(name)

    def unregister(self, name: str) -> bool:
        """Remove a service; return whether it was registered. Idempotent.

        >>> ServiceRegistry().unregister("never registered")
        False
        """
        entry = self._table.find(name)
        return entry is not None and self._table.remove(entry, "unregistered")

    def mark_ready(self, name: str) -> None:
        """Mark a service as ready, and wake who waits for it. Idempotent.

        Raises:
            NotRegisteredError: There is no such service.
            ConfigError: The registry is closed.
        """
        self._table.mark_ready(self._table.get(name))

    def is_ready(self, name: str) -> bool:
        """Return whether a service is registered and ready.

        >>> ServiceRegistry().is_ready("never registered")
        False
        """
        entry = self._table.find(name)
        return entry is not None and entry.is_ready

    def names(self) -> list[str]:
        """Return the names of the services, in the order of their registration.

        >>> ServiceRegistry().names()
        []
        """
        check_process()
        return list(self._table.items.copy())

    def wait_for(self, name: str, timeout: float) -> object:
        """Return a service as soon as it is registered and ready.

        In code of asyncio use `wait_for_async`, which does not block the event loop.

        Args:
            name: The service's name.
            timeout: The longest wait, in seconds; 0 only looks.

        Raises:
            NotReadyError: It was not in time; the message says what is missing.
            ConfigError: The name or the timeout is not valid, or the registry is or gets closed.

        >>> ServiceRegistry().wait_for("db", timeout=0.01)
        Traceback (most recent call last):
        otel_ext.services.errors.NotReadyError: service 'db' was not registered within 0.01 s. \
Register it, or wait longer.
        """
        name = _checked_name(name)
        _check_wait(timeout)
        event, until = threading.Event(), monotonic() + timeout
        key = self._table.waiters.add(name, event.set)
        try:
            while True:
                event.clear()
                found = self._table.ready(name)
                if found:
                    return found[0]
                left = until - monotonic()
                if left <= 0:
                    raise self._not_ready(name, timeout)
                event.wait(min(left, _LONGEST_WAIT))
        finally:
            self._table.waiters.remove(key)

    async def wait_for_async(self, name: str, timeout: float) -> object:
        """Return a service as soon as it is registered and ready, without blocking the event loop.

        Args:
            name: The service's name.
            timeout: The longest wait, in seconds; 0 only looks.

        Raises:
            NotReadyError: It was not in time; the message says what is missing.
            ConfigError: The name or the timeout is not valid, or the registry is or gets closed.

        >>> import asyncio
        >>> services = ServiceRegistry()
        >>> services.register("db", "a pool")
        >>> asyncio.run(services.wait_for_async("db", timeout=1))
        'a pool'
        """
        import asyncio  # noqa: PLC0415 - a program without it waits less for its start

        name = _checked_name(name)
        _check_wait(timeout)
        event, until = asyncio.Event(), monotonic() + timeout
        key = self._table.waiters.add(name, task_waker(asyncio.get_running_loop(), event))
        try:
            while True:
                event.clear()
                found = self._table.ready(name)
                if found:
                    return found[0]
                left = until - monotonic()
                if left <= 0:
                    raise self._not_ready(name, timeout)
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(event.wait(), min(left, _LONGEST_WAIT))
        finally:
            self._table.waiters.remove(key)

    def health_check(self, name: str, timeout: float = _HEALTH_SECONDS) -> PartHealth:
        """Run a service's own health check, on another thread.

        A check that raises, hangs or answers with something else is `failed`, and the detail
        says why. Without a check a ready service is healthy. One that is not ready is at best
        `degraded`.

        Args:
            name: The service's name.
            timeout: The longest wait for the check, in seconds.

        Raises:
            NotRegisteredError: There is no such service.
            ConfigError: The timeout is not valid, or the registry is closed.

        >>> services = ServiceRegistry()
        >>> services.register("db", "a pool", health=lambda: 1 / 0)
        >>> health = services.health_check("db")
        >>> health.state, health.detail
        ('failed', 'the check raised ZeroDivisionError: division by zero')
        """
        check_limit("timeout", timeout, is_whole=False)
        return self._table.get(name).health(min(timeout, _LONGEST_WAIT))

    def namespace(self, name: str) -> ServiceRegistry:
        """Return a registry that shares no service with this one, for a test or a tenant.

        Use it in a `with` block, at whose end it is closed and its services are gone. Records
        name its services `NAMESPACE/SERVICE`. Namespaces can have namespaces.

        Args:
            name: Its name, of 1 to 200 characters without a slash.

        Raises:
            ConfigError: The name is not valid or is in use, or this registry is closed.

        >>> services = ServiceRegistry()
        >>> with services.namespace("test-7") as own:
        ...     own.register("db", "a pool")
        ...     own.names(), services.names()
        (['db'], [])
        >>> own.names()
        []
        """
        check_process()
        table = self._table
        table.check_open()
        name = _checked_name(name, "namespace")
        made = ServiceRegistry()
        made._table = ServiceTable(f"{table.path}/{name}" if table.path else name)
        made._parent = self
        if table.namespaces.setdefault(name, made) is not made:
            raise ConfigError(
                f"namespace {name!r} is in use", hint="Close it first, or use another name."
            )
        try:
            table.check_open()
        except ConfigError:  # another thread has closed it meanwhile
            made.close()
            raise
        return made

    def close(self) -> None:
        """Remove all services and namespaces, and end all waits; then it takes no more.

        Idempotent.
        """
        if not self._table.close():
            return
        for namespace in list(self._table.namespaces.copy().values()):
            namespace.close()
        self._table.clear()
        if self._parent is not None:
            name = self._table.path.rpartition("/")[2]
            namespaces = self._parent._table.namespaces  # noqa: SLF001 - of the same class
            # In a forked child another one may have this name.
            if namespaces.get(name) is self:
                namespaces.pop(name, None)

    def __enter__(self) -> ServiceRegistry:  # noqa: PYI034 - typing.Self came with Python 3.11
        """Return the registry itself."""
        self._table.check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _not_ready(self, name: str, timeout: float) -> NotReadyError:
        table = self._table
        if name in table.items:
            what, hint = "is registered, but was not marked as ready", "Call mark_ready for it"
        else:
            missing = not_registered("service", name, table.items.copy()).hint
            what, hint = "was not registered", missing.removesuffix(" first.")
        hint = hint if hint.endswith("?") else f"{hint}, or wait longer."
        message = f"service {name!r} {what} within {timeout:g} s"
        return NotReadyError(message, hint=hint, context={"service": name, "timeout": timeout})


def _checked_name(name: object, what: str = "service name") -> str:
    text = checked_name(what, name)
    if "/" in text:
        raise ConfigError(
            f"{what} {short_repr(text)} has a slash, which divides namespaces",
            hint="Use another sign, or a namespace.",
        )
    return text


def _check_wait(timeout: float) -> None:
    if type(timeout) not in {int, float} or timeout != 0:
        check_limit("timeout", timeout, is_whole=False)


def _checked_metadata(name: str, metadata: Mapping[str, object]) -> dict[str, object]:
    """Return a copy of a service's metadata.

    Raises:
        ConfigError: They are not a mapping of strings.
    """
    try:
        facts = dict(metadata)
    except (TypeError, ValueError):
        facts = cast("dict[str, object]", {None: None})
    if not all(isinstance(key, str) for key in facts):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(
            f"service {name!r}: metadata={short_repr(metadata)} is not a mapping with names",
            hint='Use a dict such as {"host": "db-1"}.',
        )
    return plain_facts(facts)

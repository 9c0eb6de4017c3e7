"""`Settings`: the settings of a program in a frozen dataclass, which change while it runs."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Final, Generic, TypeVar, overload

from otel_ext.config.messages import did_you_mean
from otel_ext.errors import ConfigError
from otel_ext.events.subscription import Limits
from otel_ext.record.model import EMPTY
from otel_ext.runtime.fork import after_fork_in_child, check_process
from otel_ext.services.live_settings.change import Change, author_here
from otel_ext.services.live_settings.changes import Changes
from otel_ext.services.live_settings.tree import Tree
from otel_ext.services.live_settings.wanted import wanted
from otel_ext.settings.limits import check_limit
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_ext.events.subscription import Handler, Subscription
    from otel_ext.services.live_settings.wanted import Making

__all__ = ["Settings"]

T = TypeVar("T")

_DEFAULTS: Final = Limits()
# So often other changes may come between; only a change function that is never in time meets it.
_MOST_TRIES: Final = 1_000


class Settings(Generic[T]):
    """Holds the settings of a program, which may change while it runs.

    The settings are the fields of a frozen dataclass; a frozen dataclass in a field is a group,
    whose settings have dotted names such as `pool.size`. Reading takes no lock. An update
    applies as a whole or not at all, and waits neither for subscribers nor for its record: the
    shared worker writes one of the name `settings.changed`, with the values before and after,
    who made it, and no secrets.

    The type of a field decides which values it allows. `field(metadata={"validate": check})`
    adds a check of the program, which raises or returns False for others; it runs on the thread
    that updates, so that one which hangs delays that thread alone. A secret is known by its
    name, such as `db.password`, or by `field(metadata={"secret": True})`.

    A forked child has the values of its parent, and none of its records that still wait.

    Args:
        initial: An instance of a frozen dataclass, with the initial values.
        name: The name of these settings in records and events; by default the dataclass's.

    Raises:
        ConfigError: `initial` is not an instance of a frozen dataclass, or a value in it is wrong.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Shop:
    ...     currency: str = "EUR"
    ...     page_size: int = 20
    >>> settings = Settings(Shop(), name="shop")
    >>> settings.update(page_size=50)
    Shop(currency='EUR', page_size=50)
    >>> settings.get("page_size")
    50
    """

    _current: T

    def __init__(self, initial: T, *, name: str = "") -> None:
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance] - from a program without types
            raise ConfigError(f"name={short_repr(name)} is not text", hint='Use name="shop".')
        self._tree = Tree(initial, self._explain)
        self.name = name or type(initial).__name__
        self._initial = initial
        self._current = initial
        self._changes = Changes()
        self._reset_lock()
        after_fork_in_child(self._reset_lock)

    @property
    def names(self) -> tuple[str, ...]:
        """The dotted names of all settings, without those of groups."""
        return tuple(self._tree.leaves)

    @overload
    def get(self) -> T: ...

    @overload
    def get(self, name: str) -> object: ...

    def get(self, name: str | None = None) -> T | object:
        """Return all settings as they are now, or the value of one; takes no lock.

        Args:
            name: The dotted name of a setting or of a group; None for all.

        Raises:
            ConfigError: There is no such setting; the hint has the nearest name.

        >>> from otel_ext.journal.settings import JournalSettings
        >>> Settings(JournalSettings()).get("sync")
        'interval'
        """
        current = self._read()
        return current if name is None else self._tree.reader(name)(current)

    def update(
        self,
        changes: Mapping[str, object] | Making[T] = EMPTY,
        /,
        **named: object,
    ) -> T:
        """Change settings: all of them or, if one value is wrong, none.

        Args:
            changes: Values by dotted name; a group takes an instance of its dataclass. Or a
                function that returns them for the settings as they are now, called again
                if another thread changes them meanwhile.
            named: Values of settings that are in no group.

        Returns:
            The settings after this change.

        Raises:
            ConfigError: A name or a value is wrong (the message lists all of those), the
                dataclass refuses the values, or the function raises.

        >>> from otel_ext.journal.settings import JournalSettings
        >>> settings = Settings(JournalSettings())
        >>> settings.update({"ring_size": "8 MiB"}, sync="never").ring_size
        8388608
        >>> settings.update(lambda now: {"ring_size": now.ring_size * 2}).ring_size
        16777216
        """

        def make(current: T) -> Mapping[str, object]:
            return self._tree.checked(wanted(changes, named, current), current)

        return self._change("update", make)

    def reset(self, *names: str) -> T:
        """Change settings back to their initial values.

        Args:
            names: Dotted names of settings or groups; without any, all settings.

        Returns:
            The settings after this change.

        Raises:
            ConfigError: There is no such setting.

        >>> from otel_ext.journal.settings import JournalSettings
        >>> settings = Settings(JournalSettings())
        >>> settings.update(sync="never").sync, settings.reset("sync").sync
        ('never', 'interval')
        """
        tree = self._tree
        leaves = [leaf for name in names for leaf in tree.below(name)]
        if not names:
            leaves = [leaf for leaf in tree.leaves.values() if not leaf.is_computed]
        values = {leaf.name: leaf.read(self._initial) for leaf in leaves}
        return self._change("reset", lambda _: values)

    def subscribe(
        self,
        pattern: str,
        handler: Handler,
        *,
        max_failures: int = _DEFAULTS.failures,
        max_seconds: float = _DEFAULTS.seconds,
        max_queued: int = _DEFAULTS.queued,
    ) -> Subscription:
        """Call `handler` after each change of a setting whose name matches `pattern`.

        It gets an `Event` with the setting's name, and the metadata `settings`, `old` and `new`:
        the values themselves, also of a secret. It runs on a thread of its own and delays no
        update; one that hangs, or fails too often, is detached, as `otel_ext.subscribe`
        describes. It does not get the changes that it makes itself.

        Args:
            pattern: The name of a setting; of a group, or a prefix with `*`, such as `pool.*`;
                or `*` for all.
            handler: What to call. A bound method is held weakly: the subscription ends with its
                object.
            max_failures: How many calls in a row may raise or be slow.
            max_seconds: How long a call may take.
            max_queued: How many events may wait for the handler.

        Returns:
            The subscription; its `cancel()` ends it, and so does the end of a `with` block.

        Raises:
            ConfigError: No setting matches, or the handler or a limit is not valid.

        >>> from otel_ext.journal.settings import JournalSettings
        >>> settings, sizes = Settings(JournalSettings()), []
        >>> with settings.subscribe("ring_size", lambda event: sizes.append(event.metadata["new"])):
        ...     _ = settings.update(ring_size="32 MiB")
        ...     settings.flush()
        True
        >>> sizes
        [33554432]
        """
        limits = (max_failures, max_seconds, max_queued)
        for name, limit in zip(("max_failures", "max_seconds", "max_queued"), limits, strict=True):
            check_limit(name, limit, is_whole=name != "max_seconds")
        if not callable(handler):
            raise ConfigError(
                f"handler={short_repr(handler)} cannot be called",
                hint="Use a function that takes an Event.",
            )
        return self._changes.watchers.add(self._pattern(pattern), handler, Limits(*limits))

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until the changes so far are recorded, and handlers of `subscribe` had them.

        Args:
            timeout: How long to wait, in seconds.

        Returns:
            Whether that was in time.

        >>> from otel_ext.journal.settings import JournalSettings
        >>> Settings(JournalSettings()).flush()
        True
        """
        return self._changes.flush(timeout)

    def _pattern(self, pattern: str) -> str:
        self._tree.check_text(pattern)
        if pattern in self._tree.groups:
            return f"{pattern}.*"
        if pattern.endswith("*"):
            if any(name.startswith(pattern[:-1]) for name in self._tree.leaves):
                return pattern
            groups = [f"{group}.*" for group in self._tree.groups]
            raise ConfigError(
                f"pattern={pattern!r} matches no setting",
                hint=did_you_mean(pattern, groups) or "Use * for all settings.",
            )
        self._tree.reader(pattern)
        return pattern

    def _change(self, action: str, make: Callable[[T], Mapping[str, object]]) -> T:
        """Apply the values that `make` returns for the settings as they are now.

        All of the program's code runs without a lock, on a copy. If the settings have
        changed when that is ready, it is made again.
        """
        check_process()
        author = author_here()
        for _ in range(_MOST_TRIES):
            old = self._read()
            new = self._tree.replaced(old, make(old))
            changed = self._tree.differences(old, new)
            if not changed:
                return old
            change = Change.of(self.name, action, changed, author)
            callers = self._changes.watchers.running_here()
            if self._swap(old, new, change._replace(callers=callers)):
                self._changes.wake()
                return new
        raise ConfigError(
            f"settings {self.name!r}: others have changed them {_MOST_TRIES:,} times during one"
            f" {action}",
            hint="Make the function that is passed to update() quicker, and change nothing in it.",
        )

    def _read(self) -> T:
        return self._current

    def _swap(self, old: T, new: T, change: Change) -> bool:
        """Make `new` the settings and queue the change, if they are still `old`."""
        with self._lock:
            # A signal handler may update, too, and takes this lock then. It cannot run between
            # these two steps, since there is no call in between.
            if self._current is not old:
                return False
            self._current = new
            self._changes.add(change)
        return True

    def _explain(self, name: str) -> ConfigError | None:
        """Return the error for a name that is not of a setting; None for the usual one."""
        return None

    def _reset_lock(self) -> None:
        # A thread that a forked child does not have may hold the old one.
        self._lock = RLock()

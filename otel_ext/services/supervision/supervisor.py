"""`Supervisor`: starts children in order, starts them again when they fail, stops them in order."""

from __future__ import annotations

from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Final

from otel_ext.errors import ConfigError
from otel_ext.runtime.fork import check_process
from otel_ext.services.supervision.child import (
    ChildSpec,
    ChildStatus,
    Restart,
    is_name,
)
from otel_ext.services.supervision.engine import STRATEGIES, Strategy, SupervisorState
from otel_ext.services.supervision.lives import INSIDE
from otel_ext.services.supervision.node import Node
from otel_ext.services.supervision.run import Settings, SupervisorFailedError
from otel_ext.settings.limits import check_limit
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from types import TracebackType

    from typing_extensions import Self


__all__ = ["Supervisor"]

_START_SECONDS: Final = 60.0


class Supervisor:
    """Runs children on threads or as asyncio tasks, and starts those again that fail.

    Use it with `with`; in an event loop with `async with`, which coroutine functions need.
    Each life of a child is a span, with a link to the life before, and
    `otel-ext ps --tree` shows the children. Its events, such as `child.restarted`, come up to
    0.1 s later, from a thread of otel-ext; the record of a restart has the span of the life before.

    Where children need more restarts than `max_restarts` within `within` seconds, the
    supervisor stops all of them and fails. As a child of another supervisor it is started
    again by that one. A supervisor with no other above it is then `failed`, which
    `otel_ext.health()` and a line on stderr say.

    A child that raises, be it `SystemExit`, ends only itself. A thread that does not end
    when it is asked to is left behind at its deadline, and reported: Python cannot end it.
    In a forked process no child runs; `start` starts them there.

    Args:
        name: Its name, in records and in the ids of its children, without a slash.
        strategy: Which children start again with one that does: `one_for_one`, only that
            one; `one_for_all`, all; `rest_for_one`, that one and those added after it.
        max_restarts: The most restarts within `within` seconds.
        within: The length of that window, in seconds.
        initial_interval: Seconds before the first restart of a child; doubles with each
            failure in a row. A life of more than `within` seconds ends such a row.
        max_interval: Upper limit of that, in seconds.
        randomization: Returns a number from 0 to 1, such as `random.random`. With it half of
            the pause is random.
        stop_timeout: How many seconds each child has to end, if its own are not given.

    Raises:
        ConfigError: An argument is not valid.

    >>> from otel_ext.services import Supervisor
    >>> def importer(context, path):
    ...     context.ready()
    ...     context.stopping.wait()
    >>> supervisor = Supervisor("shop")
    >>> supervisor.add("importer", importer, args=("orders",), ready=10.0)
    >>> with supervisor:
    ...     print(supervisor.state, supervisor.children()[0].state)
    running ready
    >>> supervisor.state
    'stopped'
    """

    def __init__(
        self,
        name: str,
        *,
        strategy: Strategy = "one_for_one",
        max_restarts: int = 3,
        within: float = 5.0,
        initial_interval: float = 0.1,
        max_interval: float = 10.0,
        randomization: Callable[[], float] | None = None,
        stop_timeout: float = 5.0,
    ) -> None:
        if not is_name(name):
            raise ConfigError(
                f"name={short_repr(name)} is not a valid name of a supervisor",
                hint="Use a text without a slash, which separates supervisor and child.",
            )
        if strategy not in STRATEGIES:
            raise ConfigError(
                f"supervisor {name!r}: strategy={short_repr(strategy)} is not a valid strategy",
                hint=f"Use {', '.join(STRATEGIES[:-1])} or {STRATEGIES[-1]}.",
            )
        check_limit("max_restarts", max_restarts)
        for key, value in (
            ("within", within),
            ("initial_interval", initial_interval),
            ("max_interval", max_interval),
            ("stop_timeout", stop_timeout),
        ):
            check_limit(key, value, is_whole=False)
        self._stop_timeout = stop_timeout
        self._node = Node(
            name,
            Settings(strategy, max_restarts, within, initial_interval, max_interval, randomization),
        )

    @property
    def name(self) -> str:
        """Return its name."""
        return self._node.name

    @property
    def state(self) -> SupervisorState:
        """Return `starting`, `running`, `stopping`, `stopped` or `failed`."""
        check_process()
        return self._node.run.state

    @property
    def error(self) -> str:
        """Return why it has failed, or why its children do not run here; else an empty text."""
        check_process()
        return self._node.run.failure or self._node.error

    def children(self) -> list[ChildStatus]:
        """Return how the children stand, in their order."""
        check_process()
        return [child.status for child in self._node.children.copy().values()]

    def add(
        self,
        name: str,
        target: Callable[..., object] | Supervisor,
        *,
        args: Sequence[object] = (),
        restart: Restart = "permanent",
        ready: float | None = None,
        stop_timeout: float | None = None,
    ) -> None:
        """Add a child after the others; it starts at once if the supervisor runs.

        Args:
            name: Its name, without a slash.
            target: A callable, which gets a thread; a coroutine function, which gets a task; or
                a supervisor. It is called with a `ChildContext` and `args`.
            args: Further arguments.
            restart: `permanent`: whenever it ends; `transient`: when it raises; `temporary`:
                never, and it is no child any more when it has ended.
            ready: Within how many seconds it calls `context.ready()`, for which the children
                after it wait. None: it counts as ready when it has started.
            stop_timeout: How many seconds it has to end. Default: those of the supervisor; for
                a supervisor, as many as its children have together.

        Raises:
            ConfigError: An argument is not valid, or there is a child of this name.
        """
        check_process()
        work: object = target
        if isinstance(target, Supervisor):
            work = target._node  # noqa: SLF001 - of this class
            ready = _START_SECONDS if ready is None else ready
            stop_timeout = inf if stop_timeout is None else stop_timeout
        elif stop_timeout is None:
            stop_timeout = self._stop_timeout
        spec = ChildSpec(name, work, tuple(args), restart, ready, stop_timeout)
        spec.check()
        self._node.add(spec)

    def start(self, timeout: float = _START_SECONDS) -> bool:
        """Start the children in their order, on a thread of the supervisor.

        Args:
            timeout: How many seconds to wait until all have started and are ready.

        Returns:
            Whether all have. It goes on to start them if time has run out.

        Raises:
            ConfigError: It runs already, it is a child of another supervisor, or a child
                is a coroutine function.
        """
        self._node.check_loop()
        self._node.begin(None).started.wait(timeout)
        return self.state == "running"

    async def start_async(self, timeout: float = _START_SECONDS) -> bool:
        """Start the children as `start` does; coroutine functions become tasks of this loop.

        Raises:
            ConfigError: It runs already, or it is a child of another supervisor.
        """
        import asyncio  # noqa: PLC0415 - a program without tasks need not import it

        claim = self._node.begin(asyncio.get_running_loop())
        await claim.started.wait_async(timeout)
        return self.state == "running"

    def stop(self, timeout: float | None = None) -> bool:
        """Stop the children, the last one first, each within its deadline.

        Called by one of its children it returns at once, and they stop when that child has
        ended. It may be started again.

        Args:
            timeout: After so many seconds all that still run are left behind. Default: the
                deadlines of the children.

        Returns:
            Whether all children have ended.
        """
        claim = self._node.ask_to_stop(timeout)
        if claim is None:
            return not self._node.has_hanging()
        if self._node in INSIDE.get():
            return False
        return claim.ended.wait(self._node.longest(timeout)) and not self._node.has_hanging()

    async def stop_async(self, timeout: float | None = None) -> bool:
        """Stop the children as `stop` does, while the event loop goes on."""
        claim = self._node.ask_to_stop(timeout)
        if claim is None:
            return not self._node.has_hanging()
        if self._node in INSIDE.get():
            return False
        ended = await claim.ended.wait_async(self._node.longest(timeout))
        return ended and not self._node.has_hanging()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has stopped or failed, up to `timeout` seconds; return whether it has."""
        claim = self._node.run.current
        return claim is None or claim.ended.wait(timeout)

    def __enter__(self) -> Self:
        """Start the children, as `start` does with its default timeout.

        The block begins also if they are not all ready in that time, and go on to start.

        Raises:
            ConfigError: As for `start`.
            SupervisorFailedError: It has failed; the text is that of `error`.
        """
        with self._entering():
            has_started = self.start()
        if not has_started and self.error:
            self.stop()
            raise SupervisorFailedError(self._failure())
        return self

    @contextmanager
    def _entering(self) -> Generator[None]:
        """Let the children stop if the start is interrupted or cancelled: no block does that."""
        try:
            yield
        except ConfigError:  # it runs already, for others
            raise
        except BaseException:
            self._node.ask_to_stop(None)
            raise

    def _failure(self) -> str:
        return f"supervisor {self.name!r} has not started: {self.error}"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the children."""
        self.stop()

    async def __aenter__(self) -> Self:
        """Start the children, as `start_async` does; raise as `with` does."""
        with self._entering():
            has_started = await self.start_async()
        if not has_started and self.error:
            await self.stop_async()
            raise SupervisorFailedError(self._failure())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the children."""
        await self.stop_async()

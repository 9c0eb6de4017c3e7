"""Hands the context over to other threads and processes: `traced_executor` and `carried`."""

from __future__ import annotations

import functools
import inspect
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, TypeVar, cast

from otel_ext.context.carrier import propagate_context, with_propagated_context
from otel_ext.errors import ConfigError
from otel_ext.runtime.guard import report_problem
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

__all__ = ["carried", "traced_executor"]

P = ParamSpec("P")
R = TypeVar("R")
# Not the annotations: their function cannot be pickled in Python 3.14.
_COPIED: Final = ("__module__", "__name__", "__qualname__", "__doc__")


class carried(Generic[P, R]):  # noqa: N801 - used like a function
    """A function that runs in the context of the code that made this, wherever it is called.

    For the target of a thread or of a `multiprocessing` process, started in any way, and for
    jobs of executors. It can be pickled if the function can. The body of a generator function
    does not run in the call, so it gets nothing.

    Args:
        function: What to call.

    >>> carried(abs)(-3)
    3
    """

    def __init__(self, function: Callable[P, R]) -> None:
        if not callable(function):
            raise ConfigError(
                f"carried cannot call {short_repr(function)}", hint="Pass a function."
            )
        self._function = function
        self._carrier = propagate_context()
        functools.update_wrapper(cast("Callable[..., object]", self), function, _COPIED, ())

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function in the context that was carried here."""
        if inspect.iscoroutinefunction(self._function):
            return cast("R", self._run_coroutine(args, kwargs))
        # In a copy, so that nothing is left for the next job of a pooled process.
        return copy_context().run(self._run, args, kwargs)

    async def _run_coroutine(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        with with_propagated_context(self._carrier):
            return await cast("Callable[..., Awaitable[object]]", self._function)(*args, **kwargs)

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        with with_propagated_context(self._carrier):
            return self._function(*args, **kwargs)


class traced_executor(Executor):  # noqa: N801 - used like a function
    """An executor whose jobs run in the context of the code that submitted them.

    Wraps any executor of `concurrent.futures`, or one with the same methods. In the threads
    of this process a job has a copy of the submitter's context, so that nothing that it sets
    is left for the next job; to another process the context is carried. The interpreters of
    an `InterpreterPoolExecutor` get none.

    Args:
        executor: The executor that runs the jobs. Leaving the `with` block shuts it down.

    Raises:
        ConfigError: It has no `submit`.

    >>> with traced_executor(ThreadPoolExecutor(2)) as executor:
    ...     list(executor.map(abs, [-1, 2]))
    [1, 2]
    """

    def __init__(self, executor: Executor) -> None:
        if not callable(getattr(executor, "submit", None)):
            raise ConfigError(
                f"traced_executor takes an executor, not {short_repr(executor)}",
                hint="Pass ThreadPoolExecutor() or another one.",
            )
        self._executor = executor
        # A kind of thread pool, but it shares no objects.
        self._has_interpreters = any(
            kind.__name__ == "InterpreterPoolExecutor" for kind in type(executor).__mro__
        )
        self._shares_memory = (
            isinstance(executor, ThreadPoolExecutor) and not self._has_interpreters
        )

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submit a job, in a copy of the context here."""
        if self._shares_memory:
            run: Callable[..., Any] = copy_context().run
            return self._executor.submit(run, fn, *args, **kwargs)
        return self._executor.submit(self._carried(fn), *args, **kwargs)

    def map(
        self,
        fn: Callable[..., R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        **options: Any,  # noqa: ANN401 - as the wrapped executor declares them
    ) -> Iterator[R]:
        """Submit a job for each set of arguments; yield the results in their order.

        `options` are those of a newer Python, such as `buffersize` of 3.14.
        """
        options.update(timeout=timeout, chunksize=chunksize)
        if self._shares_memory:
            return super().map(fn, *iterables, **options)
        return self._executor.map(self._carried(fn), *iterables, **options)

    def _carried(self, function: Callable[..., R]) -> Callable[..., R]:
        if not self._has_interpreters:
            return carried(function)
        # This package cannot be imported there, since its JSON encoder cannot.
        report_problem("traced_executor", "jobs of an InterpreterPoolExecutor get no context")
        return function

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as its base
        """Shut the wrapped executor down."""
        self._executor.shutdown(wait=wait, cancel_futures=cancel_futures)

"""The kinds of metrics that `otel_ext.services.telemetry` makes; their calls never raise."""

from __future__ import annotations

import functools
import inspect
import threading
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast

from otel_ext.errors import ConfigError
from otel_ext.events.plain_values import finite_number
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.tasks import running_task
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType

    from opentelemetry.metrics import Counter as OtelCounter
    from opentelemetry.metrics import Histogram as OtelHistogram
    from opentelemetry.util.types import AttributeValue

__all__ = ["Counter", "Gauge", "Measurement", "Timing"]


class _Settable(Protocol):
    """OpenTelemetry's gauge, which older releases do not export by a public name."""

    def set(self, amount: float, attributes: dict[str, AttributeValue], /) -> None:
        """Set the value."""


P = ParamSpec("P")
R = TypeVar("R")


class _Instrument:
    """A name and a unit, and the guard around each report."""

    def __init__(self, name: str, unit: str) -> None:
        self.name = name
        self.unit = unit

    def _report(
        self,
        report: Callable[[float, dict[str, AttributeValue]], object],
        value: float,
        attributes: dict[str, AttributeValue],
        least: float = -inf,
    ) -> None:
        try:
            number = finite_number(value)
            if number is None or number < least:
                problem = f"not a finite number{' from 0 on' if least == 0 else ''}"
                report_problem(f"telemetry: a value of {self.name} is not reported", problem)
                return
            report(number, attributes)
        except Exception as error:  # noqa: BLE001 - a meter provider may be the program's own
            report_problem(f"telemetry: a value of {self.name} is not reported", error)


class Counter(_Instrument):
    """A sum that only grows; `telemetry.counter` makes it.

    >>> from otel_ext.services import telemetry
    >>> telemetry.counter("parcels", "{parcel}").add(1, country="fr")
    """

    def __init__(self, name: str, unit: str, instrument: OtelCounter | None) -> None:
        super().__init__(name, unit)
        self._instrument = instrument

    def add(self, amount: float = 1, /, **attributes: AttributeValue) -> None:
        """Add to the sum of these attributes; never raises.

        Args:
            amount: From 0 on. Other values are reported on stderr and left out.
            **attributes: What tells sums apart; each combination costs memory.

        >>> from otel_ext.services import telemetry
        >>> telemetry.counter("letters").add()
        """
        if self._instrument is not None:
            self._report(self._instrument.add, amount, attributes, 0)


class Gauge(_Instrument):
    """A value that goes up and down; `telemetry.gauge` makes it.

    >>> from otel_ext.services import telemetry
    >>> telemetry.gauge("temperature", "Cel").set(21.5, room="kitchen")
    """

    def __init__(self, name: str, unit: str, instrument: _Settable | None) -> None:
        super().__init__(name, unit)
        self._instrument = instrument

    def set(self, value: float, /, **attributes: AttributeValue) -> None:
        """Set the value for these attributes; never raises.

        Args:
            value: A finite number. Other values are reported on stderr and left out.
            **attributes: What tells values apart.

        >>> from otel_ext.services import telemetry
        >>> telemetry.gauge("pressure", "Pa").set(101_325)
        """
        if self._instrument is not None:
            self._report(self._instrument.set, value, attributes)


class Timing(_Instrument):
    """A histogram of seconds; `telemetry.timing` makes it.

    >>> from otel_ext.services import telemetry
    >>> telemetry.timing("delivery.duration").record(0.25, country="fr")
    """

    def __init__(self, name: str, unit: str, instrument: OtelHistogram | None) -> None:
        super().__init__(name, unit)
        self._instrument = instrument

    def record(self, seconds: float, /, **attributes: AttributeValue) -> None:
        """Record a duration that was measured elsewhere; never raises.

        Args:
            seconds: From 0 on. Other values are reported on stderr and left out.
            **attributes: What tells durations apart.

        >>> from otel_ext.services import telemetry
        >>> telemetry.timing("delivery.duration").record(0.25)
        """
        if self._instrument is not None:
            self._report(self._instrument.record, seconds, attributes, 0)

    def measure(self, /, **attributes: AttributeValue) -> Measurement:
        """Return what times a `with` block, or each call of the function that it decorates.

        If an exception ends the block, the attribute `error.type` has its class.

        Args:
            **attributes: What tells durations apart.

        >>> from otel_ext.services import telemetry
        >>> @telemetry.timing("parse.duration").measure(format="json")
        ... def parse(text: str) -> str:
        ...     return text.strip()
        >>> parse(" a ")
        'a'
        """
        return Measurement(self, attributes)


class Measurement:
    """Times a `with` block, or each call of a function; `Timing.measure` makes it."""

    def __init__(self, timing: Timing, attributes: dict[str, AttributeValue]) -> None:
        self._timing = timing
        self._attributes = attributes
        # A block may be within another one of the same object, and others overlap it on
        # other threads and tasks.
        self._began: list[tuple[object, float]] = []

    def __enter__(self) -> Measurement:  # noqa: PYI034 - typing.Self came with Python 3.11
        self._began.append((_where(), perf_counter()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        end = perf_counter()
        block = self._take_ending()
        if block is None:
            return
        seconds = end - block[1]
        attributes = self._attributes
        # A generator that is closed early has not failed.
        if kind is not None and kind is not GeneratorExit:
            attributes = {**attributes, "error.type": _class_name(kind)}
        self._timing.record(seconds, **attributes)

    def _take_ending(self) -> tuple[object, float] | None:
        """Remove and return the last block of this thread and task, or else the last of all.

        The second is for generators, which may end on another thread.
        """
        where = _where()
        while blocks := self._began.copy():
            ending = next((one for one in reversed(blocks) if one[0] == where), blocks[-1])
            try:
                self._began.remove(ending)
            except ValueError:  # another thread has taken it
                continue
            return ending
        return None

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Time each call of `function`; of a generator function, each iteration as a whole.

        Args:
            function: A function, coroutine function, generator function or method.

        Raises:
            ConfigError: It is none of these.
        """
        if isinstance(function, (staticmethod, classmethod)):
            method = cast("staticmethod[..., object] | classmethod[object, ..., object]", function)
            return cast("Callable[P, R]", type(method)(self(method.__func__)))
        if not callable(cast("object", function)) or inspect.isclass(function):
            raise ConfigError(
                f"{short_repr(function)} is not a function", hint="Decorate its methods instead."
            )
        if inspect.isasyncgenfunction(function):
            raise ConfigError(
                f"{short_repr(function)} is an async generator function, which cannot be timed",
                hint="Use `with timing.measure():` in its body.",
            )
        return functools.wraps(function)(self._timed(function))

    def _timed(self, function: Callable[P, R]) -> Callable[P, R]:
        # Each call has an object of its own: calls overlap on threads and tasks.
        def new() -> Measurement:
            return Measurement(self._timing, self._attributes)

        called = cast("Callable[..., Any]", function)
        if inspect.iscoroutinefunction(function):

            async def run(*args: P.args, **kwargs: P.kwargs) -> object:
                with new():
                    return await called(*args, **kwargs)

            return cast("Callable[P, R]", run)
        if inspect.isgeneratorfunction(function):

            def iterate(*args: P.args, **kwargs: P.kwargs) -> Generator[Any, Any, Any]:
                with new():
                    iteration = cast("Generator[Any, Any, Any]", called(*args, **kwargs))
                    return (yield from iteration)

            return cast("Callable[P, R]", iterate)

        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            with new():
                return function(*args, **kwargs)

        return call


def _where() -> object:
    return threading.get_ident(), running_task()  # looked up: gevent replaces it


def _class_name(kind: type[BaseException]) -> str:
    name, module = kind.__qualname__, kind.__module__
    return name if module == "builtins" else f"{module}.{name}"

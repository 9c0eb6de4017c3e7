"""Limits what coverage measures to the parts of a run that tell something about it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from _typeshed import TraceFunction

__all__ = ["Measuring", "is_measured", "measures_coverage"]


def measures_coverage() -> bool:
    """Return whether this process measures coverage now."""
    coverage = sys.modules.get("coverage")
    return coverage is not None and coverage.Coverage.current() is not None


def is_measured(item: pytest.Item) -> bool:
    """Return whether the code that a test calls counts for coverage.

    That of a slow test does not, since a quick one tests the same behaviour; nor that of a test
    with generated data, which covers what chance has chosen, and takes three times as long.
    """
    unmeasured = any(map(item.get_closest_marker, ("slow", "hypothesis")))
    return not unmeasured and "untraced" not in getattr(item, "fixturenames", ())


@contextmanager
def _tracing(tracer: TraceFunction | None) -> Generator[None, None, None]:
    """Trace this thread with `tracer`, or not at all."""
    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        yield
    finally:
        sys.settrace(before)


class Measuring:
    """Measures imports, fixtures and the calls of measured tests, but not pytest between them.

    Measuring slows everything down, also what is not of the package. Threads are measured
    always: one that all tests share may start in any of them.
    """

    def __init__(self) -> None:
        self._tracer: TraceFunction | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Measure nothing but what the other hooks turn on."""
        self._tracer = sys.gettrace()
        with _tracing(None):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, None, None]:
        """Measure all fixtures: one of a module serves measured tests too."""
        with _tracing(self._tracer):
            yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Measure the test itself if it counts."""
        with _tracing(self._tracer if is_measured(item) else None):
            yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, None, None]:
        """Measure the ends of fixtures."""
        with _tracing(self._tracer):
            yield

"""Lets parts that gather data write it before a processor flushes or shuts down.

Such a part keeps data for a while, to write less. A flush of the processor promises that
all up to now is written, so it asks these parts first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.weak_method import WeakMethods

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["before_flush", "write_what_waits"]

_writers: Final = WeakMethods()


def before_flush(write: Callable[[], None]) -> None:
    """Call the bound method `write` before each flush, if its object still lives.

    Args:
        write: Writes what waits; quick, or bounded in time.
    """
    _writers.add(write)


def write_what_waits() -> None:
    """Let all parts write what they keep; never raises.

    >>> write_what_waits()
    """
    for write in _writers.living():
        try:
            write()
        except Exception as error:  # noqa: BLE001 - the flush itself must go on
            report_problem("what waited for a flush is lost", error)

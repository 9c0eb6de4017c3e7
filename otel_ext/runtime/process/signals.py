"""Runs a callback at SIGTERM without changing what the signal does to the program.

A process that has no handler for SIGTERM ends at once, without its exit handlers.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = ["chain_sigterm"]


def chain_sigterm(
    callback: Callable[[], None], last: Callable[[], None] | None = None
) -> Callable[[], None]:
    """Call `callback` at SIGTERM, then do what the signal did before this call.

    A handler of the user is called with the same arguments; the default ends the
    process by the signal; "ignored" stays ignored. A handler that the program
    installs later replaces this one.

    Args:
        callback: Quick and bounded in time; it interrupts the main thread between
            two instructions, so it must take no lock that the main thread may hold.
        last: Called instead of `callback` where the signal ends the process.

    Returns:
        A function that restores the earlier handler, if this one is still in place.
        Outside the main thread, or over a handler that C code installed, both
        functions change nothing.

    >>> before = signal.getsignal(signal.SIGTERM)
    >>> restore = chain_sigterm(lambda: None)
    >>> restore()
    >>> signal.getsignal(signal.SIGTERM) == before
    True
    """
    before = signal.getsignal(signal.SIGTERM)
    # None: C code installed it, so Python can neither call nor restore it.
    if threading.current_thread() is not threading.main_thread() or before is None:
        return lambda: None

    def handle(number: int, frame: FrameType | None) -> None:
        ends = before == signal.SIG_DFL
        try:
            (last if ends and last is not None else callback)()
        except Exception as error:  # noqa: BLE001 - the user's handler must still run
            report_problem("SIGTERM: the work before the end failed", error)
        if callable(before):
            before(number, frame)
        elif ends:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)

    def restore() -> None:
        in_place = signal.getsignal(signal.SIGTERM) is handle
        if in_place and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)

    signal.signal(signal.SIGTERM, handle)
    return restore

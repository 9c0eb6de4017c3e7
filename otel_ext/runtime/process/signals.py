"""Doing something at SIGTERM and then letting the program die, or live, as it would have.

A process that is told to end without a handler of its own ends at once, and
nothing that was meant for its exit runs.
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
    """Call `callback` at SIGTERM, then do what would have been done without us.

    A handler of the user's is called as if it had been called directly; the
    default ends the process by the signal; "ignored" stays ignored. A handler
    that the program installs later replaces ours, as it would any other.

    Args:
        callback: Quick and bounded in time; runs on the main thread between
            two instructions of whatever it did, so it must take no lock that
            the main thread may hold.
        last: The same, called instead where the signal ends the process: there
            is no later. Default: `callback`.

    Returns:
        A function that restores what was there, if ours is still in place.
        Outside the main thread, or over a handler that C code installed,
        nothing is changed.

    >>> before = signal.getsignal(signal.SIGTERM)
    >>> restore = chain_sigterm(lambda: None)
    >>> restore()
    >>> signal.getsignal(signal.SIGTERM) == before
    True
    """
    before = signal.getsignal(signal.SIGTERM)
    # None: installed from outside Python, so it could neither be called nor restored.
    if threading.current_thread() is not threading.main_thread() or before is None:
        return _nothing

    def handle(number: int, frame: FrameType | None) -> None:
        ends = before == signal.SIG_DFL
        try:
            (last if ends and last is not None else callback)()
        except Exception as error:  # noqa: BLE001 - the user's handler must still run
            report_problem("SIGTERM: what was to be done before the end failed", error)
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


def _nothing() -> None:
    """Restore nothing: nothing was changed."""

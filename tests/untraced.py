"""Turns coverage's tracer off for a while, where it would distort a measurement or hang a test."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["untraced"]


@contextmanager
def untraced() -> Generator[None, None, None]:
    """Do not trace this thread, nor threads that start meanwhile.

    The tracer takes a lock of its own for a moment. An exception that comes from outside just
    then, as an interrupt does, would leave it held, and every thread would wait for it.
    """
    here, in_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        yield
    finally:
        sys.settrace(here)
        threading.settrace(in_threads)

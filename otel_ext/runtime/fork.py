"""What a forked child must do before it goes on: swap objects, and nothing else.

The interpreter runs at-fork hooks in a child whose other threads are gone, so a
hook that takes a lock, joins a thread or does I/O can hang it for good. Hooks
registered here only replace objects; they are held weakly, so a processor that
was dropped is not kept alive (opentelemetry-python#4449).
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Final

from otel_ext.runtime.weak_method import WeakMethod

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["after_fork_in_child"]

_hooks: Final[dict[int, WeakMethod[None]]] = {}
_numbers: Final = count()


def _run_hooks() -> None:
    for number, hook in _hooks.copy().items():
        method = hook()
        if method is None:
            _hooks.pop(number, None)
            continue
        # A child must start, whatever happens here.
        with suppress(Exception):
            method()


def after_fork_in_child(method: Callable[[], None]) -> None:
    """Call the bound `method` in every child forked from now on, while its object lives.

    Hooks run in the order of registration.

    Args:
        method: A bound method that only swaps objects: no lock, no I/O.
    """
    number = next(_numbers)
    # The number 0 is given once, so two threads cannot both install the hook.
    if number == 0 and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_run_hooks)
    for stale in [known for known, hook in _hooks.copy().items() if hook() is None]:
        _hooks.pop(stale, None)
    _hooks[number] = WeakMethod(method)

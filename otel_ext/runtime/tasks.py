"""Finds the asyncio task that runs here, without importing asyncio."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from asyncio import Task

__all__ = ["running_task"]


def running_task() -> Task[object] | None:
    """Return the asyncio task that runs here; None if none does.

    Records have their own way, `record.capture.current_task`, which is quicker outside of tasks.

    >>> running_task() is None
    True
    """
    try:
        return cast("Task[object] | None", sys.modules["asyncio"].current_task())
    except (KeyError, RuntimeError, AttributeError):  # not imported, or not whole yet
        return None

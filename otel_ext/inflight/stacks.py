"""Reads the current stack of a thread or a task, as plain data.

It reads only the interpreter's own objects, by their exact types, so no user code
runs. It releases frames at once, because they keep local variables alive.
"""

from __future__ import annotations

import os
import sys
import types
from typing import TYPE_CHECKING, Final

from otel_ext.record.own_code import OURS, is_own

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import CodeType, FrameType

__all__ = ["MAX_FRAMES", "runs_on", "stack_of_coroutine", "stack_of_thread", "thread_frames"]

MAX_FRAMES: Final = 20
"""How many frames a stack has, the innermost first; the last one may be further out."""

_MAX_DEPTH: Final = 2_000
# Exact types: reading an attribute of any other object may run user code.
_CHAINED: Final[dict[type, tuple[str, str]]] = {
    types.CoroutineType: ("cr_frame", "cr_await"),
    types.GeneratorType: ("gi_frame", "gi_yieldfrom"),
    types.AsyncGeneratorType: ("ag_frame", "ag_await"),
}


def thread_frames() -> dict[int, FrameType]:
    """Return the innermost frame of every thread, by the thread's identifier."""
    return sys._current_frames()  # noqa: SLF001 - documented for this use


def stack_of_thread(frame: FrameType | None) -> list[dict[str, object]]:
    """Return the frames from `frame` outwards, innermost first, without this package's.

    Args:
        frame: The thread's innermost frame.

    >>> stack_of_thread(sys._getframe())[0]["function"]
    '<module>'
    """
    locations: list[tuple[CodeType, int]] = []
    # All frames first: the thread runs on as soon as it gets the interpreter lock.
    while frame is not None and len(locations) < _MAX_DEPTH:
        locations.append((frame.f_code, frame.f_lineno or 0))
        frame = frame.f_back
    return _describe(locations)


def stack_of_coroutine(coroutine: object) -> list[dict[str, object]]:
    """Return the frames of a suspended coroutine, innermost first.

    Follows what each one awaits; `Task.get_stack` returns only the outermost frame.

    Args:
        coroutine: The result of `Task.get_coro`.

    >>> async def inner():
    ...     await Pause()
    >>> class Pause:
    ...     def __await__(self):
    ...         yield
    >>> async def outer():
    ...     await inner()
    >>> waiting = outer()
    >>> waiting.send(None)
    >>> [frame["function"] for frame in stack_of_coroutine(waiting)][-2:]
    ['inner', 'outer']
    >>> waiting.close()
    """
    locations: list[tuple[CodeType, int]] = [
        (frame.f_code, frame.f_lineno or 0) for frame in _await_chain(coroutine)
    ]
    locations.reverse()
    return _describe(locations)


def runs_on(coroutine: object, frame: FrameType | None) -> bool:
    """Whether `coroutine` is on the stack that ends in `frame`."""
    if type(coroutine) is not types.CoroutineType:
        return False
    wanted = coroutine.cr_frame
    while frame is not None and frame is not wanted:
        frame = frame.f_back
    return frame is not None


def _await_chain(awaited: object) -> Iterator[FrameType]:
    for _ in range(_MAX_DEPTH):
        names = _CHAINED.get(type(awaited))
        if names is None:
            return
        frame: FrameType | None = getattr(awaited, names[0])
        if frame is not None:
            yield frame
        awaited = getattr(awaited, names[1])


def _describe(locations: Iterable[tuple[CodeType, int]]) -> list[dict[str, object]]:
    root = _working_directory()
    described: list[dict[str, object]] = []
    has_own = False
    for code, line in locations:
        filename = code.co_filename
        if filename.startswith(OURS):
            continue
        if len(described) >= MAX_FRAMES:
            # Deep inside libraries, the innermost line of the user's code helps most.
            if has_own:
                break
            if not is_own(filename):
                continue
            described.pop()
        has_own = has_own or is_own(filename)
        name: str = getattr(code, "co_qualname", code.co_name)  # 3.11 and later
        file = filename[len(root) :] if root and filename.startswith(root) else filename
        described.append({"file": file, "line": line, "function": name})
    return described


def _working_directory() -> str:
    try:
        return os.getcwd() + os.sep  # noqa: PTH109
    except OSError:  # the working directory was removed
        return ""

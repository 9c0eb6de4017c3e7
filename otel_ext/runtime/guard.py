"""Reports problems of otel-ext itself on stderr, each kind at most once a minute.

Never through `logging`: a handler there may start spans, take locks that the caller
holds, or call this package again. Each report is one line, written in one call.
"""

from __future__ import annotations

import os
import select
import sys
from time import monotonic
from typing import Final

from otel_ext.runtime.counters import COUNTERS

__all__ = ["describe", "report_problem"]

_INTERVAL: Final = 60.0
_MAX_KINDS: Final = 1_000
_MAX_TEXT: Final = 500
# By component and kind of error: when it may be reported again, by the monotonic clock.
_next: Final[dict[tuple[str, str], float]] = {}


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:_MAX_TEXT])


def describe(error: BaseException | str) -> str:
    """Return one line of printable text about an error; never raises.

    >>> describe(ValueError("declined"))
    'ValueError: declined'
    """
    if isinstance(error, str):
        return _printable(error)
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the error itself may be hostile
        text = "<unprintable>"
    return _printable(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def _write_line(text: str) -> None:
    # The descriptor, not `sys.stderr`: a replaced stream may run arbitrary code.
    # pytest, IDEs and notebooks replace it by an object without a descriptor,
    # and a daemon may have closed it; then there is nothing to write to.
    stream = sys.__stderr__
    if stream is None:
        return
    descriptor = stream.fileno()
    # A full pipe would block the user's thread; one that is ready takes at least
    # PIPE_BUF bytes at once (pipe(7)), which is more than a line.
    if _is_writable(descriptor):
        os.write(descriptor, text.encode("utf-8", "replace"))


def _is_writable(descriptor: int) -> bool:
    if not hasattr(select, "poll"):
        return True
    poller = select.poll()
    poller.register(descriptor, select.POLLOUT)
    # Equality: a pipe without a reader is ready too, with POLLERR, and would raise SIGPIPE.
    return [event for _, event in poller.poll(0)] == [select.POLLOUT]


def report_problem(where: str, error: BaseException | str) -> None:
    """Report `error` in the component `where` on stderr; never raises, never takes a lock.

    Args:
        where: The component and what the user loses, such as "JsonlExporter: record lost".
        error: The exception, or a sentence that names the value and the way out.
    """
    try:
        COUNTERS.add("problems")
        kind = error if isinstance(error, str) else type(error).__name__
        key = (where, kind[:100])
        now = monotonic()
        if now < _next.get(key, 0.0):
            return
        if len(_next) >= _MAX_KINDS:
            _next.clear()
        _next[key] = now + _INTERVAL
        _write_line(f"otel-ext: {_printable(where)}: {describe(error)}\n")
    except Exception:  # noqa: BLE001, S110 - there is no other way to report it
        pass

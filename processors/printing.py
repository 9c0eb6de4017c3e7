"""`StandardOutput`: a structlog logger that prints to the current `sys.stdout`.

Programs replace `sys.stdout`: Celery by an object that logs what is written to it,
tests by a `StringIO`, `contextlib.redirect_stdout` for a while, `pythonw` by None. So
each line looks up the stream, and an exception of the stream is counted
(`structlog.print_failed`) instead of reaching the code that logs.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO, cast

from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["StandardOutput", "StandardOutputFactory", "print_line", "write_safely"]


def write_safely(write: Callable[[Any], object], line: object) -> None:
    """Call `write(line)`; count and report its exception instead of raising it."""
    try:
        write(line)
    except Exception as error:  # noqa: BLE001 - the stream may be any object
        COUNTERS.add("structlog.print_failed")
        report_problem("a log was recorded but not printed", error)


def print_line(line: object) -> None:
    r"""Write one line to `sys.stdout`; never raises.

    Args:
        line: Text, or bytes in UTF-8, without the newline.

    >>> print_line(b'{"event":"stored"}')
    {"event":"stored"}
    """
    write_safely(_write, line)


class StandardOutput:
    """A structlog logger that prints to `sys.stdout`, looked up for each line.

    Holds no stream, so it can be cached, copied and pickled. No method raises.

    Args:
        name: The logger's name, as passed to `structlog.get_logger`.

    >>> StandardOutput("shop").info("stored")
    stored
    """

    __slots__ = ("name",)

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def msg(self, *lines: object, **fields: object) -> None:
        """Print what the last processor returned, usually text or bytes."""
        for line in (*lines, fields) if fields else lines:
            print_line(line)

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


class StandardOutputFactory:
    """A structlog logger factory that makes `StandardOutput` loggers."""

    def __call__(self, *args: object) -> StandardOutput:
        """Return a logger; its name is the first argument, if that is text."""
        name = args[0] if args else None
        return StandardOutput(name if isinstance(name, str) else None)


def _write(line: object) -> None:
    stream = cast("TextIO | None", sys.stdout)
    if stream is None:
        return
    if isinstance(line, (bytes, bytearray)):
        raw = getattr(stream, "buffer", None)
        if raw is not None:
            stream.flush()  # else it comes before what the program has printed
            raw.write(line + b"\n")
            raw.flush()
            return
        line = line.decode("utf-8", "replace")
    _write_text(stream, f"{line}\n")
    flush = getattr(stream, "flush", None)
    if flush is not None:
        flush()


def _write_text(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError as error:
        stream.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))
    except TypeError:  # the program replaced the text stream by a byte stream
        cast("Callable[[bytes], object]", stream.write)(text.encode("utf-8", "replace"))

"""Writes lines to the standard output and error, with escapes for what their encoding lacks."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from otel_ext.terminal.text import LONGEST, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "encoded",
    "print_json",
    "print_line",
    "print_lines",
    "warn",
    "write_error",
    "write_text",
]


def encoded(text: str, encoding: str) -> bytes:
    r"""Return `text` in `encoding`; it writes what that lacks as escapes, an ellipsis as `~`.

    >>> encoded("käse …", "ascii"), encoded("…", "utf-8") == "…".encode()
    (b'k\\xe4se ~', True)
    """
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return text.replace("…", "~").encode(encoding, "backslashreplace")


def write_text(stream: IO[str], text: str) -> None:
    """Write `text` to `stream`."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(encoded(text, encoding).decode(encoding))


def print_line(text: str) -> None:
    """Write one line to the standard output."""
    write_text(sys.stdout, text + "\n")


def print_lines(lines: Iterable[str]) -> None:
    """Write lines to the standard output, each as soon as it is made."""
    for line in lines:
        print_line(line)


def print_json(data: bytes) -> None:
    """Write one line of JSON to the standard output, in UTF-8 in any locale."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:  # a replaced stream, as in tests
        sys.stdout.write(data.decode() + "\n")
        return
    sys.stdout.flush()
    buffer.write(data + b"\n")


def warn(text: str) -> None:
    """Write a warning or an error, safe to print, as one line to the standard error."""
    write_error(f"otel-ext: {printable(text, 4 * LONGEST)}\n")


def write_error(text: str) -> None:
    """Write `text` to the standard error; errors are ignored, as the reader may be gone."""
    with suppress(OSError, ValueError):
        write_text(sys.stderr, text)
        sys.stderr.flush()

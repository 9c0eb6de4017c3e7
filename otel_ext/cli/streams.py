"""Prints lines and JSON for the commands, and checks what the terminal can show."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

from otel_ext.terminal import Painter

__all__ = ["can_show_unicode", "painter_for", "print_json", "print_line", "warn", "width_of"]


def width_of(stream: TextIO) -> int:
    """Return the columns of the terminal behind `stream`; 0 if it is not a terminal."""
    return shutil.get_terminal_size().columns if stream.isatty() else 0


def painter_for(stream: TextIO, *, enabled: bool = True) -> Painter:
    """Return a painter that uses color if `stream` is a terminal and color is not disabled.

    Args:
        stream: Where the text is written.
        enabled: False for no color.
    """
    # https://no-color.org: any value that is not empty means no color.
    unwanted = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Painter(enabled=enabled and not unwanted and stream.isatty())


def can_show_unicode(stream: TextIO) -> bool:
    """Whether `stream` can encode the characters used for trees and marks."""
    try:
        "…├─│└▲⊘".encode(stream.encoding or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


def print_line(text: str) -> None:
    """Write one line to the standard output, with escapes for what its encoding lacks."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def print_json(data: bytes) -> None:
    """Write one line of JSON to the standard output, in UTF-8 in any locale."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:  # a replaced stream, as in tests
        sys.stdout.write(data.decode() + "\n")
        return
    sys.stdout.flush()
    buffer.write(data + b"\n")


def warn(text: str) -> None:
    """Write one line to the standard error."""
    sys.stderr.write(f"otel-ext: {text}\n")

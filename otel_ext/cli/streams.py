"""What the commands need to know of the terminal they write to."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

from otel_ext.terminal import Painter

__all__ = ["can_show_unicode", "painter_for", "print_json", "print_line", "warn", "width_of"]


def width_of(stream: TextIO) -> int:
    """Return the columns of the terminal behind `stream`; 0 where nothing is to be cut."""
    return shutil.get_terminal_size().columns if stream.isatty() else 0


def painter_for(stream: TextIO, *, enabled: bool = True) -> Painter:
    """Return a painter that puts color on where `stream` shows it and nobody objects.

    Args:
        stream: Where the text goes.
        enabled: False for no color at all.
    """
    # https://no-color.org: set and not empty means no color, whatever the value.
    unwanted = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Painter(enabled=enabled and not unwanted and stream.isatty())


def can_show_unicode(stream: TextIO) -> bool:
    """Whether `stream` can encode the marks we draw with."""
    try:
        "…├─│└▲⊘".encode(stream.encoding or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


def print_line(text: str) -> None:
    """Write one line to the standard output, whatever its encoding can hold."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def print_json(data: bytes) -> None:
    """Write one line of JSON to the standard output, in UTF-8 whatever the locale says."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:  # a stream in the place of the standard one, as in tests
        sys.stdout.write(data.decode() + "\n")
        return
    sys.stdout.flush()
    buffer.write(data + b"\n")


def warn(text: str) -> None:
    """Write one line of advice to the standard error."""
    sys.stderr.write(f"otel-ext: {text}\n")

"""What a stream can show, decided once for all views: width, color, and which marks.

The styles and marks of all views are here too. Marks and words carry the meaning, color
only helps.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final, NamedTuple, Protocol, cast

from otel_ext.terminal.text import cut

__all__ = ["PLENTY", "STATE_STYLES", "Canvas", "Stream", "is_terminal", "size_of", "terminal_size"]

STATE_STYLES: Final = {
    "running": "cyan",
    "stalled": "yellow",
    "blocked": "yellow",
    "hung": "red",
    "lost": "red",
}
"""The style of each state of an open span."""

PLENTY: Final = 1_000
"""Columns for lines of several texts in output without a width, such as a file or a pipe."""

_STYLES: Final = {
    "dim": "2",
    "bold": "1",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
_MARKS: Final = {
    "start": ("▶", ">"),
    "end": ("✓", "+"),
    "error": ("✗", "x"),
    "cancelled": ("⊘", "c"),
    "log": ("·", "-"),
    "event": ("◆", "*"),
    "update": ("…", "~"),
    # States of spans, as in the report; they differ without color, and in ASCII too.
    "running": ("▶", ">"),
    "stalled": ("◷", "s"),
    "blocked": ("◫", "b"),
    "hung": ("▮", "h"),
    "lost": ("☠", "!"),
    "open": ("◌", "o"),
    "abandoned": ("✕", "a"),
    "missing": ("?", "?"),
}
_BRANCHES: Final = (("├─ ", "└─ ", "│  "), ("|- ", "`- ", "|  "))
# No terminal has so many columns, and Python refuses to convert much longer numbers.
_MOST_DIGITS: Final = 7
_ALL_DRAWN: Final = "".join((*(mark for mark, _ in _MARKS.values()), *_BRANCHES[0]))


class Stream(Protocol):
    """What is asked of a stream, such as `sys.stdout`."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        ...

    def fileno(self) -> int:
        """Return its descriptor."""
        ...


class Canvas(NamedTuple):
    r"""How to draw on a stream.

    Attributes:
        width: Columns of the terminal; 0 for no limit, as in a file or a pipe.
        color: Whether to use color.
        ascii_only: Whether marks and branches are ASCII.

    >>> Canvas(color=True).paint("red", "no"), Canvas().paint("red", "no")
    ('\x1b[31mno\x1b[0m', 'no')
    >>> Canvas().mark("end"), Canvas(ascii_only=True).mark("end")
    ('✓', '+')
    """

    width: int = 0
    color: bool = False
    ascii_only: bool = False

    @classmethod
    def of(cls, stream: Stream | None, *, color: bool | None = None) -> Canvas:
        """Return how to draw on `stream`.

        Args:
            stream: Where the text is written.
            color: Whether to use color. Default: on a terminal, unless `NO_COLOR` is set
                (https://no-color.org) or `TERM` is `dumb`; elsewhere only if `FORCE_COLOR` is.
        """
        color = _wants_color(stream) if color is None else color
        return cls(size_of(stream)[0], color, not _can_encode_marks(stream))

    def paint(self, style: str, text: str) -> str:
        """Return `text` in `style`: the name of a color, `bold`, `dim`, or empty for none."""
        plain = not (self.color and style and text)
        return text if plain else f"\x1b[{_STYLES[style]}m{text}\x1b[0m"

    def fitted(self, text: str) -> str:
        """Return `text`, cut to the width."""
        return cut(text, self.width) if self.width else text

    def mark(self, name: str) -> str:
        """Return the mark of a line or state: `start`, `end`, `error`, `lost`, `log` and so on."""
        return _MARKS[name][self.ascii_only]

    @property
    def branches(self) -> tuple[str, str, str]:
        """What is drawn before a child, before the last child, and past a child."""
        return _BRANCHES[self.ascii_only]


def is_terminal(stream: Stream | None) -> bool:
    """Return whether `stream` is a terminal; False if its `isatty` fails.

    >>> is_terminal(None)
    False
    """
    try:
        return stream is not None and stream.isatty()
    except Exception:  # noqa: BLE001 - the stream may be any object, or closed
        return False


def size_of(stream: Stream | None) -> tuple[int, int]:
    """Return the columns and lines of the terminal `stream`; 0 and 0 if it is not a terminal."""
    return terminal_size(stream) if is_terminal(stream) else (0, 0)


def terminal_size(stream: Stream | None, usual: tuple[int, int] = (80, 24)) -> tuple[int, int]:
    """Return columns and lines for a stream that is treated as a terminal.

    The variables `COLUMNS` and `LINES` have precedence.

    Args:
        stream: The stream.
        usual: The columns and lines of a stream that does not know them.
    """
    found = (0, 0)
    with suppress(Exception):  # it may be any object, or None
        found = os.get_terminal_size(cast("Stream", stream).fileno())
    wanted = (_number_in("COLUMNS"), _number_in("LINES"))
    columns, lines = (w or f or u for w, f, u in zip(wanted, found, usual, strict=True))
    return columns, lines


def _number_in(variable: str) -> int:
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() and len(text) < _MOST_DIGITS else 0


def _wants_color(stream: Stream | None) -> bool:
    if os.environ.get("NO_COLOR"):  # any value that is not empty
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def _can_encode_marks(stream: Stream | None) -> bool:
    try:
        _ALL_DRAWN.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeError, LookupError):
        return False
    return True

"""Controls the terminal for live views: full screen, single keys, restored at the end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING, Final, TextIO

from otel_ext.terminal.canvas import is_terminal, size_of
from otel_ext.terminal.output import encoded

if TYPE_CHECKING:
    from types import FrameType, TracebackType

__all__ = ["Screen"]

_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[2J"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_ENDING: Final = ("SIGTERM", "SIGHUP")


class Screen:
    """Shows lines on the full screen of a terminal; as a context manager it restores that.

    If the output is not a terminal, each call appends its lines; if the input is not a
    terminal, no keys are read.

    Args:
        stream: Where the lines are written.
        live: Whether to use the full screen, if `stream` is a terminal.
    """

    def __init__(self, stream: TextIO, *, live: bool) -> None:
        self._stream = stream
        self.is_live = live and is_terminal(stream)
        self._input = _terminal_input() if self.is_live else -1
        self._modes: list[object] | None = None
        self._handlers: dict[int, object] = {}
        self._entered = False

    @property
    def has_keys(self) -> bool:
        """Whether keys are read."""
        return self._input >= 0

    @property
    def height(self) -> int:
        """Lines of the screen; 0 if there is no limit."""
        return size_of(self._stream)[1] if self.is_live else 0

    def show(self, lines: list[str]) -> None:
        """Show lines in place of the last ones."""
        if not self.is_live:
            self._write("\n".join([*lines, "", ""]))
            return
        # Each line clears the rest of the old one; clearing the screen first would flicker.
        body = "\x1b[K\n".join(lines)
        self._write(f"\x1b[H{body}\x1b[K\x1b[J")

    def key(self, seconds: float) -> str:
        """Return the key pressed within `seconds`, or an empty string."""
        if self._input < 0:
            time.sleep(seconds)
            return ""
        ready, _, _ = select.select([self._input], [], [], seconds)
        if not ready:
            return ""
        pressed = os.read(self._input, 64)
        if not pressed:  # the terminal is gone
            raise KeyboardInterrupt
        # An arrow or function key sends several bytes, and none of them is a letter key.
        return "" if pressed[:1] == b"\x1b" else pressed[:1].decode("ascii", "replace").lower()

    def __enter__(self) -> Screen:  # noqa: PYI034 - typing.Self came with Python 3.11
        if self.is_live:
            for name in _ENDING:
                self._handle(name, _end)
            self._handle("SIGTSTP", self._suspend)
            self._enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._handlers.clear()

    def _handle(self, name: str, handler: object) -> None:
        number = getattr(signal, name, None)
        if number is not None:
            with contextlib.suppress(ValueError):  # not on the main thread
                self._handlers[number] = signal.signal(number, handler)  # type: ignore[arg-type]

    def _enter(self) -> None:
        self._entered = True
        if self._input >= 0:
            import termios  # noqa: PLC0415 - not on every platform
            import tty  # noqa: PLC0415

            self._modes = termios.tcgetattr(self._input)
            tty.setcbreak(self._input)
        self._write(_ENTER)

    def _leave(self) -> None:
        if not self._entered:
            return
        self._entered = False
        with contextlib.suppress(OSError, ValueError):
            self._write(_LEAVE)
        if self._modes is not None:
            import termios  # noqa: PLC0415 - not on every platform

            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._input, termios.TCSADRAIN, self._modes)  # type: ignore[arg-type]

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        """Restore the terminal, stop, and take the terminal again when continued."""
        del frame
        self._leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._suspend)
        self._enter()

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        data = encoded(text, encoding)
        try:
            descriptor = self._stream.fileno()
        except (AttributeError, OSError, ValueError):  # a replaced stream without a descriptor
            self._stream.write(data.decode(encoding))
            self._stream.flush()
            return
        # Not through the stream's buffer: the handler of Ctrl-Z writes too, at any time.
        while data:
            data = data[os.write(descriptor, data) :]


def _end(number: int, frame: FrameType | None) -> None:
    """Exit with the signal's exit code, running every `finally` on the way."""
    del frame
    sys.exit(128 + number)


def _terminal_input() -> int:
    """Return the descriptor of the standard input if keys can be read from it, else -1."""
    try:
        import termios  # noqa: PLC0415 - not on every platform

        descriptor = sys.stdin.fileno()
        if not os.isatty(descriptor):
            return -1
        # In the background, reading or changing the terminal would stop this process.
        if os.tcgetpgrp(descriptor) != os.getpgrp():
            return -1
        termios.tcgetattr(descriptor)
    except (ImportError, AttributeError, ValueError, OSError):
        return -1
    return descriptor

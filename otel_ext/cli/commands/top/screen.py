"""The terminal as `otel-ext top` uses it: a screen of its own, single keys, and all put back."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from types import FrameType, TracebackType

__all__ = ["Screen"]

_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[2J"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_ENDING: Final = ("SIGTERM", "SIGHUP")


class Screen:
    """A full screen for pictures that follow each other; as a context manager it is put back.

    Where the output is no terminal, pictures are written one below the other;
    where the input is none, no keys are read.

    Args:
        stream: Where pictures go.
        live: Whether to take the whole screen, if `stream` is a terminal.
    """

    def __init__(self, stream: TextIO, *, live: bool) -> None:
        self._stream = stream
        self.is_live = live and stream.isatty()
        self._input = _terminal_input() if self.is_live else -1
        self._modes: list[object] | None = None
        self._handlers: dict[int, object] = {}
        self._entered = False

    @property
    def has_keys(self) -> bool:
        """Whether keys are read."""
        return self._input >= 0

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines; 0 and 0 where the output is no terminal."""
        if not self._stream.isatty():
            return 0, 0
        size = shutil.get_terminal_size()
        return size.columns, size.lines if self.is_live else 0

    def show(self, lines: list[str]) -> None:
        """Show a picture in the place of the last one."""
        if not self.is_live:
            self._write("\n".join([*lines, "", ""]))
            return
        # Each line clears what is left of the old one; no flicker, as nothing is blanked first.
        body = "\x1b[K\n".join(lines)
        self._write(f"\x1b[H{body}\x1b[K\x1b[J")

    def key(self, seconds: float) -> str:
        """Return the key that is pressed within `seconds`; empty if none is."""
        if self._input < 0:
            time.sleep(seconds)
            return ""
        ready, _, _ = select.select([self._input], [], [], seconds)
        if not ready:
            return ""
        pressed = os.read(self._input, 64)
        if not pressed:  # the terminal is gone
            raise KeyboardInterrupt
        # An arrow or function key sends several bytes, none of which is meant as a letter.
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
        """Give the terminal back, stop as asked, and take it again afterwards."""
        del frame
        self._leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._suspend)
        self._enter()

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        data = text.encode(encoding, "backslashreplace")
        try:
            descriptor = self._stream.fileno()
        except (AttributeError, OSError, ValueError):  # not of the interpreter's own kind
            self._stream.write(data.decode(encoding))
            self._stream.flush()
            return
        # Without the stream's buffer: Ctrl-Z may come in the middle, and writes as well.
        while data:
            data = data[os.write(descriptor, data) :]


def _end(number: int, frame: FrameType | None) -> None:
    """End the program as the signal wants it, but by way of all `finally`."""
    del frame
    sys.exit(128 + number)


def _terminal_input() -> int:
    """Return the descriptor of the standard input if keys can be read from it, else -1."""
    try:
        import termios  # noqa: PLC0415 - not on every platform

        descriptor = sys.stdin.fileno()
        if not os.isatty(descriptor):
            return -1
        # In the background, reading or changing the terminal would stop us.
        if os.tcgetpgrp(descriptor) != os.getpgrp():
            return -1
        termios.tcgetattr(descriptor)
    except (ImportError, AttributeError, ValueError, OSError):
        return -1
    return descriptor

"""Runs commands in the foreground of a new terminal, and types and reads there as a user does."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.programs import environment

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Terminal", "terminal_with"]


class Terminal:
    """A new terminal with a command on it.

    Attributes:
        process: The command.
    """

    def __init__(
        self, command: Sequence[str], cwd: Path, env: Mapping[str, str], columns: int, lines: int
    ) -> None:
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._modes = termios.tcgetattr(self._slave)
        self._text = b""
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=env,
            # In its own session, with this as its terminal, so that keys and ^C arrive.
            preexec_fn=self._own_terminal,  # noqa: PLW1509 - no thread runs in these tests
        )

    def _own_terminal(self) -> None:
        os.setsid()
        fcntl.ioctl(self._slave, termios.TIOCSCTTY, 0)

    def read_until(self, wanted: str, seconds: float = 30.0) -> str:
        """Return what was written since the last call, up to where `wanted` appears."""
        end = time.monotonic() + seconds
        while wanted.encode() not in self._text:
            left = end - time.monotonic()
            assert left > 0, f"{wanted!r} does not appear: {self._text[-2000:]!r}"
            self._read(left)
        before, found, self._text = self._text.partition(wanted.encode())
        return (before + found).decode()

    def read_to_end(self, seconds: float = 50.0) -> str:
        """Wait for the end of the command; return what it has written since the last call."""
        end = time.monotonic() + seconds
        while self._read(0.02) or self.process.poll() is None:
            assert time.monotonic() < end, f"still runs: {self._text[-2000:]!r}"
        rest, self._text = self._text, b""
        return rest.decode()

    def _read(self, seconds: float) -> bool:
        is_ready = bool(select.select([self._master], [], [], seconds)[0])
        if is_ready:
            self._text += os.read(self._master, 65536)
        return is_ready

    def press(self, keys: str) -> None:
        """Type `keys`."""
        os.write(self._master, keys.encode())

    def is_restored(self) -> bool:
        """Whether the terminal's modes are as they were."""
        return termios.tcgetattr(self._slave) == self._modes

    def close(self) -> None:
        """End the command, if it still runs, and close the terminal."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)


@contextmanager
def terminal_with(
    command: Sequence[str],
    cwd: Path,
    *,
    columns: int = 80,
    lines: int = 20,
    env: Mapping[str, str] | None = None,
) -> Generator[Terminal]:
    """Run a command on a terminal; kill it if it still runs at the end of the block."""
    if env is None:
        env = environment(TERM="xterm-256color", COLUMNS="", LINES="")
    terminal = Terminal(command, cwd, env, columns, lines)
    try:
        yield terminal
    finally:
        terminal.close()

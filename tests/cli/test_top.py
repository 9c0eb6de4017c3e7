"""`otel-ext top` on a real terminal and in scripts."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli.main import main
from tests.cli.watched import columns, run_on_traces, shop
from tests.programs import OTEL_EXT, environment

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.measured

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


class Terminal:
    """A terminal with `otel-ext top` on it."""

    def __init__(self, folder: Path, *words: str, columns: int = 80, lines: int = 20) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.modes = termios.tcgetattr(self.slave)
        self.text = ""
        self.process = subprocess.Popen(
            [OTEL_EXT, "top", "traces", *words],
            cwd=folder,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env=environment(TERM="xterm-256color", COLUMNS="", LINES=""),
            # In its own session, with this as its terminal, so that keys and ^C arrive.
            preexec_fn=self._own_terminal,  # noqa: PLW1509 - no thread runs in this test
        )

    def _own_terminal(self) -> None:
        os.setsid()
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def read_until(self, wanted: str, seconds: float = 20.0) -> str:
        """Return what was written since the last call, up to where `wanted` appears."""
        end = time.monotonic() + seconds
        while wanted not in self.text:
            left = end - time.monotonic()
            assert left > 0, f"{wanted!r} does not appear: {self.text[-2000:]!r}"
            if select.select([self.master], [], [], left)[0]:
                self.text += os.read(self.master, 65536).decode()
        before, found, self.text = self.text.partition(wanted)
        return before + found

    def press(self, keys: str) -> None:
        """Type `keys`."""
        os.write(self.master, keys.encode())

    def is_restored(self) -> bool:
        """Whether the terminal's modes are as they were."""
        return termios.tcgetattr(self.slave) == self.modes


@contextmanager
def top_on(folder: Path, *words: str, columns: int = 80) -> Generator[Terminal]:
    """Run top on a terminal; kill it if it still runs at the end."""
    terminal = Terminal(folder, *words, columns=columns)
    try:
        yield terminal
    finally:
        if terminal.process.poll() is None:
            terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.master)
        os.close(terminal.slave)


def test_keys_and_a_restored_terminal(tmp_path: Path) -> None:
    """It uses the alternate screen, handles t, s, p and q, and restores the terminal."""
    with shop(tmp_path), top_on(tmp_path) as terminal:
        terminal.read_until(ENTER)
        assert "sorted by age" in terminal.read_until("q quit")
        terminal.press("t")
        terminal.read_until("└─ ")
        terminal.press("s")
        terminal.read_until("sorted by state")
        terminal.press("p")
        terminal.read_until("paused")
        terminal.press("q")
        terminal.read_until(LEAVE)
        assert terminal.process.wait(10) == 0
        assert terminal.is_restored()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_leaves_the_terminal_as_it_was(tmp_path: Path, number: int, code: int) -> None:
    """Ctrl-C exits with 0; after any signal the terminal is restored."""
    (tmp_path / "traces").mkdir()
    with top_on(tmp_path) as terminal:
        terminal.read_until("no span is open")
        terminal.process.send_signal(number)
        terminal.read_until(LEAVE)
        assert terminal.process.wait(10) == code
        assert terminal.is_restored()


def test_suspended_and_continued(tmp_path: Path) -> None:
    """Ctrl-Z restores the terminal before top stops, and fg takes it again."""
    (tmp_path / "traces").mkdir()
    with top_on(tmp_path) as terminal:
        terminal.read_until("q quit")
        terminal.process.send_signal(signal.SIGTSTP)
        terminal.read_until(LEAVE)
        # SIGTSTP does not stop an orphaned process group; top then continues by itself.
        terminal.process.send_signal(signal.SIGCONT)
        terminal.read_until(ENTER)
        terminal.press("q")
        terminal.read_until(LEAVE)
        assert terminal.process.wait(10) == 0
        assert terminal.is_restored()


def test_no_line_is_longer_than_a_narrow_terminal(tmp_path: Path) -> None:
    """On 60 columns lines are cut."""
    with shop(tmp_path), top_on(tmp_path, "--no-color", columns=60) as terminal:
        terminal.read_until("\x1b[H")
        screen = terminal.read_until("q quit")
        assert "checkout" in screen
        lines = screen.replace("\x1b[K", "").split("\r\n")
        assert max(map(len, lines)) <= 60, lines


def test_once_is_for_scripts(tmp_path: Path) -> None:
    """--once prints one screen without escape sequences and stops."""
    with shop(tmp_path):
        done = run_on_traces(tmp_path, "top", "--once")
    head, note, _, header, *rows = done.out.rstrip().splitlines()
    assert "1 process" in head
    assert "2 open" in head
    assert (note, header.split()) == (
        "sorted by age",
        ["AGE", "STATE", "NAME", "PROCESS", "WHERE", "ATTRIBUTES"],
    )
    assert [row[2] for row in columns("\n".join(rows))] == ["checkout", "pay"]
    assert "\x1b" not in done.out
    assert (done.code, done.err) == (0, "")


def test_json_has_summary_and_spans(tmp_path: Path) -> None:
    """--json prints one object per screen; the second one has the rate."""
    with shop(tmp_path):
        done = run_on_traces(tmp_path, "top", "--json", "--iterations", "2", "--interval", "0.2")
    first, second = map(json.loads, done.out.splitlines())
    assert list(first) == ["time", "processes", "open", "records_per_second", "spans"]
    assert first["open"] == {"running": 2, "stalled": 0, "blocked": 0, "hung": 0, "lost": 0}
    assert [span["name"] for span in first["spans"]] == ["checkout", "pay"]
    assert (first["records_per_second"], second["processes"]) == (None, 1)
    assert second["records_per_second"] >= 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--iterations", "0"], "'0' is not a whole number; use 1 or more"),
        (["--interval", "0"], "'0' is not a valid number of seconds; use 0.1 to 3600"),
        (["--sort", "size"], "invalid choice"),
        (["nowhere"], "nowhere: there is no such folder"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong option is one line with a hint and exit code 2."""
    assert main(["top", *words]) == 2
    captured = capsys.readouterr()
    assert expected in captured.err
    assert len(captured.err.splitlines()) == 1

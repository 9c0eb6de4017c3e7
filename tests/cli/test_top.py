"""`otel-ext top` on a real terminal and in scripts."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.cli.watched import columns, run_on_traces, shop
from tests.programs import OTEL_EXT
from tests.terminals import terminal_with

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.cli.watched import Shop
    from tests.terminals import Terminal

# The code that draws the screen runs only on a terminal.
pytestmark = pytest.mark.measured

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


def top_on(folder: Path, *words: str, columns: int = 80) -> AbstractContextManager[Terminal]:
    """Run top on a terminal."""
    return terminal_with([OTEL_EXT, "top", "traces", *words], folder, columns=columns)


def test_keys_and_a_restored_terminal(open_shop: Shop) -> None:
    """It uses the alternate screen, handles t, s, p and q, and restores the terminal."""
    with top_on(open_shop.folder) as terminal:
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


def test_no_line_is_longer_than_a_narrow_terminal(open_shop: Shop) -> None:
    """On 60 columns lines are cut."""
    with top_on(open_shop.folder, "--no-color", columns=60) as terminal:
        terminal.read_until("\x1b[H")
        screen = terminal.read_until("q quit")
        assert "checkout" in screen
        lines = screen.replace("\x1b[K", "").split("\r\n")
        assert max(map(len, lines)) <= 60, lines


def test_once_is_for_scripts(open_shop: Shop) -> None:
    """--once prints one screen without escape sequences and stops."""
    done = run_on_traces(open_shop.folder, "top", "--once")
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


def test_json_has_summary_and_spans(open_shop: Shop) -> None:
    """--json prints one object per screen; the second one has the rate."""
    words = ("--json", "--iterations", "2", "--interval", "0.1")
    first, second = run_on_traces(open_shop.folder, "top", *words).documents
    assert list(first) == ["time", "processes", "open", "records_per_second", "spans"]
    assert first["open"] == {"running": 2, "stalled": 0, "blocked": 0, "hung": 0, "lost": 0}
    assert [span["name"] for span in first["spans"]] == ["checkout", "pay"]
    assert (first["records_per_second"], second["processes"]) == (None, 1)
    assert isinstance(second["records_per_second"], float)


def test_the_rate_is_that_of_the_records(tmp_path: Path) -> None:
    """The rate is the number of new records of all programs per second."""
    body = """\
open("ready-" + sys.argv[3], "w").close()
        while os.getppid() == parent:
            with tracer.start_as_current_span("short"):
                pass
            time.sleep(0.005)
"""
    words = ("--json", "--iterations", "3", "--interval", "1.5")
    with shop(tmp_path, body=body):
        first, *_, last = run_on_traces(tmp_path, "top", *words).documents
    assert first["records_per_second"] is None
    # Two records a span, at most one span each 5 ms; stamps of the ring buffer are a second apart.
    assert 4 < last["records_per_second"] < 800

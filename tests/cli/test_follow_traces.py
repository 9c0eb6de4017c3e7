"""`otel-ext tree --follow` and `waterfall --follow`, on a terminal and into a pipe."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.watched import run_on_traces, shop
from tests.cli.written import exported
from tests.exporters.samples import end, start
from tests.programs import OTEL_EXT, wait_until
from tests.terminals import terminal_with

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.watched import Shop

pytestmark = pytest.mark.measured


FOLLOW = ["traces", "--follow", "--no-color"]


def test_a_running_trace_is_shown_live(tmp_path: Path) -> None:
    """Its spans run; when the program is killed they are lost; q restores the terminal."""
    with (
        shop(tmp_path) as program,
        terminal_with([OTEL_EXT, "tree", *FOLLOW], tmp_path) as terminal,
    ):
        assert "pay running" in terminal.read_until("q quit")
        program.kill()
        terminal.read_until("pay lost")
        terminal.press("q")
        assert terminal.process.wait(10) == 0
        assert terminal.is_restored()


def test_its_bars_grow(tmp_path: Path) -> None:
    """An open span is marked as running, on every screen."""
    with (
        shop(tmp_path),
        terminal_with([OTEL_EXT, "waterfall", *FOLLOW], tmp_path) as terminal,
    ):
        for _ in range(2):
            assert "▶ pay" in terminal.read_until("q quit").replace("└─ ", "")
        terminal.press("q")
        assert terminal.process.wait(10) == 0


def test_what_does_not_fit_is_counted(tmp_path: Path) -> None:
    """The end of the newest trace is on the screen."""
    names = [end(f"step {number}", number, parent_span_id=f"{1:016x}") for number in range(2, 102)]
    exported(tmp_path / "traces", end("job"), *names)
    with terminal_with([OTEL_EXT, "tree", "traces", "--follow"], tmp_path) as terminal:
        screen = terminal.read_until("q quit")
        assert "lines above; --depth and --running show fewer" in screen
        assert "step 101" in screen
        assert "step 2 " not in screen
        terminal.press("q")
        assert terminal.process.wait(10) == 0


def test_into_a_pipe_each_trace_comes_once_at_its_end(tmp_path: Path) -> None:
    """A trace that runs is not printed; one that ends meanwhile is; Ctrl-C ends it well."""
    traces = tmp_path / "traces"
    exported(traces, start("first"), end("first"))
    other: dict[str, Any] = {"trace_id": "f" * 32}
    exported(traces, start("second", 2, **other))
    out = tmp_path / "out.txt"
    with (
        out.open("wb") as file,
        subprocess.Popen(
            [OTEL_EXT, "tree", "traces", "--follow"], cwd=tmp_path, stdout=file, stderr=file
        ) as process,
    ):
        try:
            wait_until(lambda: "first" in out.read_text("utf-8"), "the first trace")
            exported(traces, end("second", 2, **other))
            wait_until(lambda: "second" in out.read_text("utf-8"), "the second trace")
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
        finally:
            process.kill()
    words = [line.split()[1] for line in out.read_text("utf-8").splitlines()]
    assert words[1:] == ["first", "ffffffff", "second"]


@pytest.mark.parametrize("words", [["--json"], ["--last", "0"]])
def test_what_does_not_fit_together(open_shop: Shop, words: list[str]) -> None:
    """The message names both options."""
    done = run_on_traces(open_shop.folder, "tree", "--follow", *words)
    assert done.code == 2
    assert f"{' '.join(words)} cannot be combined with --follow" in done.err

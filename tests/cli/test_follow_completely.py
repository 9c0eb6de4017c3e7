"""`tree --follow` loses no trace, and prints none before its last part has arrived."""

from __future__ import annotations

import time
from itertools import repeat
from typing import TYPE_CHECKING, Any

import pytest

from otel_ext.cli.traces import ended as ended_traces
from otel_ext.cli.traces.reader import TraceReader
from otel_ext.terminal.screen import Screen
from tests.cli.watched import run_on_traces
from tests.cli.written import DEAD, exported, span, write
from tests.exporters.samples import end, log, start
from tests.programs import OTEL_EXT
from tests.terminals import terminal_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from otel_ext.record.model import Record

    Steps = Callable[[Callable[[], Iterator[None]]], None]


HOUR = 3_600_000_000_000


def recent(record: Record, number: int = 1) -> Record:
    """Return a record of trace `number`, made now."""
    now = time.time_ns()
    record = record._replace(trace_id=f"{number:032x}", time_ns=now)
    return record._replace(start_ns=now - 1_000_000) if record.phase == "end" else record


def ended(number: int, name: str = "") -> Record:
    """Return the end of the root of trace `number`."""
    return recent(end(name or f"job {number}", 1), number)


@pytest.fixture
def between_looks(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Run a function up to its next `yield` after each look of `--follow`; then Ctrl-C."""

    def run(steps: Callable[[], Iterator[None]]) -> None:
        running = steps()

        def key(_: Screen, __: float) -> str:
            try:
                next(running)
            except StopIteration:
                raise KeyboardInterrupt from None
            return ""

        monkeypatch.setattr(Screen, "key", key)

    return run


def test_none_of_many_traces_is_lost(tmp_path: Path, between_looks: Steps) -> None:
    """Many more than `--last` end between two looks, and a root that is older than all."""
    traces = tmp_path / "traces"
    exported(traces, recent(start("old root"), 1000))

    def steps() -> Iterator[None]:
        yield
        for burst in range(3):
            exported(traces, *(ended(burst * 40 + number) for number in range(1, 41)))
            yield
        exported(traces, recent(end("old root"), 1000))
        yield from repeat(None, 3)

    between_looks(steps)
    done = run_on_traces(tmp_path, "tree", "--follow", "--last", "3")
    assert done.code == 0
    names = [line[2:].split(" 1.00 ms")[0] for line in done.out.splitlines() if "✓" in line]
    assert sorted(names) == sorted([*(f"job {one}" for one in range(1, 121)), "old root"])
    assert "continued" not in done.out


def test_of_earlier_traces_the_newest_are_printed(tmp_path: Path, between_looks: Steps) -> None:
    """As `--last` says, with the number of the others."""
    old = [ended(number) for number in range(1, 10)]
    exported(
        tmp_path / "traces",
        *(one._replace(time_ns=one.time_ns - HOUR, start_ns=one.started_ns - HOUR) for one in old),
    )
    between_looks(lambda: repeat(None, 3))
    done = run_on_traces(tmp_path, "tree", "--follow", "--last", "2")
    assert done.out.count("trace ") == 2
    assert "earlier traces not shown: 7; a greater --last shows more" in done.err


def test_a_trace_is_printed_when_it_is_quiet(tmp_path: Path, between_looks: Steps) -> None:
    """The part of another process comes a look after the first has ended; then all is printed."""
    traces = tmp_path / "traces"
    exported(traces, ended(1, "request"))

    def steps() -> Iterator[None]:
        yield
        exported(traces, recent(end("task", 2, parent_span_id=f"{1:016x}"), 1))
        yield from repeat(None, 3)

    between_looks(steps)
    done = run_on_traces(tmp_path, "tree", "--follow")
    assert done.out.count("trace ") == 1
    assert "└─ ✓ task" in done.out


def test_what_comes_later_is_printed_with_the_trace_again(
    tmp_path: Path, between_looks: Steps
) -> None:
    """Once it is quiet again, and the heading says so."""
    traces = tmp_path / "traces"
    exported(traces, ended(1, "request"))

    def steps() -> Iterator[None]:
        yield from repeat(None, 4)
        exported(traces, recent(end("task", 2, parent_span_id=f"{1:016x}"), 1))
        yield from repeat(None, 5)

    between_looks(steps)
    lines = run_on_traces(tmp_path, "tree", "--follow").out.splitlines()
    assert len(lines) == 2 + 3
    assert lines[2].endswith("2 spans  continued: 1 more span")
    assert lines[3].startswith("✓ request")
    assert lines[4].startswith("└─ ✓ task")


def test_what_is_forgotten_is_continued_without_its_beginning(
    tmp_path: Path, between_looks: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded by the number of spans of ended traces."""
    monkeypatch.setattr(ended_traces, "_MOST_SPANS", 0)
    sizes: list[int] = []
    forget = TraceReader.forget

    def noting(reader: TraceReader, kept: Any) -> None:  # noqa: ANN401 - as the method
        forget(reader, kept)
        loaded = reader._loader.loaded  # noqa: SLF001 - the memory is what is tested
        sizes.append(len(loaded.forest) + len(loaded.logs))

    monkeypatch.setattr(TraceReader, "forget", noting)
    traces = tmp_path / "traces"
    exported(traces, ended(1, "request"), recent(log("request"), 1))

    def steps() -> Iterator[None]:
        yield from repeat(None, 3)
        exported(traces, recent(end("task", 2, parent_span_id=f"{1:016x}"), 1))
        yield from repeat(None, 4)

    between_looks(steps)
    lines = run_on_traces(tmp_path, "tree", "--follow", "--search", "re or ta").out.splitlines()
    assert [line.split("  ")[-1] for line in lines if "trace" in line] == ["1 span", "continued"]
    assert lines[3].startswith("? (not recorded)")
    assert sizes[2] == sizes[-1] == 0


def test_a_trace_whose_process_died_has_ended(tmp_path: Path, between_looks: Steps) -> None:
    """It is printed once, though its spans stay open in memory."""
    write(tmp_path / "traces", DEAD, span("work"))
    between_looks(lambda: repeat(None, 6))
    done = run_on_traces(tmp_path, "tree", "--follow")
    assert done.out.count("work lost") == 1


def test_on_the_screen_what_runs_is_always_shown(tmp_path: Path) -> None:
    """A root that is older than the newest `--last` traces, below those that have ended."""
    traces = tmp_path / "traces"
    exported(traces, recent(start("old root"), 1000))
    exported(traces, *(ended(number) for number in range(1, 31)))
    with terminal_with([OTEL_EXT, "tree", "traces", "--follow", "--last", "3"], tmp_path) as one:
        screen = one.read_until("q quit")
        one.press("q")
        assert one.process.wait(10) == 0
    assert "old root" in screen
    assert screen.index("job ") < screen.index("old root")
    assert screen.count("trace ") == 3


def test_a_screen_has_no_progress_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first reading has one, before the screen is taken."""
    asked: list[tuple[bool, bool]] = []
    entered: list[bool] = []
    enter = Screen.__enter__
    read_all = TraceReader.read_all

    def noting_enter(self: Screen) -> Screen:
        entered.append(True)
        return enter(self)

    def noting(self: TraceReader, *, is_first: bool = False) -> Any:  # noqa: ANN401 - as the method
        asked.append((is_first, bool(entered)))
        return read_all(self, is_first=is_first)

    keys = iter(["", "", "q"])

    def key(_: Screen, _seconds: float) -> str:
        return next(keys)

    monkeypatch.setattr(Screen, "__enter__", noting_enter)
    monkeypatch.setattr(Screen, "key", key)
    monkeypatch.setattr(TraceReader, "read_all", noting)
    exported(tmp_path / "traces", end())
    assert run_on_traces(tmp_path, "tree", "--follow").code == 0
    assert asked == [(True, False), (False, True), (False, True)]

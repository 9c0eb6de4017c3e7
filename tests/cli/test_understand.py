"""`otel-ext waterfall`, `critical-path`, `analyze` and `diff`."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from otel_ext.analysis.analyzer import TraceAnalyzer
from otel_ext.analysis.traces.span import Span
from otel_ext.analysis.traces.times import times_of
from otel_ext.analysis.traces.tree import make_tree
from otel_ext.cli.commands import diff
from otel_ext.cli.main import main
from otel_ext.record.model import Process, Status, TaskInfo
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.text import cells
from otel_ext.views.rows import rows_of
from otel_ext.views.trace_view import TraceView
from otel_ext.views.tree_lines import line_of
from otel_ext.views.waterfall import waterfall_lines
from tests.cli.written import exported
from tests.commands import call
from tests.exporters.samples import end, log, start
from tests.programs import execute, python, write_program

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from otel_ext.record.model import Record

ROOT = f"{1:016x}"
MILLISECOND = 1_000_000


def at(name: str, number: int, begin: int, took: int, **fields: object) -> Record:
    """Return the end of a span that began at a millisecond and took so many."""
    parent = {"parent_span_id": ROOT} if number > 1 else {}
    one = end(name, number, took=took * MILLISECOND, **{**parent, **fields})
    shift = begin * MILLISECOND
    return one._replace(start_ns=one.start_ns + shift, time_ns=one.time_ns + shift)


def checkout() -> list[Record]:
    """Return a trace with two spans at once, a failed and a lost one."""
    return [
        at("checkout", 1, 0, 100),
        at("load", 2, 0, 30),
        at("price", 3, 30, 40, task=TaskInfo(1, "Task-1")),
        at("stock", 4, 30, 20, task=TaskInfo(2, "Task-2")),
        at("charge", 5, 70, 20, status=Status("error", "declined")),
        at("mail", 6, 90, 10, abandoned="process-died"),
    ]


def test_a_waterfall_has_a_bar_for_each_span(tmp_path: Path) -> None:
    """Thick where the end was waited for; the end of a bar shows how the span stands."""
    folder = exported(tmp_path, *checkout())
    head, axis, *lines = call("waterfall", folder).out.splitlines()
    assert head.endswith("6 spans")
    assert axis.split()[:2] == ["0", "25.0"]
    bars = {line.split()[2 if "─" in line[:3] else 1]: line for line in lines}
    assert "✗" in bars["charge"][20:]
    assert "✕" in bars["mail"]
    assert "━" in bars["price"]
    assert "━" not in bars["stock"]
    assert bars["load"].rstrip().endswith("30.0 ms")


def test_every_view_of_a_killed_process_is_the_same(tmp_path: Path) -> None:
    """An open span lasts until its process was last seen, in each of them."""
    program = """
        import os, signal, time
        import otel_ext
        from opentelemetry import trace
        otel_ext.configure(output="traces")
        tracer = trace.get_tracer("test")
        with tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner"):
            time.sleep(0.4)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    path = write_program(tmp_path, dedent(program))
    execute(python(path), cwd=tmp_path)
    words = [str(tmp_path / "traces"), "--json"]
    [trace] = call("critical-path", *words).document["traces"]
    on_path: dict[str, int] = {}
    for one in trace["paths"][0]["segments"]:
        took = one["end_ns"] - one["start_ns"]
        on_path[one["name"]] = on_path.get(one["name"], 0) + took
    found = call("analyze", *words).document
    assert {one["name"]: one["path_ns"] for one in found["bottlenecks"]} == on_path
    assert all(one["is_lower_bound"] for one in found["bottlenecks"])
    assert found["blocked"] == []
    analyzer = TraceAnalyzer.of_files(tmp_path / "traces")
    assert {one.operation.name: one.path_ns for one in analyzer.bottlenecks()} == on_path


def test_a_span_that_is_not_observed_is_open_in_every_view(tmp_path: Path) -> None:
    """Such as one of which there is only an update: its start and its end were lost."""
    update = start("job", 7)._replace(phase="update")
    path = exported(tmp_path, update)
    [trace] = call("tree", path, "--json").document["traces"]
    [found] = call("grep", "name:job", path, "--json").documents
    assert (trace["spans"][0]["state"], found["state"]) == ("open", "open")
    assert " open " in call("tree", path).out
    assert " open " in call("grep", "name:job", path).out


def test_a_search_looks_at_logs(tmp_path: Path) -> None:
    """At their texts and levels, like that of a report."""
    root, *steps = checkout()
    declined = log("card declined", "warning", trace_id=root.trace_id, span_id=root.span_id)
    folder = exported(tmp_path, root, *steps, declined)
    for search in ("declined name:checkout", "log:card*", "level:warning", "has:log"):
        [found] = call("grep", search, folder, "--json").documents
        assert found["name"] == "checkout"
    assert call("grep", "level:error", folder).code == 1


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("command", ["waterfall", "critical-path", "analyze"])
def test_lines_fit_the_terminal(
    command: str,
    columns: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the names are."""
    folder = exported(tmp_path, *checkout(), at("日本語 spän \x1b[31m" * 9, 7, 20, 60))
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert main([command, str(folder)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert max(map(cells, out.splitlines())) <= columns


MARKS = {
    "running": "▶>",
    "stalled": "◷s",
    "blocked": "◫b",
    "hung": "▮h",
    "lost": "☠!",
    "abandoned": "✕a",
    "error": "✗x",
    "cancelled": "⊘c",
    "ended": "✓+",
}


@pytest.mark.parametrize("ascii_only", [False, True])
def test_each_state_has_its_own_mark(ascii_only: bool) -> None:
    """Before the name, and at the end of the bar of what did not end well."""
    canvas = Canvas(100, ascii_only=ascii_only)
    ended = {"abandoned", "error", "cancelled", "ended"}
    spans = [
        Span("t", f"{number}", "", state, state, 0, 9 if state in ended else None, 9)  # type: ignore[arg-type]
        for number, state in enumerate(MARKS)
    ]
    tree = make_tree(spans)
    view = TraceView(tree, times_of(tree), canvas, {}, {}, {})
    rows = rows_of(tree, canvas)
    for span, line, bar in zip(
        tree.spans,
        (line_of(row, view) for row in rows),
        list(waterfall_lines(view, rows))[1:],
        strict=True,
    ):
        state = span.state if span.key in view.running or not span.is_open else "open"
        mark = MARKS.get(state, "◌o")[ascii_only]
        assert line.startswith(f"{mark} {span.name}")
        assert bar.startswith(f"{mark} {span.name}")
        assert (mark in bar[9 + len(span.name) :]) == (state != "ended")
    assert len({canvas.mark("end" if one == "ended" else one) for one in [*MARKS, "open"]}) == 10


def test_a_waterfall_without_the_marks_uses_ascii(tmp_path: Path) -> None:
    """Where the encoding lacks them."""
    folder = exported(tmp_path, *checkout())
    out = call("waterfall", folder, encoding="ascii").out
    assert out.isascii()
    assert "====" in out


def test_the_critical_path_tiles_the_root(tmp_path: Path) -> None:
    """As text and as JSON, with span ids."""
    folder = exported(tmp_path, *checkout())
    (trace,) = call("critical-path", folder, "--json").document["traces"]
    (path,) = trace["paths"]
    assert (path["name"], path["is_lower_bound"]) == ("checkout", False)
    at_ns = path["start_ns"]
    for segment in path["segments"]:
        assert segment["start_ns"] == at_ns
        at_ns = segment["end_ns"]
    assert at_ns == path["end_ns"]
    assert [one["name"] for one in path["segments"]] == [
        *("load", "price", "charge", "mail"),
    ]
    out = call("critical-path", folder).out
    assert "checkout 100 ms" in out
    assert "40.0%  price" in out


def test_an_analysis_has_every_table(tmp_path: Path) -> None:
    """And the same as JSON."""
    folder = exported(tmp_path, *checkout())
    out = call("analyze", folder).out
    assert "Bottlenecks" in out
    assert "Operations" in out
    assert "declined" in out
    assert "at most 2 at once" in out
    document = call("analyze", folder, "--json").document
    assert document["spans"] == 6
    assert document["bottlenecks"][0]["name"] == "price"
    assert document["errors"][0]["text"] == "declined"
    assert {one["name"]: one["calls"] for one in document["operations"]}["load"] == 1


def test_an_analysis_of_a_search(tmp_path: Path) -> None:
    """Only of traces in which it finds spans."""
    folder = exported(tmp_path, *checkout(), start("other", 9, trace_id="f" * 32))
    assert call("analyze", folder, "--json").document["traces"] == 2
    assert call("analyze", folder, "--json", "--search", "charge").document["traces"] == 1
    wrong = call("analyze", folder, "--search", "dur:5")
    assert wrong.code == 2
    assert "search, character 5: “dur” compares durations" in wrong.err


def test_a_comparison_names_changes(tmp_path: Path) -> None:
    """Of two folders, or of two traces of one."""
    before = exported(tmp_path / "before", *checkout())
    after = exported(
        tmp_path / "after", *(one for one in checkout() if one.name != "stock"), at("new", 8, 5, 5)
    )
    found = call("diff", before, after, "--json").document["differences"]
    changes = {one["name"]: one["change"] for one in found}
    assert (changes["stock"], changes["new"], changes["load"]) == ("gone", "new", "equal")
    assert "1 trace before, 1 after" in call("diff", before, after).out
    nothing = call("diff", before, after, "--trace-after", "abc")
    assert nothing.code == 1
    assert f"no trace matches; no id in {after} begins with abc" in nothing.err
    assert call("diff", before, tmp_path / "missing").code == 2


def test_a_comparison_reports_what_it_could_not_read(tmp_path: Path) -> None:
    """As other commands do: damage, and folders without records."""
    before = exported(tmp_path / "before.jsonl", *checkout())
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_bytes(b"garbage\n" + before.read_bytes())
    done = call("diff", before, damaged)
    assert done.code == 0
    assert f"{damaged}: 1 damaged stretch was skipped" in done.err
    (tmp_path / "empty").mkdir(0o700)
    done = call("diff", before, tmp_path / "empty")
    assert (done.code, done.out) == (1, "")
    assert f"no records in {tmp_path / 'empty'}. Start a program" in done.err


def test_a_comparison_shows_how_far_it_has_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same bar as other commands."""
    totals: list[int] = []
    read: list[int] = []

    @contextmanager
    def noting(total: int) -> Generator[Callable[[int], None]]:
        totals.append(total)
        yield read.append

    monkeypatch.setattr(diff, "progress_bar", noting)
    before = exported(tmp_path / "before.jsonl", *checkout())
    assert call("diff", before, before).code == 0
    assert totals == [before.stat().st_size] * 2
    assert sum(read) == sum(totals)


def test_a_search_in_some_traces(tmp_path: Path) -> None:
    """`grep` takes the options that choose traces, too."""
    folder = exported(tmp_path, *(end(f"job {one}", trace_id=f"{one:032x}") for one in range(1, 4)))
    assert call("grep", "job", folder, "--trace", f"{2:032x}").out.count("job") == 1
    done = call("grep", "job", folder, "--last", "1")
    assert done.out.count("job") == 1
    assert "earlier traces not shown: 2;" in done.err
    assert call("grep", "job", folder).out.count("job") == 3


def skewed() -> list[Record]:
    """Return a request, and a task in another process whose clock is 3 s late."""
    far = Process("b0-9-1-worker", pid=9)
    task = at("task", 2, 3_000, 20, process=far)
    return [at("request", 1, 0, 100), task, at("step", 3, 3_005, 5, process=far)]


@pytest.mark.parametrize("command", ["waterfall", "critical-path", "analyze", "report", "export"])
def test_clocks_are_adjusted_on_request(command: str, tmp_path: Path) -> None:
    """Spans of another process are shifted into their parent; without it they stay."""
    folder = exported(tmp_path / "traces", *skewed())
    output = tmp_path / "out"
    words = {"report": ["-o", str(output)], "export": ["csv"]}.get(command, [])
    as_recorded = call(command, *words, folder)
    adjusted = call(command, *words, folder, "--adjust-clocks")
    assert (as_recorded.code, adjusted.code) == (0, 0)
    if command in {"waterfall", "critical-path"}:
        assert "clocks adjusted by up to 2.96 s" in adjusted.out
        assert "clocks adjusted" not in as_recorded.out
    if command != "report":
        assert as_recorded.out != adjusted.out
    if command == "analyze":
        shares = [
            {one["name"]: round(one["share"], 2) for one in call(*more).document["bottlenecks"]}
            for more in (
                ("analyze", folder, "--json"),
                ("analyze", folder, "--json", "--adjust-clocks"),
            )
        ]
        assert shares[0] != shares[1]


def test_small_bottlenecks_are_left_out(tmp_path: Path) -> None:
    """By their part of the time, as text and as JSON."""
    folder = exported(tmp_path, *checkout())
    found = call("analyze", folder, "--threshold", "30", "--json").document["bottlenecks"]
    assert [one["name"] for one in found] == ["price", "load"]
    out = call("analyze", folder, "--threshold", "40%").out
    table = out.partition("Bottlenecks")[2].partition("Operations")[0]
    assert "price" in table
    assert "load" not in table
    assert "load" in out
    assert "price" not in call("analyze", folder, "--threshold", "50").out.partition("Operat")[0]


@pytest.mark.parametrize("wrong", ["-1", "101", "half", "", "nan", "5 percent"])
def test_a_wrong_percentage_is_refused(wrong: str, tmp_path: Path) -> None:
    """With the range that is allowed."""
    done = call("analyze", exported(tmp_path, *checkout()), f"--threshold={wrong}")
    assert (done.code, done.out) == (2, "")
    assert f"{wrong!r} is not a valid percentage; use 0 to 100" in done.err


def test_operations_without_an_ended_span_have_no_times(tmp_path: Path) -> None:
    """Neither in the table, nor in a comparison: a duration of 0 would be wrong."""
    before = exported(tmp_path / "before", start("root"), end("root"))
    after = exported(tmp_path / "after", start("root"), end("root"), start("open", 2))
    table = call("analyze", after).out.partition("Operations")[2]
    [row] = [line for line in table.splitlines() if line.endswith(" open")]
    assert row.split() == ["1", "0", "1", *["-"] * 6, "open"]
    [row] = [line for line in call("diff", before, after).out.splitlines() if "open" in line]
    assert "0.00 ms" not in row.partition("- → 1")[2]
    assert row.count("- → -") == 2


def test_placeholders_are_not_counted_as_spans(tmp_path: Path) -> None:
    """A parent of which there is no record is shown, but was not recorded."""
    folder = exported(tmp_path / "traces", end("child", 2, parent_span_id=ROOT))
    assert "(not recorded)" in call("tree", folder).out
    assert call("analyze", folder).out.endswith("\n1 trace, 1 span\n")
    page = tmp_path / "trace.html"
    assert ": 1 trace, 1 span, " in call("report", folder, "-o", page).out

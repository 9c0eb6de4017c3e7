"""`otel-ext tree`: trees of ended, running and lost spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.terminal.canvas import Canvas
from otel_ext.views.rows import rows_of
from tests.analysis.traces import span, trace_of
from tests.cli.watched import run_on_traces
from tests.cli.written import exported
from tests.exporters.samples import end, start
from tests.programs import OTEL_EXT, execute

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.watched import Shop


def test_running_and_ended_spans_are_in_one_tree(open_shop: Shop) -> None:
    """Each span is under its parent, with its duration; running spans are marked."""
    done = execute([OTEL_EXT, "tree", "traces"], cwd=open_shop.folder)
    head, *lines = done.out.splitlines()
    assert head.startswith("trace ")
    assert head.endswith("3 spans")
    assert lines[0].startswith("▶ checkout running ")
    assert lines[1].startswith("├─ ✓ quick ")
    assert lines[2].startswith("└─ ▶ pay running ")
    assert all("shop_one.py:" in line for line in lines)
    assert (done.code, done.err) == (0, "")


def test_what_a_kill_left_open_is_lost(dead_shop: Shop) -> None:
    """Spans of a dead process are marked as lost, even before a recovery."""
    (trace,) = run_on_traces(dead_shop.folder, "tree", "--json").document["traces"]
    (root,) = trace["spans"]
    assert (root["name"], root["state"]) == ("checkout", "lost")
    assert [(span["name"], span["state"], span["children"]) for span in root["children"]] == [
        ("quick", "ended", []),
        ("pay", "lost", []),
    ]


def test_depth_and_number_of_traces_are_limits(tmp_path: Path) -> None:
    """`--depth` hides lower levels, `--last` earlier traces, `--trace` other traces."""
    above, other = f"{1:016x}", "f" * 32
    exported(
        tmp_path / "traces",
        start(),
        start("below", 2, parent_span_id=above),
        end("below", 2, parent_span_id=above),
        end(),
        start("later", 3, trace_id=other),
        end("later", 3, trace_id=other, took=2),
    )
    assert "below" not in run_on_traces(tmp_path, "tree", "--depth", "1").out
    last = run_on_traces(tmp_path, "tree", "--last", "1")
    assert last.out.count("trace ") == 1
    assert "earlier traces not shown: 1;" in last.err
    only = run_on_traces(tmp_path, "tree", "--trace", "FFFF").out
    assert "later" in only
    assert "load" not in only


def test_errors_and_abandoned_spans_are_named(tmp_path: Path) -> None:
    """The reason follows the duration; escape sequences in names are not obeyed."""
    exported(tmp_path / "traces", start("a\x1b[31m"), end("a\x1b[31m", abandoned="owner-died"))
    out = run_on_traces(tmp_path, "tree").out
    assert "✕ a\\x1b[31m 12.3 ms abandoned: owner-died" in out
    assert "\x1b" not in out


def test_cancelled_spans_have_a_mark_of_their_own(tmp_path: Path) -> None:
    """A span ended by the cancellation of its task is neither fine nor an error."""
    first = start()
    exported(tmp_path / "traces", first, end()._replace(extra={"cancelled": True}))
    line = run_on_traces(tmp_path, "tree").out.splitlines()[1]
    assert line.startswith("⊘ ")
    assert " cancelled" in line
    (trace,) = run_on_traces(tmp_path, "tree", "--json").document["traces"]
    assert [span["state"] for span in trace["spans"]] == ["cancelled"]


def test_circles_and_missing_parents_lose_no_span() -> None:
    """Every span is shown once, with circular or missing parents and in a very long chain."""
    tree = trace_of(span("a", 1, 9, "b"), span("b", 2, 9, "a"), span("c", 3, 9, "gone"))
    names = [tree.spans[row.number].name for row in rows_of(tree, Canvas())]
    assert sorted(names) == ["(not recorded)", "a", "b", "c"]
    chain = trace_of(*(span(f"{n:x}", n, n, f"{n - 1:x}" if n else "") for n in range(5_000)))
    rows = rows_of(chain, Canvas())
    assert [row.depth for row in rows] == list(range(5_000))
    assert max(len(row.branch) for row in rows) < 200


def test_json_has_no_limit_of_depth(tmp_path: Path) -> None:
    """A chain is written without recursion; its readers need to nest as deep."""
    chain = [
        end(f"n{n}", n, parent_span_id=f"{n - 1:016x}" if n > 1 else "") for n in range(1, 400)
    ]
    exported(tmp_path / "traces", *chain)
    (trace,) = run_on_traces(tmp_path, "tree", "--json").document["traces"]
    depth, (one,) = 1, trace["spans"]
    while one["children"]:
        depth, (one,) = depth + 1, one["children"]
    assert depth == 399


def test_damage_is_skipped_and_reported(tmp_path: Path) -> None:
    """Damaged lines do not hide valid records."""
    exported(tmp_path / "traces", start(), end())
    (file,) = (tmp_path / "traces").glob("*.jsonl")
    file.write_bytes(b"garbage\n\0\0\0\n" + file.read_bytes() + b'{"torn')
    done = run_on_traces(tmp_path, "tree")
    assert "load" in done.out
    assert "3 damaged stretches were skipped; otel-ext validate lists them" in done.err


def test_nothing_to_show(tmp_path: Path) -> None:
    """If there is nothing to show, one line reports it."""
    exported(tmp_path / "traces", start(), end())
    done = run_on_traces(tmp_path, "tree", "--trace", "abc")
    assert (done.code, done.out) == (1, "")
    assert "no trace matches" in done.err

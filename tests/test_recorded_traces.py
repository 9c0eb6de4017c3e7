"""The recorded traces in `examples/traces` can be read, and every analysis takes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from otel_ext.analysis import TraceAnalyzer
from otel_ext.analysis.traces.times import times_of
from tests.commands import call
from tests.programs import EXAMPLES

if TYPE_CHECKING:
    from pathlib import Path

TRACES = sorted((EXAMPLES / "traces").glob("*.jsonl"))


@pytest.fixture(params=TRACES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    """One of the files."""
    found: Path = request.param
    return found


def test_they_are_valid_and_small(path: Path) -> None:
    """By the format's own rules."""
    done = call("validate", path)
    assert done.code == 0, done.out
    assert path.stat().st_size < 100_000


def test_the_paths_tile_and_the_self_times_add_up(path: Path) -> None:
    """For real traces as for made-up ones."""
    analyzer = TraceAnalyzer.of_files(path)
    assert analyzer.trees
    for tree in analyzer.trees:
        times = times_of(tree)
        for found in analyzer.critical_paths(tree):
            assert sum(one.duration_ns for one in found.segments) == times.duration(found.root)
    assert sum(one.share for one in analyzer.bottlenecks()) == pytest.approx(1)


def test_the_shop_is_one_trace_over_two_processes() -> None:
    """The request, the message and the task; nothing caught the error of the failed task."""
    analyzer = TraceAnalyzer.of_files(EXAMPLES / "traces" / "shop.jsonl")
    orders = [tree for tree in analyzer.trees if tree.spans[0].name.startswith("GET order")]
    assert len(orders) == 3
    assert all(len({span.process for span in tree.spans}) == 2 for tree in orders)
    (error,) = analyzer.errors()
    assert (error.operation.name, error.swallowed) == ("run/shop.pack", 0)


def test_the_agents_path_alternates_between_model_and_tools() -> None:
    """What its end waited for: each question, and the slowest tool of each answer."""
    done = call("critical-path", "--json", EXAMPLES / "traces" / "agent.jsonl")
    ((path,),) = [trace["paths"] for trace in json.loads(done.out)["traces"]]
    names = [one["name"] for one in path["segments"] if not one["name"].startswith("invoke_agent")]
    assert names == [
        *("chat small-1", "execute_tool find_stock", "chat small-1", "execute_tool order"),
        *("chat small-1", "execute_tool order", "chat small-1"),
    ]

"""Traces by the variant of a flag: of records in files and in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_ext.analysis import TraceAnalyzer, Variants, compare_variants
from otel_ext.analysis.traces.span import Span
from otel_ext.analysis.traces.tree import make_tree
from otel_ext.errors import ConfigError
from otel_ext.record.model import SpanEvent
from tests.cli.written import exported
from tests.commands import call
from tests.exporters.samples import end, start

if TYPE_CHECKING:
    from otel_ext.record.model import Record

SECOND = 1_000_000_000
SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "diff.schema.json"


def evaluated(variant: object, flag: str = "search", name: str = "") -> SpanEvent:
    """Return the event of an evaluation."""
    key = "feature_flag.result.variant" if isinstance(variant, str) else name
    facts = {"feature_flag.key": flag, key: variant}
    return SpanEvent("feature_flag.evaluation", 1, facts)


def trace_in(number: int, *variants: str, took: int = 1) -> list[Record]:
    """Return a trace whose child has evaluated the flag."""
    trace_id = f"{number:032x}"
    parent = f"{number * 10:016x}"
    return [
        end("request", number * 10, took=2 * took * SECOND, trace_id=trace_id),
        end(
            "find",
            number * 10 + 1,
            took=took * SECOND,
            trace_id=trace_id,
            parent_span_id=parent,
            events=tuple(map(evaluated, variants)),
        ),
    ]


def records() -> list[Record]:
    """Return traces: two off, one on and slower, one of each, one without, and an open one."""
    traces = [trace_in(1, "off"), trace_in(2, "off", "off"), trace_in(3, "on", took=3)]
    traces += [trace_in(4, "on", "off"), trace_in(5)]
    return [*(one for trace in traces for one in trace), start("open", 99, trace_id="f" * 32)]


@pytest.mark.parametrize("in_memory", [True, False])
def test_traces_by_variant(tmp_path: Path, *, in_memory: bool) -> None:
    """Those with both variants and without any are apart."""
    if in_memory:
        analyzer = TraceAnalyzer.of_records(records())
    else:
        analyzer = TraceAnalyzer.of_files(exported(tmp_path / "traces", *records()))
    found = analyzer.by_variant("search")
    numbers = {
        name: sorted(int(tree.trace_id, 16) for tree in trees)
        for name, trees in found.traces.items()
    }
    assert numbers == {"off": [1, 2], "on": [3]}
    assert [int(tree.trace_id, 16) for tree in found.mixed] == [4]
    assert len(found.without) == 2
    comparison = compare_variants(found, services=analyzer.services)
    assert (comparison.traces_before, comparison.traces_after) == (2, 1)
    changes = {one.operation.name: one.change for one in comparison.differences}
    assert changes == {"request": "slower", "find": "slower"}
    backwards = compare_variants(found, "on", "off")
    assert backwards.self_ns == -comparison.self_ns
    assert not analyzer.by_variant("other").traces


def test_results_without_a_variant() -> None:
    """The value stands for it; the older name of the attribute is known, too."""
    events = {
        "true": evaluated(True, name="feature_flag.result.value"),  # noqa: FBT003
        "7": evaluated(7, name="feature_flag.result.value"),
        "red": SpanEvent(
            "feature_flag", 1, {"feature_flag.key": "search", "feature_flag.variant": "red"}
        ),
        "(unknown)": SpanEvent("feature_flag.evaluation", 1, {"feature_flag.key": "search"}),
    }
    made = [
        end("a", number, trace_id=f"{number:032x}", events=(event,))
        for number, event in enumerate(events.values(), 1)
    ]
    assert set(TraceAnalyzer.of_records(made).by_variant("search").traces) == set(events)


def test_an_analyzer_without_records_knows_no_variants() -> None:
    """All of its traces are without an evaluation."""
    tree = make_tree([Span("t", "a", "", "job", "ended", 0, 100, 100)])
    assert len(TraceAnalyzer([tree]).by_variant("search").without) == 1


def test_which_two_variants() -> None:
    """The only two, `off` or `false` first; else they have to be named."""
    assert Variants("f", {"on": (), "off": ()}).pair() == ("off", "on")
    assert Variants("f", {"true": (), "false": ()}).pair() == ("false", "true")
    assert Variants("f", {"b": (), "a": ()}).pair() == ("a", "b")
    three = Variants("f", {"b": (), "a": (), "c": ()})
    assert three.pair("c", "a") == ("c", "a")
    with pytest.raises(ConfigError, match="there are traces in the variants a, b, c. Name two"):
        three.pair()
    with pytest.raises(ConfigError, match="there are no traces with it. Record its evaluations"):
        Variants("f", {}).pair()


def test_the_command(tmp_path: Path) -> None:
    """Compares two variants, and says what it leaves out."""
    folder = exported(tmp_path / "traces", *records())
    done = call("diff", "--flag", "search", folder)
    assert done.code == 0
    assert "2 traces off, 1 on; +4.00 s for each trace" in done.out
    assert "left out: 1 in several variants, 2 in none" in done.out
    assert "2 traces off, 1 on" in call("diff", "--flag", "search", "off", "on", folder).out
    found = call("diff", folder, "--flag", "search", "--json").document
    from importlib import import_module  # noqa: PLC0415

    judge = import_module("jsonschema").Draft202012Validator
    judge(json.loads(SCHEMA.read_text("utf-8"))).validate(found)
    assert found["variants"] == {"off": 2, "on": 1}
    assert (found["variant_before"], found["variant_after"]) == ("off", "on")
    assert (found["mixed_traces"], found["traces_without"]) == (1, 2)


def test_the_command_used_in_the_wrong_way(tmp_path: Path) -> None:
    """The message says how it is used, and which variants there are."""
    folder = exported(tmp_path / "traces", *records(), *trace_in(6, "blue"))
    done = call("diff", "--flag", "search", folder)
    assert done.code == 2
    assert "traces in the variants blue, off, on. Name two variants" in done.err
    done = call("diff", "--flag", "search", "off", "red", folder)
    assert done.code == 1
    assert "no trace has run in the variant 'red'; the variants are blue, off, on" in done.err
    done = call("diff", "--flag", "other", folder)
    assert done.code == 1
    assert "has run in one variant of the flag 'other'" in done.err
    for words in (["off", str(folder)], ["--trace-before", "a", str(folder)]):
        done = call("diff", "--flag", "search", *words)
        assert done.code == 2
        assert "Use otel-ext diff --flag NAME [A B] INPUT" in done.err
    done = call("diff", folder)
    assert done.code == 2
    assert "diff compares two sides, not 1. Name two files" in done.err
    (tmp_path / "empty").mkdir(0o700)
    assert call("diff", "--flag", "search", tmp_path / "empty").code == 1

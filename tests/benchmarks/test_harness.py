"""Tests the benchmarks' arithmetic, and that each measure runs; no test judges a time."""

from __future__ import annotations

import doctest
import json
import math
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.child import run_measure
from benchmarks.figures import Figure, percentile, ratios, summarise
from benchmarks.harness import Case, Cases, Effort, alternate, rotations
from benchmarks.load import Load, parse_wrk
from benchmarks.report import markdown, write_report
from benchmarks.result import Chart, Result, Table, from_json, to_json
from benchmarks.run import MEASURES
from benchmarks.targets import TARGETS, Target, judge, judgements

if TYPE_CHECKING:
    from pathlib import Path

TINY = Effort("tiny")
# These take long even at their smallest, so only `make bench-quick` runs them.
APPLICATIONS = {"application", "django_application", "celery_application"}
LONG = APPLICATIONS | {"instructions", "latency", "memory", "reading", "watched"}
# Some seconds each, however little is measured.
SECONDS = {"attacked", "received", "span_cost"}
times = st.lists(st.floats(1.0, 1e9), min_size=1, max_size=50)


@given(times, st.floats(0.0, 1.0))
def test_percentiles_lie_within_the_values(values: list[float], share: float) -> None:
    """A percentile is no less than the least value and no more than the greatest."""
    assert min(values) <= percentile(values, share) <= max(values)


@given(times)
def test_the_fiftieth_percentile_is_the_median(values: list[float]) -> None:
    """The 50th percentile and the figure's value equal `statistics.median`."""
    assert math.isclose(percentile(values, 0.5), median(values))
    assert summarise(values).value == median(values)


@given(times)
def test_quartiles_enclose_the_median(values: list[float]) -> None:
    """The median lies between the quartiles that are shown with it."""
    figure = summarise(values)
    assert figure.low <= figure.value <= figure.high
    assert figure.rounds == len(values)


def test_ratios_are_taken_round_by_round() -> None:
    """A round in which the machine was slow for both sides does not move the ratio."""
    assert ratios([2.0, 200.0, 2.0], [1.0, 100.0, 1.0]) == Figure(2.0, 2.0, 2.0, 3)


def test_the_cost_that_both_sides_contain_is_subtracted() -> None:
    """Only added costs are compared, and a round without any is skipped."""
    figure = ratios([13.0, 16.0, 50.0], [11.0, 12.0, 9.0], [10.0, 10.0, 10.0])
    assert figure == summarise([3.0, 3.0])


def test_ratios_without_a_usable_round_raise() -> None:
    """Where no round has a cost to compare with, `ratios` raises and returns no figure."""
    with pytest.raises(ValueError, match="nothing to compare|anything to compare"):
        ratios([1.0], [1.0], [1.0])


def test_each_case_comes_at_each_position() -> None:
    """Over as many rounds as cases, each case comes once at each position."""
    orders = list(rotations(4, 4))
    assert all(sorted(cases) == [0, 1, 2, 3] for cases in zip(*orders, strict=True))


def test_cases_take_turns_and_are_drained() -> None:
    """Cases alternate, each stretch is drained, and all are closed at the end."""
    calls: list[str] = []

    def note_work(name: str, count: int) -> None:
        calls.append(f"{name}{count}")

    def case(name: str) -> Case:
        return Case(
            name,
            partial(note_work, name),
            lambda: calls.append(f"{name} drained"),
            lambda: calls.append(f"{name} closed"),
        )

    with Cases([case("a"), case("b")]) as cases:
        costs = alternate(cases, rounds=2, count=7)
    stretch = {name: [f"{name}7", f"{name} drained"] for name in "ab"}
    order = [*"ab", *"ab", *"ba"]  # a stretch of each that does not count, then two rounds
    assert calls[:-2] == [call for name in order for call in stretch[name]]
    assert sorted(calls[-2:]) == ["a closed", "b closed"]
    assert [len(found) for found in costs.values()] == [2, 2]


def test_drain_counts_as_processor_time() -> None:
    """Work done in `drain` is in the CPU figure: adding up millions takes a millisecond."""
    case = Case("late", int, lambda: sum(range(3_000_000)))
    (cost,) = alternate([case], rounds=1, count=1)["late"]
    assert cost.cpu > 1e6


def test_an_unknown_effort_is_refused() -> None:
    """A misspelt effort is an error that names those that exist."""
    with pytest.raises(ValueError, match="full, quick, tiny"):
        Effort("fast").pick(full=1, quick=1, tiny=1)


def test_results_survive_json() -> None:
    """A result that a child process sends as JSON arrives unchanged."""
    result = Result("m", "M", "about", {"k": Figure(1.0, 0.5, 1.5, 3)}, notes=["one"], seconds=2.5)
    result.tables.append(Table("t", ["a", "b"], [["1", "2"]]))
    result.charts.append(Chart("c", "C", "µs", ["x"], {"ours": [1.0]}, log=True))
    assert from_json(json.loads(json.dumps(to_json(result)))) == result


def test_the_output_of_wrk_is_understood() -> None:
    """Requests, rate, latencies in any unit, and errors of both sorts are read from wrk."""
    text = (
        "Running 1s test @ http://127.0.0.1:1/\n  Latency Distribution\n"
        "     50%    3.10ms\n     75%    3.30ms\n     99%    1.20s \n"
        "  4994 requests in 1.10s, 0.93MB read\n  Socket errors: connect 0, read 1, write 2, "
        "timeout 0\n  Non-2xx or 3xx responses: 4\nRequests/sec:   4539.91\n"
    )
    assert parse_wrk(text) == Load(4_994, 4_539.91, 3.1, 1_200.0, 7)
    with pytest.raises(ValueError, match="no result"):
        parse_wrk("unable to connect")


def test_a_target_is_judged_by_what_is_printed() -> None:
    """A median that prints as the target meets it; one that prints as more does not."""
    target = Target("what", "measure", "key", 1.25, 0.75)
    near, over = target.target + 0.004, target.target + 0.006
    assert judge(target, Figure(near, near, near, 1)) == "met"
    assert judge(target, Figure(over, over, over, 1)) == "**not met**"


def test_of_some_targets_more_is_better() -> None:
    """A target that is a least value is printed as one, and met by what is above it."""
    target = Target("rate", "m", "k", 1.2, 1.4, at_least=True)
    verdicts = [judge(target, Figure(value, 0, 9, 1)) for value in (1.19, 1.2, 1.4)]
    assert verdicts == ["**not met**", "met", "met, stretch too"]
    assert target.show(target.target) == "≥ 1.20"


def test_the_report_names_every_target() -> None:
    """Even a run without any measure lists each target, as not measured."""
    table = judgements([])
    assert [row[0] for row in table.rows] == [target.what for target in TARGETS]
    assert {row[-1] for row in table.rows} == {"not measured"}
    page = markdown([], [("Python", "3")], remark="A short run.")
    assert "**A short run.**" in page
    assert "| Python | 3 |" in page


def test_a_report_without_charts_has_no_dead_links(tmp_path: Path) -> None:
    """The page links to a chart only if it was drawn."""
    result = Result("m", "M", "about")
    result.charts.append(Chart("c", "C", "µs", ["x"], {"ours": [1.0]}))
    page = write_report([result], [("Python", "3")], tmp_path).read_text("utf-8")
    assert ("(c.png)" in page) == (tmp_path / "c.png").is_file()


@pytest.mark.parametrize(
    "name",
    [
        "compare",
        "counted",
        "figures",
        "harness",
        "load",
        "result",
        "targets",
        "applications.orders",
        "applications.telemetry",
    ],
)
def test_examples_in_docstrings_hold(name: str) -> None:
    """The examples in the docstrings of the benchmarks' functions are run."""
    outcome = doctest.testmod(import_module(f"benchmarks.{name}"))
    assert outcome.attempted
    assert not outcome.failed


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.storm] if name in SECONDS else [])
        for name in MEASURES
        if name not in LONG
    ],
)
def test_a_measure_runs(name: str) -> None:
    """A measure, at its smallest, returns tables and the figures that the targets name."""
    if name == "sent_span":
        pytest.importorskip("rotel")  # there is nothing to send to
    result = run_measure(name, TINY)
    assert result.tables
    assert all(len(row) == len(table.columns) for table in result.tables for row in table.rows)
    wanted = {one.key for one in TARGETS if one.measure == name}
    # A note names a peer that is not installed, and a figure for which rounds were too short.
    excused = {key for key in wanted for note in result.notes if note.startswith(f"{key}:")}
    if find_spec("rotel") is None:
        excused.add("requests lost beside OTLP, %")
    if find_spec("logfire") is None:
        excused.add("cpu over logfire pending")
    assert not wanted - excused - result.figures.keys(), result.notes

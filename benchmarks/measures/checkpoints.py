"""Measures a checkpoint against the start of a span through the same processor."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from opentelemetry import trace

import otel_ext
from benchmarks.figures import ratios, summarise
from benchmarks.harness import Case, Cases, Effort, alternate
from benchmarks.result import Result, Table
from otel_ext.context import resume

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from opentelemetry.util.types import Attributes

    from otel_ext.context import Resumption

__all__ = ["measure"]

_START: Final = "the start of a span, three attributes"
_SMALL: Final = "a checkpoint, three keys"
_NESTED: Final = "a checkpoint, the same nested"
_NUMBER: Final = "a checkpoint, one number"
_LIST: Final = "a checkpoint, a list of 100 texts"
_FILE: Final = "days/2026-11-30.csv"


def measure(effort: Effort) -> Result:
    """Measure checkpoints."""
    result = Result(
        "checkpoints",
        "Checkpoints",
        "Both go to the ring buffer of the same exporter, with redaction as it is by default."
        " Microseconds at the caller; the end of a span is not in its time.",
    )
    rounds = effort.pick(full=31, quick=5, tiny=1)
    times = effort.pick(full=500, quick=300, tiny=10)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        handle = otel_ext.configure(output=folder, instrument=False)
        stack.callback(handle.shutdown)
        work = stack.enter_context(resume("benchmark"))
        cases = stack.enter_context(Cases(_cases(work)))
        costs = alternate(cases, rounds=rounds, count=times)
    wall = {name: [cost.wall for cost in found] for name, found in costs.items()}
    rows = [
        [name, summarise([value / 1_000 for value in found]).show()] for name, found in wall.items()
    ]
    result.tables.append(Table("Checkpoints", ["", "µs"], rows))
    result.figures["checkpoint over span start"] = ratios(wall[_SMALL], wall[_START])
    result.figures["nested checkpoint over span start"] = ratios(wall[_NESTED], wall[_START])
    return result


def _cases(work: Resumption) -> list[Case]:
    def small(times: int) -> None:
        for number in range(times):
            work.checkpoint({"done": number, "file": _FILE, "offset": 123_456})

    def nested(times: int) -> None:
        for number in range(times):
            work.checkpoint({"done": number, "at": {"file": _FILE, "offset": 123_456}})

    def one_number(times: int) -> None:
        for number in range(times):
            work.checkpoint(number)

    def long_list(times: int) -> None:
        for number in range(times):
            work.checkpoint([f"file {number}"] * 100)

    return [
        _starts(),
        Case(_SMALL, small),
        Case(_NESTED, nested),
        Case(_NUMBER, one_number),
        Case(_LIST, long_list),
    ]


def _starts() -> Case:
    tracer = trace.get_tracer("benchmark")
    spans: list[Span] = []

    def start(times: int) -> None:
        for number in range(times):
            attributes: Attributes = {"done": number, "file": _FILE, "offset": 123_456}
            spans.append(tracer.start_span("import file", attributes=attributes))

    def end() -> None:
        while spans:
            spans.pop().end()

    return Case(_START, start, drain=end)

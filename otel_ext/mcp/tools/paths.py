"""The tools `critical_path` and `compare_traces`: where the time goes, and what has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.analysis.analyzer import TraceAnalyzer
from otel_ext.analysis.traces.times import times_of
from otel_ext.mcp.answer import Answer
from otel_ext.readable import count_of, duration
from otel_ext.views.analysis_tables import signed

if TYPE_CHECKING:
    from otel_ext.analysis.comparison import Difference
    from otel_ext.analysis.critical_path import CriticalPath
    from otel_ext.analysis.operations import OperationStatistics
    from otel_ext.analysis.traces.times import Times
    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.mcp.question import Question

__all__ = ["compare_traces", "critical_path"]

# A path with more pieces is shown by the names of its spans.
_MANY: Final = 40
_MOST_PATHS: Final = 5
_MOST_DIFFERENCES: Final = 40


def critical_path(question: Question) -> Answer:
    """Return what the end of a trace had to wait for."""
    trace = question.trace()
    analyzer = TraceAnalyzer(trace.trees, trace.services)
    answer = Answer(
        "What the end of the trace had to wait for: each moment belongs to one span. Making a"
        " span shorter that is not here does not make the trace shorter."
    )
    left = 0
    for tree in analyzer.trees:
        times, paths = times_of(tree), analyzer.critical_paths(tree)
        for path in paths[:_MOST_PATHS]:
            _add_path(question, answer, tree, times, path)
        left += len(paths) - _MOST_PATHS if len(paths) > _MOST_PATHS else 0
        if note := question.note_on_trees(trace, tree):
            answer.add(note)
    if left:
        answer.say(f"{count_of(left, 'shorter path')} of spans that nothing waited for left out.")
    if answer.left_out:
        answer.say(f"{count_of(answer.left_out, 'line')} left out since they do not fit.")
    return answer


def _add_path(
    question: Question, answer: Answer, tree: TraceTree, times: Times, path: CriticalPath
) -> None:
    safe, root = question.safe, tree.spans[path.root]
    start, whole = times.starts[path.root], max(times.duration(path.root), 1)
    least = "at least, since it is open, " if path.is_lower_bound else ""
    head = f"path of {safe(root.name)}: {least}{duration(times.duration(path.root))}"
    answer.add(f"{head}, {count_of(len(path.segments), 'piece')} span={safe(root.span_id)}")
    if len(path.segments) <= _MANY:
        for one in path.segments:
            span = tree.spans[one.span]
            line = f"  at {duration(one.start_ns - start)} for {duration(one.duration_ns)}"
            line += f" ({one.duration_ns / whole:.1%}) {safe(span.name)} span={safe(span.span_id)}"
            if one.beside >= 0:
                line += f" while {safe(tree.spans[one.beside].name)} ran beside it"
            answer.add(line)
        return
    pieces: dict[str, list[tuple[int, str]]] = {}
    for one in path.segments:
        span = tree.spans[one.span]
        pieces.setdefault(span.name, []).append((one.duration_ns, span.span_id))
    ordered = sorted(pieces.items(), key=lambda item: -sum(time for time, _ in item[1]))
    for name, found in ordered:
        total, (longest, span_id) = sum(time for time, _ in found), max(found)
        line = f"  {duration(total)} ({total / whole:.1%}) {safe(name)}"
        line += f" in {count_of(len(found), 'piece')}, the longest {duration(longest)}"
        answer.add(f"{line} span={safe(span_id)}")


def compare_traces(question: Question) -> Answer:
    """Return what has changed from one trace to another, by operation."""
    values, source = question.values, question.source
    before, after = (source.trace(values.text(name)) for name in ("before", "after"))
    first = TraceAnalyzer(before.trees, before.services)
    found = TraceAnalyzer(after.trees, after.services).compared_with(first)
    answer = Answer(
        f"From trace {values.text('before')} to {values.text('after')} the spans took"
        f" {signed(found.self_ns)} of their own time (without the spans below them). By"
        " operation, the largest change first; calls and median before → after:"
    )
    changed = [one for one in found.differences if one.change != "equal"]
    most = changed[:_MOST_DIFFERENCES]
    shown = answer.add_fitting((_difference(question, one), None) for one in most)
    if shown < len(changed):
        answer.say(f"{count_of(len(changed) - shown, 'smaller change')} left out.")
    equal = len(found.differences) - len(changed)
    if equal:
        answer.say(f"{count_of(equal, 'operation')} took about the same time as before.")
    return answer


def _difference(question: Question, one: Difference) -> str:
    service = f"{one.operation.service}: " if one.operation.service else ""
    name = question.safe(f"{service}{one.operation.name}")
    sides = (one.before, one.after)
    calls = " → ".join(f"{side.calls:,}" if side else "-" for side in sides)
    medians = " → ".join(map(_median, sides))
    line = f"{one.change} {signed(one.self_ns)} ({one.share:.1%}) {name}: calls {calls}"
    errors = [side.errors if side else 0 for side in sides]
    failed = f", failed {errors[0]:,} → {errors[1]:,}" if any(errors) else ""
    return f"{line}, p50 {medians}{failed}"


def _median(one: OperationStatistics | None) -> str:
    if one is None or one.calls <= one.open:
        return "-"
    return duration(one.percentiles["p50"])

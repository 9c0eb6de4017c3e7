"""The tool `running_now`: what runs, and where it hangs."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.mcp.answer import Answer
from otel_ext.readable import count_of, duration, local_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_ext.mcp.question import Question
    from otel_ext.mcp.sources.source import ProcessNow, Running, RunningSpan

__all__ = ["running_now"]

_LIMIT: Final = 50
_MOST_PROCESSES: Final = 20
_MOST_INDENT: Final = 12


class _Place(NamedTuple):
    """Where a span is in its tree.

    Attributes:
        span: The span.
        depth: How many spans are above it.
        is_innermost: Whether none is below it.
    """

    span: RunningSpan
    depth: int
    is_innermost: bool


def running_now(question: Question) -> Answer:
    """Return the open spans as trees, the oldest first, after the processes."""
    running = question.source.running()
    head = (
        f"{local_time(running.now_ns, date=True)}, {question.source.about()}:"
        f" {count_of(running.total, 'open span')},"
        f" {_processes(len(running.processes))}."
    )
    if running.spans:
        head += (
            " Spans are below the spans that wait for them, the oldest first; one that is marked"
            " with * is innermost, so that is where its trace works or hangs."
        )
    answer = Answer(head)
    _add_processes(question, answer, running.processes)
    _add_spans(question, answer, running)
    if not running.spans:
        answer.say("Nothing runs. find_traces lists what has ended.")
    return answer


def _add_processes(question: Question, answer: Answer, processes: Sequence[ProcessNow]) -> None:
    # Those with which something is wrong first.
    ordered = sorted(processes, key=lambda one: (one.condition == "alive", -one.last_seen_ns))
    for one in ordered[:_MOST_PROCESSES]:
        line = f"process {question.safe(one.label)}: {question.safe(one.condition)}"
        if one.dropped:
            line += f", {one.dropped:,} of its records were dropped"
        answer.add(line)
    if len(ordered) > _MOST_PROCESSES:
        answer.say(f"{_processes(len(ordered) - _MOST_PROCESSES)} left out.")


def _add_spans(question: Question, answer: Answer, running: Running) -> None:
    limit = question.values.number("limit", _LIMIT)
    labels = {one.id: one.label for one in running.processes}
    shown = answer.add_fitting(
        (_line(question, place, labels), _item(question, place, labels))
        for place in islice(_tree(running.spans), limit)
    )
    left = running.total - shown
    if left > 0:
        answer.say(
            f"{count_of(left, 'open span')} left out, the youngest: a larger limit, or show_trace"
            " with the id of a trace, or find_traces with the search `running`, shows more."
        )


def _line(question: Question, place: _Place, labels: Mapping[str, str]) -> str:
    safe, (one, depth, is_innermost) = question.safe, place
    line = f"{'  ' * min(depth, _MOST_INDENT)}{'*' if is_innermost else '-'} {safe(one.name)}"
    line += f" {duration(one.age_ns)} {safe(one.state)}"
    if one.where:
        line += f" now at {safe(one.where)}"
    if one.opened_at:
        line += f" opened at {safe(one.opened_at)}"
    if not depth:
        line += f" [process {safe(labels.get(one.process, one.process))}]"
        line += f" trace={safe(one.trace_id)}"
    return f"{line} span={safe(one.span_id)}"


def _item(question: Question, place: _Place, labels: Mapping[str, str]) -> dict[str, object]:
    safe, (one, _, is_innermost) = question.safe, place
    return {
        "trace_id": safe(one.trace_id),
        "span_id": safe(one.span_id),
        "name": safe(one.name),
        "state": safe(one.state),
        "age_ns": one.age_ns,
        "where": safe(one.where),
        "process": safe(labels.get(one.process, one.process)),
        "innermost": is_innermost,
    }


def _tree(spans: Sequence[RunningSpan]) -> Iterator[_Place]:
    """Yield each span, below its parent."""
    known = {(one.trace_id, one.span_id) for one in spans}
    children: dict[tuple[str, str], list[RunningSpan]] = {}
    roots: list[RunningSpan] = []
    for one in spans:
        above = one.trace_id, one.parent_span_id
        if above in known and one.parent_span_id != one.span_id:
            children.setdefault(above, []).append(one)
        else:
            roots.append(one)
    waiting = [(one, 0) for one in reversed(roots)]
    while waiting:
        one, depth = waiting.pop()
        below = children.pop((one.trace_id, one.span_id), [])
        yield _Place(one, depth, not below)
        waiting.extend((child, depth + 1) for child in reversed(below))


def _processes(number: int) -> str:
    return f"{number:,} process{'' if number == 1 else 'es'}"

"""The tool `show_trace`: one trace as a compact tree, whatever its size."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

from otel_ext.analysis.operations import percentile
from otel_ext.analysis.traces.times import times_of
from otel_ext.errors import UsageError
from otel_ext.mcp.answer import Answer
from otel_ext.mcp.sources.summaries import state_shown
from otel_ext.readable import count_of, duration, local_time
from otel_ext.terminal.canvas import Canvas
from otel_ext.views.rows import rows_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.mcp.question import Question
    from otel_ext.mcp.sources.source import Trace
    from otel_ext.views.rows import Row

__all__ = ["show_trace"]

# Of a tree with more rows only the levels are shown that have so many together.
_MANY: Final = 120
_MOST_INDENT: Final = 16
_PLAIN: Final = Canvas(0)


def show_trace(question: Question) -> Answer:
    """Return a trace as a tree, or the part of it below a span, or what a search finds."""
    trace = question.trace()
    matches = trace.matches
    answer = Answer(_heading(question, trace))
    parts = [
        _Part(question, trace, tree, None if matches is None else matches[number])
        for number, tree in enumerate(trace.trees)
    ]
    # An offset counts the rows of all trees.
    shown = offset = question.values.number("offset")
    total = 0
    for part in parts:
        shown += part.write(answer, max(offset - total, 0))
        total += len(part.kept)
    if shown < total:
        answer.say(f"{total - shown:,} more rows: go on with offset={shown}.")
    for part in parts:
        part.say_hidden(answer)
    if not total:
        if matches is not None:
            answer.say("The search finds no span here.")
        else:
            hint = "Copy the 16 digits of an id from show_trace without span_id"
            raise UsageError("there is no span with this id in the trace", hint=hint)
    return answer


def _heading(question: Question, trace: Trace) -> str:
    tree = trace.trees[0]
    spans = [span for each in trace.trees for span in each.spans if span.state != "missing"]
    times = times_of(tree)
    start_ns = min(times.starts)
    head = f"Trace {question.safe(tree.trace_id)}: {local_time(start_ns, date=True)}, "
    head += f"{duration(max(times.ends) - start_ns)}, {count_of(len(spans), 'span')}"
    for count, word in (
        (sum(span.is_open for span in spans), "open"),
        (sum(span.has_failed for span in spans), "failed"),
        (sum(span.state == "abandoned" for span in spans), "abandoned"),
    ):
        head += f", {count:,} {word}" if count else ""
    head += f", {count_of(trace.logs, 'log')}."
    if trace.matches is not None:
        head += (
            f" The search finds {count_of(sum(map(len, trace.matches)), 'span')}, marked with *."
        )
    return f"{head} A span without a state has ended well; × is for equal siblings."  # noqa: RUF001


class _Part:
    """The part of a tree that is asked for.

    Args:
        question: The call.
        trace: The trace.
        tree: The tree.
        matches: The numbers of the spans that a search has found; None without a search.

    Attributes:
        kept: The rows to show, which are those of the upper levels.
    """

    def __init__(
        self,
        question: Question,
        trace: Trace,
        tree: TraceTree,
        matches: Collection[int] | None,
    ) -> None:
        self._question = question
        self._trace = trace
        self._tree = tree
        self._times = times_of(tree)
        self._matches = matches
        self._after = tree.after()
        rows = self._rows()
        self._top = rows[0].depth if rows else 0
        self._deepest = self._deepest_of(rows)
        self.kept = [row for row in rows if row.depth <= self._deepest]
        self._hidden = [row for row in rows if row.depth > self._deepest]

    def _rows(self) -> list[Row]:
        """Return the rows that are asked for, of all levels."""
        span_id, tree, matches = self._question.values.text("span_id"), self._tree, self._matches
        if not span_id:
            return rows_of(tree, _PLAIN, matches=matches)
        numbers = (one for one, span in enumerate(tree.spans) if span.span_id == span_id)
        number = next(numbers, -1)
        if number < 0:
            return []
        rows = rows_of(tree, _PLAIN, matches=matches)
        if all(row.number != number or row.siblings for row in rows):  # it is one of equal siblings
            rows = rows_of(tree, _PLAIN, matches=matches, fold=False)
        return [row for row in rows if number <= row.number < self._after[number]]

    def write(self, answer: Answer, offset: int) -> int:
        """Add the rows from an offset on to an answer; return how many fit."""
        rows = self.kept[offset:]
        if rows and (note := self._question.note_on_trees(self._trace, self._tree)):
            answer.add(note)
        return answer.add_fitting((self._line(row), None) for row in rows)

    def say_hidden(self, answer: Answer) -> None:
        """Say what is left out of the deeper levels, and how to get it."""
        if not self._hidden:
            return
        answer.say(
            f"{count_of(len(self._hidden), 'row')} of deeper levels left out (+N below): span_id of"
            " a span shows what is below it, search only what it finds, such as `error`."
        )
        failed = sum(self._tree.spans[row.number].has_failed for row in self._hidden)
        if failed:
            answer.say(f"{failed:,} of them have failed.")

    def _deepest_of(self, rows: Sequence[Row]) -> int:
        """Return the deepest level that is shown: at least two levels, and all if they fit."""
        counts: dict[int, int] = {}
        for row in rows:
            counts[row.depth] = counts.get(row.depth, 0) + 1
        deepest, total = self._top, 0
        for depth in sorted(counts):
            total += counts[depth]
            if depth > self._top + 1 and total > _MANY:
                break
            deepest = depth
        return deepest

    def _line(self, row: Row) -> str:
        safe, tree = self._question.safe, self._tree
        span, depth = tree.spans[row.number], row.depth - self._top
        is_found = self._matches is not None and row.number in self._matches
        line = f"{'  ' * min(depth, _MOST_INDENT)}{'*' if is_found else '-'} "
        line += f"(level {depth}) " if depth > _MOST_INDENT else ""
        line += safe(span.name)
        if span.state == "missing":
            return f"{line} span={safe(span.span_id)}"
        if row.siblings:
            times = sorted(map(self._times.duration, row.siblings))
            line += f" × {len(times):,} p95 {duration(percentile(array('q', times), 95))}"  # noqa: RUF001
            line += f" (+{row.hidden:,} below)" if row.hidden else ""
            return f"{line}{self._place(row.number)} first span={safe(span.span_id)}"
        line += f" {duration(self._times.duration(row.number))}"
        state = state_shown(span, self._trace.where)
        line += "" if state == "ended" else f" {safe(state)}"
        line += f" {safe(span.error)}" if span.error else ""
        line += self._place(row.number) + self._process(row.number)
        below = self._after[row.number] - row.number - 1
        line += f" (+{below:,} below)" if row.depth == self._deepest and below else ""
        return f"{line} span={safe(span.span_id)}"

    def _place(self, number: int) -> str:
        """Return where an open span is, if that is known, else where a span was opened."""
        span = self._tree.spans[number]
        if where := self._trace.where.get(span.key):
            return f" now at {self._question.safe(where)}"
        file, line, _ = span.site
        return f" {self._question.safe(f'{file}:{line}')}" if line else ""

    def _process(self, number: int) -> str:
        """Return the process of a span, if the span above has another one."""
        spans, parent = self._tree.spans, self._tree.parents[number]
        own = spans[number].process
        if parent >= 0 and spans[parent].process == own:
            return ""
        return f" [process {self._question.safe(self._trace.labels.get(own) or own)}]"

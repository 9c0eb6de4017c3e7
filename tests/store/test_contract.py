"""What every store does: merge, sum up, find, and say what has changed."""

from __future__ import annotations

import json
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_ext.analysis.traces.forest import Observed
from otel_ext.search.parse import parse
from otel_ext.store.entries import SpanEntry
from otel_ext.store.finding import find_traces
from otel_ext.store.queries import LogQuery, TraceQuery
from otel_ext.store.stored import StoredTraces
from tests.store.records import (
    NOON,
    SECOND,
    entries_of,
    log_line,
    process_line,
    span_line,
    span_lines,
    trees_in,
)
from tests.store.stores import PAIRS, Pair

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_ext.analysis.traces.span import Span
    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.store.entries import Entry
    from otel_ext.store.protocol import Store, TraceSummary
    from otel_ext.store.queries import Order

CASES = sorted((Path(__file__).parents[1] / "cases" / "merge").glob("*.json"))
SEARCHES = (
    *("pay", "job", "SELECT", "cover", "no", "user=ann", "user:7", "user:true", "user:1.5"),
    *("user:an*", "user:>1", "has:user", "error", "running", "abandoned", "ended", "dur:>900ms"),
    *("service:shop", "service:other", "not error", "error or running", "job user=bob"),
    *(
        "under:(job) user=bob",
        "has-child:(user=bob) job",
        "under:(job)",
        "has-child:(error)",
        "is:root",
        "name:job",
        'name:"GET /pay"',
        "name:GET*",
    ),
    *('error:"no cover"', "trace:0000", "kind:internal", "(user=ann or user=bob) pay"),
)


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Return an empty store of each kind."""
    with PAIRS[request.param]() as opened:
        yield opened


def parts(lines: Sequence[bytes], cuts: Sequence[int]) -> Iterator[Sequence[bytes]]:
    """Yield the lines in batches that end at some places."""
    start = 0
    for cut in sorted({min(cut, len(lines)) for cut in cuts} | {len(lines)}):
        if cut > start:
            yield lines[start:cut]
        start = cut


def facts(trees: Sequence[TraceTree]) -> Sequence[object]:
    """Return all that is known of the spans in some trees, but not where their records are."""
    return sorted(
        (
            (tree.process, [span._replace(source=None) for span in tree.spans], tree.parents)
            for tree in trees
        ),
        key=itemgetter(0),
    )


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_merge_cases(pair: Pair, path: Path) -> None:
    """The store keeps the winners of the shared cases, whatever the batches they come in."""
    case: dict[str, Any] = json.loads(path.read_text("utf-8"))
    lines = [json.dumps(record).encode() for record in case["records"]]
    found: list[Entry] = []
    for line in lines:
        found += entries_of([line])
        pair.writer.write(found[-1:])
    winners: set[bytes] = {lines[number] for number in case["winners"]}
    stored: set[bytes] = set()
    for trace_id in {entry.span.trace_id for entry in found if isinstance(entry, SpanEntry)}:
        best: dict[str, Span] = {}
        for span in sorted(pair.store.spans_of(trace_id).spans, key=lambda span: span.rank):
            best[span.span_id] = span
        stored |= set(pair.store.lines_of(list(best.values())).values())
    assert stored == winners


@given(lines=span_lines(), cuts=st.lists(st.integers(0, 18), max_size=4))
@settings(deadline=None)
@pytest.mark.parametrize("name", PAIRS)
def test_a_store_has_the_trees_of_the_files(name: str, lines: list[bytes], cuts: list[int]) -> None:
    """Order, repeats and batches do not matter: the trees are those of the readers of files."""
    with PAIRS[name]() as pair:
        for part in parts(lines, cuts):
            pair.write(*part)
        traces = StoredTraces(pair.store)
        for trace_id, trees in trees_in(lines).items():
            assert facts(traces.trees_of(trace_id)) == facts(trees)


@given(lines=span_lines(), cuts=st.lists(st.integers(0, 18), max_size=4))
@settings(deadline=None)
@pytest.mark.parametrize("name", PAIRS)
def test_summaries_are_those_of_the_trees(name: str, lines: list[bytes], cuts: list[int]) -> None:
    """What the list shows of a trace is what its tree shows, after any batches."""
    with PAIRS[name]() as pair:
        for part in parts(lines, cuts):
            pair.write(*part)
        for trace_id, trees in trees_in(lines).items():
            summary = pair.store.summary(trace_id)
            assert summary is not None
            assert summary.is_repeated == (len(trees) > 1 or bool(trees[0].process))
            if not summary.is_repeated:
                check_summary(summary, trees[0])


def check_summary(summary: TraceSummary, tree: TraceTree) -> None:
    """Compare the sums of a trace with its tree."""
    spans = [span for span in tree.spans if span.state != "missing"]
    states = [span.state for span in spans]
    assert summary.spans == len(spans)
    assert summary.open == sum(span.is_open for span in spans)
    assert summary.stalled == states.count("stalled")
    assert summary.errors == states.count("error")
    assert summary.abandoned == states.count("abandoned")
    assert summary.cancelled == states.count("cancelled")


@given(lines=span_lines(), cuts=st.lists(st.integers(0, 18), max_size=2))
@settings(deadline=None, max_examples=12)
@pytest.mark.parametrize("name", PAIRS)
def test_searches_find_what_is_there(name: str, lines: list[bytes], cuts: list[int]) -> None:
    """A search among all traces finds those in which a search of the one trace finds a span."""
    lines = [process_line(process="p"), process_line(process="q", service="bank"), *lines]
    with PAIRS[name]() as pair:
        for part in parts(lines, cuts):
            pair.write(*part)
        everything = cast("Store", Everything(pair.store))
        ids = [one.trace_id for one in pair.store.candidates(TraceQuery())]
        for search in SEARCHES:
            query = TraceQuery(parse(search))
            named = {one.trace_id for one in pair.store.candidates(query)}
            found = find_traces(pair.store, query, Observed(), limit=100)
            exact = {one.summary.trace_id for one in found.traces}
            wanted = {
                one.summary.trace_id
                for one in find_traces(everything, query, Observed(), limit=100).traces
            }
            assert exact == wanted <= named <= set(ids), search


class Everything:
    """A store that names every trace as a candidate."""

    def __init__(self, store: Any) -> None:  # noqa: ANN401 - stands for any store
        self._store = store

    def candidates(self, query: TraceQuery, after: object = None) -> Any:  # noqa: ANN401 - as above
        """Name all traces."""
        return self._store.candidates(query._replace(node=None))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as above
        """Return what the store itself has."""
        return getattr(self._store, name)


def test_the_root_names_a_trace(pair: Pair) -> None:
    """Without its root, the first span names a trace; the root does as soon as it is known."""
    pair.write(span_line("end", 3, parent=2, at=NOON + SECOND, name="second", seq=2))
    pair.write(span_line("end", 4, parent=1, at=NOON, name="first", seq=3))
    (summary,) = pair.store.candidates(TraceQuery())
    assert (summary.name, summary.has_root, summary.start_ns) == ("first", False, NOON)
    pair.write(span_line("start", 1, at=NOON + 2 * SECOND, name="root", process="q"))
    (summary,) = pair.store.candidates(TraceQuery())
    assert (summary.name, summary.has_root, summary.process) == ("root", True, "q")
    assert set(summary.processes) == {"p", "q"}


def test_what_is_written_again_changes_nothing(pair: Pair) -> None:
    """A batch that is stored already leaves the changes of its traces as they are."""
    lines = [span_line("start", 1), span_line("end", 1, seq=2), log_line("hello", trace=1, seq=3)]
    first = pair.write(*lines)
    before = pair.store.summary(f"{1:032x}")
    pair.write(*lines)
    assert pair.store.summary(f"{1:032x}") == before
    assert pair.store.changed_traces(first, 10) == []
    assert len(list(pair.store.logs(LogQuery()))) == 1


def test_changes_after_a_change(pair: Pair) -> None:
    """Traces, spans and logs that changed after a change can be asked for."""
    pair.write(span_line("start", 1, trace=1), span_line("start", 2, trace=2))
    before = pair.store.change()
    pair.write(span_line("end", 1, trace=1, seq=2), log_line("late", trace=1, seq=3))
    assert pair.store.change() > before
    assert [one.trace_id for one in pair.store.changed_traces(before, 10)] == [f"{1:032x}"]
    assert [one.state for one in pair.store.spans_of(f"{1:032x}", before).spans] == ["ended"]
    assert pair.store.spans_of(f"{2:032x}", before).spans == []
    assert [one.text for one in pair.store.logs(LogQuery(after_change=before))] == ["late"]


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_pages_follow_each_other(pair: Pair, order: Order) -> None:
    """A list goes on behind any place, over days, without gaps or repeats."""
    days = [NOON + day * 86_400 * SECOND - 3 * 86_400 * SECOND for day in range(3)]
    pair.write(
        *(
            span_line("end", 1, trace=1 + number, at=days[number % 3] + number * SECOND, seq=number)
            for number in range(9)
        )
    )
    query = TraceQuery(order=order)
    whole = list(pair.store.candidates(query))
    starts = [one.start_ns for one in whole]
    assert len(whole) == 9
    assert starts == sorted(starts, reverse=order == "newest")
    for number, one in enumerate(whole):
        assert list(pair.store.candidates(query, one.place)) == whole[number + 1 :]


def test_the_longest_first(pair: Pair) -> None:
    """Traces can be ordered by how long they took, both ways, with a search or without."""
    for number, seconds in enumerate((3, 9, 1, 5)):
        line = span_line("end", 1, trace=number + 1, duration=seconds * SECOND, seq=number, user=7)
        pair.write(line)
    for node in (None, parse("user:7")):
        found = pair.store.candidates(TraceQuery(node, order="longest"))
        assert [one.end_ns - one.start_ns for one in found] == [n * SECOND for n in (9, 5, 3, 1)]
        found = pair.store.candidates(TraceQuery(node, order="shortest"))
        assert [one.end_ns - one.start_ns for one in found] == [n * SECOND for n in (1, 3, 5, 9)]


def test_times_bound_a_list(pair: Pair) -> None:
    """Only traces that started within some time are listed."""
    pair.write(*(span_line("end", 1, trace=n, at=NOON + n * SECOND, seq=n) for n in range(1, 6)))
    query = TraceQuery(since_ns=NOON + 2 * SECOND, until_ns=NOON + 4 * SECOND)
    assert [one.trace_id for one in pair.store.candidates(query)] == [f"{3:032x}", f"{2:032x}"]


def test_a_trace_stays_in_its_day(pair: Pair) -> None:
    """Spans that come days later belong to the trace that began before."""
    later = NOON + 86_400 * SECOND
    pair.write(span_line("start", 1, at=NOON - 86_400 * SECOND))
    pair.write(span_line("end", 2, parent=1, at=NOON, seq=2))
    pair.write(span_line("end", 1, seq=3, at=NOON - 86_400 * SECOND, duration=later - NOON))
    (summary,) = pair.store.candidates(TraceQuery())
    assert (summary.spans, summary.open) == (2, 0)


def test_totals(pair: Pair) -> None:
    """How much is stored, over all days."""
    assert pair.store.totals() == (0, 0, 0)
    pair.write(span_line("end", 1), span_line("end", 2, parent=1, seq=2))
    pair.write(span_line("end", 1, trace=2, at=NOON - 86_400 * SECOND, seq=3))
    assert pair.store.totals() == (2, 3, NOON - 86_400 * SECOND)


def test_open_spans(pair: Pair) -> None:
    """Open spans are listed, the oldest first; those that have ended are not."""
    pair.write(
        span_line("start", 1, trace=1, at=NOON + SECOND),
        span_line("start", 2, trace=2, at=NOON),
        span_line("end", 3, trace=2, at=NOON, seq=2),
    )
    assert [one.span_id for one in pair.store.open_spans(10)] == [f"{2:016x}", f"{1:016x}"]
    assert len(pair.store.open_spans(1)) == 1


def test_processes(pair: Pair) -> None:
    """A process is known by its start, its newest heartbeat and its end."""
    pair.write(process_line(heartbeat_ms=5_000), span_line("start", 1, seq=2))
    beat = process_line("process.heartbeat", seq=8, at=NOON + 5 * SECOND, dropped={"full": 3})
    pair.write(beat, process_line("process.heartbeat", seq=5, at=NOON + SECOND))
    (process,) = pair.store.processes()
    assert process.seen_ns == NOON + 5 * SECOND
    assert (process.heartbeat_ms, process.dropped, process.latest) == (5_000, 3, beat)
    assert not process.has_ended
    pair.write(process_line("process.end", seq=9, at=NOON + 6 * SECOND))
    assert pair.store.processes()[0].has_ended


def test_a_list_without_a_search_reads_no_process(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes may be thousands, and are read once, only for a search or for whole records."""
    pair.write(process_line(), span_line("end", 1), span_line("end", 1, trace=2, seq=2))
    read = Mock(wraps=pair.store.processes)
    monkeypatch.setattr(pair.store, "processes", read)
    found = find_traces(pair.store, TraceQuery(), Observed(), limit=10)
    assert (len(found.traces), read.call_count) == (2, 0)
    found = find_traces(pair.store, TraceQuery(parse("service:shop")), Observed(), limit=10)
    assert (len(found.traces), read.call_count) == (2, 1)


def test_a_start_that_a_receiver_wrote(pair: Pair) -> None:
    """The start that a process has written itself replaces one with the number 0, for good."""
    received = process_line(seq=0, service="guessed")
    own = process_line(seq=1, service="shop")
    for lines in ([received], [own], [received]):
        pair.write(*lines)
    assert pair.store.processes()[0].start == own


def test_operations_and_errors(pair: Pair) -> None:
    """Spans are counted by operation; errors of one text are one group."""
    pair.write(
        *(span_line("end", n, at=NOON, seq=n, duration=n * SECOND) for n in range(1, 5)),
        span_line("start", 5, seq=5),
        *(span_line("end", n, seq=n, name="pay", error="no cover") for n in (6, 7)),
        span_line("end", 8, seq=8, name="pay", error="no bank"),
    )
    found = {one.name: one for one in pair.store.operations(0, NOON + SECOND)}
    assert (found["job"].open, found["job"].errors, found["pay"].errors) == (1, 0, 3)
    assert found["job"].longest_ns == 4 * SECOND
    assert found["job"].total_ns == 10 * SECOND
    assert sum(found["job"].durations.values()) == 4
    for duration in found["job"].durations:
        assert min(abs(duration / (n * SECOND) - 1) for n in range(1, 5)) < 0.045
    groups = pair.store.errors(0, NOON + SECOND)
    assert [(one.text, one.spans) for one in groups] == [("no cover", 2), ("no bank", 1)]
    assert groups[0].span_id == f"{7:016x}"
    assert pair.store.operations(NOON + 60 * SECOND, NOON + 90 * SECOND) == []


def test_slices_of_time(pair: Pair) -> None:
    """Traces are counted by the stretch of time in which they started."""
    for n in range(6):
        error = "boom" if n == 4 else ""
        pair.write(span_line("end", 1, trace=n + 1, at=NOON + n * SECOND, seq=n, error=error))
    found = pair.store.slices(NOON, NOON + 6 * SECOND, 2 * SECOND)
    assert found == [(NOON, 2, 0), (NOON + 2 * SECOND, 2, 0), (NOON + 4 * SECOND, 2, 1)]


def test_logs(pair: Pair) -> None:
    """Logs are found by trace, level, time, text and place, those stored last first."""
    pair.write(
        log_line("card declined", trace=1, span=2, seq=1, level="warning", card="visa"),
        log_line("paid", trace=2, seq=2, at=NOON + SECOND),
        log_line("idle", seq=3, at=NOON + 2 * SECOND),
    )

    def texts(query: LogQuery) -> list[str]:
        return [log.text for log in pair.store.logs(query)]

    assert texts(LogQuery()) == ["idle", "paid", "card declined"]
    assert texts(LogQuery(trace_id=f"{1:032x}")) == ["card declined"]
    assert texts(LogQuery(levels=["warning"])) == ["card declined"]
    assert texts(LogQuery(since_ns=NOON + SECOND, until_ns=NOON + 2 * SECOND)) == ["paid"]
    assert texts(LogQuery(text="DECLINED")) == ["card declined"]
    assert texts(LogQuery(text="visa")) == ["card declined"]
    first = next(pair.store.logs(LogQuery()))
    assert texts(LogQuery(before=first.place)) == ["paid", "card declined"]
    assert first.trace_id == ""
    # Logs of a trace without spans do not make a trace of the list.
    assert list(pair.store.candidates(TraceQuery())) == []


def test_agents(pair: Pair) -> None:
    """Traces of agents are recognised by the names of their attributes."""
    pair.write(
        span_line("end", 1, trace=1, attributes={"gen_ai.request.model": "m"}),
        span_line("end", 1, trace=2),
    )
    found = list(pair.store.candidates(TraceQuery(agents_only=True)))
    assert [one.trace_id for one in found] == [f"{1:032x}"]
    assert "gen_ai.request.model" in pair.store.attribute_names()

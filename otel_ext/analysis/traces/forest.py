"""`Forest`: takes records of spans in any order, repeats included, and returns their trees."""

from __future__ import annotations

from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from otel_ext.analysis.traces.span import SpanDecoder
from otel_ext.analysis.traces.tree import make_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from otel_ext.analysis.traces.span import Span, State
    from otel_ext.analysis.traces.tree import TraceTree

    _Meta: TypeAlias = Mapping[str, object]
    _Source: TypeAlias = int | bytes | None

__all__ = ["Forest", "Observed", "are_different"]


class Observed(NamedTuple):
    """What was seen of processes that may still run, besides their records.

    Attributes:
        states: The states of open spans, by process, trace and span id.
        last_seen: Up to when each process lived, nanoseconds since the epoch, by its id.
    """

    states: Mapping[tuple[str, str, str], State] = MappingProxyType({})
    last_seen: Mapping[str, int] = MappingProxyType({})


_NOTHING: Final = Observed()


class _OfProcess:
    """What one process has recorded of a span that several have recorded."""

    __slots__ = ("is_opener", "span")

    def __init__(self) -> None:
        self.span: Span | None = None
        self.is_opener = False

    def add(self, span: Span, *, is_opener: bool) -> None:
        self.is_opener = self.is_opener or is_opener
        if self.span is None or span.rank > self.span.rank:
            self.span = span


class _Spans:
    """The spans of one trace, by their ids."""

    __slots__ = ("known", "shared", "started", "startless")

    def __init__(self) -> None:
        # Start records, decoded only for spans that stay open.
        self.started: dict[str, tuple[_Meta, _Source]] = {}
        self.known: dict[str, Span] = {}
        # Spans in `known` without a start record, which would show who opened them.
        self.startless: set[str] = set()
        self.shared: dict[str, dict[str, _OfProcess]] = {}

    def open_spans(self, decode: Callable[[_Meta, _Source], Span | None]) -> Iterator[Span]:
        """Yield the spans without an end."""
        yield from filter(None, (decode(*started) for started in self.started.values()))
        yield from (span for span in self.known.values() if span.is_open)
        for shared in self.shared.values():
            yield from (span for span in _spans_of(shared) if span.is_open)


class Forest:
    """Keeps the winning record of each span, by the merge rule, and makes trees of them.

    If several processes use the same ids for spans of their own, as with a seeded `random`,
    such a trace has a tree for each process. Memory grows with the spans, not the records.

    Attributes:
        repeated: Ids of the traces that several processes have used; known once their trees
            have been made.

    >>> forest = Forest()
    >>> forest.add(
    ...     {
    ...         "timestamp": "1970-01-01T00:00:02.000000Z",
    ...         "event": "job.start",
    ...         "kind": "span",
    ...         "phase": "start",
    ...         "trace_id": "a",
    ...         "span_id": "b",
    ...         "seq": 1,
    ...         "process": "p",
    ...     }
    ... )
    >>> [trace.spans[0].name for trace in forest.trees()]
    ['job']
    """

    def __init__(self) -> None:
        self.repeated: set[str] = set()
        self._traces: dict[str, _Spans] = {}
        self._decode = SpanDecoder().decode

    def __len__(self) -> int:
        return sum(
            len(one.started) + len(one.known) + len(one.shared) for one in self._traces.values()
        )

    def __contains__(self, trace_id: object) -> bool:
        return trace_id in self._traces

    def add(self, meta: _Meta, source: _Source = None) -> None:
        """Add one record; nothing happens if it is not one of a span.

        Args:
            meta: What it has under `__tracer_meta__`.
            source: As in `Span`.
        """
        if meta.get("kind") != "span":
            return
        trace_id, span_id = str(meta.get("trace_id")), str(meta.get("span_id"))
        spans = self._traces.get(trace_id)
        if spans is None:
            spans = self._traces[trace_id] = _Spans()
        process, phase = meta.get("process"), meta.get("phase")
        known, started = spans.known.get(span_id), spans.started.get(span_id)
        if (
            (known is not None and known.process != process)
            or (started is not None and started[0].get("process") != process)
            or span_id in spans.shared
        ):
            self._add_shared(spans, span_id, meta, source)
        elif phase == "start":
            spans.startless.discard(span_id)
            if known is None and (started is None or _number(meta) > _number(started[0])):
                spans.started[span_id] = meta, source
        elif (span := self._decode(meta, source)) is not None:
            if known is None or span.rank > known.rank:
                spans.known[span_id] = span
            if started is not None:
                del spans.started[span_id]
            elif known is None:
                spans.startless.add(span_id)

    def add_span(self, span: Span, *, is_opener: bool) -> None:
        """Add a span that is the winner among the records of its process.

        Args:
            span: The span.
            is_opener: Whether its process has recorded that it started.
        """
        spans = self._traces.setdefault(span.trace_id, _Spans())
        span_id = span.span_id
        if span_id in spans.known or span_id in spans.started or span_id in spans.shared:
            by_process = self._shared(spans, span_id)
            by_process.setdefault(span.process, _OfProcess()).add(span, is_opener=is_opener)
            return
        spans.known[span_id] = span
        if not is_opener:
            spans.startless.add(span_id)

    def _add_shared(self, spans: _Spans, span_id: str, meta: _Meta, source: _Source) -> None:
        """Add a record of a span that several processes have recorded."""
        by_process = self._shared(spans, span_id)
        span = self._decode(meta, source)
        if span is not None:
            is_opener = meta.get("phase") == "start"
            by_process.setdefault(span.process, _OfProcess()).add(span, is_opener=is_opener)

    def _shared(self, spans: _Spans, span_id: str) -> dict[str, _OfProcess]:
        """Return what each process has recorded of a span that several have recorded."""
        by_process = spans.shared.setdefault(span_id, {})
        known, started = spans.known.pop(span_id, None), spans.started.pop(span_id, None)
        if started is not None:
            known = self._decode(*started)
        if known is not None:
            is_opener = span_id not in spans.startless
            by_process.setdefault(known.process, _OfProcess()).add(known, is_opener=is_opener)
        return by_process

    def forget(self, kept: Collection[str], observed: Observed = _NOTHING) -> None:
        """Forget the traces in which no span is open, or only spans of processes that are gone.

        Args:
            kept: The ids of those that are kept.
            observed: What was seen of their processes.
        """
        states = observed.states
        for trace_id in [one for one in self._traces if one not in kept]:
            open_spans = self._traces[trace_id].open_spans(self._decode)
            if all(states.get((span.process, *span.key)) == "lost" for span in open_spans):
                del self._traces[trace_id]

    def trees(self, observed: Observed = _NOTHING) -> Iterator[TraceTree]:
        """Yield the trees of all traces, in the order of their first records.

        Args:
            observed: What was seen of their processes.
        """
        for trace_id in self._traces:
            yield from self.trees_of(trace_id, observed)

    def trees_of(self, trace_id: str, observed: Observed = _NOTHING) -> Iterator[TraceTree]:
        """Yield the tree of a trace, or several if processes use its id for different ones."""
        spans = self._traces.get(trace_id)
        if spans is None:
            return
        found = [*spans.known.values()]
        found += filter(None, (self._decode(*started) for started in spans.started.values()))
        if any(map(_is_repeated, spans.shared.values())):
            self.repeated.add(trace_id)
        shared = [_spans_of(each) for each in spans.shared.values()]
        if trace_id not in self.repeated:
            found += [max(each, key=lambda span: span.rank) for each in shared if each]
            if found:
                yield _tree(found, observed)
            return
        by_process: dict[str, list[Span]] = {}
        for span in [*chain.from_iterable(shared), *found]:
            by_process.setdefault(span.process, []).append(span)
        for process, own in by_process.items():
            yield _tree(own, observed, process)


def _number(meta: _Meta) -> int:
    seq = meta.get("seq")
    return seq if type(seq) is int else 0


def are_different(facts: Iterable[tuple[object, object, int]], openers: int) -> bool:
    """Whether the records that several processes have of one span id are of different spans.

    A forked child that ends a span of its parent has not opened it, and knows how it started.

    Args:
        facts: Name, parent and start, in microseconds, in the winning record of each process,
            but not in updates: they know the start only by an age. Start records cut it to
            microseconds.
        openers: How many of the processes have recorded that the span started.
    """
    return openers > 1 or len(set(facts)) > 1


def _is_repeated(shared: Mapping[str, _OfProcess]) -> bool:
    facts = (
        (span.name, span.parent_span_id, span.start_ns // 1_000)
        for span in _spans_of(shared)
        if span.phase != "update"
    )
    return are_different(facts, sum(one.is_opener for one in shared.values()))


def _spans_of(shared: Mapping[str, _OfProcess]) -> list[Span]:
    return [one.span for one in shared.values() if one.span is not None]


def _tree(spans: Iterable[Span], observed: Observed, process: str = "") -> TraceTree:
    """Return the tree of spans, the open ones in the state in which they were observed."""
    states = observed.states
    if states:
        spans = [_standing(span, states) for span in spans]
    return make_tree(spans, process=process, last_seen=observed.last_seen)


def _standing(span: Span, states: Mapping[tuple[str, str, str], State]) -> Span:
    state = states.get((span.process, *span.key)) if span.is_open else None
    return span if state is None else span._replace(state=state)

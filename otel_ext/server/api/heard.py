"""What is known of processes whose records were received: only what they have sent.

They count as silent after three missed heartbeats, and their open spans as lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.analysis.traces.forest import Observed
from otel_ext.journal.liveness import silence_limit
from otel_ext.journal.read.incarnations import base_id

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from otel_ext.analysis.traces.span import Span, State
    from otel_ext.store.protocol import Store, StoredProcess

__all__ = ["Heard", "condition_of", "hear", "with_heard"]

_MOST_SPANS: Final = 1_000
# What was heard of longer ago does not belong to what runs now.
_NEAR_NS: Final = 3_600 * 10**9


class Heard(NamedTuple):
    """What was heard of processes that may still run.

    Attributes:
        processes: The processes by their ids.
        spans: Their open spans, the oldest first.
        conditions: `alive` or `silent`, by the process's id.
    """

    processes: Mapping[str, StoredProcess]
    spans: Sequence[Span]
    conditions: Mapping[str, str]

    def state_of(self, span: Span) -> State:
        """Return the state of an open span."""
        return "lost" if self.conditions.get(span.process) == "silent" else span.state


def hear(store: Store, others: Collection[str], now_ns: int) -> Heard:
    """Return what was heard of processes.

    Args:
        store: The store.
        others: The ids of those that are seen themselves.
        now_ns: The time, nanoseconds since the epoch.
    """
    processes = {
        one.id: one
        for one in store.processes()
        if not one.has_ended and now_ns - one.seen_ns < _NEAR_NS and base_id(one.id) not in others
    }
    spans = [one for one in store.open_spans(_MOST_SPANS) if one.process in processes]
    conditions = {name: condition_of(one, now_ns) for name, one in processes.items()}
    return Heard(processes, spans, conditions)


def with_heard(observed: Observed, heard: Heard, now_ns: int) -> Observed:
    """Return what was seen of some processes and heard of others.

    Args:
        observed: What was seen.
        heard: What was heard.
        now_ns: The time, nanoseconds since the epoch.
    """
    states: dict[tuple[str, str, str], State] = {
        (span.process, span.trace_id, span.span_id): heard.state_of(span) for span in heard.spans
    }
    last_seen = {
        name: one.seen_ns if heard.conditions[name] == "silent" else now_ns
        for name, one in heard.processes.items()
    }
    return Observed({**states, **observed.states}, {**last_seen, **observed.last_seen})


def condition_of(process: StoredProcess, now_ns: int) -> str:
    """Return `ended`, `alive` or `silent`.

    Args:
        process: A process whose records were received.
        now_ns: The time, nanoseconds since the epoch.
    """
    if process.has_ended:
        return "ended"
    silent = now_ns - process.seen_ns > silence_limit(process.heartbeat_ms, has_ring=False) * 1e9
    return "silent" if silent else "alive"

"""`BudgetSampler`: samples as many traces as a budget allows, however many there are."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import get_current_span

from otel_ext.settings.limits import check_limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, TraceState
    from opentelemetry.util.types import Attributes

__all__ = ["BudgetSampler"]

_IDS: Final = 1 << 64
# How much the newest window counts in the rate of traces.
_WEIGHT: Final = 0.5
# More than any program starts in a second; infinity is as much.
_MOST: Final = 1e9
# How many traces may start at once after a pause, if the budget of a second is less.
_LEAST_BURST: Final = 5.0


class BudgetSampler(Sampler):
    """Samples so many traces a second on average, and not many more at once.

    In any `t` seconds at most `per_second * t` traces are sampled, and a burst: the budget of
    one second, at least five traces. If more traces start than that, as many are sampled as the
    budget allows, also of a fraction such as 2.5 or 0.4. Each process has its own budget.

    Which traces these are depends on their ids and on `ratio`, the budget divided by the rate
    of the last seconds: all traces of a quiet program, one of a hundred of a busy one. Processes
    with the same ratio decide alike, with two exceptions that keep to the budget: whatever its
    id, a trace is dropped when the budget is used up, and sampled when the budget of a second
    (at least one trace) is unused. In a busy program the second exception makes about one of 50
    sampled traces at 20 a second, one of 4 at 2.5, and all of them at 1 or less.

    Use it for root spans: `ParentBased(root=BudgetSampler(per_second=20))`.

    Args:
        per_second: The budget; 0.1 is one trace in ten seconds.

    Attributes:
        ratio: The part of the traces that is sampled now, 0 to 1.

    Raises:
        ConfigError: `per_second` is not a positive number.

    >>> sampler = BudgetSampler(per_second=2)
    >>> decisions = [sampler.should_sample(None, number, "job").decision for number in range(5)]
    >>> decisions.count(Decision.RECORD_AND_SAMPLE)
    2
    """

    def __init__(self, per_second: float) -> None:
        check_limit("per_second", per_second, is_whole=False)
        self.ratio = 1.0
        self._budget = min(per_second, _MOST)
        self._window = max(1.0, 1 / self._budget)
        self._rate = 0.0
        self._seen = 0
        # A token bucket: each trace that is sampled takes a token.
        self._burst = max(_LEAST_BURST, self._budget)
        self._plenty = max(1.0, self._budget)
        self._tokens = self._plenty
        self._began = self._filled = monotonic()

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide about a trace; called by the SDK at the start of its first span."""
        now = monotonic()
        if now - self._began >= self._window:
            self._adapt(now)
        if trace_state is None:  # the SDK passes none, and clears it if it gets none
            trace_state = get_current_span(parent_context).get_span_context().trace_state
        if self._takes(trace_id, now):
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, trace_state)
        return SamplingResult(Decision.DROP, trace_state=trace_state)

    def get_description(self) -> str:
        """Return what the sampler does, for the SDK."""
        return f"BudgetSampler({self._budget:g} per second)"

    def _takes(self, trace_id: int, now: float) -> bool:
        # Without a lock, which a signal handler or a child could find held. The interpreter
        # changes threads at calls and loops, so there are none in here.
        self._seen += 1
        tokens = self._tokens
        if now > self._filled:
            tokens += (now - self._filled) * self._budget
            self._filled = now
        if tokens > self._burst:  # noqa: PLR1730 - `min` is a call
            tokens = self._burst
        is_sampled = tokens >= self._plenty or (
            tokens >= 1.0 and trace_id % _IDS < self.ratio * _IDS
        )
        self._tokens = tokens - is_sampled
        return is_sampled

    def _adapt(self, now: float) -> None:
        elapsed = now - self._began
        if elapsed < self._window:
            return  # another thread was here meanwhile
        seen, self._seen, self._began = self._seen, 0, now
        if elapsed >= 2 * self._window:  # after a pause, what was before it says nothing
            self._rate = 0.0
        else:
            rate = seen / elapsed
            self._rate = _WEIGHT * rate + (1 - _WEIGHT) * self._rate if self._rate else rate
        self.ratio = min(1.0, self._budget / self._rate) if self._rate else 1.0

"""The evaluation context of a trace: its targeting key decides in which variants it runs.

The key is the same for all spans of a trace, so they get the same variant of a flag. Where the
key or the stage changes within a trace, since a baggage entry comes later or the stage is raised,
the trace keeps its first outcome for a flag with stages, within these limits:

- It is remembered by the provider, so by each process for itself, and in forked children as it
  was at the fork. A process that sees the trace for the first time evaluates its own file.
- A provider remembers 10,000 outcomes, each of a trace and a flag, and drops those that were not
  asked for longest.
- It holds for the key of the trace or the baggage. With a key from the caller or from a hook,
  that key decides.
- Going back takes effect at once, for safety: a lower stage or percentage, the state DISABLED, or
  another rule by hand. So does stage 5, since it is on for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from openfeature.evaluation_context import EvaluationContext  # pyright: ignore[reportMissingTypeStubs]
from opentelemetry import baggage, trace

if TYPE_CHECKING:
    from openfeature.evaluation_context import EvaluationContextAttribute  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["BAGGAGE_KEY", "context", "targeting_key", "trace_id_here"]

BAGGAGE_KEY: Final = "otel_ext.flags.key"
"""The entry of the baggage with the targeting key."""


def targeting_key(baggage_key: str = BAGGAGE_KEY) -> str:
    """Return the targeting key here: the entry of the baggage, else the id of the trace.

    With the baggage, which goes along with requests, all traces of one user can have one key.
    Whoever sends the request chooses it, so a flag protects nothing.

    Args:
        baggage_key: The entry of the baggage.

    Returns:
        The key; empty without such an entry and without a span.

    >>> targeting_key()
    ''
    """
    entry = baggage.get_baggage(baggage_key)
    if isinstance(entry, str) and entry:
        return entry
    trace_id = trace_id_here()
    return f"{trace_id:032x}" if trace_id else ""


def trace_id_here() -> int:
    """Return the id of the current trace; 0 without a span.

    >>> trace_id_here()
    0
    """
    span = trace.get_current_span().get_span_context()
    return span.trace_id if span.is_valid else 0


def context(
    baggage_key: str = BAGGAGE_KEY, **attributes: EvaluationContextAttribute
) -> EvaluationContext:
    """Return the evaluation context here, for an evaluation on another thread or later.

    Args:
        baggage_key: The entry of the baggage with the targeting key.
        attributes: What rules may ask for besides.

    >>> context(plan="free").attributes["plan"]
    'free'
    """
    return EvaluationContext(targeting_key(baggage_key) or None, attributes)

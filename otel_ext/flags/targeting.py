"""The evaluation context of a trace: its targeting key decides in which variants it runs.

The key is the same for all spans of a trace, so a trace never gets two variants of a flag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from openfeature.evaluation_context import EvaluationContext  # pyright: ignore[reportMissingTypeStubs]
from opentelemetry import baggage, trace

if TYPE_CHECKING:
    from openfeature.evaluation_context import EvaluationContextAttribute  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["BAGGAGE_KEY", "context", "targeting_key"]

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
    span = trace.get_current_span().get_span_context()
    return f"{span.trace_id:032x}" if span.is_valid else ""


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

"""Hooks of OpenFeature: one chooses the targeting key, one records evaluations on spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from openfeature.evaluation_context import EvaluationContext  # pyright: ignore[reportMissingTypeStubs]
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from openfeature.hook import Hook  # pyright: ignore[reportMissingTypeStubs]
from opentelemetry import trace

from otel_ext.flags.arguments import checked_baggage_key
from otel_ext.flags.targeting import BAGGAGE_KEY, targeting_key
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from openfeature.flag_evaluation import FlagEvaluationDetails, FlagValueType
    from openfeature.hook import HookContext, HookHints  # pyright: ignore[reportMissingTypeStubs]
    from opentelemetry.trace import Span

__all__ = ["CONTEXT_ID", "EVENT_NAME", "SpanHook", "TargetingHook"]

EVENT_NAME: Final = "feature_flag.evaluation"
"""The name of the event on the span, by OpenTelemetry's semantic conventions."""

CONTEXT_ID: Final = "contextId"
"""Where OpenFeature keeps the key of an evaluation in its metadata."""

# More different outcomes on one span are not recorded: they would push out its other events.
_MOST_OUTCOMES: Final = 32


class TargetingHook(Hook):
    """Gives an evaluation the trace's targeting key if its caller gave it none.

    `FileProvider` does so by itself; this is for other providers. Add it before other hooks,
    whose keys then win: `openfeature.api.add_hooks([TargetingHook()])`.

    Args:
        baggage_key: The entry of the baggage with the targeting key.

    Raises:
        ConfigError: `baggage_key` is not a text.

    >>> TargetingHook().supports_flag_value_type("BOOLEAN")
    True
    """

    def __init__(self, baggage_key: str = BAGGAGE_KEY) -> None:
        self._baggage_key = checked_baggage_key(baggage_key)

    def before(self, hook_context: HookContext, hints: HookHints) -> EvaluationContext | None:
        """Return a context with the key; None if the caller gave one, or there is none here."""
        try:
            if hook_context.evaluation_context.targeting_key:
                return None
            key = targeting_key(self._baggage_key)
        except Exception as error:  # noqa: BLE001 - it would end the evaluation
            report_problem("a flag is evaluated without a targeting key", error)
            return None
        return EvaluationContext(key) if key else None


class SpanHook(Hook):
    """Records evaluations on the current span, by OpenTelemetry's semantic conventions.

    Each is a span event `feature_flag.evaluation`. The same outcome on the same span is
    recorded once, so a loop does not push out the span's other events. The value is recorded
    only if it has no variant and is a text, a number, true or false: it may be secret or large.

    `FileProvider` brings it; for other providers: `openfeature.api.add_hooks([SpanHook()])`.

    >>> SpanHook().supports_flag_value_type("BOOLEAN")
    True
    """

    def __init__(self) -> None:
        self._outcomes: WeakKeyDictionary[Span, set[tuple[object, ...]]] = WeakKeyDictionary()

    def finally_after(
        self,
        hook_context: HookContext,
        details: FlagEvaluationDetails[FlagValueType],
        hints: HookHints,
    ) -> None:
        """Add the event; never raises."""
        try:
            span = trace.get_current_span()
            if span.is_recording():
                attributes = _attributes(hook_context, details)
                if self._is_new(span, tuple(attributes.values())):
                    span.add_event(EVENT_NAME, attributes)
        except Exception as error:  # noqa: BLE001 - nothing may reach the program
            report_problem("the evaluation of a flag is not recorded", error)

    def _is_new(self, span: Span, outcome: tuple[object, ...]) -> bool:
        try:
            known = self._outcomes.setdefault(span, set())
        except TypeError:  # a span of another SDK, without a hash or weak references
            return True
        if outcome in known or len(known) >= _MOST_OUTCOMES:
            return False
        known.add(outcome)
        return True


def _attributes(
    hook_context: HookContext, details: FlagEvaluationDetails[FlagValueType]
) -> dict[str, str | bool | int | float]:
    metadata = details.flag_metadata
    found: dict[str, str | bool | int | float] = {
        "feature_flag.key": details.flag_key,
        "feature_flag.result.reason": str(details.reason or Reason.UNKNOWN).lower(),
    }
    if details.variant:
        found["feature_flag.result.variant"] = details.variant
    elif isinstance(details.value, str | bool | int | float):
        found["feature_flag.result.value"] = details.value
    if provider := hook_context.provider_metadata:
        found["feature_flag.provider.name"] = provider.name
    key = metadata.get(CONTEXT_ID) or hook_context.evaluation_context.targeting_key
    for name, value in (
        ("feature_flag.context.id", key),
        ("feature_flag.set.id", metadata.get("flagSetId")),
        ("feature_flag.version", metadata.get("version")),
    ):
        if value:
            found[name] = str(value)
    if details.reason == Reason.ERROR:
        found["error.type"] = str(details.error_code or ErrorCode.GENERAL).lower()
        if details.error_message:
            found["feature_flag.error.message"] = details.error_message
    return found

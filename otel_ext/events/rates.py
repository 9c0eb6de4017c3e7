"""`Rates`: which events are kept, by patterns of their names, whole traces at a time."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Final, cast

from opentelemetry import trace

from otel_ext.errors import ConfigError
from otel_ext.events.bus import is_pattern
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Rates"]

_ID_BITS: Final = 64
_ID_MASK: Final = (1 << _ID_BITS) - 1
# Names whose rate is remembered; a program with more looks its patterns up again.
_MOST_NAMES: Final = 10_000


class _Rate:
    """The share of events that one pattern keeps."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        # As in OpenTelemetry's `TraceIdRatioBased`, so that both keep the same traces.
        self._bound = round(rate * (1 << _ID_BITS))
        self._next: Callable[[], int] = count().__next__

    def keeps(self) -> bool:
        trace_id = trace.get_current_span().get_span_context().trace_id
        if trace_id:
            return (trace_id & _ID_MASK) < self._bound
        number = self._next()
        return int(number * self.rate) > int((number - 1) * self.rate) if number else self.rate > 0


class Rates:
    """Decides which events are kept.

    Args:
        rates: The share that is kept, from 0 to 1, by pattern: a name, a prefix with `*`, or
            `*`. A name goes before a prefix, a long prefix before a short one.

    Raises:
        ConfigError: A pattern or a share is not valid.

    >>> rates = Rates({"cache.*": 0.5, "cache.full": 1})
    >>> rates.of("cache.miss"), rates.of("cache.full"), rates.of("queue.full")
    (0.5, 1.0, 1.0)
    >>> [rates.keeps("cache.miss") for _ in range(4)]  # without a trace
    [True, False, True, False]
    """

    def __init__(self, rates: Mapping[str, float]) -> None:
        if not isinstance(cast("object", rates), Mapping):
            raise ConfigError(
                f"rates={short_repr(rates)} is not a mapping",
                hint='Use one such as {"cache.*": 0.1}.',
            )
        known = {pattern: _Rate(_checked(pattern, rate)) for pattern, rate in rates.items()}
        self._exact = {name: rate for name, rate in known.items() if not name.endswith("*")}
        prefixes = [(name[:-1], rate) for name, rate in known.items() if name.endswith("*")]
        self._prefixes = sorted(prefixes, key=lambda one: -len(one[0]))
        self._found: dict[str, _Rate | None] = {}

    def _find(self, name: str) -> _Rate | None:
        found = self._exact.get(name)
        if found is None:
            # "cache.*" is about what is below "cache", as for subscriptions.
            matching = (rate for prefix, rate in self._prefixes if name.startswith(prefix))
            found = next(matching, None)
        if len(self._found) >= _MOST_NAMES:
            self._found = {}
        self._found[name] = found
        return found

    def of(self, name: str) -> float:
        """Return the share of the events `name` that is kept."""
        rate = self._find(name)
        return 1.0 if rate is None else rate.rate

    def keeps(self, name: str) -> bool:
        """Return whether to keep an event `name` that the caller emits now."""
        try:
            rate = self._found[name]
        except KeyError:
            rate = self._find(name)
        return rate is None or rate.rate == 1.0 or rate.keeps()


def _checked(pattern: object, rate: object) -> float:
    if not is_pattern(pattern):
        raise ConfigError(
            f"rates: {short_repr(pattern)} is not a valid pattern of event names",
            hint="Use a name (cache.miss), a prefix (cache.*) or * for all events.",
        )
    if not isinstance(rate, (int, float)) or isinstance(rate, bool) or not 0.0 <= rate <= 1.0:
        raise ConfigError(
            f"rates: {short_repr(rate)} of {short_repr(pattern)} is not a valid share",
            hint="Use a number from 0 (none) to 1 (all).",
        )
    return float(rate)

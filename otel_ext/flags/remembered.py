"""Remembers the first outcome of a flag in a trace, so that the trace keeps it."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.flags.targeting import trace_id_here
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from openfeature.flag_evaluation import FlagResolutionDetails

    from otel_ext.flags.ruleset import Ruleset

__all__ = ["MOST_OUTCOMES", "FirstOutcomes", "Place", "place_here"]

MOST_OUTCOMES: Final = 10_000
"""How many outcomes a provider remembers: one for each trace and flag."""


class Place(NamedTuple):
    """What an outcome belongs to.

    Attributes:
        trace_id: The trace.
        flag: The name of the flag.
        kind: The type that was asked for, as in OpenFeature's errors.
        period: A number that is another one once the flag has gone back; see `Ruleset.periods`.
    """

    trace_id: int
    flag: str
    kind: str
    period: int


def place_here(rules: Ruleset | None, flag: str, kind: str) -> Place | None:
    """Return the place of a flag in the current trace.

    None without a trace, and for a flag whose outcome is not remembered: one without stages,
    whose rules may ask for more than the key, or at stage 5, or DISABLED.

    >>> place_here(None, "new-search", "boolean")
    """
    period = None if rules is None else rules.periods.get(flag)
    if period is None:
        return None
    try:
        trace_id = trace_id_here()
    except Exception as error:  # noqa: BLE001 - of another SDK
        report_problem("a flag is evaluated without its trace", error)
        return None
    return Place(trace_id, flag, kind, period) if trace_id else None


class FirstOutcomes:
    """The first outcome for each trace and flag; of too many, those not asked for longest go.

    Threads may use it at the same time: each step is one call of a C method, so there is no
    lock that a forked child could find held. The child goes on with a copy.

    >>> from openfeature.flag_evaluation import FlagResolutionDetails
    >>> outcomes, place = FirstOutcomes(), Place(7, "new-search", "boolean", 1)
    >>> outcomes.keep(place, FlagResolutionDetails(True)).value
    True
    >>> outcomes.keep(place, FlagResolutionDetails(False)).value
    True
    """

    def __init__(self) -> None:
        self._known: OrderedDict[Place, FlagResolutionDetails[object]] = OrderedDict()

    def find(self, place: Place) -> FlagResolutionDetails[object] | None:
        """Return the outcome there; None if there is none yet, or no more."""
        found = self._known.get(place)
        if found is not None:
            with suppress(KeyError):  # another thread has just dropped it
                self._known.move_to_end(place)
        return found

    def keep(
        self, place: Place, outcome: FlagResolutionDetails[object]
    ) -> FlagResolutionDetails[object]:
        """Remember an outcome, and return the one to use: another thread's, if that was first."""
        first = self._known.setdefault(place, outcome)
        while len(self._known) > MOST_OUTCOMES:
            with suppress(KeyError):
                self._known.popitem(last=False)
        return first

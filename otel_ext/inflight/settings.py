"""Declares the settings for watching open spans."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from otel_ext.settings.declarations import declare
from otel_ext.settings.kinds import Boolean, Duration, Integer, Thresholds
from otel_ext.settings.units import DAY, HOUR, MINUTE, YEAR

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["InflightSettings"]

_STALL: Final = Duration(0.01, YEAR, zero="for never")
_NO_PATTERNS: Final[Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True)
class InflightSettings:
    """How open spans are watched. In seconds.

    >>> InflightSettings(stall_patterns={"nightly *": 3_600}).stall_after
    60.0
    """

    max_open_spans: int = declare(
        Integer(1, 100_000_000),
        "How many open spans are watched at most; further ones are only recorded and counted.",
        default=100_000,
    )
    max_open_age: float = declare(
        Duration(1, 10 * YEAR),
        "A span that is open for longer is no longer watched and counts as abandoned (`expired`).",
        default=7 * DAY,
    )
    heartbeat_interval: float = declare(
        Duration(0.1, HOUR),
        "Time between the heartbeats of a process.",
        default=5.0,
    )
    stall_after: float = declare(
        _STALL, "A span that is open for longer is reported as stalled.", default=MINUTE
    )
    stall_patterns: Mapping[str, float] = declare(
        Thresholds(_STALL),
        "`stall-after` by span name: a table of patterns (`*`, `?`, `[...]`); the first pattern"
        " that matches counts.",
        default=_NO_PATTERNS,
    )
    owner_grace: float = declare(
        Duration(0.001, HOUR, zero="for none"),
        "How long after its thread or task has ended a span is reported as abandoned.",
        default=0.5,
    )
    handle_sigterm: bool = declare(
        Boolean(),
        "Write all records when SIGTERM arrives, then call the program's own handler.",
        default=False,
    )

"""Switches on the OpenTelemetry instrumentations that are installed.

The same entry points that `opentelemetry-instrument` loads, under the same
rules: `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS` leaves some out (`*` all), and one
whose library is missing or of another version is left out. Unlike there, one
that fails does not keep the rest from being switched on.
"""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint, entry_points
from typing import Final, Protocol, cast

from otel_ext.runtime.guard import report_problem

__all__ = ["instrument_libraries"]

_GROUP: Final = "opentelemetry_instrumentor"
_DISABLED: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"


class _Instrumentor(Protocol):
    def instrument(self, **kwargs: object) -> object: ...


class _Factory(Protocol):
    def __call__(self) -> _Instrumentor: ...


def instrument_libraries() -> list[str]:
    """Switch on each installed instrumentation that fits; never raises.

    Returns:
        The names of those that were switched on.
    """
    disabled = {name.strip() for name in os.environ.get(_DISABLED, "").split(",")}
    if "*" in disabled:
        return []
    found = [entry for entry in entry_points(group=_GROUP) if entry.name not in disabled]
    return [entry.name for entry in found if _instrument(entry)]


def _instrument(entry: EntryPoint) -> bool:
    try:
        if _conflicts(entry):
            return False
        factory = cast("_Factory", entry.load())
        factory().instrument(skip_dep_check=True)
    except ModuleNotFoundError:
        return False  # the library is not there, so there is nothing to instrument
    except Exception as error:  # noqa: BLE001 - anybody's code; the others go on
        report_problem(f"instrumentation {entry.name} was left out", error)
        return False
    return True


def _conflicts(entry: EntryPoint) -> bool:
    """Whether the instrumented library is missing or of a version that does not fit."""
    from opentelemetry.instrumentation.dependencies import (  # noqa: PLC0415 - may be absent
        get_dist_dependency_conflicts,
    )

    if entry.dist is None:
        return False
    conflict = get_dist_dependency_conflicts(entry.dist)
    if conflict is None:
        return False
    if conflict.found or conflict.found_any:
        report_problem(f"instrumentation {entry.name} was left out", str(conflict))
    return True

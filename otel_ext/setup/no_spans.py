"""Explains at exit why a program that called `configure()` has recorded no span.

`otel-ext run` prints the reason in its summary instead.
"""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Final

from otel_ext.instrumentors.libraries import (
    install_command,
    missing_instrumentations,
    names_and_verb,
    why_disabled,
)
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.setup.handle import Handle

__all__ = ["explain_at_exit", "sampled_out"]

_SAMPLER: Final = "OTEL_TRACES_SAMPLER"
_OFF: Final = frozenset({"always_off", "parentbased_always_off"})
_RATIO: Final = frozenset({"traceidratio", "parentbased_traceidratio"})
# `process.start` may be the only record.
_PROCESS_START: Final = 1


def explain_at_exit(handle: Handle) -> None:
    """Report at the exit of this process why there are no spans, if the reason is known."""
    if "OTEL_EXT_RUN_PID" not in os.environ:
        atexit.register(_explain, handle, os.getpid())


def _explain(handle: Handle, pid: int) -> None:
    try:
        if not handle.active or os.getpid() != pid:
            return
        if COUNTERS.value("accepted") > _PROCESS_START:
            return
        switch_on = not handle.config.capture.instrument
        reason = sampled_out(os.environ) or _not_instrumented(switch_on=switch_on)
        if reason:
            report_problem("no spans", reason)
    except Exception as error:  # noqa: BLE001 - the program ends as without us
        report_problem("no spans", error)


def sampled_out(environ: Mapping[str, str]) -> str:
    """Return a sentence if the environment sets a sampler that drops spans, else empty text.

    >>> sampled_out({"OTEL_TRACES_SAMPLER": "always_off"})[:43]
    'OTEL_TRACES_SAMPLER=always_off leaves every'
    >>> sampled_out({})
    ''
    """
    name = environ.get(_SAMPLER, "").strip().lower()
    argument = environ.get(f"{_SAMPLER}_ARG", "").strip()
    way_out = "unset it, or use parentbased_always_on."
    if name in _OFF:
        return f"{_SAMPLER}={name} leaves every span out: {way_out}"
    if name in _RATIO and argument not in {"", "1", "1.0"}:
        return (
            f"{_SAMPLER}={name} with {_SAMPLER}_ARG={argument} leaves out all spans but a share,"
            f" and may have left out all: {way_out}"
        )
    return ""


def _not_instrumented(*, switch_on: bool) -> str:
    """Return a sentence about frameworks that are not instrumented; empty if all are.

    With `switch_on` it includes how: the setting `instrument` is off.
    """
    missing = missing_instrumentations(frameworks_only=True)
    call = "call otel_ext.configure(instrument=True)"
    if missing.to_install:
        names = names_and_verb(missing.to_install)
        command = f"{names} not instrumented. Run: {install_command(missing.to_install)}"
        return f"{command}; {call}" if switch_on else command
    if missing.to_switch_on and switch_on:
        return (
            f"{names_and_verb(missing.to_switch_on)} not instrumented, though it could be: {call}"
        )
    if missing.disabled:
        reason = why_disabled(missing.disabled)
        return f"{reason}, and {call}" if switch_on else reason
    return ""

"""Why a program has recorded nothing: said once, where it ends, for `configure()` in code.

`otel-ext run` says it in its closing words instead.
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
# The record that introduces the process may be there without any other.
_INTRODUCTION: Final = 1


def explain_at_exit(handle: Handle) -> None:
    """Say at the exit of this process why there is no record, if there is none and a reason."""
    if "OTEL_EXT_RUN_PID" not in os.environ:
        atexit.register(_explain, handle, os.getpid())


def _explain(handle: Handle, pid: int) -> None:
    try:
        if not handle.active or os.getpid() != pid:
            return
        if COUNTERS.value("accepted") > _INTRODUCTION:
            return
        switch_on = not handle.config.capture.instrument
        reason = sampled_out(os.environ) or _not_instrumented(switch_on=switch_on)
        if reason:
            report_problem("no spans", reason)
    except Exception as error:  # noqa: BLE001 - the program ends as without us
        report_problem("no spans", error)


def sampled_out(environ: Mapping[str, str]) -> str:
    """Return that the sampler of the environment leaves spans out; empty if it does not.

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
    """Return which frameworks of this program are not instrumented; empty if all are.

    Args:
        switch_on: Whether the program has yet to ask for its libraries to be instrumented.
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

"""Switches an instrumentation on when its library is imported.

The entry points and the rules are those of `opentelemetry-instrument`:
`OTEL_PYTHON_DISABLED_INSTRUMENTATIONS` disables some (`*` all), and an instrumentation
that does not fit the version of its library is skipped. Unlike there, nothing is imported
that the program does not use, and one that fails does not keep the others off.

An import hook is called when a module has been executed, before the import statement
binds any name: `from flask import Flask` gets the instrumented class. A library that is
already imported is instrumented at once.
"""

from __future__ import annotations

import os
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Final, cast

import wrapt

from otel_ext.instrumentors.libraries import disabled_instrumentations, note_disabled, note_missing
from otel_ext.instrumentors.triggers import instrumented, trigger_modules
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.process.run_notes import note

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["instrument_libraries"]

_GROUP: Final = "opentelemetry_instrumentor"
_DJANGO: Final = ("django.core.handlers.base", "BaseHandler.load_middleware")
# Instrumentations that wait for their library; each is switched on at most once.
_waiting: Final[dict[str, EntryPoint]] = {}
_seen: Final[set[str]] = set()


def instrument_libraries() -> list[str]:
    """Switch on each installed instrumentation when its library is imported; never raises.

    Idempotent.

    Returns:
        The names of the instrumentations that are installed and not disabled.

    >>> import os
    >>> os.environ["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"] = "*"
    >>> instrument_libraries()
    []
    """
    found: list[str] = []
    _guarded("of any library", partial(_wait_for_libraries, found))
    return found


def _wait_for_libraries(found: list[str]) -> None:
    disabled = disabled_instrumentations(os.environ)
    if "*" in disabled:
        note("disabled", "*")
        return
    covered: set[str] = set()
    for entry in entry_points(group=_GROUP):
        modules = trigger_modules(entry)
        covered.update(modules)
        if entry.name in disabled:
            note_disabled(entry.name, modules)
            continue
        found.append(entry.name)
        if entry.name not in _seen:
            _seen.add(entry.name)
            _guarded(entry.name, partial(_wait_for_library, entry, modules))
    note_missing(covered)


def _wait_for_library(entry: EntryPoint, modules: tuple[str, ...]) -> None:
    """Switch `entry` on when one of `modules` is imported, or now if one already is."""
    _waiting[entry.name] = entry
    if entry.name == "django":
        wrapt.register_post_import_hook(_wait_for_django, _DJANGO[0])
        return
    for module in modules:
        wrapt.register_post_import_hook(lambda _: _switch_on(entry.name), module)
    if not modules:
        _switch_on(entry.name)


def _wait_for_django(module: object) -> None:
    """Switch Django's instrumentation on just before a handler loads its middleware.

    The instrumentation adds a middleware to the settings. Earlier, the settings may not
    exist and it would create empty ones; later, the middleware is already loaded.
    """
    _guarded("django", partial(wrapt.wrap_function_wrapper, module, _DJANGO[1], _before_middleware))


def _before_middleware(
    wrapped: Callable[..., object], _instance: object, args: tuple[object, ...], kwargs: object
) -> object:
    _switch_on("django")
    return wrapped(*args, **cast("dict[str, object]", kwargs))


def _switch_on(name: str) -> None:
    """Switch an instrumentation on, unless that was tried before; never raises."""
    entry = _waiting.pop(name, None)
    if entry is not None:
        _guarded(name, partial(_instrument, entry))


def _guarded(name: str, work: Callable[[], object]) -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - third-party code; the import goes on
        report_problem(f"instrumentation {name} was left out", error)
        note("failed", name)


def _instrument(entry: EntryPoint) -> None:
    if _conflicts(entry):
        return
    try:
        instrumentor = cast("Callable[[], Any]", entry.load())()
        # The program or `opentelemetry-instrument` may have switched it on already.
        if not getattr(instrumentor, "is_instrumented_by_opentelemetry", False):
            instrumentor.instrument(skip_dep_check=True)
    except ModuleNotFoundError as error:
        if not _lacks_its_library(entry, error):
            raise
        return
    note("instrumented", entry.name)


def _lacks_its_library(entry: EntryPoint, error: ModuleNotFoundError) -> bool:
    """Return whether the missing module is the library that `entry` instruments.

    That is possible if the metadata names no library, or several of which one is enough:
    the entry points `httpx` and `httpx2` are in one distribution and wait for either.
    """
    needed, any_of = instrumented(entry.dist)
    top = (error.name or "").partition(".")[0]
    return not needed and (not any_of or not top or top in trigger_modules(entry))


def _conflicts(entry: EntryPoint) -> bool:
    """Return whether the library is missing, or has a version that does not fit."""
    if entry.dist is None or not any(instrumented(entry.dist)):
        return False
    from opentelemetry.instrumentation.dependencies import (  # noqa: PLC0415 - may be absent
        get_dist_dependency_conflicts,
    )

    conflict = get_dist_dependency_conflicts(entry.dist)
    if conflict is None:
        return False
    # Without the distribution, the module is one of the program's with the same name.
    if conflict.found or conflict.found_any:
        report_problem(f"instrumentation {entry.name} was left out", str(conflict))
        note("failed", entry.name)
    return True

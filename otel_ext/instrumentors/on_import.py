"""Switches an instrumentation on when the library it is for is imported.

The entry points and the rules are those of `opentelemetry-instrument`:
`OTEL_PYTHON_DISABLED_INSTRUMENTATIONS` leaves some out (`*` all), and one whose
library is of another version is left out. Unlike there, nothing is imported that
the program does not use, and one that fails keeps no other from being switched on.

An import hook calls back when a module has been executed, before the statement
that imports it binds any name: `from flask import Flask` gets the instrumented
class. What is imported already is instrumented at once.
"""

from __future__ import annotations

import os
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Final, Protocol, cast

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
# Entry points that wait for their library, or whose turn has come; each has one turn.
_waiting: Final[dict[str, EntryPoint]] = {}
_seen: Final[set[str]] = set()


class _Instrumentor(Protocol):
    def instrument(self, **kwargs: object) -> object: ...


class _Factory(Protocol):
    def __call__(self) -> _Instrumentor: ...


def instrument_libraries() -> list[str]:
    """Switch on each installed instrumentation once its library is imported; never raises.

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
    """Arrange for `entry` to be switched on, which happens at once where its library is there."""
    _waiting[entry.name] = entry
    if entry.name == "django":
        wrapt.register_post_import_hook(_wait_for_django, _DJANGO[0])
        return
    for module in modules:
        wrapt.register_post_import_hook(partial(_imported, entry.name), module)
    if not modules:
        _switch_on(entry.name)


def _imported(name: str, _module: object) -> None:
    _switch_on(name)


def _wait_for_django(module: object) -> None:
    """Wait until a handler of Django's loads its middleware.

    The instrumentation adds a middleware to the settings. Before that moment there
    may be none, and it would make empty ones in their place; after it, it is too late.
    """
    _guarded("django", partial(wrapt.wrap_function_wrapper, module, _DJANGO[1], _before_middleware))


def _before_middleware(
    wrapped: Callable[..., object], _instance: object, args: tuple[object, ...], kwargs: object
) -> object:
    _switch_on("django")
    return wrapped(*args, **cast("dict[str, object]", kwargs))


def _switch_on(name: str) -> None:
    """Switch an instrumentation on, unless it has had its turn; never raises."""
    entry = _waiting.pop(name, None)
    if entry is not None:
        _guarded(name, partial(_instrument, entry))


def _guarded(name: str, work: Callable[[], object]) -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - code of others; the import goes on
        report_problem(f"instrumentation {name} was left out", error)
        note("failed", name)


def _instrument(entry: EntryPoint) -> None:
    if _conflicts(entry):
        return
    try:
        factory = cast("_Factory", entry.load())
        instrumentor = factory()
        # By the program itself, or by `opentelemetry-instrument`.
        if not getattr(instrumentor, "is_instrumented_by_opentelemetry", False):
            instrumentor.instrument(skip_dep_check=True)
    except ModuleNotFoundError as error:
        if not _lacks_its_library(entry, error):
            raise
        return
    note("instrumented", entry.name)


def _lacks_its_library(entry: EntryPoint, error: ModuleNotFoundError) -> bool:
    """Whether the module that is missing is what `entry` is for.

    It may be where the metadata names no library, or several of which one is enough: the
    entry points `httpx` and `httpx2` are of one distribution, and wait for either library.
    """
    needed, any_of = instrumented(entry.dist)
    top = (error.name or "").partition(".")[0]
    return not needed and (not any_of or not top or top in trigger_modules(entry))


def _conflicts(entry: EntryPoint) -> bool:
    """Whether the instrumented library is missing or of a version that does not fit."""
    if entry.dist is None or not any(instrumented(entry.dist)):
        return False
    from opentelemetry.instrumentation.dependencies import (  # noqa: PLC0415 - may be absent
        get_dist_dependency_conflicts,
    )

    conflict = get_dist_dependency_conflicts(entry.dist)
    if conflict is None:
        return False
    # A module of that name may be the program's own: then nothing is amiss.
    if conflict.found or conflict.found_any:
        report_problem(f"instrumentation {entry.name} was left out", str(conflict))
        note("failed", entry.name)
    return True

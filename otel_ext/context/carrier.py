"""Carries the context to another thread or process: span, baggage and error context.

The carrier is a small dict of texts, so it can be pickled, written as JSON, or passed in
the environment of a child process. Its first three keys follow W3C Trace Context and
Baggage (https://www.w3.org/TR/trace-context/, https://www.w3.org/TR/baggage/), in the
environment as OpenTelemetry names them
(https://opentelemetry.io/docs/specs/otel/context/env-carriers/). A carrier may come from
an untrusted source: what is not valid in it is ignored, and it is bounded.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from logging import LogRecord
from typing import TYPE_CHECKING, Final, cast

import orjson
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, attach, get_current, get_value, set_value
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_ext.context import error_context
from otel_ext.context.arguments import attribute_of
from otel_ext.context.current import leave, take_ending
from otel_ext.context.error_scope import enter_block, exit_block
from otel_ext.record.sanitise.scalars import is_utf8
from otel_ext.runtime.guard import report_problem
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from otel_ext.context.current import Opened
    from otel_ext.context.scope import Scope

__all__ = ["Carrier", "context_environment", "propagate_context", "with_propagated_context"]

Carrier = dict[str, str]

_ERROR_CONTEXT: Final = "otel_ext_error_context"
_KEYS: Final = ("traceparent", "tracestate", "baggage", _ERROR_CONTEXT)
# W3C asks for at least 512 characters of trace state, and at most 8,192 bytes of baggage.
_LONGEST: Final = {"traceparent": 64, "tracestate": 2_048, "baggage": 8_192, _ERROR_CONTEXT: 8_192}
_MAX_FIELDS: Final = 64
# Fields of these names are read by processors of structlog or refused by `logging`, so a carrier
# could make a log raise.
_RESERVED: Final = frozenset(vars(LogRecord("", 0, "", 0, "", None, None))) | {
    *("asctime", "event", "exception", "extra", "level", "logger", "message"),
    *("positional_args", "self", "stack", "stacklevel", "timestamp"),
}
# structlog keeps a context variable for each name to the end of the process.
_MAX_NAMES: Final = 1_000
_names: Final[dict[str, None]] = {}
# The key in OpenTelemetry's context of what tells the block here from others.
_BLOCK: Final = "otel_ext-carried-block"
_SPAN: Final = TraceContextTextMapPropagator()
_BAGGAGE: Final = W3CBaggagePropagator()


def propagate_context() -> Carrier:
    """Return the context of the calling code: current span, baggage and error context.

    Returns:
        A dict of texts, for `with_propagated_context` in another thread or process. It is
        empty where there is nothing to carry.

    >>> propagate_context()
    {}
    """
    carrier: Carrier = {}
    try:
        _SPAN.inject(carrier)
        _BAGGAGE.inject(carrier)
        fields = error_context.get()
        carried = {name: value for name, value in fields.items() if _is_name(name)}
        for name in fields.keys() - carried.keys():
            report_problem("propagate_context", f"the field {name!r} is not carried: rename it")
        if carried:
            carrier[_ERROR_CONTEXT] = _encoded(carried)
    except Exception as error:  # noqa: BLE001 - nothing may reach the user's code
        report_problem("propagate_context: a part of the context is not carried", error)
    for key in [key for key, value in carrier.items() if len(value) > _LONGEST.get(key, 0)]:
        report_problem("propagate_context", f"{key} is not carried: it is too long")
        del carrier[key]
    return carrier


def context_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a child process that continues this trace.

    The child calls `with_propagated_context(os.environ)`; programs of other languages
    find `TRACEPARENT`, `TRACESTATE` and `BAGGAGE`.

    Args:
        environment: The variables to add to; by default those of this process.

    >>> "TRACEPARENT" in context_environment({"PATH": "/bin", "TRACEPARENT": "of another span"})
    False
    """
    found = dict(os.environ if environment is None else environment)
    for key in _KEYS:
        found.pop(key.upper(), None)
    found.update((key.upper(), value) for key, value in propagate_context().items())
    return found


class _ByEitherName(Getter["Mapping[str, str]"]):
    """Reads a carrier whose keys are in lower case, or in upper case as in an environment."""

    def get(self, carrier: Mapping[str, str], key: str) -> list[str] | None:
        value = carrier.get(key)
        return None if value is None else [value]

    def keys(self, carrier: Mapping[str, str]) -> list[str]:
        return list(carrier)


_GETTER: Final = _ByEitherName()


class with_propagated_context:  # noqa: N801 - used like a function
    """Restores a carried context within a block: the spans in it join the carried trace.

    Never raises. What is not valid in the carrier, or too long, is ignored.

    Args:
        carrier: What `propagate_context` returned, or the environment of this process.

    >>> carrier = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    >>> with with_propagated_context(carrier):
    ...     propagate_context() == carrier
    True
    """

    __slots__ = ("_carrier", "_opened", "_scopes")

    def __init__(self, carrier: Mapping[str, str]) -> None:
        self._carrier = carrier
        self._opened: list[Opened[None]] = []
        self._scopes: list[Scope] = []

    def __enter__(self) -> None:
        before = get_current()
        try:
            clean = _valid(self._carrier)
            context, fields = _restored(clean), _fields(clean.get(_ERROR_CONTEXT))
        except Exception as error:  # noqa: BLE001 - nothing may reach the user's code
            report_problem("with_propagated_context: a carrier is ignored", error)
            context, fields = before, {}
        self._scopes.append(enter_block(fields, get_current_span(context)))
        block = object()
        self._opened.append((block, (attach(set_value(_BLOCK, block, context)), before), None))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        current = get_value(_BLOCK)
        ending = take_ending(self._opened, current)
        if ending is None or ending[1] is None:
            return
        if error is not None:
            error_context.enrich(error)
        leave(ending[1], is_current=ending[0] is current)
        exit_block(self._scopes)
        if error is not None:
            error_context.keep_fields(error)


def _valid(carrier: Mapping[str, str]) -> Carrier:
    """Return the entries that are ours, of the right type, in Unicode and not too long."""
    found: Carrier = {}
    for key in _KEYS:
        value: object = carrier.get(key)
        if value is None:
            value = carrier.get(key.upper())
        if type(value) is str and len(value) <= _LONGEST[key] and is_utf8(value):
            found[key] = value
    return found


def _restored(carrier: Carrier) -> Context:
    """Return the context with the carried span and baggage, instead of those of this block."""
    return _SPAN.extract(carrier, _with_baggage(carrier.get("baggage", "")), _GETTER)


@lru_cache(maxsize=32)  # it is often the same, and takes longer to read than all else
def _with_baggage(text: str) -> Context:
    """Return a context with this baggage alone."""
    return _BAGGAGE.extract({"baggage": text}, Context(), _GETTER)


def _encoded(fields: Mapping[str, object]) -> str:
    """Return the error context as JSON, in ASCII: an environment may take nothing else."""
    plain = {name: attribute_of(value) for name, value in fields.items()}
    try:
        text = orjson.dumps(plain, default=repr).decode()
    except TypeError:  # such as an integer of more than 64 bits, or half of a surrogate pair
        return json.dumps({name: short_repr(value) for name, value in plain.items()})
    return text if text.isascii() else json.dumps(orjson.loads(text), separators=(",", ":"))


def _fields(text: str | None) -> dict[str, object]:
    """Return the fields of an error context that is carried, those with a valid name."""
    if not text:
        return {}
    try:
        loaded: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(loaded, dict):
        return {}
    items = list(cast("dict[str, object]", loaded).items())[:_MAX_FIELDS]
    return {name: attribute_of(value) for name, value in items if _is_name(name) and _fits(name)}


def _is_name(name: str) -> bool:
    """Return whether a carrier may set a field of this name."""
    return name.isidentifier() and not name.startswith("_") and name not in _RESERVED


def _fits(name: str) -> bool:
    """Return whether this process has room for a field of this name."""
    if len(_names) < _MAX_NAMES:
        _names[name] = None
    return name in _names

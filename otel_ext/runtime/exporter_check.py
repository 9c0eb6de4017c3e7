"""Checks an exporter where it is passed, so that a mistake fails there, not at a record."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from otel_ext.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.protocols import Encoding, RecordExporter
    from otel_ext.record.model import Process, Record

__all__ = ["check_exporter", "fast_export_of", "prepare_first_line", "tell"]


def check_exporter(owner: str, exporter: object) -> None:
    """Raise ConfigError unless `exporter` can export records.

    Args:
        owner: The class that `exporter` was passed to.
        exporter: The argument.

    Raises:
        ConfigError: It is a path, a class, an exporter of the SDK, or anything else
            that has no `export`.

    >>> check_exporter("FanOut", "log")
    Traceback (most recent call last):
    ...
    otel_ext.errors.ConfigError: FanOut takes an exporter, not 'log'. Give it JsonlExporter('log').
    """
    hint = _hint_for(exporter)
    if not hint:
        return
    shown = exporter.__name__ if isinstance(exporter, type) else repr(exporter)
    raise ConfigError(f"{owner} takes an exporter, not {shown}", hint=hint)


def fast_export_of(exporter: RecordExporter) -> Callable[[Record], None]:
    """Return the compiled `export` of an exporter whose class has one, else its `export`.

    The class decides: an exporter that wraps another one and delegates unknown attributes
    to it would return the inner one's, and skip its own steps. So would one whose class has
    an `export` of its own, and derives from a class with a compiled one.

    >>> from otel_ext.exporters import ConsoleExporter
    >>> mine = ConsoleExporter()
    >>> fast_export_of(mine) == mine.export
    True
    """
    export: Callable[[Record], None] = exporter.export
    for kind in type(exporter).__mro__:
        if "fast_export" in vars(kind):
            return getattr(exporter, "fast_export", export)
        if "export" in vars(kind):
            break
    return export


def prepare_first_line(
    exporter: RecordExporter, process: Process, encoding: Encoding | None = None
) -> None:
    """Let an exporter that writes files encode the first line of its file in advance.

    Args:
        exporter: Any exporter. Its class decides, as in `fast_export_of`.
        process: The process that the first line will describe.
        encoding: How the records will be encoded; None for the default.

    >>> from otel_ext.exporters import ConsoleExporter
    >>> from otel_ext.record.model import Process
    >>> prepare_first_line(ConsoleExporter(), Process("p"))
    """
    prepare = getattr(type(exporter), "prepare_first_line", None)
    if prepare is not None:
        prepare(exporter, process, *(() if encoding is None else (encoding,)))


def tell(exporter: object, method: str, what: object) -> None:
    """Pass `what` to a method of an exporter, if its class has it; see `fast_export_of`.

    >>> told: list[int] = []
    >>> tell(told, "append", 7), tell(told, "learn_open_spans", 8), told
    (None, None, [7])
    """
    known = getattr(type(exporter), method, None)
    if known is not None:
        known(exporter, what)


def _hint_for(exporter: object) -> str:
    """Return what to pass instead; empty if `exporter` is valid."""
    if isinstance(exporter, (str, os.PathLike)):
        return f"Give it JsonlExporter({str(cast('object', exporter))!r})."
    if isinstance(exporter, type):
        return f"Give it an object of that class, {exporter.__name__}(...)."
    # By its name, so that the SDK's exporters need not be imported.
    if any(base.__name__ == "SpanExporter" for base in type(exporter).__mro__):
        return "It takes spans; give it StockSpanExporterAdapter(...) around that."
    if not callable(getattr(exporter, "export", None)):
        return "Give it an object with export(), force_flush() and shutdown()."
    return ""

"""What was given as an exporter: a mistake is named when it is made, not at the first record."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from otel_ext.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.protocols import Encoding, RecordExporter
    from otel_ext.record.model import Process, Record

__all__ = ["check_exporter", "fast_export_of", "prepare_first_line"]


def check_exporter(owner: str, given: object) -> None:
    """Refuse what takes no records.

    Args:
        owner: The class that it was given to.
        given: Where that is to send its records.

    Raises:
        ConfigError: It is a path, a class, an exporter of the SDK, or anything else
            that has no `export`.

    >>> check_exporter("FanOut", "log")
    Traceback (most recent call last):
    ...
    otel_ext.errors.ConfigError: FanOut takes an exporter, not 'log'. Give it JsonlExporter('log').
    """
    hint = _way_out(given)
    if not hint:
        return
    shown = given.__name__ if isinstance(given, type) else repr(given)
    raise ConfigError(f"{owner} takes an exporter, not {shown}", hint=hint)


def fast_export_of(exporter: RecordExporter) -> Callable[[Record], None]:
    """Return the compiled `export` of an exporter whose class has one, else its `export`.

    The class is asked: an exporter that hands on to one inside it whatever it does not
    have itself would give that one's, and its own steps would be left out.

    >>> from otel_ext.exporters import ConsoleExporter
    >>> mine = ConsoleExporter()
    >>> fast_export_of(mine) == mine.export
    True
    """
    quick: Callable[[Record], None] = exporter.export
    if hasattr(type(exporter), "fast_export"):
        quick = getattr(exporter, "fast_export", quick)
    return quick


def prepare_first_line(
    exporter: RecordExporter, process: Process, encoding: Encoding | None = None
) -> None:
    """Let an exporter make the line that begins its file, if it begins files.

    Args:
        exporter: Any exporter. The class is asked, as by `fast_export_of`.
        process: Whose record the first one will be.
        encoding: How the records will be encoded; None for the usual way.

    >>> from otel_ext.exporters import ConsoleExporter
    >>> from otel_ext.record.model import Process
    >>> prepare_first_line(ConsoleExporter(), Process("p"))
    """
    prepare = getattr(type(exporter), "prepare_first_line", None)
    if prepare is not None:
        prepare(exporter, process, *(() if encoding is None else (encoding,)))


def _way_out(given: object) -> str:
    """Return what to give instead; empty if it is right."""
    if isinstance(given, (str, os.PathLike)):
        return f"Give it JsonlExporter({str(cast('object', given))!r})."
    if isinstance(given, type):
        return f"Give it an object of that class, {given.__name__}(...)."
    # By its name: the SDK's exporters need not be imported for this.
    if any(base.__name__ == "SpanExporter" for base in type(given).__mro__):
        return "It takes spans; give it StockSpanExporterAdapter(...) around that."
    if not callable(getattr(given, "export", None)):
        return "Give it an object with export(), force_flush() and shutdown()."
    return ""

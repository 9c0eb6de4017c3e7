"""`configure_structlog()`: logs beside the spans, by one call.

What it does depends on what it finds. Where structlog was not configured, it
sets up the chain that structlog recommends, ending in ours. Where the program
has configured structlog, every processor and the output stay as they are, and
the last processor is wrapped so that each log also becomes a record.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import structlog
from structlog.processors import StackInfoRenderer, add_log_level, format_exc_info
from structlog.stdlib import ExtraAdder, add_logger_name

from otel_ext.config import compat_mode
from otel_ext.errors import ConfigError
from otel_ext.processors import structlog_chain as chains
from otel_ext.processors.bridge_keeper import keep_bridge, remove_bridge
from otel_ext.processors.people_renderer import PeopleRenderer
from otel_ext.processors.printing import StandardOutputFactory, is_terminal
from otel_ext.processors.stdlib_bridge import StdlibBridge
from otel_ext.processors.tracer_meta import (
    TracerMetaProcessor,
    TracerMetaRenderer,
    TracerMetaTap,
)
from otel_ext.setup.current import current_exporter, redact_record, shows_records

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import Processor

    from otel_ext.protocols import RecordExporter
    from otel_ext.record.model import Record

__all__ = ["PipelineExporter", "Style", "configure_structlog"]

Style: TypeAlias = Literal["auto", "console", "json"]

_STYLES: Final = ("auto", "console", "json")
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_FACTORIES: Final = (
    StandardOutputFactory,
    structlog.BytesLoggerFactory,
    structlog.PrintLoggerFactory,
    structlog.WriteLoggerFactory,
)


class PipelineExporter:
    """Exports to wherever `otel_ext.configure()` brings records at that moment.

    Asks for each record, so it does not matter which call came first; without a
    `configure()` the records go nowhere.

    >>> PipelineExporter().force_flush()
    True
    """

    def export(self, record: Record) -> None:
        """Hand one record on, if records are brought anywhere."""
        exporter = current_exporter()
        if exporter is not None:
            exporter.export(record)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush what `configure()` set up; whether that was done in time."""
        exporter = current_exporter()
        return exporter is None or exporter.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Do nothing: what `configure()` set up is shut down by its own handle."""


def configure_structlog(
    exporter: RecordExporter | None = None,
    *,
    renderer: Style | Processor = "auto",
    level: int | str = "info",
    stdlib: bool = False,
    compat: bool | Callable[[], bool] = compat_mode,
    exceptions: Processor = format_exc_info,
) -> None:
    """Make every log a record in the stream of the spans.

    On a structlog that is not configured this sets up the recommended chain:
    bound context variables, level, stack information, and lines for people on a
    terminal or JSON elsewhere. A configuration of the program's own is kept, its
    output too; only its last processor is wrapped. Called again, it replaces what
    it did before. The official instrumentation, if active, keeps its place.

    Args:
        exporter: Where the records go; by default wherever `otel_ext.configure()`
            brings the spans, whichever of the two is called first.
        renderer: How logs are printed: "console" for people, "json" for one record
            a line, "auto" to decide by the output, or a structlog renderer. Anything
            but "auto" also replaces the last processor of the program's own chain.
        level: The least level that is logged, by name or number; used where
            structlog, or with `stdlib` the root logger, was not configured.
        stdlib: Whether logs of the standard library's `logging` come too. They are
            printed as well if nothing prints the root logger's records yet.
        compat: Whether printed records have the timestamp at top level too, or a
            function that tells; by default as the configuration says, live.
        exceptions: A structlog processor that turns `exc_info` into `exception`.

    Raises:
        ConfigError: `renderer` or `level` is none that exists.

    >>> configure_structlog(renderer="xml")
    Traceback (most recent call last):
    otel_ext.errors.ConfigError: renderer='xml' is none. Use auto, console, json or a ...
    """
    if not callable(renderer) and renderer not in _STYLES:
        raise ConfigError(
            f"renderer={renderer!r} is none",
            hint=f"Use {', '.join(_STYLES)} or a structlog renderer",
        )
    number = _level_number(level)
    remove_bridge()
    setup = _Setup(renderer, exporter or PipelineExporter(), compat=compat, exceptions=exceptions)
    if chains.is_unconfigured():
        setup.configure(number)
    else:
        setup.extend(keep=renderer == "auto")
    if stdlib:
        setup.bridge(number)


class _Setup:
    """The steps of `configure_structlog`, with what they share."""

    def __init__(
        self,
        renderer: Style | Processor,
        exporter: RecordExporter | None,
        *,
        compat: bool | Callable[[], bool],
        exceptions: Processor,
    ) -> None:
        self._renderer = _style() if renderer == "auto" else renderer
        self._exporter = exporter
        self._compat: bool | Callable[[], bool] = compat
        self._exceptions = exceptions

    def configure(self, level: int) -> None:
        """Set structlog up from nothing."""
        before = structlog.get_config()
        old = cast("list[Processor]", before["processors"])
        factory = StandardOutputFactory()
        final = self._final(factory, chains.SetupRenderer, chains.SetupTap)
        chain: list[Processor] = [
            structlog.contextvars.merge_contextvars,
            add_log_level,
            StackInfoRenderer(),
            *filter(chains.is_official, old),
            final,
        ]
        if len(old) == len(chain) and isinstance(before["logger_factory"], StandardOutputFactory):
            # Loggers that structlog has cached hold this very list, and another
            # thread may be running through it: each place is set in one step.
            old[:] = chain
        structlog.configure(
            processors=chain,
            wrapper_class=structlog.make_filtering_bound_logger(level),
            logger_factory=factory,
            cache_logger_on_first_use=True,
        )

    def extend(self, *, keep: bool) -> None:
        """Wrap the last processor of the program's own chain, or replace it.

        Args:
            keep: Whether what is printed stays as it is.
        """
        config = structlog.get_config()
        chain = cast("list[Processor]", config["processors"])
        *others, last = chain or [structlog.processors.KeyValueRenderer()]
        if isinstance(last, TracerMetaTap):
            last = last.renderer
        if chains.exports_records([*others, last] if keep else others):
            if keep:
                return  # the program has put a processor of ours to work itself
            self._exporter = None
        final = self._tap(last) if keep else self._final(config["logger_factory"])
        if hasattr(chain, "append") and chain:  # not a tuple
            chain[-1] = final  # in one step, for the reason above
        else:
            structlog.configure(processors=[*others, final])

    def bridge(self, level: int) -> None:
        """Send the logs of `logging` the same way."""
        root = logging.getLogger()
        if chains.formatter_exports(root):
            return  # the program's own handler does it
        factory = structlog.get_config()["logger_factory"]
        final: Processor = TracerMetaProcessor(
            self._exporter, exceptions=self._exceptions, redact=redact_record
        )
        write: Callable[[Any], object] | None = None
        if not any(map(chains.prints, root.handlers)):
            root.setLevel(level)
            if isinstance(factory, _FACTORIES):
                final = self._final(factory)
                write = _written_by(factory)
        steps = (
            add_log_level,
            add_logger_name,
            ExtraAdder(),
            structlog.contextvars.merge_contextvars,
        )
        bridge = StdlibBridge(final, write, processors=cast("list[Processor]", steps))
        keep_bridge(bridge, self._wants_logs)

    def _wants_logs(self) -> bool:
        """Whether logs of `logging` are still to be recorded, and by the bridge."""
        exporter = self._exporter
        goes_on = not isinstance(exporter, PipelineExporter) or current_exporter() is not None
        return goes_on and not chains.formatter_exports(logging.getLogger())

    def _final(
        self,
        factory: object,
        lines: type[TracerMetaRenderer] = TracerMetaRenderer,
        tap: type[TracerMetaTap] = TracerMetaTap,
    ) -> Processor:
        """Return the last processor, for loggers of `factory`."""
        # Ours takes both, and a line that is encoded already goes the shortest way.
        text = not isinstance(factory, (structlog.BytesLoggerFactory, StandardOutputFactory))
        renderer = self._renderer
        if renderer == "json":
            return lines(
                self._exporter,
                compat=self._compat,
                exceptions=self._exceptions,
                redact=redact_record,
                text=text,
            )
        if renderer == "console":
            renderer = PeopleRenderer(
                _is_shown, text=not isinstance(factory, structlog.BytesLoggerFactory)
            )
        return self._tap(cast("Processor", renderer), tap)

    def _tap(self, renderer: Processor, tap: type[TracerMetaTap] = TracerMetaTap) -> TracerMetaTap:
        return tap(renderer, self._exporter, exceptions=self._exceptions)


def _written_by(factory: Callable[[], Any]) -> Callable[[Any], object]:
    """Return what prints lines of `logging` until the program has a handler that does."""

    def write(line: object) -> None:
        others = (one for one in logging.getLogger().handlers if not isinstance(one, StdlibBridge))
        if not any(map(chains.prints, others)):
            factory().msg(line)  # a logger for each line: some keep the stream of their beginning

    return write


def _is_shown() -> bool:
    """Whether the terminal that a log would be printed on shows its record already."""
    return shows_records() and is_terminal(sys.stdout)


def _style() -> Style:
    return "console" if is_terminal(sys.stdout) else "json"


def _level_number(level: int | str) -> int:
    number = _LEVELS.get(level.lower()) if isinstance(level, str) else level
    if number is None or number not in _LEVELS.values():
        raise ConfigError(
            f"level={level!r} is no log level", hint=f"Use {', '.join(_LEVELS)} or their numbers"
        )
    return number

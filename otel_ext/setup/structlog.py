"""`configure_structlog()`: records logs beside the spans, with one call.

If structlog is not configured, it sets up the chain that structlog recommends, with
our processor at its end. If the program has configured structlog, its processors and
its output stay the same, and the last processor is wrapped so that each log also
becomes a record.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast, get_args

import structlog
from structlog.processors import StackInfoRenderer, add_log_level, format_exc_info
from structlog.stdlib import add_logger_name

from otel_ext.config import compat_mode
from otel_ext.context import error_context
from otel_ext.errors import ConfigError
from otel_ext.processors import structlog_chain as chains
from otel_ext.processors.bridge_keeper import keep_bridge, remove_bridge
from otel_ext.processors.log_recorder import LogRecorder
from otel_ext.processors.printing import StandardOutputFactory
from otel_ext.processors.stdlib_bridge import StdlibBridge, add_extra
from otel_ext.processors.terminal_renderer import TerminalRenderer
from otel_ext.processors.tracer_meta import TracerMetaProcessor, TracerMetaRenderer, TracerMetaTap
from otel_ext.setup.current import current_exporter, redact_record, shows_records
from otel_ext.terminal.canvas import is_terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, Processor

    from otel_ext.protocols import RecordExporter
    from otel_ext.record.model import Record

__all__ = ["PipelineExporter", "Style", "configure_structlog"]

Style: TypeAlias = Literal["auto", "console", "json"]

_STYLES: Final = get_args(Style)
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_FACTORIES: Final = (
    StandardOutputFactory,
    structlog.BytesLoggerFactory,
    structlog.PrintLoggerFactory,
    structlog.WriteLoggerFactory,
)


class PipelineExporter:
    """Exports to the exporter that `otel_ext.configure()` has set up.

    Looks it up for each record, so the two calls can come in any order; without
    `configure()` the records are discarded.

    >>> PipelineExporter().force_flush()
    True
    """

    never_waits = True  # as all exporters that `configure()` sets up

    def export(self, record: Record) -> None:
        """Export one record, if there is an exporter."""
        exporter = current_exporter()
        if exporter is not None:
            exporter.export(record)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush what `configure()` set up; return whether that was done in time."""
        exporter = current_exporter()
        return exporter is None or exporter.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Do nothing: the handle of `configure()` shuts down what that has set up."""


def configure_structlog(
    exporter: RecordExporter | None = None,
    *,
    renderer: Style | Processor = "auto",
    level: int | str = "info",
    stdlib: bool = False,
    compat: bool | Callable[[], bool] = compat_mode,
    exceptions: Processor = format_exc_info,
) -> None:
    """Record every log, in the same stream as the spans.

    If structlog is not configured, this sets up the recommended chain: bound context
    variables, level, stack information, and lines for people on a terminal, JSON
    elsewhere. A configuration of the program is kept, with its output; only its last
    processor is wrapped. A second call replaces the effect of the first. The processor
    of OpenTelemetry's structlog instrumentation, if active, keeps its position.

    Args:
        exporter: Receives the records; by default the exporter of
            `otel_ext.configure()`, whichever of the two is called first.
        renderer: How logs are printed: "console" for people, "json" for one record
            a line, "auto" to decide by the output, or a structlog renderer. All
            but "auto" also replace the last processor of the program's own chain.
        level: The lowest level that is logged, by name or number; used if structlog,
            or with `stdlib` the root logger, is not configured.
        stdlib: Whether logs of the standard library's `logging` are recorded too. They
            are also printed, unless a handler of the root logger prints them.
        compat: Whether printed records have the timestamp at the top level too, or a
            function that returns it; by default compat mode.
        exceptions: A structlog processor that turns `exc_info` into `exception`.

    Raises:
        ConfigError: `renderer` or `level` is not a valid value.

    >>> configure_structlog(renderer="xml")
    Traceback (most recent call last):
    otel_ext.errors.ConfigError: renderer='xml' is not a valid renderer. Use auto, console, ...
    """
    if not callable(renderer) and renderer not in _STYLES:
        raise ConfigError(
            f"renderer={renderer!r} is not a valid renderer",
            hint=f"Use {', '.join(_STYLES)} or a structlog renderer",
        )
    number = _level_number(level)
    remove_bridge()
    chosen = renderer
    if chosen == "auto":
        chosen = "console" if is_terminal(sys.stdout) else "json"
    setup = _Setup(chosen, exporter or PipelineExporter(), compat, exceptions)
    if chains.is_unconfigured():
        setup.configure(number)
    else:
        setup.extend(keep=renderer == "auto")
    if stdlib:
        setup.bridge(number)


@dataclass(eq=False)
class _Setup:
    """The steps of `configure_structlog`, and the arguments that they share."""

    renderer: Style | Processor
    exporter: RecordExporter | None
    compat: bool | Callable[[], bool]
    exceptions: Processor

    def configure(self, level: int) -> None:
        """Set up structlog, which is not configured yet."""
        before = structlog.get_config()
        old = cast("list[Processor]", before["processors"])
        factory = StandardOutputFactory()
        final = self._final(factory, chains.SetupRenderer, chains.SetupTap)
        chain: list[Processor] = [
            error_context.merge_fields,
            add_log_level,
            StackInfoRenderer(),
            *filter(chains.is_official, old),
            final,
        ]
        if len(old) == len(chain) and isinstance(before["logger_factory"], StandardOutputFactory):
            # Loggers that structlog has cached use this very list, maybe on another
            # thread at this moment, so it is changed in one step.
            old[:] = chain
        structlog.configure(
            processors=chain,
            wrapper_class=structlog.make_filtering_bound_logger(level),
            logger_factory=factory,
            cache_logger_on_first_use=True,
        )

    def extend(self, *, keep: bool) -> None:
        """Wrap the last processor of the program's own chain, or replace it.

        The fields of the error context are in each record. They are also printed if the chain
        merges context variables.

        Args:
            keep: Whether the printed output stays the same.
        """
        config = structlog.get_config()
        chain = cast("list[Processor]", config["processors"])
        *others, last = chain or [structlog.processors.KeyValueRenderer()]
        if isinstance(last, TracerMetaTap):
            last = last.renderer
        if chains.exports_records([*others, last] if keep else others):
            if keep:
                return  # the program has added a processor of ours itself
            self.exporter = None
        final = self._tap(last) if keep else self._final(config["logger_factory"])
        others = [
            error_context.merge_fields if one is structlog.contextvars.merge_contextvars else one
            for one in others
        ]
        extended: list[Processor] = [*others, final]
        if error_context.merge_fields not in others and isinstance(final, LogRecorder):
            _add_fields(final)
        if hasattr(chain, "append") and chain:  # not a tuple
            chain[:] = extended  # in one step, as in `configure`
        else:
            structlog.configure(processors=extended)

    def bridge(self, level: int) -> None:
        """Record the logs of `logging` too."""
        root = logging.getLogger()
        if chains.formatter_exports(root):
            return  # a handler of the program records them
        factory = structlog.get_config()["logger_factory"]
        final: Processor = TracerMetaProcessor(
            self.exporter, exceptions=self.exceptions, redact=redact_record
        )
        write: Callable[[Any], object] | None = None
        if not any(map(chains.prints, root.handlers)):
            root.setLevel(level)
            if isinstance(factory, _FACTORIES):
                final = self._final(factory)
                write = _writer_of(factory)
        steps = (
            add_log_level,
            add_logger_name,
            add_extra,
            error_context.merge_fields,
        )
        bridge = StdlibBridge(final, write, processors=cast("list[Processor]", steps))
        keep_bridge(bridge, self._wants_logs)

    def _wants_logs(self) -> bool:
        """Return whether the bridge still has to record the logs of `logging`."""
        exporter = self.exporter
        is_active = not isinstance(exporter, PipelineExporter) or current_exporter() is not None
        return is_active and not chains.formatter_exports(logging.getLogger())

    def _final(
        self,
        factory: object,
        lines: type[TracerMetaRenderer] = TracerMetaRenderer,
        tap: type[TracerMetaTap] = TracerMetaTap,
    ) -> Processor:
        """Return the last processor of the chain, for loggers of `factory`."""
        # Ours accepts text and bytes; the encoded line need not be decoded for it.
        text = not isinstance(factory, (structlog.BytesLoggerFactory, StandardOutputFactory))
        renderer = self.renderer
        if renderer == "json":
            return lines(
                self.exporter,
                compat=self.compat,
                exceptions=self.exceptions,
                redact=redact_record,
                text=text,
            )
        if renderer == "console":
            renderer = TerminalRenderer(
                _is_shown, text=not isinstance(factory, structlog.BytesLoggerFactory)
            )
        return self._tap(cast("Processor", renderer), tap)

    def _tap(self, renderer: Processor, tap: type[TracerMetaTap] = TracerMetaTap) -> TracerMetaTap:
        return tap(renderer, self.exporter, exceptions=self.exceptions, redact=redact_record)


def _add_fields(recorder: LogRecorder) -> None:
    """Let the records of a chain that does not merge context variables have their fields."""
    capture = recorder.capture

    def with_fields(logger: object, method_name: str, event_dict: EventDict) -> Record:
        return capture(logger, method_name, {**error_context.get(), **event_dict})

    recorder.capture = with_fields


def _writer_of(factory: Callable[[], Any]) -> Callable[[Any], object]:
    """Return a function that prints lines of `logging`, until the program adds such a handler."""

    def write(line: object) -> None:
        others = (one for one in logging.getLogger().handlers if not isinstance(one, StdlibBridge))
        if not any(map(chains.prints, others)):
            factory().msg(line)  # a new logger each time: some keep the stream they started with

    return write


def _is_shown() -> bool:
    """Return whether the terminal for a log shows its record already."""
    return shows_records() and is_terminal(sys.stdout)


def _level_number(level: int | str) -> int:
    number = _LEVELS.get(level.lower()) if isinstance(level, str) else level
    if number is None or number not in _LEVELS.values():
        raise ConfigError(
            f"level={level!r} is not a log level", hint=f"Use {', '.join(_LEVELS)} or their numbers"
        )
    return number

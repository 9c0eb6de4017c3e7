"""`configure()`: connects settings, exporters, processor and tracer provider.

::

    settings ─► config ─► exporters ─► LifecycleSpanProcessor ─► tracer provider
                                                    └─► Handle ◄─ atexit
"""

from __future__ import annotations

import atexit
import gc
import os
from importlib import import_module
from typing import TYPE_CHECKING, Final

from opentelemetry import trace

from otel_ext.config import Config, is_compat, load_leniently, set_config, setting_named
from otel_ext.errors import ConfigError
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.process.signals import chain_sigterm
from otel_ext.setup.current import HANDLES
from otel_ext.setup.handle import Handle, exit_seconds
from otel_ext.setup.sdk_version import is_sdk_disabled, is_sdk_supported
from otel_ext.setup.starting import with_usable_output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_ext.exporters.console.exporter import ConsoleExporter
    from otel_ext.exporters.delivery.remote_queue import RemoteQueue
    from otel_ext.exporters.otlp.setup import OtlpParts
    from otel_ext.protocols import RecordExporter
    from otel_ext.record.model import Record
    from otel_ext.redaction import RedactCallback

__all__ = [
    "configure",
    "install",
    "make_console",
    "make_exporter",
    "report_warnings",
]

_WAIT_SECONDS: Final = 5.0


def configure(
    *,
    tracer_provider: object = None,
    redact_callback: RedactCallback | None = None,
    **settings: object,
) -> Handle:
    """Record every span of this program from its start.

    Uses the global tracer provider; if there is none, sets one with the resource that
    `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` describe. Does nothing if
    `OTEL_SDK_DISABLED` is true. A second call returns the handle of the first; settings
    that differ are ignored, which a message on stderr reports. If the second call passes
    another provider, that is recorded as well.

    Args:
        tracer_provider: The provider to record, instead of the global one. The API's
            proxy for the global provider means the global one.
        redact_callback: Called with the path and the value of each text, number, bool and
            None in a record; returns the value to record. See docs/redaction.md.
        **settings: Any setting, such as `output="traces"` or `compat_mode=True`; these
            win over environment and file.

    Returns:
        The handle to flush and shut down. Using it is optional, since records are flushed
        at exit. As a context manager it shuts down at the end of the block.

    Raises:
        ConfigError: An argument is wrong. Mistakes in the environment, in a file or with
            the folder are reported on stderr and ignored, unless `strict` is on.

    >>> import otel_ext
    >>> handle = configure(enabled=False)
    >>> handle.active
    False
    >>> handle.shutdown()
    True
    """
    if isinstance(tracer_provider, trace.ProxyTracerProvider):
        tracer_provider = None
    config, problem = with_usable_output(load_leniently(settings))
    earlier = HANDLES.get("handle")
    if earlier is not None and not earlier.closed:
        _wait_and_compare(earlier, config, settings)
        if tracer_provider is not None and earlier.active:
            _attach(earlier, tracer_provider)
        return earlier
    if problem and not is_sdk_disabled():
        report_problem("configuration", problem)
    handle = install(config, tracer_provider, redact_callback)
    if handle.active:
        _instrument_and_explain(handle)
    return handle


def _instrument_and_explain(handle: Handle) -> None:
    """Do what only `configure` does; `otel_ext.zero_code` has its own way for both."""
    if handle.config.capture.instrument:
        from otel_ext.instrumentors import instrument_libraries  # noqa: PLC0415 - on demand

        instrument_libraries()
    from otel_ext.setup.no_spans import explain_at_exit  # noqa: PLC0415 - only if recording

    explain_at_exit(handle)


def _wait_and_compare(handle: Handle, config: Config, settings: dict[str, object]) -> None:
    """Wait for the earlier call that made `handle`; report settings that differ from its own."""
    handle.wait_ready(_WAIT_SECONDS)
    names = [setting_named(name).name for name, value in settings.items() if value is not None]
    differing = [
        f"{name}={_formatted(config, name)}"
        for name in names
        if config.value(name) != handle.config.value(name)
    ]
    if differing:
        report_problem(
            "configure() was called a second time",
            f"the settings of the first call stay; ignored: {', '.join(differing)}."
            " To change them, shut down the first handle before",
        )


def _formatted(config: Config, name: str) -> object:
    value = config.value(name)
    # Others, such as patterns and the secret key, are formatted by their kind.
    plain = isinstance(value, (bool, int, float))
    return value if plain else setting_named(name).kind.format(value)


def install(
    config: Config, tracer_provider: object = None, redact_callback: RedactCallback | None = None
) -> Handle:
    """Start recording with `config`, unless something records already; never raises.

    Args:
        config: The configuration.
        tracer_provider: The provider to record, instead of the global one.
        redact_callback: As for `configure`.

    Returns:
        The handle of this or of the earlier recording.
    """
    disabled = is_sdk_disabled() or not config.capture.enabled or not is_sdk_supported()
    handle = Handle(config) if disabled else _make_handle(config, tracer_provider, redact_callback)
    while (winner := HANDLES.setdefault("handle", handle)) is not handle:
        # Another thread was first, or the handle there has been shut down.
        if not winner.closed:
            winner.wait_ready(_WAIT_SECONDS)
            return winner
        if HANDLES.get("handle") is winner:
            HANDLES.pop("handle", None)
    try:
        if handle.active:
            report_warnings(config)
            set_config(config)
            _attach(handle, tracer_provider)
            atexit.register(handle.drain)
            if config.inflight.handle_sigterm:
                # Flush only: the program's own handler may run on. Without one, `last` drains.
                handle.undo_at_shutdown(chain_sigterm(handle.flush_briefly, last=handle.drain))
            if config.capture.structlog:
                _configure_structlog()
    finally:
        handle.set_ready()
    return handle


def _configure_structlog() -> None:
    """Call `configure_structlog()`, unless the program has called it itself."""
    try:
        from structlog import get_config  # noqa: PLC0415 - only with the setting

        from otel_ext.processors.structlog_chain import exports_records  # noqa: PLC0415
        from otel_ext.setup.structlog import configure_structlog  # noqa: PLC0415

        if not exports_records(get_config()["processors"]):
            configure_structlog()
    except Exception as error:  # noqa: BLE001 - the program goes on without these logs
        report_problem("logs of structlog are not recorded", error)


def report_warnings(config: Config) -> None:
    """Report the warnings of `config` on stderr."""
    if "OTEL_EXT_RUN_PID" not in os.environ:  # else `otel-ext run` has reported them
        for warning in config.warnings:
            report_problem("configuration", warning)


def _make_handle(
    config: Config, tracer_provider: object, redact_callback: RedactCallback | None
) -> Handle:
    from otel_ext.processors.lifecycle import LifecycleSpanProcessor  # noqa: PLC0415 - imports the SDK

    def open_records() -> list[Record]:
        return processor.tracker.open_records()

    from otel_ext.exporters.redacting import RedactingExporter  # noqa: PLC0415
    from otel_ext.journal.write.warm_up import warm_up_redaction  # noqa: PLC0415
    from otel_ext.redaction.redactor import make_redactor  # noqa: PLC0415

    redactor = make_redactor(config.redaction, redact_callback)
    otlp = _make_otlp(config, tracer_provider)
    remote = _make_resilient(config, otlp.exporter) if otlp is not None else None
    console = make_console(config)
    exporter = make_exporter(config, open_records, console=console, remote=remote)
    if redactor is not None and not redactor.has_callback:
        warm_up_redaction(redactor.sanitise)
    processor = LifecycleSpanProcessor(
        exporter,
        record_only=config.capture.record_only,
        inflight=config.inflight,
        redactor=redactor,
    )
    return Handle(
        config,
        processor=processor,
        exporter=exporter if redactor is None else RedactingExporter(exporter, redactor),
        watch=otlp and otlp.watch,
        redactor=redactor,
        console=console,
    )


def make_exporter(
    config: Config,
    open_records: Callable[[], Iterable[Record]] | None = None,
    *,
    console: RecordExporter | None = None,
    remote: RecordExporter | None = None,
) -> RecordExporter:
    """Return the exporter for all destinations that `config` names.

    Args:
        config: The configuration; folders are created when the first record comes.
        open_records: Returns the start records of open spans, for a new file that
            replaces a full one.
        console: Prints the records too.
        remote: Sends the records too.
    """
    # Imported only if something is recorded.
    from otel_ext.exporters.compat import CompatExporter  # noqa: PLC0415
    from otel_ext.exporters.fanout import FanOut  # noqa: PLC0415
    from otel_ext.exporters.jsonl import JsonlExporter  # noqa: PLC0415

    if config.journal.recover_on_start:
        # Imported here for the worker: a module that is first imported while the
        # interpreter exits can make a program ended by Ctrl-C exit with 1 (evaluating
        # code makes Python forget the interrupt).
        import_module("otel_ext.journal.recovery.recover")
    # `is_compat` is called for each record, so compat mode can change while the program runs.
    journal = JsonlExporter(
        config.output.folder,
        settings=config.journal,
        open_records=open_records,
    )
    files = CompatExporter(journal, enabled=is_compat)
    others = [one for one in (console, remote) if one is not None]
    if not others:
        return files
    return FanOut(files, *others, shutdown_seconds=exit_seconds(config))


def _make_otlp(config: Config, tracer_provider: object) -> OtlpParts | None:
    """Return the parts that send records to a collector; None if off, or if they cannot be made."""
    if not config.otlp.enabled:
        return None
    from otel_ext.exporters.otlp.setup import make_otlp  # noqa: PLC0415

    try:
        return make_otlp(
            config.otlp,
            lambda: trace.get_tracer_provider() if tracer_provider is None else tracer_provider,
            record_only=config.capture.record_only,
        )
    except ConfigError as error:  # a variable of OpenTelemetry is wrong: files are still written
        report_problem("OTLP: nothing is sent", error)
        return None


def _make_resilient(config: Config, exporter: RemoteQueue) -> RecordExporter:
    """Wrap `exporter` in one that retries, and keeps records on disk during an outage."""
    from otel_ext.exporters.delivery.resilient import ResilientExporter  # noqa: PLC0415

    return ResilientExporter(
        exporter,
        folder=config.output.folder,
        settings=config.remote,
        shutdown_seconds=config.otlp.exit_timeout,
    )


def make_console(config: Config) -> ConsoleExporter | None:
    """Return the exporter that prints records as `config` says; None if none are printed.

    The terminal is the one that standard error is connected to now.
    """
    mode = config.console.mode
    if mode == "off":
        return None
    from otel_ext.exporters.console.foreground import Terminal  # noqa: PLC0415

    terminal = Terminal.of_standard_error()
    if mode == "auto" and terminal is None:
        return None
    from otel_ext.exporters.console.exporter import ConsoleExporter  # noqa: PLC0415 - where it shows

    return ConsoleExporter(terminal, style="json" if mode == "json" else "people")


def _attach(handle: Handle, tracer_provider: object) -> None:
    """Add the processors of `handle` to a provider, after setting a global one if needed."""
    from otel_ext.processors.lifecycle import LifecycleSpanProcessor  # noqa: PLC0415
    from otel_ext.setup.adoption import add_processors, ensure_provider  # noqa: PLC0415 - imports the SDK

    try:
        # `watch` has to see a span before its first record is made.
        both = (handle.watch, handle.processor)
        processors = [one for one in both if one is not None]
        provider = ensure_provider() if tracer_provider is None else tracer_provider
        add_processors(provider, processors)
        if gc.isenabled():
            gc.collect(1)  # garbage of the set-up; else the first span takes a millisecond longer
        resource: object = getattr(provider, "resource", None)
        if resource is not None and isinstance(handle.processor, LifecycleSpanProcessor):
            handle.processor.prepare(resource)
    except Exception as error:  # noqa: BLE001 - a resource detector of the program may fail
        report_problem("nothing is recorded: no tracer provider can be used", error)

"""`configure()`: from settings to a provider that records. The only place that wires.

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
from otel_ext.setup.sdk_version import is_sdk_supported
from otel_ext.setup.starting import with_usable_output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_ext.config import InflightConfig, JournalConfig
    from otel_ext.exporters.console.exporter import ConsoleExporter
    from otel_ext.exporters.delivery.remote_queue import RemoteQueue
    from otel_ext.exporters.otlp.setup import OtlpParts
    from otel_ext.inflight.tracker import InflightSettings
    from otel_ext.journal.write.opening import JournalSettings
    from otel_ext.protocols import RecordExporter
    from otel_ext.record.model import Record
    from otel_ext.redaction import RedactCallback, Redactor

__all__ = [
    "configure",
    "install",
    "make_console",
    "make_exporter",
    "report_warnings",
]

_WAIT_SECONDS: Final = 5.0
_NEVER: Final = 1e9  # seconds: thirty years


def configure(
    *,
    tracer_provider: object = None,
    redact_callback: RedactCallback | None = None,
    **settings: object,
) -> Handle:
    """Record every span of this program from its start.

    Makes a tracer provider if there is none, with the resource that
    `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` describe; otherwise adds to
    the one that is there. Does nothing if `OTEL_SDK_DISABLED` is true. A second
    call returns the handle of the first; if its settings differ, it says so on
    stderr and they have no effect. A provider that it names is recorded as well.

    Args:
        tracer_provider: A provider to add to, instead of the global one. The API's proxy,
            which stands for the global one while none is set, is that one.
        redact_callback: Gets the path and the value of each text, number, bool and None
            in a record, and returns what is to be recorded; see docs/redaction.md.
        **settings: Any setting of the configuration, such as `output="traces"`
            or `compat_mode=True`; they win over environment and file.

    Returns:
        The handle to flush and shut down; it can be left alone, since records are
        brought out at exit. As a context manager it shuts down at the end.

    Raises:
        ConfigError: An argument is wrong. What is wrong in the environment, in a file or
            with the folder is said on stderr and left out, unless `strict` is on.

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
    known = HANDLES.get("handle")
    if known is not None and not known.closed:
        _known(known, config, settings)
        if tracer_provider is not None and known.active:
            _attach(known, tracer_provider)
        return known
    if problem and not _sdk_disabled():
        report_problem("configuration", problem)
    handle = install(config, tracer_provider, redact_callback)
    if handle.active:
        _for_the_program(handle)
    return handle


def _for_the_program(handle: Handle) -> None:
    """Do what `configure` does beyond zero code, which has its own ways."""
    if handle.config.capture.instrument:
        from otel_ext.instrumentors import instrument_libraries  # noqa: PLC0415 - on demand

        instrument_libraries()
    from otel_ext.setup.no_spans import explain_at_exit  # noqa: PLC0415 - where something is recorded

    explain_at_exit(handle)


def _known(handle: Handle, config: Config, settings: dict[str, object]) -> None:
    """Wait for the earlier call that made `handle`; reports settings that differ from its own."""
    handle.wait_ready(_WAIT_SECONDS)
    given = [setting_named(name).name for name, value in settings.items() if value is not None]
    differ = [
        f"{name}={_shown(config, name)}"
        for name in given
        if config.value(name) != handle.config.value(name)
    ]
    if differ:
        report_problem(
            "configure() was called a second time",
            f"the first call's settings stay, without {', '.join(differ)}."
            " Shut its handle down first to begin anew",
        )


def _shown(config: Config, name: str) -> object:
    value = config.value(name)
    # A tuple of patterns, or a key that is not to be shown.
    plain = isinstance(value, (bool, int, float))
    return value if plain else setting_named(name).kind.format(value)


def install(
    config: Config, tracer_provider: object = None, redact_callback: RedactCallback | None = None
) -> Handle:
    """Put `config` to work, unless something is at work already; never raises.

    Args:
        config: The configuration.
        tracer_provider: A provider to add to, instead of the global one.
        redact_callback: As for `configure`.

    Returns:
        The handle of what is at work.
    """
    disabled = _sdk_disabled() or not config.capture.enabled or not is_sdk_supported()
    handle = Handle(config) if disabled else _make_handle(config, tracer_provider, redact_callback)
    while (winner := HANDLES.setdefault("handle", handle)) is not handle:
        # Another thread came first, or what is there has been shut down.
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
                # The program's own handler may go on for a while, so with one nothing stops here.
                handle.undo_at_shutdown(chain_sigterm(handle.flush_briefly, last=handle.drain))
            if config.capture.structlog:
                _configure_structlog()
    finally:
        handle.set_ready()
    return handle


def _configure_structlog() -> None:
    """Do what `configure_structlog()` does, unless the program has called that itself."""
    try:
        from structlog import get_config  # noqa: PLC0415 - only where it is wanted

        from otel_ext.processors.structlog_chain import exports_records  # noqa: PLC0415
        from otel_ext.setup.structlog import configure_structlog  # noqa: PLC0415

        if not exports_records(get_config()["processors"]):
            configure_structlog()
    except Exception as error:  # noqa: BLE001 - the program goes on without these logs
        report_problem("logs of structlog are not recorded", error)


def report_warnings(config: Config) -> None:
    """Say what is odd in `config`, or was wrong and left out."""
    if "OTEL_EXT_RUN_PID" not in os.environ:  # else `otel-ext run` has said them, once for all
        for warning in config.warnings:
            report_problem("configuration", warning)


def _sdk_disabled() -> bool:
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def _make_handle(
    config: Config, tracer_provider: object, redact_callback: RedactCallback | None
) -> Handle:
    from otel_ext.processors.lifecycle import LifecycleSpanProcessor  # noqa: PLC0415 - imports the SDK

    def open_records() -> list[Record]:
        return processor.tracker.table.start_records()

    from otel_ext.redaction.redactor import make_redactor  # noqa: PLC0415

    redactor = make_redactor(config.redaction, redact_callback)
    otlp = _make_otlp(config, tracer_provider)
    remote = _make_resilient(config, otlp.exporter) if otlp is not None else None
    console = make_console(config)
    exporter = make_exporter(
        config, open_records, console=console, remote=remote, redactor=redactor
    )
    processor = LifecycleSpanProcessor(
        exporter,
        record_only=config.capture.record_only,
        inflight=_inflight_settings(config.inflight),
    )
    return Handle(
        config,
        processor=processor,
        exporter=exporter,
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
    redactor: Redactor | None = None,
) -> RecordExporter:
    """Return the exporter that brings records everywhere `config` names.

    Args:
        config: The configuration; folders are made when the first record comes.
        open_records: Start records of the spans that are open, for a file that
            follows a full one.
        console: Shows them too.
        remote: Sends them elsewhere too.
        redactor: Takes secrets out of what goes anywhere; None leaves them.
    """
    # Only where something is recorded, and without the exporters nobody asked for.
    from otel_ext.exporters.compat import CompatExporter  # noqa: PLC0415
    from otel_ext.exporters.fanout import FanOut  # noqa: PLC0415
    from otel_ext.exporters.jsonl import JsonlExporter  # noqa: PLC0415
    from otel_ext.journal.write.rehearsal import rehearse_redaction  # noqa: PLC0415

    # The switch is asked for each record, so it can be thrown while the program runs.
    journal = JsonlExporter(
        config.output.folder,
        settings=_journal_settings(config.journal),
        open_records=open_records,
    )
    if redactor is not None and not redactor.calls_back:
        rehearse_redaction(redactor.redact)
    files = CompatExporter(_redacting(journal, redactor), enabled=is_compat)
    others = [_redacting(one, redactor) for one in (console, remote) if one is not None]
    if not others:
        return files
    return FanOut(files, *others, shutdown_seconds=exit_seconds(config))


def _redacting(exporter: RecordExporter, redactor: Redactor | None) -> RecordExporter:
    if redactor is None:
        return exporter
    from otel_ext.exporters.redacting import RedactingExporter  # noqa: PLC0415

    return RedactingExporter(exporter, redactor)


def _make_otlp(config: Config, tracer_provider: object) -> OtlpParts | None:
    """Return what sends records to a collector, if `config` asks for it and it can be."""
    if not config.otlp.enabled:
        return None
    from otel_ext.exporters.otlp.setup import make_otlp  # noqa: PLC0415

    try:
        return make_otlp(
            config.otlp,
            lambda: trace.get_tracer_provider() if tracer_provider is None else tracer_provider,
            record_only=config.capture.record_only,
        )
    except ConfigError as error:  # of a variable that is not ours: the files are made all the same
        report_problem("OTLP: nothing is sent", error)
        return None


def _make_resilient(config: Config, exporter: RemoteQueue) -> RecordExporter:
    """Return `exporter` in the care of one that gets over an outage."""
    from otel_ext.exporters.delivery.resilient import ResilientExporter  # noqa: PLC0415
    from otel_ext.exporters.delivery.sending.breaker import RetryLimits  # noqa: PLC0415

    remote = config.remote
    return ResilientExporter(
        exporter,
        folder=config.output.folder if remote.persistent_queue else None,
        persistent_queue_size=remote.persistent_queue_size,
        limits=RetryLimits(
            failures=remote.retry_failures,
            initial_interval=remote.retry_initial_interval,
            max_interval=remote.retry_max_interval,
        ),
        shutdown_seconds=config.otlp.exit_timeout,
    )


def _journal_settings(journal: JournalConfig) -> JournalSettings:
    from otel_ext.journal.write.opening import JournalSettings  # noqa: PLC0415

    if journal.recover_on_start:
        # A module first imported while the interpreter exits can make a program
        # that Ctrl-C ended exit with 1 (evaluating anything makes Python forget
        # the interrupt), so what the worker will need is imported here.
        import_module("otel_ext.journal.recovery.watching")
    return JournalSettings(
        durability=journal.durability,
        sync=journal.sync,
        ring_size=journal.ring_size,
        segment_size=journal.segment_size,
        segment_age=journal.segment_age,
        retention_size=journal.retention_size,
        retention_age=journal.retention_age,
        recover_on_start=journal.recover_on_start,
    )


def _inflight_settings(inflight: InflightConfig) -> InflightSettings:
    from otel_ext.inflight.tracker import InflightSettings  # noqa: PLC0415

    return InflightSettings(
        max_spans=inflight.max_open_spans,
        max_age=inflight.max_open_age or _NEVER,
        owner_grace=inflight.owner_grace,
        stall_after=inflight.stall_after,
        stall_thresholds=inflight.stall_patterns,
        heartbeat=inflight.heartbeat_interval or _NEVER,
    )


def make_console(config: Config) -> ConsoleExporter | None:
    """Return what shows records as `config` says; None if nothing does.

    A terminal is the one behind standard error now, whatever takes its place later.
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
    """Add the processor of `handle` to a provider; one is made if there is none."""
    from otel_ext.processors.lifecycle import LifecycleSpanProcessor  # noqa: PLC0415
    from otel_ext.setup.adoption import add_processors, ensure_provider  # noqa: PLC0415 - imports the SDK

    try:
        # `watch` sees a span before any record of it is made.
        found = (handle.watch, handle.processor)
        processors = [one for one in found if one is not None]
        provider = ensure_provider() if tracer_provider is None else tracer_provider
        add_processors(provider, processors)
        if gc.isenabled():
            gc.collect(1)  # what set-up has made: else it takes a millisecond of the first span
        resource: object = getattr(provider, "resource", None)
        if resource is not None and isinstance(handle.processor, LifecycleSpanProcessor):
            handle.processor.prepare(resource)
    except Exception as error:  # noqa: BLE001 - a resource detector of the program's
        report_problem("nothing is recorded: no tracer provider can be used", error)

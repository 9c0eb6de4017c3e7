"""`Redactor` takes secrets out of records; `make_redactor` makes one from the settings."""

from __future__ import annotations

import threading
from time import time_ns
from typing import TYPE_CHECKING, Final, TypeVar, cast

from otel_ext.errors import ConfigError
from otel_ext.record.model import (
    EMPTY,
    UNKNOWN_CALL_SITE,
    CallSite,
    Process,
    Status,
    TraceContext,
)
from otel_ext.record.sanitise.budget import WORK, Budget
from otel_ext.record.sanitise.fast_check import Known
from otel_ext.record.sanitise.sanitiser import Sanitiser
from otel_ext.record.sanitise.scalars import is_utf8, text_of
from otel_ext.record.sanitise.values import MAX_LINE_BYTES, plain_fields
from otel_ext.record.sanitise.walk import Walker
from otel_ext.redaction.judge import SecretJudge
from otel_ext.redaction.masks import ERROR_MARK
from otel_ext.redaction.patterns import PatternError
from otel_ext.redaction.scan.cards import LEAST_CARD
from otel_ext.redaction.scan.prefilter import is_suspicious
from otel_ext.redaction.settings import RedactionSettings
from otel_ext.redaction.text import CLEAN, SHORTEST, TextRedactor
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.health import PartHealth, register_part

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.record.model import PlainAttributes, Record
    from otel_ext.record.sanitise.sanitiser import Named
    from otel_ext.redaction.judge import RedactCallback
    from otel_ext.runtime.health import State

__all__ = ["Redactor", "make_redactor"]

_MAX_KNOWN: Final = 1_024
_MAX_MADE: Final = 4_096
_COUNTED: Final = "redacted."

Made = TypeVar("Made")


class _Last(threading.local):
    """What this thread redacted last: one record goes to several exporters in turn."""

    raw: Record | None = None
    clean: Record | None = None
    # Whether a callback runs; it may start spans.
    is_called = False


class Redactor(Sanitiser):
    """Takes secrets out of records of every kind.

    Redactions are counted under `redacted.RULE`. An error drops the value it happened at,
    so it never reveals a secret. See docs/redaction.md for the rules.

    Args:
        settings: What to redact beside the default rules, and how.
        callback: A function of the program's own that gets the path and the value of
            each text, number, bool and None, and returns its replacement, to which the
            rules then apply.

    Raises:
        ConfigError: A pattern cannot be used, or `settings` switch redaction off.

    >>> from otel_ext.record.model import Process, Record
    >>> record = Record("log", None, "login", 0, 1, Process("p"), attributes={"password": "x"})
    >>> Redactor().redact(record).attributes
    {'password': '[redacted: password]'}
    """

    def __init__(
        self, settings: RedactionSettings | None = None, callback: RedactCallback | None = None
    ) -> None:
        self._settings = settings or RedactionSettings()
        if self._settings.mode == "off":
            raise ConfigError("redact=off: a Redactor always redacts", hint="Leave it out")
        try:
            self._texts = TextRedactor(self._settings)
        except PatternError as error:
            raise ConfigError(f"a pattern of redaction cannot be used: {error}") from None
        self.has_callback = callback is not None
        self._callback = callback
        self._processes: dict[str, tuple[Process, Process]] = {}
        self._made: dict[int, object] = {}
        self._last_argv: tuple[tuple[str, ...] | None, list[str]] = (None, [])
        self._last = _Last()
        super().__init__()
        texts = self._texts
        found = (texts.verdicts, CLEAN, texts.clean)
        search = (is_suspicious, texts.is_clean_by_search)
        self.use(
            None
            if self.has_callback or texts.scans_everything
            else Known(self._processes, *found, *search, SHORTEST, most=LEAST_CARD - 1)
        )
        self._since = time_ns()
        register_part(self.health)

    def redact(self, record: Record) -> Record:
        """Return `record` without secrets, and otherwise sanitised.

        Raises:
            RecursionError: The thread has no stack left. Nothing else is raised.
        """
        last = self._last
        if record is last.raw or record is last.clean:
            return last.clean or record
        clean = self.sanitise(record)
        last.raw, last.clean = record, clean
        return clean

    def __reduce__(self) -> tuple[type[Redactor], tuple[RedactionSettings, RedactCallback | None]]:
        return type(self), (
            self._settings,
            self._callback,
        )  # a logger is copied with its processors

    def health(self) -> PartHealth:
        """Return how much was redacted in this process so far, by rule."""
        counts = {
            name.removeprefix(_COUNTED): value
            for name, value in COUNTERS.snapshot().items()
            if name.startswith(_COUNTED)
        }
        counted = ", ".join(f"{rule} {count}" for rule, count in counts.items())
        detail = f"redacted: {counted}" if counted else "nothing redacted yet"
        state: State = "degraded" if "error" in counts else "healthy"
        return PartHealth("redaction", state, detail, self._since)

    def make_safe(self, record: Record) -> Record:
        """Return `record` without secrets; only what cannot hold one if a callback made it."""
        if self._last.is_called:  # it would be called for its own spans, without end
            return self.emptied(record, RuntimeError())
        if self.has_callback and getattr(record.attributes, "by", None) is self:
            # Made from a record of this redactor: each value gets to the callback once.
            return record._replace(extra=self.further(record)) if record.extra else record
        return super().make_safe(record)

    def _call(self, path: str, value: object) -> object:
        """Call the callback."""
        last = self._last
        last.is_called = True
        try:
            return cast("RedactCallback", self._callback)(path, value)
        finally:
            last.is_called = False

    def has_safe_names(self, record: Record) -> bool:
        """Whether all that is not the user's data surely holds no secret."""
        known = self._processes.get(record.process.id)
        if known is None or known[1] is not record.process:
            return False
        texts = self._texts
        clean = texts.clean
        thread, task = record.thread, record.task
        names = (record.name, record.logger, record.level, "" if thread is None else thread.name)
        return (
            (record.call_site.fragment in clean or self._is_plain_site(record.call_site))
            and all(
                type(name) is str and (name in clean or self._is_clean_name(name)) for name in names
            )
            and (task is None or texts.is_clean(task.name))
            and (record.context is None or texts.is_clean(record.context.fragment))
        )

    def is_clean_key(self, key: object) -> bool:
        """Whether no rule applies to a new key of the user's data."""
        return type(key) is str and self._texts.verdict(key) is CLEAN

    def _is_clean_name(self, name: object) -> bool:
        """Whether a name surely holds no secret; remembered if so."""
        return type(name) is str and is_utf8(name) and self._texts.remember_if_clean(name)

    def _is_plain_site(self, call_site: CallSite) -> bool:
        """Whether a call site surely holds no secret; remembered if so."""
        is_clean = self._texts.is_clean
        if not all(
            type(one) is str and is_clean(one) for one in (call_site.file, call_site.function)
        ):
            return False
        self._texts.remember(call_site.fragment)
        return True

    def walker(self, work: int, prefix: str = "") -> Walker:
        """Return a walker that redacts, with a budget of its own."""
        callback = None if self._callback is None else self._call
        return Walker(Budget(work), SecretJudge(self._texts, callback, prefix))

    def process(self, process: Process) -> Process:
        """Return the process without secrets, for records that name it."""
        known = self._processes.get(process.id)
        if known is None or (known[0] is not process and known[1] is not process):
            if self._last.is_called:
                return _without_facts(process)
            known = self._redact_process(process)
        return known[1]

    def call_site(self, call_site: CallSite, text: Callable[[str, object], str]) -> CallSite:
        """Return a call site without secrets; itself if it has none."""
        if call_site.fragment in self._texts.clean or self._made.get(id(call_site)) is call_site:
            return call_site
        file, function = text("file", call_site.file), text("function", call_site.function)
        if file != call_site.file or function != call_site.function:
            call_site = CallSite(file, call_site.line, function)
        elif not self.has_callback:
            self._texts.remember(call_site.fragment)
        return self._keep(call_site)

    def context(
        self, context: TraceContext | None, text: Callable[[str, object], str]
    ) -> TraceContext | None:
        """Return a context without secrets in its trace state; itself if it has none."""
        if context is None or not context.trace_state:
            return context
        state = text("trace_state", context.trace_state)
        if state == context.trace_state:
            return context
        return TraceContext(is_remote=context.is_remote, trace_state=state)

    def named(
        self, info: Named | None, path: str, text: Callable[[str, object], str]
    ) -> Named | None:
        """Return a thread or task without secrets in its name; itself if it has none."""
        if info is None or self._made.get(id(info)) is info:
            return info
        name = text(path, info.name)
        return self._keep(info if name == info.name else type(info)(info.id, name))

    def _keep(self, made: Made) -> Made:
        """Remember what the callback has seen: the end of a span has it from its start."""
        if self.has_callback:
            if len(self._made) >= _MAX_MADE:
                self._made.clear()
            self._made[id(made)] = made
        return made

    def further(self, record: Record) -> PlainAttributes:
        """Return the further metadata without secrets; `allow` does not apply to a command line."""
        plain = super().further(record)
        if "argv" in record.extra:
            plain["argv"] = self._argv(record.extra["argv"])
        return plain

    def _argv(self, argv: object) -> list[str]:
        items = cast("list[object]", argv) if isinstance(argv, (list, tuple)) else [argv]
        found = self.walker(WORK).value([*map(text_of, items)], "argv")
        return [*map(text_of, cast("list[object]", found) if isinstance(found, list) else [found])]

    def _redact_process(self, process: Process) -> tuple[Process, Process]:
        """Return `process` and its redacted form, computed once for each process."""
        # A forked child has the command line of its parent.
        last, argv = self._last_argv
        if last != process.argv:
            argv = self._argv(process.argv)
            self._last_argv = (None if self.has_callback else process.argv, argv)
        walker = self.walker(WORK, "resource.")
        resource = plain_fields(process.resource, walker, MAX_LINE_BYTES)[0]
        clean = process
        if argv != [*process.argv] or resource != process.resource:
            start = (process.id, process.pid, process.start_time, process.boot_id)
            host = walker.text("host", process.host)
            rest = (process.pid_namespace, process.heartbeat_ms, process.schema_url)
            clean = Process(*start, host, tuple(argv), resource, *rest)
        if len(self._processes) >= _MAX_KNOWN:
            self._processes.clear()
        self._processes[process.id] = process, clean
        process.clean = clean
        return process, clean

    def emptied(self, record: Record, error: Exception) -> Record:
        """Return only what cannot hold a secret, of a record that could not be checked."""
        COUNTERS.add("redacted.error")
        report_problem("redaction: a record was emptied", f"{type(error).__name__} was raised")
        return record._replace(
            name=ERROR_MARK,
            call_site=UNKNOWN_CALL_SITE,
            attributes=EMPTY,
            links=(),
            events=(),
            thread=None,
            task=None,
            scope=None,
            context=None,
            status=None if record.status is None else Status(record.status.code),
            level="",
            logger="",
            extra=EMPTY,
            process=_without_facts(record.process),
        )


def _without_facts(process: Process) -> Process:
    """Return a process without what may hold secrets."""
    return Process(process.id, process.pid, process.start_time, process.boot_id, process.host)


def make_redactor(
    settings: RedactionSettings, callback: RedactCallback | None = None
) -> Redactor | None:
    """Return the redactor for the settings; None if redaction is off.

    Args:
        settings: Whether to redact, what and how.
        callback: As for `Redactor`.

    Raises:
        ConfigError: `callback` cannot be called.
    """
    if callback is not None and not callable(cast("object", callback)):
        raise ConfigError(
            f"redact_callback: {type(callback).__name__} cannot be called",
            hint="Pass a function of a path and a value that returns a value",
        )
    if settings.mode == "off":
        if callback is not None:
            report_problem("configure()", "redact_callback is not called, since redact=off")
        return None
    return Redactor(settings, callback)

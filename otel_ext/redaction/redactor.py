"""`Redactor` takes secrets out of records; `make_redactor` makes one from the settings."""

from __future__ import annotations

import threading
from operator import is_
from time import time_ns
from typing import TYPE_CHECKING, Final, TypeVar, cast

from otel_ext.errors import ConfigError
from otel_ext.record.model import (
    EMPTY,
    UNKNOWN_CALL_SITE,
    UNSET_STATUS,
    CallSite,
    Link,
    Process,
    Record,
    SpanEvent,
    Status,
    TaskInfo,
    ThreadInfo,
)
from otel_ext.record.sanitise.budget import WORK, Budget
from otel_ext.redaction.masks import ERROR_MARK
from otel_ext.redaction.patterns import PatternError
from otel_ext.redaction.scan.cards import LEAST_CARD
from otel_ext.redaction.scan.prefilter import is_suspicious
from otel_ext.redaction.settings import RedactionSettings
from otel_ext.redaction.text import CLEAN, MAX_TEXT, SHORTEST, TextRedactor
from otel_ext.redaction.walk import NO_SECRETS, Walker
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.health import PartHealth, register_part
from otel_ext.runtime.process.records import is_plain_process_start

if TYPE_CHECKING:

    from otel_ext.redaction.walk import RedactCallback
    from otel_ext.runtime.health import State

__all__ = ["Redactor", "make_redactor"]

_MAX_KNOWN: Final = 1_024
# The budget for each part of a record, so that redacting all of it takes a few milliseconds.
_MAX_WORK: Final = WORK // 7
# Searching a few texts costs less than walking the whole record.
_MOST_SEARCHED: Final = 8
_COUNTED: Final = "redacted."

Fields = TypeVar("Fields", bound="tuple[object, ...]")
Named = TypeVar("Named", ThreadInfo, TaskInfo)


class _Last(threading.local):
    """What this thread redacted last: one record goes to several exporters in turn."""

    raw: Record | None = None
    clean: Record | None = None


class Redactor:
    """Takes secrets out of records of every kind.

    A record without secrets is returned unchanged, as the same object. Redactions are
    counted under `redacted.RULE`. An error drops the value it happened at, so it never
    reveals a secret, and nothing is raised. See docs/redaction.md for the rules.

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
        self._scans_everything = self.has_callback or self._texts.scans_everything
        self._processes: dict[str, tuple[Process, Process]] = {}
        # What the compiled form of `_is_plain` needs; None if it must not be used.
        texts = self._texts
        known: tuple[object, ...] = (self._processes, texts.verdicts, CLEAN, texts.clean)
        parts = (*known, is_suspicious, SHORTEST, MAX_TEXT, LEAST_CARD)
        self.prefilter_parts = None if self._scans_everything else parts
        self._last = _Last()
        self._since = time_ns()
        register_part(self.health)

    def redact(self, record: Record) -> Record:
        """Return `record` without secrets; never raises."""
        last = self._last
        if record is last.raw or record is last.clean:
            return last.clean or record
        try:
            process = record.process
            known = self._processes.get(process.id)
            if known is None or (known[0] is not process and known[1] is not process):
                known = self._redact_process(process)
            with_process = record
            if known[1] is not process:
                with_process = Record._make((*record[:5], known[1], *record[6:]))
            is_text = type(with_process.name) is str and type(with_process.logger) is str
            is_clean = is_text and self._is_plain(with_process)
            clean = with_process if is_clean else self._redacted(with_process)
        except Exception as error:  # noqa: BLE001 - an error must not reveal a secret
            clean = _emptied(record, error)
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

    def _is_plain(self, record: Record) -> bool:  # noqa: C901, PLR0911 - on the hot path
        """Prefilter: whether `record` surely holds no secret, as for most records."""
        if self._scans_everything or record.events or record.links or record.extra:
            return False
        status = record.status
        if status is not UNSET_STATUS and status is not None and status.description:
            return False
        texts = self._texts
        clean = texts.clean
        thread, task = record.thread, record.task
        names = (record.name, record.logger, "" if thread is None else thread.name)
        if (
            (record.call_site.fragment not in clean and not self._is_plain_site(record.call_site))
            or not all(name in clean or texts.remember_if_clean(name) for name in names)
            or (task is not None and not texts.is_clean(task.name))
        ):
            return False
        verdicts = texts.verdicts
        searched = 0
        attributes = record.attributes
        if attributes and type(cast("object", attributes)) is not dict:
            return False
        for key, value in attributes.items():
            if verdicts.get(key) is not CLEAN:
                return False
            if type(value) is str:
                # As `is_clean` does, without the call.
                if (
                    len(value) >= SHORTEST
                    and value not in clean
                    and (len(value) > MAX_TEXT or is_suspicious(value))
                ):
                    # Usually a URL, different each time.
                    searched += 1
                    if searched > _MOST_SEARCHED or not texts.is_clean_by_search(value):
                        return False
            elif type(value) is int:
                if value >= LEAST_CARD:
                    return False
            elif type(value) not in NO_SECRETS:
                return False
        return True

    def _is_plain_site(self, call_site: CallSite) -> bool:
        """Whether a call site surely holds no secret; remembered if so."""
        is_clean = self._texts.is_clean
        if not all(
            type(one) is str and is_clean(one) for one in (call_site.file, call_site.function)
        ):
            return False
        self._texts.remember(call_site.fragment)
        return True

    def _redacted(self, record: Record) -> Record:
        """Return `record` redacted by the rules; itself if they find nothing."""
        walker = self._walker(_MAX_WORK // 4)
        text = walker.text
        extra = record.extra
        # A record of a process itself: `_redact_process` already redacted these fields.
        is_redacted = not self.has_callback and is_plain_process_start(record)
        if "argv" in extra and not is_redacted:
            extra = {**extra, "argv": _argv(walker, extra["argv"])}
        status = record.status
        if status is not None and status.description:
            description = text("status.description", status.description)
            status = _same_or_new(status, status._replace(description=description))
        # What may be large has a budget of its own, so that it leaves room for the rest.
        links, events = (
            self._walker(_MAX_WORK // 8, "links."),
            self._walker(_MAX_WORK // 2, "events."),
        )
        made = record._replace(
            name=text("name", record.name),
            call_site=self._call_site(walker, record.call_site),
            attributes=self._walker().mapping(record.attributes),
            links=_same_or_new(record.links, tuple(_link(links, one) for one in record.links)),
            events=_same_or_new(record.events, tuple(_event(events, one) for one in record.events)),
            thread=_named(walker, record.thread, "thread.name"),
            task=_named(walker, record.task, "task.name"),
            status=status,
            level=text("level", record.level),
            logger=text("logger", record.logger),
            extra=extra
            if is_redacted or not extra
            else self._walker(_MAX_WORK // 8).mapping(extra),
        )
        return _same_or_new(record, made)

    def _walker(self, budget: int | Budget = _MAX_WORK, prefix: str = "") -> Walker:
        budget = Budget(budget) if isinstance(budget, int) else budget
        return Walker(self._texts, self._callback, budget, prefix)

    def _call_site(self, walker: Walker, call_site: CallSite) -> CallSite:
        if call_site.fragment in self._texts.clean:
            return call_site
        file = walker.text("file", call_site.file)
        function = walker.text("function", call_site.function)
        if file == call_site.file and function == call_site.function:
            if not self.has_callback:
                self._texts.remember(call_site.fragment)
            return call_site
        return CallSite(file, call_site.line, function)

    def _redact_process(self, process: Process) -> tuple[Process, Process]:
        """Return `process` and its redacted form, computed once for each process."""
        budget = Budget(_MAX_WORK)
        walker = self._walker(budget)
        argv = tuple(_argv(walker, process.argv))
        resource = self._walker(budget, "resource.").mapping(process.resource)
        clean = process
        if argv != tuple(process.argv) or resource is not process.resource:
            start = (process.id, process.pid, process.start_time, process.boot_id)
            host = walker.text("host", process.host)
            clean = Process(
                *start, host, argv, resource, process.pid_namespace, process.heartbeat_ms
            )
        if len(self._processes) >= _MAX_KNOWN:
            self._processes.clear()
        self._processes[process.id] = process, clean
        return process, clean


def _argv(walker: Walker, argv: object) -> list[str]:
    """Return a command line without secrets, including those in an argument of their own."""
    if not isinstance(argv, (list, tuple)):
        return [ERROR_MARK]
    found = walker.value("argv", list(map(str, cast("list[object]", argv))))
    return cast("list[str]", found) if isinstance(found, list) else [ERROR_MARK]


def _link(walker: Walker, link: Link) -> Link:
    return _same_or_new(link, link._replace(attributes=walker.mapping(link.attributes)))


def _event(walker: Walker, event: SpanEvent) -> SpanEvent:
    attributes = walker.mapping(event.attributes)
    name = walker.text("name", event.name)
    return _same_or_new(event, event._replace(name=name, attributes=attributes))


def _named(walker: Walker, info: Named | None, path: str) -> Named | None:
    if info is None:
        return None
    name = walker.text(path, info.name)
    return info if name == info.name else type(info)(info.id, name)


def _same_or_new(old: Fields, new: Fields) -> Fields:
    """Return `old` if `new` holds the same objects, else `new`."""
    return old if all(map(is_, old, new)) else new


def _emptied(record: Record, error: Exception) -> Record:
    """Return only what cannot hold a secret, for a record that could not be checked."""
    COUNTERS.add("redacted.error")
    report_problem("redaction: a record was emptied", f"{type(error).__name__} was raised")
    known = record.process
    return record._replace(
        name=ERROR_MARK,
        call_site=UNKNOWN_CALL_SITE,
        attributes=EMPTY,
        links=(),
        events=(),
        thread=None,
        task=None,
        scope=None,
        status=None if record.status is None else Status(record.status.code),
        level="",
        logger="",
        extra=EMPTY,
        process=Process(known.id, known.pid, known.start_time, known.boot_id, known.host),
    )


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

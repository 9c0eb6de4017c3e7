"""`Change`: one change of settings, with who made it, ready for records and events."""

from __future__ import annotations

from itertools import islice
from time import time_ns
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.context import error_context
from otel_ext.inflight.origin import NOWHERE, origin_here
from otel_ext.record.model import EMPTY
from otel_ext.redaction.rules.names import rule_for_name
from otel_ext.runtime.guard import report_problem
from otel_ext.services.live_settings.shown import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_ext.inflight.origin import Origin
    from otel_ext.services.live_settings.tree import Changed

__all__ = ["Author", "Change", "author_here"]

_MAX_FIELDS: Final = 100


class Author(NamedTuple):
    """Who makes a change.

    Attributes:
        origin: The span, the call site, the thread and the task.
        context: The error context.
    """

    origin: Origin = NOWHERE
    context: Mapping[str, object] = EMPTY


def author_here() -> Author:
    """Return who calls; never raises.

    >>> author_here().origin.thread.name
    'MainThread'
    """
    try:
        fields = islice(error_context.get().items(), _MAX_FIELDS)
        context = {name: shown(value, rule_for_name(name)) for name, value in fields}
        return Author(origin_here(), context)
    except Exception as error:  # noqa: BLE001 - such as a span of another SDK
        report_problem("settings: it is not known who changes them", error)
        return Author()


class Change(NamedTuple):
    """One change, of one setting or of several at once.

    Attributes:
        settings: The name of the settings.
        action: What was called: `update` or `reset`.
        changed: The settings, with their values before and after it.
        old: The values before it, by name, as plain data without secrets.
        new: The values after it.
        author: Who made it.
        callers: The handlers in which it was made, which do not get it.
        time_ns: When it was made, in nanoseconds since the epoch.
    """

    settings: str
    action: str
    changed: Sequence[Changed]
    old: Mapping[str, object]
    new: Mapping[str, object]
    author: Author
    callers: tuple[object, ...]
    time_ns: int

    @classmethod
    def of(cls, settings: str, action: str, changed: Sequence[Changed], author: Author) -> Change:
        """Return a change that is made now; the program's `__repr__` may run."""
        old = {one.leaf.name: shown(one.old, one.leaf.rule) for one in changed}
        new = {one.leaf.name: shown(one.new, one.leaf.rule) for one in changed}
        return cls(settings, action, changed, old, new, author, (), time_ns())

    def attributes(self) -> dict[str, object]:
        """Return what the record has beside its span, call site, thread and task."""
        found: dict[str, object] = {
            "settings": self.settings,
            "action": self.action,
            "old": self.old,
            "new": self.new,
            "changed_ns": self.time_ns,
        }
        if self.author.context:
            found["context"] = self.author.context
        return found

    def metadata(self) -> dict[str, object]:
        """Return what subscribers of the event bus get."""
        origin = self.author.origin
        site, thread, task = origin.call_site, origin.thread, origin.task
        return {
            **self.attributes(),
            "trace_id": origin.trace_id,
            "span_id": origin.span_id,
            "file": site.file,
            "line": site.line,
            "function": site.function,
            "thread": "" if thread is None else thread.name,
            "task": "" if task is None else task.name,
        }

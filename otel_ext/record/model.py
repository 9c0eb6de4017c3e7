"""The record: what is written when a span starts, changes or ends, and for logs.

A `Record` is an immutable snapshot. It shares nothing mutable with the SDK, so it can
wait in a queue without changing. `otel_ext.record.codec` encodes it as a line of JSON.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

from otel_ext.record.shared import (
    UNKNOWN_CALL_SITE,
    CallSite,
    Scope,
    TaskInfo,
    ThreadInfo,
    TraceContext,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "ABANDONED_CAUSES",
    "EMPTY",
    "FORMAT_VERSION",
    "META_KEY",
    "SPAN_KINDS",
    "STATUS_CODES",
    "UNKNOWN_CALL_SITE",
    "UNSET_STATUS",
    "Abandoned",
    "CallSite",
    "Kind",
    "Link",
    "Phase",
    "PlainAttributes",
    "Process",
    "Record",
    "Scope",
    "SpanEvent",
    "Status",
    "TaskInfo",
    "ThreadInfo",
    "TraceContext",
    "exception_text",
    "new_record",
]

FORMAT_VERSION: Final = 2
META_KEY: Final = "__tracer_meta__"
EMPTY: Final[Mapping[str, object]] = MappingProxyType({})

Kind = Literal["span", "log", "event", "process"]
Phase = Literal["start", "update", "end"]
Abandoned = Literal["process-died", "garbage-collected", "owner-died", "shutdown", "expired"]
ABANDONED_CAUSES: Final[tuple[Abandoned, ...]] = (
    "process-died",
    "garbage-collected",
    "owner-died",
    "shutdown",
    "expired",
)
SPAN_KINDS: Final = ("internal", "server", "client", "producer", "consumer")
"""The kinds of spans, indexed by the SDK's numbers."""

STATUS_CODES: Final = ("unset", "ok", "error")
"""The codes of a status, indexed by the SDK's numbers."""


class Link(NamedTuple):
    """A link to another span; ids as 32 and 16 lower-case hex digits.

    `dropped` counts the attributes that the SDK's limits have left out.
    """

    trace_id: str
    span_id: str
    attributes: Mapping[str, object] = EMPTY
    dropped: int = 0
    context: TraceContext | None = None


class SpanEvent(NamedTuple):
    """An event on a span, or an exception; `time_ns` since the epoch, `dropped` as of a link."""

    name: str
    time_ns: int
    attributes: Mapping[str, object] = EMPTY
    dropped: int = 0


def exception_text(attributes: Mapping[str, object]) -> str:
    """Return the text of an exception event: its class and its message.

    >>> exception_text({"exception.type": "shop.Declined", "exception.message": "no cover"})
    'Declined: no cover'
    """
    kind = str(attributes.get("exception.type", "")).rpartition(".")[2]
    message = str(attributes.get("exception.message", ""))
    return f"{kind}: {message}" if kind and message else kind or message


class Status(NamedTuple):
    """A span's status: `code` is `unset`, `ok` or `error`."""

    code: str
    description: str = ""


UNSET_STATUS: Final = Status("unset")


class Process:
    """One incarnation of a process: from its start, or its fork, to its death.

    Span records refer to it by `id`; its own records have the details. A pid can be
    reused by another process, so `pid`, `start_time` and `boot_id` together show whether
    an incarnation is still alive.

    Args:
        id: Unique name of the incarnation, safe as a part of a file name.
        pid: Process id.
        start_time: When the kernel started the process, in clock ticks since boot;
            0 if the platform does not report it.
        boot_id: The kernel's identifier of this boot; empty if unknown.
        host: Host name.
        argv: The command line.
        resource: Attributes of the OpenTelemetry resource.
        pid_namespace: Inode of the PID namespace that `pid` belongs to; 0 if unknown.
        heartbeat_ms: Milliseconds between its heartbeats; 0 if it sends none, or if unknown.
        schema_url: Of the OpenTelemetry resource; empty if it has none.

    Attributes:
        clean: The same without secrets, once a redactor has made it.
    """

    __slots__ = (
        "argv",
        "boot_id",
        "clean",
        "heartbeat_ms",
        "host",
        "id",
        "pid",
        "pid_namespace",
        "resource",
        "schema_url",
        "start_time",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - the facts of a process
        self,
        id: str,  # noqa: A002 - the key's name in the format
        pid: int = 0,
        start_time: int = 0,
        boot_id: str = "",
        host: str = "",
        argv: tuple[str, ...] = (),
        resource: Mapping[str, object] = EMPTY,
        pid_namespace: int = 0,
        heartbeat_ms: int = 0,
        schema_url: str = "",
    ) -> None:
        self.id = id
        self.pid = pid
        self.start_time = start_time
        self.boot_id = boot_id
        self.host = host
        self.argv = argv
        self.resource = resource
        self.pid_namespace = pid_namespace
        self.heartbeat_ms = heartbeat_ms
        self.schema_url = schema_url
        self.clean: Process | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Process) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"Process({self.id!r}, pid={self.pid})"


class PlainAttributes(dict[str, object]):
    """The user's data of a record, or of a link or event in it.

    Once the record is sanitised (`otel_ext.record.sanitise`), the values are plain and
    bounded, `size` is set, and no exporter needs to examine them.

    Attributes:
        size: About how many bytes they have as JSON; not set before.
        nested: About how many values their lists and dicts hold; not set if none.
        by: The sanitiser that walked them; not set if none had to.

    >>> PlainAttributes({"n": 1}).is_sanitised
    False
    """

    __slots__ = ("by", "nested", "size")
    size: int
    nested: int
    by: object

    @property
    def is_sanitised(self) -> bool:
        """Whether the values are plain and bounded."""
        return hasattr(self, "size")


class Record(NamedTuple):
    """One record of the trace stream, whatever its kind.

    `attributes` is the user's data, written at the top level of the line; all else goes
    under `__tracer_meta__`. Times are nanoseconds since the epoch, ids are lower-case hex,
    and empty means absent. `extra` holds the metadata keys that only some records have
    (an update's `stack`, a heartbeat's counts).
    """

    kind: Kind
    phase: Phase | None
    name: str
    time_ns: int
    seq: int
    process: Process
    call_site: CallSite = UNKNOWN_CALL_SITE
    attributes: Mapping[str, object] = EMPTY
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    span_kind: str = ""
    scope: Scope | None = None
    links: tuple[Link, ...] = ()
    context: TraceContext | None = None
    thread: ThreadInfo | None = None
    task: TaskInfo | None = None
    start_ns: int = 0
    status: Status | None = None
    events: tuple[SpanEvent, ...] = ()
    abandoned: Abandoned | None = None
    level: str = ""
    logger: str = ""
    extra: Mapping[str, object] = EMPTY

    @property
    def event(self) -> str:
        """The text under the key `event`: `NAME.PHASE` for spans, else the name."""
        return f"{self.name}.{self.phase}" if self.kind == "span" else self.name

    @property
    def provisional(self) -> bool:
        """Whether a later record will replace this one (a start or an update)."""
        return self.phase in {"start", "update"}

    @property
    def is_real_end(self) -> bool:
        """Whether this is a span's own end, not one written for a span that never ended."""
        return self.phase == "end" and self.abandoned is None

    @property
    def started_ns(self) -> int:
        """When the span of this record started, nanoseconds since the epoch."""
        if self.phase == "end":
            return self.start_ns
        age = self.extra.get("age_ns")
        return self.time_ns - age if type(age) is int else self.time_ns

    @property
    def is_cancelled(self) -> bool:
        """Whether the span ended because its asyncio task was cancelled."""
        return self.extra.get("cancelled") is True

    @property
    def error(self) -> str:
        """The last exception, else the description of the status, else an empty string.

        As it was recorded: not yet safe to print.
        """
        for event in reversed(self.events):
            if event.name == "exception":
                return exception_text(event.attributes)
        return self.status.description or "" if self.status is not None else ""

    @property
    def key(self) -> tuple[str, str]:
        """Trace id and span id, by which the merge rule groups records."""
        return self.trace_id, self.span_id


new_record: Final = cast(
    "Callable[[type[Record], tuple[object, ...]], Record]",
    tuple.__new__,  # pyright: ignore[reportUnknownMemberType]
)
"""Makes a record from all its fields, in their order, at a third of the cost of `Record(...)`."""

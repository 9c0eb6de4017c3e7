"""`Span`: what the analyses know of one span, taken from one of its records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias, cast

from otel_ext.record.model import EMPTY, UNKNOWN_CALL_SITE, exception_text
from otel_ext.record.timestamps import exact_times, time_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.record.merge import Rank

__all__ = ["ALIVE", "Lineage", "Site", "Span", "SpanDecoder", "State", "missing_span"]

State: TypeAlias = Literal[
    "running",
    "stalled",
    "blocked",
    "hung",
    "lost",
    "abandoned",
    "error",
    "cancelled",
    "ended",
    "missing",
]
"""How a span stands. The first five are open, as `observe.snapshot` tells them apart. `missing`:
spans name it as their parent, but no record of it is known."""

ALIVE: Final[tuple[State, ...]] = ("running", "stalled", "blocked", "hung")
"""The states of open spans whose process is not known to be gone."""

Lineage: TypeAlias = tuple[str, int, int, str]
"""What runs one thing after another: process, thread, and id and name of an asyncio task. The id
alone is used again when the task is gone."""

Site: TypeAlias = tuple[str, int, str]
"""Where the program opened a span: file, line and function; the line is 0 if it is unknown."""

_Fields: TypeAlias = "dict[str, object]"
# Times beyond it, of a clock that is wrong by a century, would not be numbers of 64 bits.
_FARTHEST_NS: Final = (1 << 62) - 1
_NOWHERE: Final[Lineage] = ("", 0, 0, "")
_NO_SITE: Final[Site] = (UNKNOWN_CALL_SITE.file, 0, UNKNOWN_CALL_SITE.function)


class Span(NamedTuple):
    """One span.

    Attributes:
        trace_id: 32 lower-case hex digits.
        span_id: 16 lower-case hex digits.
        parent_span_id: The parent's id; empty for a root.
        name: Its name.
        state: How it stands.
        start_ns: When it started, nanoseconds since the epoch.
        end_ns: When it ended; None while it is open.
        seen_ns: The time of the record.
        kind: `internal`, `server`, `client`, `producer` or `consumer`.
        phase: That of the record: `start`, `update` or `end`.
        seq: The number of the record within its process.
        process: The id of the process that made the record.
        lineage: Where it runs.
        site: Where it was opened.
        error: The text of its error; empty without one.
        source: The record's line, or a number by which its reader finds it again.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    state: State
    start_ns: int
    end_ns: int | None
    seen_ns: int
    kind: str = "internal"
    phase: str = "end"
    seq: int = 0
    process: str = ""
    lineage: Lineage = _NOWHERE
    site: Site = _NO_SITE
    error: str = ""
    source: int | bytes | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Trace id and span id."""
        return self.trace_id, self.span_id

    @property
    def rank(self) -> Rank:
        """What the merge rule compares among the records of one span and process."""
        if self.end_ns is None:
            return int(self.phase == "update"), self.seq, self.seen_ns // 1_000, self.process
        standing = 2 + (self.state != "abandoned")
        return standing, self.seen_ns // 1_000, self.seq, self.process

    @property
    def is_open(self) -> bool:
        """Whether it has no end."""
        return self.end_ns is None

    @property
    def has_failed(self) -> bool:
        """Whether it ended with an error."""
        return self.state == "error"


class SpanDecoder:
    """Makes spans of records' metadata; spans that it makes share their texts.

    >>> decoder = SpanDecoder()
    >>> span = decoder.decode(
    ...     {
    ...         "timestamp": "1970-01-01T00:00:02.000000Z",
    ...         "event": "job.start",
    ...         "kind": "span",
    ...         "phase": "start",
    ...         "trace_id": "a",
    ...         "span_id": "b",
    ...         "seq": 1,
    ...         "process": "p",
    ...     }
    ... )
    >>> span.name, span.state, span.start_ns
    ('job', 'running', 2000000000)
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._lineages: dict[Lineage, Lineage] = {}
        self._sites: dict[Site, Site] = {}

    def decode(self, meta: Mapping[str, object], source: int | bytes | None = None) -> Span | None:
        """Return the span in the metadata of a record; None if it is none, or not valid.

        Args:
            meta: What the record has under `__tracer_meta__`.
            source: As in `Span`.
        """
        get = meta.get
        phase, event = get("phase"), get("event")
        if get("kind") != "span" or not isinstance(phase, str) or not isinstance(event, str):
            return None
        seen_ns = time_of(str(get("timestamp")))
        state, start_ns, end_ns = _ended(meta, seen_ns) if phase == "end" else _open(meta, seen_ns)
        if (
            not -_FARTHEST_NS < start_ns < _FARTHEST_NS
            or not -_FARTHEST_NS < seen_ns < _FARTHEST_NS
            or (end_ns is not None and end_ns > _FARTHEST_NS)
        ):
            start_ns, seen_ns = _bounded(start_ns), _bounded(seen_ns)
            end_ns = None if end_ns is None else _bounded(end_ns)
        name = self._names.get(event)
        if name is None:
            name = self._names[event] = event.removesuffix(f".{phase}")
        task = get("task")
        lineage = (
            str(get("process")),
            _id_in(get("thread")),
            *((_id_in(task), str(_fields(task).get("name"))) if task else (0, "")),
        )
        lineage = self._lineages.setdefault(lineage, lineage)
        number, seq = get("line"), get("seq")
        site = str(get("file")), number if type(number) is int else 0, str(get("function"))
        # By position: keywords take a third of the time of this method.
        return Span(
            str(get("trace_id")),
            str(get("span_id")),
            str(get("parent_span_id", "")),
            name,
            state,
            start_ns,
            end_ns,
            seen_ns,
            str(get("span_kind") or "internal"),
            phase,
            seq if type(seq) is int else 0,
            lineage[0],
            lineage,
            self._sites.setdefault(site, site),
            _error(meta) if state == "error" else "",
            source,
        )


def _ended(meta: Mapping[str, object], end_ns: int) -> tuple[State, int, int]:
    start_ns, duration = time_of(str(meta.get("start"))), meta.get("duration_ns")
    if type(duration) is int:
        start_ns, end_ns = exact_times(start_ns, end_ns, duration)
    if meta.get("abandoned") is not None:
        return "abandoned", start_ns, end_ns
    status = meta.get("status")
    if isinstance(status, dict) and cast("_Fields", status).get("code") == "error":
        return "error", start_ns, end_ns
    return "cancelled" if meta.get("cancelled") is True else "ended", start_ns, end_ns


def _open(meta: Mapping[str, object], seen_ns: int) -> tuple[State, int, None]:
    age = meta.get("age_ns")
    start_ns = seen_ns - age if type(age) is int else seen_ns
    return "stalled" if meta.get("stalled") is True else "running", start_ns, None


def _bounded(time: int) -> int:
    return min(max(time, -_FARTHEST_NS), _FARTHEST_NS)


def _id_in(info: object) -> int:
    found = cast("_Fields", info).get("id") if isinstance(info, dict) else None
    return found if type(found) is int else 0


def _error(meta: Mapping[str, object]) -> str:
    """Return the text of the last exception, else the description of the status."""
    events = meta.get("events")
    for event in reversed(cast("list[object]", events) if isinstance(events, list) else []):
        fields = _fields(event)
        if fields.get("name") == "exception":
            return exception_text(_fields(fields.get("attributes")))
    return str(_fields(meta.get("status")).get("description") or "")


def _fields(value: object) -> Mapping[str, object]:
    return cast("_Fields", value) if isinstance(value, dict) else EMPTY


def missing_span(trace_id: str, span_id: str, start_ns: int, end_ns: int | None) -> Span:
    """Return a placeholder for a parent that no record describes.

    Args:
        trace_id: The trace of its children.
        span_id: Its id.
        start_ns: When the first of its children started.
        end_ns: When the last of its children ended; None if one is open.
    """
    return Span(trace_id, span_id, "", "(not recorded)", "missing", start_ns, end_ns, start_ns)

"""Finds where a span is now: the innermost frame of the user's code in its last update."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from otel_ext.record.own_code import first_own_index

if TYPE_CHECKING:
    from otel_ext.record.model import Record

__all__ = ["Frame", "Location", "frames_of", "location_of", "opened_at"]


class Frame(NamedTuple):
    """A location in code; its file is empty if it is unknown."""

    file: str = ""
    line: int = 0
    function: str = ""

    def __str__(self) -> str:
        position = f"{self.file}:{self.line}" if self.line else self.file
        return f"{position} {self.function}" if self.function else position

    def as_dict(self) -> dict[str, object]:
        """Return the frame for JSON; all fields are null if it is unknown."""
        fields: dict[str, object] = self._asdict()
        return fields if self.file else {**fields, **dict.fromkeys(fields)}


class Location(NamedTuple):
    """Where a span is, or was last seen, at `seen_ns` (since the epoch).

    It was seen there while it was open, or else (not `is_now`) opened there.
    """

    frame: Frame
    is_now: bool
    seen_ns: int


def frames_of(update: Record | None) -> list[Frame]:
    """Return the stack of an update record, innermost frame first; empty without one."""
    stack = None if update is None else update.extra.get("stack")
    if not isinstance(stack, (list, tuple)):
        return []
    frames: list[Frame] = []
    for item in cast("list[object]", stack):
        if isinstance(item, dict):
            fields = cast("dict[str, object]", item)
            line = fields.get("line")
            frames.append(
                Frame(
                    str(fields.get("file") or "?"),
                    line if type(line) is int else 0,
                    str(fields.get("function") or ""),
                )
            )
    return frames


def opened_at(record: Record) -> Frame:
    """Return where the span of a record was opened; a frame without a file if unknown."""
    call_site = record.call_site
    return (
        Frame(call_site.file, call_site.line, call_site.function) if call_site.is_known else Frame()
    )


def location_of(start: Record, update: Record | None) -> Location:
    """Return where a span is now; where it was opened if that is unknown.

    Args:
        start: Its start record.
        update: Its newest update, if there is one.

    >>> from otel_ext.record.model import CallSite, Process, Record
    >>> start = Record("span", "start", "job", 5, 1, Process("p"), CallSite("app.py", 3, "main"))
    >>> str(location_of(start, None).frame), location_of(start, None).is_now
    ('app.py:3 main', False)
    >>> stack = [
    ...     {"file": "/usr/lib/python3.12/socket.py", "line": 708, "function": "readinto"},
    ...     {"file": "app.py", "line": 9, "function": "fetch"},
    ... ]
    >>> str(location_of(start, start._replace(extra={"stack": stack})).frame)
    'app.py:9 fetch'
    """
    frames = frames_of(update)
    if update is None or not frames:
        return Location(opened_at(start), is_now=False, seen_ns=start.time_ns)
    own = frames[first_own_index([frame.file for frame in frames])]
    return Location(own, is_now=True, seen_ns=update.time_ns)

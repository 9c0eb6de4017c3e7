"""What many records share: call sites, scopes, contexts, threads and tasks.

Each is made once, and holds its own JSON, so that it is not encoded again for each record.
"""

from __future__ import annotations

from json.encoder import encode_basestring_ascii
from typing import Final

__all__ = ["UNKNOWN_CALL_SITE", "CallSite", "Scope", "TaskInfo", "ThreadInfo", "TraceContext"]


def _text(value: str) -> str:
    """Return `value` as a JSON string in ASCII, safe for any terminal and encoder."""
    return encode_basestring_ascii(value.encode("utf-8", "replace").decode())


class _Fragment:
    """A small value that many records share; holds its own JSON."""

    __slots__ = ("fragment",)
    fragment: str

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.fragment == self.fragment

    def __hash__(self) -> int:
        return hash(self.fragment)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fragment})"


class CallSite(_Fragment):
    """Where the user's code opened a span or wrote a log.

    Made once per location and cached; `fragment` is its JSON, so that it is not encoded
    again for each record.

    Args:
        file: Path, relative if it is below the working directory.
        line: Line number, 1 for the first; 0 when unknown.
        function: Name of the function, qualified if Python knows it.

    >>> CallSite("app/jobs.py", 17, "Batch.run").fragment
    '"file":"app/jobs.py","line":17,"function":"Batch.run"'
    """

    __slots__ = ("file", "function", "line")

    def __init__(self, file: str, line: int, function: str) -> None:
        self.file = file
        self.line = line
        self.function = function
        self.fragment = f'"file":{_text(file)},"line":{line},"function":{_text(function)}'

    @property
    def is_known(self) -> bool:
        """Whether the location is known: the stack may have had no frame of the user's.

        >>> UNKNOWN_CALL_SITE.is_known, CallSite("app.py", 3, "main").is_known
        (False, True)
        """
        return self.file != "<unknown>"

    def __repr__(self) -> str:
        return f"CallSite({self.file!r}, {self.line}, {self.function!r})"


UNKNOWN_CALL_SITE: Final = CallSite("<unknown>", 0, "<unknown>")


class Scope(_Fragment):
    """The instrumentation scope that made a span.

    >>> Scope("my.library", "1.4").fragment
    '{"name":"my.library","version":"1.4"}'
    """

    __slots__ = ("name", "schema_url", "version")

    def __init__(self, name: str, version: str = "", schema_url: str = "") -> None:
        self.name = name
        self.version = version
        self.schema_url = schema_url
        tail = f',"version":{_text(version)}' if version else ""
        tail += f',"schema_url":{_text(schema_url)}' if schema_url else ""
        self.fragment = f'{{"name":{_text(name)}{tail}}}'


class TraceContext(_Fragment):
    """What the context of a span, or of a linked one, has beside its ids.

    Args:
        is_remote: Whether the span's parent, or the linked span, is one of another process.
        trace_state: The trace state of W3C Trace Context: `vendor=value`, with commas between.

    >>> TraceContext(is_remote=True, trace_state="shop=7").fragment
    '"remote":true,"trace_state":"shop=7"'
    """

    __slots__ = ("is_remote", "trace_state")

    def __init__(self, *, is_remote: bool = False, trace_state: str = "") -> None:
        self.is_remote = is_remote
        self.trace_state = trace_state
        parts = ['"remote":true'] if is_remote else []
        parts += [f'"trace_state":{_text(trace_state)}'] if trace_state else []
        self.fragment = ",".join(parts)


class _Worker(_Fragment):
    __slots__ = ("id", "name")

    def __init__(self, id: int, name: str) -> None:  # noqa: A002 - the key's name in the format
        self.id = id
        self.name = name
        self.fragment = f'{{"id":{id},"name":{_text(name)}}}'


class ThreadInfo(_Worker):
    """The thread a record was made on: Python's identifier and the name.

    >>> ThreadInfo(140, "MainThread").fragment
    '{"id":140,"name":"MainThread"}'
    """

    __slots__ = ()


class TaskInfo(_Worker):
    """The asyncio task a record was made in.

    >>> TaskInfo(7, "Task-7").fragment
    '{"id":7,"name":"Task-7"}'
    """

    __slots__ = ()

"""Finds the trace that `BufferedLogger` could not write to its file, in a folder of records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from otel_ext.errors import JournalError
from otel_ext.journal.names import list_segments
from otel_ext.journal.read.rings import read_rings
from otel_ext.journal.read.salvage import parse_json
from otel_ext.journal.read.scanner import Line, scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["BUFFERED_FILE", "lines_for"]

BUFFERED_FILE: Final = "otel_ext.buffered_file"
"""The attribute of a root span that has the path of the file for its trace."""

_MARK: Final = BUFFERED_FILE.encode()


def lines_for(path: Path, folder: Path) -> Iterator[bytes]:
    """Yield the lines of the newest trace whose file is `path`, if there is one.

    Args:
        path: The absolute path of the file.
        folder: A folder of records, in use or not.

    Raises:
        JournalError: It is not a folder.
    """
    if not folder.is_dir():
        raise JournalError(f"{folder} is not a folder", hint="Name a folder of records.")
    newest, trace_id = "", ""
    for line in _lines(folder):
        if _MARK in line.data and _path_in(line.data) == str(path):
            started = str(line.meta.get("start") or line.meta.get("timestamp"))
            newest, trace_id = max((newest, trace_id), (started, str(line.meta.get("trace_id"))))
    if trace_id:
        yield from _lines_of(folder, trace_id)


def _lines(folder: Path) -> Iterator[Line]:
    """Yield every line of a folder once: the files, then what is only in ring buffers."""
    rings = list(read_rings(folder))  # first, so that no line that moves meanwhile is missed
    seen = {line.key for ring in rings for line in ring.lines}
    for path in list_segments(folder):
        for item in scan(path):
            if isinstance(item, Line):
                seen.discard(item.key)
                yield item
    for ring in rings:
        for line in ring.lines:
            if line.key in seen:
                seen.discard(line.key)
                yield line


def _lines_of(folder: Path, trace_id: str) -> Iterator[bytes]:
    """Yield the lines of a trace, each process before its first one."""
    processes: dict[object, bytes] = {}
    for line in _lines(folder):
        meta = line.meta
        if meta.get("event") == "process.start":
            processes[meta.get("process")] = line.data
        elif meta.get("trace_id") == trace_id:
            introduction = processes.pop(meta.get("process"), None)
            if introduction is not None:
                yield introduction + b"\n"
            yield line.data + b"\n"


def _path_in(data: bytes) -> object:
    loaded = parse_json(data)
    if not isinstance(loaded, dict):
        return None
    return cast("Mapping[str, object]", loaded).get(BUFFERED_FILE)

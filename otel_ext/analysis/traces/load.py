"""Reads the spans in files and folders of records, and in their ring buffers, into a forest."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

import orjson

from otel_ext.analysis.traces.loaded import OFFSET_BITS, Loaded
from otel_ext.journal.names import list_segments
from otel_ext.journal.read.follow import FollowedFile
from otel_ext.journal.read.newest import TIME, has_time, time_of_last, trace_id_in
from otel_ext.journal.read.rings import read_rings
from otel_ext.journal.read.scanner import Line, scan_line
from otel_ext.record.model import META_KEY
from otel_ext.record.timestamps import format_ns
from otel_ext.runtime.process.records import PROCESS_START

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from otel_ext.journal.read.scanner import Block

__all__ = ["Loader", "load"]

_START: Final = PROCESS_START.encode()
# So many texts are looked for in a part of a file before its lines are looked at.
_FEW: Final = 16


def load(
    paths: Iterable[Path],
    *,
    prefix: str = "",
    since_ns: int = 0,
    with_logs: bool = False,
    progress: Callable[[int], object] = lambda _: None,
) -> Loaded:
    """Read the spans of some folders and single files, in use or not.

    Args:
        paths: As for `Loader`.
        prefix: As for `Loader`.
        since_ns: As for `Loader`.
        with_logs: As for `Loader`.
        progress: Called with the number of bytes of each part of a file that was read.
    """
    loader = Loader(paths, prefix=prefix, since_ns=since_ns, with_logs=with_logs)
    return loader.read(progress)


class Loader:
    """Reads the spans of some folders and single files, and later what was added to them.

    Args:
        paths: Folders of records and files.
        prefix: Only spans of traces whose id begins with this.
        trace_ids: Only spans of these traces; by default of all.
        since_ns: Only records made at that time or later, nanoseconds since the epoch.
        with_logs: Whether to note where the logs of each trace are.
        into: Gets the spans, besides those it has; by default a new one.

    Attributes:
        loaded: What was read so far.
        paths: The folders and files; may be replaced.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        *,
        prefix: str = "",
        trace_ids: Collection[str] | None = None,
        since_ns: int = 0,
        with_logs: bool = False,
        into: Loaded | None = None,
    ) -> None:
        self.loaded = Loaded() if into is None else into
        self.paths = list(paths)
        self._with_logs = with_logs
        self._prefix = prefix.lower()
        self._text = self._prefix.encode("utf-8", "replace")
        self._ids = None if trace_ids is None else {one.encode() for one in trace_ids}
        wanted = (self._text,) if self._ids is None else (*self._ids,)
        if 0 < len(wanted) <= _FEW and all(wanted):
            self._containing: tuple[bytes, ...] = (*wanted, _START)
        else:
            self._containing = ()
        self._since = format_ns(since_ns) if since_ns else ""
        self._since_bytes = self._since.encode()
        self._old: dict[Path, int] = {}
        self._files: dict[Path, tuple[int, FollowedFile]] = {}

    def read(self, progress: Callable[[int], object] = lambda _: None) -> Loaded:
        """Read what was added since the last call; return all that was read.

        Args:
            progress: Called with the number of bytes of each part of a file that was read.
        """
        for path in self.paths:
            is_file = path.is_file()
            for file in [path] if is_file else list_segments(path):
                self._read_file(file, progress)
            # After the files: a line that was not in a file yet is still in the ring buffer.
            for ring in read_rings(path.absolute().parent if is_file else path):
                if not is_file or ring.file_name == path.name:
                    for line in ring.lines:
                        self._add(line.meta, line.data)
        return self.loaded

    def _is_too_old(self, path: Path) -> bool:
        """Whether a file ends before the wanted time; it is looked at again when it grows."""
        if not self._since:
            return False
        with suppress(OSError):
            size = path.stat().st_size
            if self._old.get(path) == size:
                return True
            if "" < time_of_last(path) < self._since:
                self._old[path] = size
                return True
        return False

    def _read_file(self, path: Path, progress: Callable[[int], object]) -> None:
        """Add the records of a file; what cannot be read is skipped."""
        if path not in self._files:
            if self._is_too_old(path):
                return
            self._files[path] = len(self.loaded.files), FollowedFile(path)
            self.loaded.files.append(path)
        number, file = self._files[path]
        try:
            for block in file.blocks(self._containing):
                self._add_block(block, number << OFFSET_BITS)
                progress(block.end - block.offset)
        except OSError:
            self.loaded.skipped += 1

    def _add_block(self, block: Block, base: int) -> None:
        text, since, ids, add = self._text, self._since_bytes, self._ids, self._add
        at = base + block.offset
        for line in block.lines:
            source = at
            at += len(line) + 1
            if (
                (text and text not in line)
                or (since and line[TIME] < since and has_time(line))
                or (ids is not None and trace_id_in(line) not in ids)
            ) and _START not in line:
                continue  # without decoding: of another trace, or too old
            try:
                meta = orjson.loads(line)[META_KEY]
            except (orjson.JSONDecodeError, KeyError, TypeError):
                meta = None
            if type(meta) is dict:
                add(cast("dict[str, object]", meta), source)
                continue
            for one in scan_line(line, source, ended=block.ended):
                if isinstance(one, Line):
                    add(one.meta, one.offset)
                else:
                    self.loaded.skipped += 1

    def _add(self, meta: Mapping[str, object], source: int | bytes) -> None:
        """Add one record; `source` is its line, or where it is."""
        kind, trace_id = meta.get("kind"), meta.get("trace_id")
        if kind == "process":
            if meta.get("event") == PROCESS_START:
                self.loaded.introduce(str(meta.get("process")), meta)
        elif type(trace_id) is not str:
            self.loaded.skipped += kind == "span"  # a log may be of no trace
        elif (
            trace_id.startswith(self._prefix)
            and (self._ids is None or trace_id.encode("utf-8", "replace") in self._ids)
            and not (self._since and str(meta.get("timestamp")) < self._since)
        ):
            if kind == "span":
                self.loaded.forest.add(meta, source)
            elif self._with_logs:
                self.loaded.logs.setdefault(trace_id, []).append(source)

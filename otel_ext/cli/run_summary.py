"""The closing words of `otel-ext run`: where the records are and what to type next."""

from __future__ import annotations

import shlex
import signal
import time
from typing import IO, TYPE_CHECKING, Final, NamedTuple, cast

import orjson

from otel_ext.cli.commands import available
from otel_ext.record.model import META_KEY

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RunSummary", "count_records"]

_MAX_BYTES: Final = 64 * 1024 * 1024
# File systems and clocks are not of one mind about the last moment.
_SLACK_NS: Final = 20_000_000
_NEXT: Final = (
    ("tree", "what happened, as a tree"),
    ("tail", "the records, one a line"),
    ("validate", "are all of them well formed?"),
)
_NO_RECORDS: Final = (
    "otel-ext: no records. If nothing above says why, the program made no spans: install the"
    " instrumentations of its libraries (opentelemetry-bootstrap -a requirements lists them), or"
    " use the OpenTelemetry API."
)


class Count(NamedTuple):
    """How much a run left.

    Attributes:
        files: Number of files.
        records: Number of records; None when there is too much to count.
        unended: Number of spans that did not end, or were ended for a dead process.
        size: Bytes in all.
    """

    files: int
    records: int | None
    unended: int
    size: int


def count_records(files: list[Path]) -> Count:
    """Count records and spans without an end in `files`.

    Args:
        files: JSONL files; one that went away counts as empty.
    """
    size = sum(_size(file) for file in files)
    if size > _MAX_BYTES:
        return Count(len(files), None, 0, size)
    records = 0
    # A span can start in one file and end in another, after a rotation.
    started: set[tuple[object, object]] = set()
    ended: set[tuple[object, object]] = set()
    abandoned: set[tuple[object, object]] = set()
    for file in files:
        for line in _lines(file):
            meta = _meta(line)
            records += bool(meta)
            key = (meta.get("trace_id"), meta.get("span_id"))
            if meta.get("phase") == "start":
                started.add(key)
            elif meta.get("phase") == "end":
                (abandoned if "abandoned" in meta else ended).add(key)
    # A real end beats one that was made up for a span without.
    return Count(len(files), records, len((started | abandoned) - ended), size)


def _lines(file: Path) -> list[bytes]:
    try:
        return file.read_bytes().splitlines()
    except OSError:
        return []


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _meta(line: bytes) -> dict[str, object]:
    try:
        meta = orjson.loads(line)[META_KEY]
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return {}
    return cast("dict[str, object]", meta) if isinstance(meta, dict) else {}


class RunSummary:
    """Finds what was written since it was made, and tells.

    Args:
        folder: Where the records go; it may be a single file too.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._since = time.time_ns() - _SLACK_NS

    def write(self, stream: IO[str], outcome: int) -> None:
        """Write the closing words.

        Args:
            stream: Where to; a stream that nobody reads is no error.
            outcome: Exit code of the program, or minus the signal that ended it.
        """
        try:
            stream.write(self.text(outcome))
            stream.flush()
        except (OSError, ValueError):
            pass  # nobody reads it any more, and the program is over

    def text(self, outcome: int) -> str:
        """Return the closing words, each line with its newline."""
        lines = [f"otel-ext: ended by {_signal_name(-outcome)}."] if outcome < 0 else []
        files = self._new_files()
        count = count_records(files)
        if not count.size:
            return "\n".join([*lines, _NO_RECORDS, ""])
        lines.append(f"otel-ext: {_describe(count, self._folder)}")
        names = {command.name for command in available()}
        quoted = shlex.quote(str(self._folder))
        commands = [(f"otel-ext {name} {quoted}", why) for name, why in _NEXT if name in names]
        width = max((len(command) for command, _ in commands), default=0)
        for index, (command, why) in enumerate(commands):
            head = "otel-ext: next:" if index == 0 else " " * 15
            lines.append(f"{head} {command:<{width}}  {why}")
        return "\n".join([*lines, ""])

    def _new_files(self) -> list[Path]:
        try:
            if not self._folder.is_dir():
                return [self._folder] if self._is_new(self._folder) else []
            return sorted(path for path in self._folder.glob("*.jsonl") if self._is_new(path))
        except OSError:
            return []  # the folder is gone or closed to us

    def _is_new(self, path: Path) -> bool:
        try:
            return path.is_file() and path.stat().st_mtime_ns >= self._since
        except OSError:
            return False  # deleted meanwhile


def _describe(count: Count, folder: Path) -> str:
    files = "1 file" if count.files == 1 else f"{count.files:,} files"
    if count.records is None:
        return f"{count.size / 2**20:,.0f} MiB of records in {files} in {folder}"
    records = "1 record" if count.records == 1 else f"{count.records:,} records"
    text = f"{records} in {files} in {folder}"
    if not count.unended:
        return text
    spans = "1 span did" if count.unended == 1 else f"{count.unended:,} spans did"
    return f"{text}; {spans} not end"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

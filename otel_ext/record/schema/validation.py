"""Checks whether lines follow version 2 of the record format, and explains why not.

Fast, because files are large: one call of the JSON parser, then the tables of
`otel_ext.record.schema.rules`. A line that breaks a rule gets reasons, each with a JSON
pointer. No content of a line makes this raise, and memory is bounded by a few lines.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, cast

import orjson

from otel_ext.record.model import EMPTY, META_KEY
from otel_ext.record.sanitise.values import MAX_LINE_BYTES
from otel_ext.record.schema.metadata import Reasons, check_meta
from otel_ext.record.schema.parsing import WHOLE_LINE, parse_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["LineReport", "LineSource", "load_schema", "validate_line", "validate_stream"]

_SKIP_BYTES: Final = 1 << 20


class LineSource(Protocol):
    """Anything opened for reading bytes: a file, a pipe, `io.BytesIO`."""

    def readline(self, size: int = -1, /) -> bytes:
        """Return the next line, or at most `size` bytes of it; empty at the end."""
        ...


class LineReport(NamedTuple):
    """The result of checking one line of a file.

    Attributes:
        number: The line's number, 1 for the first.
        offset: Where it begins, in bytes.
        reasons: What is wrong with it; empty if it is valid.
        shape: The record's shape, such as `span.start` or `log`; empty if invalid.
        may_be_record: Whether it is a JSON object, or may be a damaged one.
        meta: The metadata of a valid record; empty if invalid.
    """

    number: int
    offset: int
    reasons: list[str]
    shape: str
    may_be_record: bool
    meta: Mapping[str, object] = EMPTY


def load_schema() -> dict[str, object]:
    """Return the JSON Schema (2020-12) of the record format, from the package.

    >>> load_schema()["title"]
    'otel-ext record, version 2'
    """
    text = files("otel_ext.record.schema").joinpath("schema.json").read_bytes()
    return cast("dict[str, object]", orjson.loads(text))


def validate_line(line: bytes) -> list[str]:
    r"""Return what is wrong with one line; empty for a valid record.

    Args:
        line: One line in UTF-8, with or without its newline.

    Returns:
        Reasons such as `/__tracer_meta__/seq: must be ...`, at most about twenty.

    >>> validate_line(b'{"user": "ann"}\n')
    ['line: has no __tracer_meta__']
    >>> validate_line(b'{"__tracer_meta__": {"version": NaN}}')
    ['line: not JSON: NaN must be written as the text "NaN"']
    """
    reasons = Reasons()
    _check(line, reasons)
    return list(reasons)


def validate_stream(source: LineSource) -> Iterator[LineReport]:
    """Check each line of a file of records, one after the other.

    Empty lines are skipped: a writer that continues after a torn line may leave one. A
    line too long for a record is skipped without keeping it in memory.

    Args:
        source: A file opened for reading bytes.

    Raises:
        OSError: `source` cannot be read any further.
    """
    number, offset = 0, 0
    while line := source.readline(MAX_LINE_BYTES + 1):
        number += 1
        length = len(line)
        if length > MAX_LINE_BYTES:
            length += 0 if line.endswith(b"\n") else _skip_rest(source)
            reasons = [_too_long(line, length)]
            yield LineReport(number, offset, reasons, "", _may_be_damaged(line))
        elif line != b"\n":
            yield _report(line, number, offset)
        offset += length


def _report(line: bytes, number: int, offset: int) -> LineReport:
    reasons = Reasons()
    shape, meta = _check(line, reasons)
    is_json = meta is not None
    if not line.endswith(b"\n"):
        # Only the last line can lack its newline: torn, or still being written.
        if not is_json:
            reasons.clear()
        state = "whole" if is_json else "torn"
        reasons.insert(
            0, f"{WHOLE_LINE}: the file ends here without a newline; the text is {state}"
        )
    may_be_record = is_json or _may_be_damaged(line)
    if reasons or meta is None:
        return LineReport(number, offset, list(reasons), "", may_be_record)
    return LineReport(number, offset, [], shape, may_be_record, meta)


def _may_be_damaged(line: bytes) -> bool:
    """Whether this may be a damaged record rather than a line of some other file."""
    # Programs and pictures also have blank lines, and lines of only NUL bytes.
    rest = line.lstrip(b"\0\xef\xbb\xbf \t")
    return rest.startswith(b'{"') or META_KEY.encode() in rest


def _skip_rest(source: LineSource) -> int:
    """Read up to the end of the line and return how many bytes that was."""
    skipped = 0
    while piece := source.readline(_SKIP_BYTES):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


def _too_long(line: bytes, length: int) -> str:
    note = "; it begins with NUL bytes" if line.startswith(b"\0") else ""
    return f"{WHOLE_LINE}: longer than {MAX_LINE_BYTES} bytes ({length} bytes){note}"


def _check(line: bytes, reasons: Reasons) -> tuple[str, Mapping[str, object] | None]:
    """Check one line; return its shape and its metadata, None if it is not a JSON object."""
    if len(line) > MAX_LINE_BYTES:
        reasons.add(WHOLE_LINE, f"longer than {MAX_LINE_BYTES} bytes ({len(line)} bytes)")
        return "", None
    fields = parse_line(line, reasons)
    if fields is None:
        return "", None
    if META_KEY not in fields:
        reasons.add(WHOLE_LINE, f"has no {META_KEY}")
        return "", EMPTY
    meta = fields[META_KEY]
    if not isinstance(meta, dict):
        reasons.add(f"/{META_KEY}", "must be an object")
        return "", EMPTY
    found = cast("dict[str, object]", meta)
    return check_meta(found, reasons), found

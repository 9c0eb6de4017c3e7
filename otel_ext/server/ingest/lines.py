"""Checks lines of records that were received, and returns them as our encoder writes them."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final, cast

import orjson

from otel_ext.errors import RecordError
from otel_ext.record.codec import encode_line
from otel_ext.record.decode import decode_line
from otel_ext.record.model import META_KEY
from otel_ext.record.sanitise.values import MAX_LINE_BYTES, is_printable
from otel_ext.record.schema.depth import is_deeper
from otel_ext.record.schema.metadata import Reasons, check_meta
from otel_ext.record.schema.parsing import MAX_LINE_DEPTH, parse_line
from otel_ext.record.schema.tolerant import is_readable
from otel_ext.server.ingest.limits import DEFAULT_LIMITS
from otel_ext.server.ingest.result import Outcome

if TYPE_CHECKING:
    from otel_ext.server.ingest.limits import IngestLimits
    from otel_ext.server.ingest.result import Ingested

__all__ = ["read_lines"]

_HEAD: Final = f'{{"{META_KEY}":'.encode()
_KEY: Final = f'"{META_KEY}"'.encode()
_NO_META: Final = f"has no {META_KEY}"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def read_lines(body: bytes, limits: IngestLimits = DEFAULT_LIMITS) -> Ingested:
    r"""Return the lines of a body that are records, in their order; empty ones are skipped.

    A record of a later release is accepted, as by all readers of the format. A line is returned
    as it is if our encoder could have written it so, else as our encoder writes its record.

    Args:
        body: Lines of records, no longer compressed; the last one may lack its newline.
        limits: How many lines it may have.

    >>> read_lines(b'{"user":"ann"}\n')
    Ingested(lines=b'', records=0, rejected=1, reasons='line 1: has no __tracer_meta__')
    """
    outcome = Outcome(limits.line_bytes)
    add, values = outcome.add, limits.foreign_values
    for number, line in enumerate(BytesIO(body), 1):
        if number > limits.lines:
            left_out = body.count(b"\n") + (not body.endswith(b"\n")) - limits.lines
            outcome.reject_beyond(limits.lines, "lines", left_out)
            break
        if _is_canonical(line):
            add(line)
            continue
        if not line.strip():
            continue
        if len(line) > MAX_LINE_BYTES:
            outcome.reject(f"line {number}: longer than {MAX_LINE_BYTES} bytes")
            continue
        values -= line.count(b"{") + line.count(b"[") + line.count(b",")
        if values < 0:
            outcome.reject("too many values in lines that are not as otel-ext writes them")
            continue
        try:
            add(_rewritten(line))
        except RecordError as error:
            outcome.reject(f"line {number}: {error}")
    return outcome.result()


def _is_canonical(line: bytes) -> bool:
    """Fast check: is a line that of a readable record, as our encoder may have written it?"""
    if len(line) > MAX_LINE_BYTES or not line.startswith(_HEAD) or not line.endswith(b"\n"):
        return False
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    meta: object = document[META_KEY]
    if type(meta) is not dict:
        return False
    # Metadata that is the same again was parsed without a loss, such as that of repeated keys.
    return (
        line.startswith(orjson.dumps(meta), len(_HEAD))
        and line.count(_KEY) == 1
        and is_readable(cast("dict[str, object]", meta))
        and is_printable(line)
        and not is_deeper(line, MAX_LINE_DEPTH)
    )


def _rewritten(line: bytes) -> bytes:
    """Return the line of a record as our encoder writes it.

    Raises:
        RecordError: It is not a record that readers can use.
    """
    text = line.rstrip(b"\r\n").removeprefix(_BYTE_ORDER_MARK)
    reasons = Reasons()
    document = parse_line(text, reasons)
    if document is not None and not reasons:
        meta = document.get(META_KEY)
        if not isinstance(meta, dict):
            reasons.append(f"/{META_KEY}: must be an object" if META_KEY in document else _NO_META)
        elif not is_readable(cast("dict[str, object]", meta)):
            check_meta(cast("dict[str, object]", meta), reasons)
    if reasons:
        raise RecordError(", ".join(reasons).removeprefix("line: "))
    return encode_line(decode_line(text))

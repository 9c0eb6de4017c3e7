"""The hot path, compiled; optional, so import it where an ImportError is handled."""

from collections.abc import Callable, Mapping

from opentelemetry.sdk.trace import ReadableSpan

from otel_ext.record.model import Link, Process, Record, SpanEvent, Status

def configure(
    *,
    record_type: type[Record],
    encode_line: Callable[[Record], bytes],
    encode_object: Callable[[Mapping[str, object], int], bytes],
    name_fragment: Callable[[str], str],
    encode_status: Callable[[Status | None], str],
    encode_links: Callable[[tuple[Link, ...]], str],
    encode_events: Callable[[tuple[SpanEvent, ...]], str],
    encode_extra: Callable[[Record], str],
    meta_key: str,
    unset_status: Status,
) -> None: ...
def encode_line(record: Record, /) -> bytes: ...
def configure_capture(**functions: object) -> None: ...
def identify(span: ReadableSpan, record_only: bool, /) -> tuple[int, int] | None: ...
def capture_start(span: ReadableSpan, process: Process, seq: int, /) -> Record: ...
def capture_end(
    span: ReadableSpan, process: Process, seq: int, start: Record | None, /
) -> Record: ...

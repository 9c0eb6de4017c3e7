"""The compiled hot path. Optional: import it only where an ImportError is handled."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from mmap import mmap

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span

from otel_ext.exporters.delivery.remote_queue import RemoteQueue
from otel_ext.exporters.fanout import FanOut
from otel_ext.exporters.jsonl import JsonlExporter
from otel_ext.inflight.owners import Owner, Owners
from otel_ext.inflight.table import Entry, InflightTable
from otel_ext.journal.write.chunks import Cursor
from otel_ext.journal.write.exit import PostExitJournal
from otel_ext.journal.write.ring_buffer import RingBuffer
from otel_ext.processors.lifecycle import LifecycleSpanProcessor
from otel_ext.record.model import (
    CallSite,
    Link,
    PlainAttributes,
    Process,
    Record,
    SpanEvent,
    Status,
    TaskInfo,
    ThreadInfo,
)

def configure(
    *,
    record_type: type[Record],
    attributes_type: type[PlainAttributes],
    encode_line: Callable[[Record], bytes],
    encode_object: Callable[[Mapping[str, object], int], bytes],
    name_fragment: Callable[[str], str],
    encode_status: Callable[[Status | None], str],
    encode_links: Callable[[tuple[Link, ...]], str],
    encode_events: Callable[[tuple[SpanEvent, ...]], str],
    meta_key: str,
    unset_status: Status,
) -> None: ...
def encode_line(record: Record, /) -> bytes: ...
def configure_otlp(
    *, span: Callable[[Record], bytes], log: Callable[[Record, int], bytes]
) -> None: ...
def encode_span(record: Record, /) -> bytes: ...
def encode_log(record: Record, observed_ns: int, /) -> bytes: ...
def configure_capture(**functions: object) -> None: ...
def identify(span: ReadableSpan, record_only: bool, /) -> tuple[int, int] | None: ...
def capture_start(span: ReadableSpan, process: Process, seq: int, /) -> Record: ...
def capture_end(
    span: ReadableSpan, process: Process, seq: int, start: Record | None, /
) -> Record: ...
def here(depth: int, /) -> tuple[CallSite, ThreadInfo, TaskInfo | None]: ...
def configure_start_lines(attributes_of: Callable[[bytes, int], PlainAttributes], /) -> None: ...
def configure_hooks(**functions: object) -> None: ...
def begin_span(processor: LifecycleSpanProcessor, span: Span, /) -> None: ...
def end_span(processor: LifecycleSpanProcessor, span: ReadableSpan, /) -> None: ...
def bind_append(ring: RingBuffer, /) -> Callable[[bytes], bool]: ...
def bind_export(exporter: JsonlExporter, /) -> Callable[[Record], None]: ...
def bind_fan_out(fan_out: FanOut, /) -> Callable[[Record], None]: ...
def bind_queue(queue: RemoteQueue, /) -> Callable[[Record], None]: ...
def bind_check(
    *,
    processes: dict[str, tuple[Process, Process]] | None,
    keys: Mapping[str, object],
    clean_key: object,
    texts: Collection[str],
    is_suspicious: Callable[[str], object] | None,
    search: Callable[[str], bool] | None,
    shortest: int,
    longest: int,
    most: int,
    is_safe: Callable[[Record], bool],
) -> Callable[[Record], bool]: ...
def bind_choice(
    *, ask: Callable[[], bool], no: Callable[[Record], None], yes: Callable[[Record], None]
) -> Callable[[Record], None]: ...
def export_parts(
    *, introduced: dict[str, Process], accept: Iterator[int], journal: PostExitJournal
) -> object: ...
def hook_parts(
    *,
    resource: Resource | None,
    process: Process,
    next_seq: Iterator[int],
    record_only: bool,
    export: Callable[[Record], None],
    check: Callable[[Record], bool],
    make_safe: Callable[[Record], Record],
    table: InflightTable,
    opened: dict[tuple[int, int], Entry],
    max_spans: int,
    note_collected: Callable[[Entry], None],
    owners: Owners,
    local: threading.local,
    note_gone: Callable[[Owner], None],
) -> object: ...
def cursor(memory: mmap, /) -> Cursor: ...
def is_harmless(text: str, /) -> bool: ...
def find_triggers(text: str, /) -> list[int] | None: ...
def learn_triggers(triggers: tuple[str, ...], digits: int, gaps: str, /) -> None: ...
def watch_process(page: memoryview | None, enter: Callable[[], object], /) -> None: ...
def count_lines(lines: memoryview | bytes, /) -> int: ...

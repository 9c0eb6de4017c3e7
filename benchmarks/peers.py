"""Sets up the peers: ways of processing spans, each on a tracer provider of its own."""

from __future__ import annotations

import os
import shutil
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from otel_ext import configure
from otel_ext.config import load_config
from otel_ext.exporters import JsonlExporter
from otel_ext.pipeline import make_exporter
from otel_ext.processors.lifecycle import LifecycleSpanProcessor
from otel_ext.redaction.redactor import make_redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.trace import Tracer

    from otel_ext.record.model import Record

__all__ = ["PEERS", "Rig", "make_configured", "make_rig"]

RESOURCE: Final = Resource.create({"service.name": "benchmark", "service.version": "1.0"})
_WAIT: Final = 60_000  # milliseconds


class Rig(NamedTuple):
    """A running peer.

    Attributes:
        tracer: Makes its spans.
        drain: Flushes all records or spans that wait.
        close: Shuts it down and removes its files.
        written: Returns how many spans or records it has exported.
    """

    tracer: Tracer
    drain: Callable[[], object]
    close: Callable[[], object]
    written: Callable[[], int]


class NullExporter(SpanExporter):
    """Counts spans and does nothing with them."""

    def __init__(self) -> None:
        self.count = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Count them."""
        self.count += len(spans)
        return SpanExportResult.SUCCESS


class EncodingExporter(NullExporter):
    """Encodes spans for a collector with the stock encoder, and discards the result."""

    def __init__(self) -> None:
        super().__init__()
        module = import_module("opentelemetry.exporter.otlp.proto.common.trace_encoder")
        self._encode: Callable[[Sequence[ReadableSpan]], object] = module.encode_spans

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Encode and discard them."""
        request = self._encode(spans)
        request.SerializeToString()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        return super().export(spans)


def _rig(provider: TracerProvider, written: Callable[[], int], folder: Path | None = None) -> Rig:
    def drain() -> None:
        provider.force_flush(_WAIT)

    def close() -> None:
        provider.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    return Rig(provider.get_tracer("benchmark", "1.0"), drain, close, written)


def _provider(*processors: SpanProcessor) -> TracerProvider:
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    return provider


def _none() -> Rig:
    return _rig(_provider(), int)


def _no_op() -> Rig:
    return _rig(_provider(SpanProcessor()), int)


def _batch(exporter: NullExporter, queue: int) -> Rig:
    processor = BatchSpanProcessor(exporter, max_queue_size=queue)
    return _rig(_provider(processor), lambda: exporter.count)


def _console(queue: int) -> Rig:
    folder = Path(mkdtemp(prefix="otel-ext-bench-"))
    file = (folder / "spans.json").open("w", encoding="utf-8")
    processor = BatchSpanProcessor(ConsoleSpanExporter(out=file), max_queue_size=queue)
    rig = _rig(_provider(processor), int, folder)

    def close() -> None:
        rig.close()
        file.close()

    return rig._replace(close=close)


def _logfire(queue: int) -> Rig:
    pending = import_module("logfire._internal.tracer").PendingSpanProcessor
    exporter = NullExporter()
    batch = BatchSpanProcessor(exporter, max_queue_size=queue)
    return _rig(_provider(batch, pending(RandomIdGenerator(), batch)), lambda: exporter.count)


def _ours(durability: str, *, redact: str = "off") -> Rig:
    """Return the pipeline of `configure()`, which a process can have only once, as a peer."""
    folder = Path(mkdtemp(prefix="otel-ext-bench-"))
    config = load_config(
        {"output": str(folder), "durability": durability, "console": "off", "redact": redact}
    )

    def open_records() -> list[Record]:
        return processor.tracker.table.start_records()

    redactor = make_redactor(config.redaction)
    exporter = make_exporter(config, open_records)
    processor = LifecycleSpanProcessor(exporter, redactor=redactor)
    return _rig(_provider(processor), partial(_lines, folder), folder)


def _added_by_hand() -> Rig:
    """Return the pipeline that the README adds to a provider of the program."""
    folder = Path(mkdtemp(prefix="otel-ext-bench-"))
    provider = _provider(LifecycleSpanProcessor(JsonlExporter(folder)))
    return _rig(provider, partial(_lines, folder), folder)


def make_configured(redact: str) -> Rig:
    """Call `configure()`, which a process can have only once, and return what it set up.

    Args:
        redact: The setting: `off`, or `default`.

    Raises:
        RuntimeError: It records nothing, such as when tracing is switched off.
    """
    folder = Path(mkdtemp(prefix="otel-ext-bench-"))
    provider = _provider()
    handle = configure(output=folder, console="off", redact=redact, tracer_provider=provider)
    if not handle.active or handle.config.redaction.mode != redact:
        raise RuntimeError("otel-ext is switched off, or configured already")
    return _rig(provider, partial(_lines, folder), folder)


def _lines(folder: Path) -> int:
    return sum(piece.count(b"\n") for path in folder.glob("*.jsonl") for piece in _pieces(path))


def _pieces(path: Path) -> Sequence[bytes]:
    with path.open("rb") as file:
        return list(iter(lambda: file.read(1 << 20), b""))


def _disabled() -> Rig:
    provider = _provider()
    handle = configure(enabled=False, tracer_provider=provider)
    if handle.active:
        raise RuntimeError("otel-ext is configured already")
    return _rig(provider, int)


PEERS: Final[dict[str, Callable[[int], Rig]]] = {
    "no processor": lambda _: _none(),
    "no-op processor": lambda _: _no_op(),
    "Batch + null exporter": lambda queue: _batch(NullExporter(), queue),
    "Batch + ConsoleSpanExporter to a file": _console,
    "Batch + OTLP encoding": lambda queue: _batch(EncodingExporter(), queue),
    "logfire pending spans + null exporter": _logfire,
    "otel-ext mapped": lambda _: _ours("mapped"),
    "otel-ext mapped, redacting": lambda _: _ours("mapped", redact="default"),
    "otel-ext JsonlExporter, added by hand": lambda _: _added_by_hand(),
    "otel-ext queued": lambda _: _ours("queued"),
    "otel-ext write": lambda _: _ours("write"),
    "otel-ext disabled": lambda _: _disabled(),
}
"""Functions that start each peer; their argument is the size of the SDK's queue in spans."""

_NEEDS: Final = {"logfire pending spans + null exporter": "logfire"}


def make_rig(name: str, queue: int = 2_048) -> Rig | None:
    """Start the peer `name`; return None where a package that it needs is not installed.

    Args:
        name: One of `PEERS`.
        queue: Spans that the queue of `BatchSpanProcessor` holds; 2,048 is its default.
    """
    needed = _NEEDS.get(name)
    if needed is not None and find_spec(needed) is None:
        return None
    os.environ.setdefault("LOGFIRE_SEND_TO_LOGFIRE", "false")
    return PEERS[name](queue)

"""Measures what one structlog record costs: our chain against structlog's own JSON chain."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Final

import orjson
import structlog
from opentelemetry.sdk.trace import TracerProvider
from structlog.processors import (
    CallsiteParameter,
    CallsiteParameterAdder,
    JSONRenderer,
    StackInfoRenderer,
    TimeStamper,
    add_log_level,
    format_exc_info,
)

from benchmarks.figures import Figure, ratios, summarise
from benchmarks.harness import Case, Cases, Effort, alternate
from benchmarks.result import Chart, Result, Table
from otel_ext.exporters.jsonl import JsonlExporter
from otel_ext.processors.tracer_meta import TracerMetaRenderer

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from structlog.typing import FilteringBoundLogger, Processor

__all__ = ["measure"]

_STOCK: Final = "structlog's JSON chain"
_STOCK_CALL_SITE: Final = "structlog's JSON chain + CallsiteParameterAdder"
_PRINTED: Final = "otel-ext, printed"
_BOTH: Final = "otel-ext, printed and in the journal"
_CALL_SITE: Final = (
    CallsiteParameter.PATHNAME,
    CallsiteParameter.LINENO,
    CallsiteParameter.FUNC_NAME,
)


def measure(effort: Effort) -> Result:
    """Measure the four chains, inside a span."""
    result = Result(
        "logs",
        "One structlog record",
        "`log.info` with three fields inside a span. structlog's chain is the one that its"
        " performance guide recommends: orjson, `BytesLogger`, cached loggers. It writes level,"
        " time and fields. Ours adds ids of span and process, number, thread, file, line and"
        " function. Each prints to a file of its own. Microseconds of CPU, all threads.",
    )
    folder = Path(mkdtemp(prefix="otel-ext-bench-"))
    exporter = JsonlExporter(folder / "journal")
    files: list[BinaryIO] = []
    loggers: dict[str, FilteringBoundLogger] = {}
    for name, chain in _chains(exporter).items():
        files.append((folder / f"{len(files)}.jsonl").open("wb"))
        loggers[name] = _logger(files[-1], chain)
    cases = [
        Case(name, _worker(log), exporter.force_flush if name == _BOTH else bool)
        for name, log in loggers.items()
    ]
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("benchmark")
    with Cases(cases), tracer.start_as_current_span("GET /orders/{id}"):
        costs = alternate(
            cases,
            rounds=effort.pick(full=31, quick=3, tiny=1),
            count=effort.pick(full=5_000, quick=1_000, tiny=20),
        )
    exporter.shutdown()
    for file in files:
        file.close()
    shutil.rmtree(folder, ignore_errors=True)
    _tabulate(result, {name: [cost.cpu for cost in found] for name, found in costs.items()})
    return result


def _chains(exporter: JsonlExporter) -> dict[str, list[Processor]]:
    merge = structlog.contextvars.merge_contextvars
    stamp = TimeStamper(fmt="iso", utc=True)
    json = JSONRenderer(serializer=orjson.dumps)
    call_site = CallsiteParameterAdder(_CALL_SITE)
    stock: list[Processor] = [merge, add_log_level, format_exc_info, stamp]
    ours: list[Processor] = [merge, add_log_level, StackInfoRenderer()]
    return {
        _STOCK: [*stock, json],
        _STOCK_CALL_SITE: [*stock, call_site, json],
        _PRINTED: [*ours, TracerMetaRenderer()],
        _BOTH: [*ours, TracerMetaRenderer(exporter)],
    }


def _logger(file: BinaryIO, chain: list[Processor]) -> FilteringBoundLogger:
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.BytesLogger(file),
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(20),
        cache_logger_on_first_use=True,
    )
    return logger.bind()


def _worker(log: FilteringBoundLogger) -> Callable[[int], object]:
    def work(count: int) -> None:
        for number in range(count):
            log.info("order stored", order=number, customer="ann", total=12.5)

    return work


def _tabulate(result: Result, cpu: dict[str, list[float]]) -> None:
    rows: list[list[str]] = []
    for name, found in cpu.items():
        taken: Figure = summarise([value / 1_000 for value in found])
        rows.append([name, taken.show(), ratios(found, cpu[_STOCK]).show()])
    columns = ["", "µs", "over structlog's JSON chain"]
    result.tables.append(Table("A log record", columns, rows))
    result.figures["log over structlog"] = ratios(cpu[_PRINTED], cpu[_STOCK])
    result.figures["log over structlog with call site"] = ratios(
        cpu[_PRINTED], cpu[_STOCK_CALL_SITE]
    )
    series = {name: [summarise(found).value / 1_000] for name, found in cpu.items()}
    result.charts.append(Chart("logs", "One structlog record", "µs of CPU", [""], series))

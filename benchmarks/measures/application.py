"""Measures a FastAPI application under load, without telemetry and with it in three ways."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.figures import Figure, ratios, summarise
from benchmarks.harness import Effort, rotations
from benchmarks.load import CONNECTIONS, generator, put_load
from benchmarks.result import Chart, Result, Table
from benchmarks.servers import (
    Server,
    collector_command,
    cpu_seconds,
    free_ports,
    python_command,
    serve,
)

__all__ = ["measure"]

_WAYS: Final = {
    "none": "no OpenTelemetry",
    "otlp": "OpenTelemetry + OTLP to a collector",
    "ours": "otel-ext alone",
    "both": "otel-ext beside OpenTelemetry + OTLP",
}
_COLUMNS: Final = ("requests/s", "p50, ms", "p99, ms", "CPU a request, µs")


def measure(effort: Effort) -> Result:
    """Put each way under the same load in turn; all servers run throughout."""
    result = Result(
        "application",
        "A FastAPI application under load",
        "FastAPI on uvicorn, one process, one SQLite query in each request, instrumented by the"
        " contrib packages for FastAPI and SQLite (four spans a request). Another process sends"
        f" the load ({generator()}, {CONNECTIONS} connections). The four ways take turns. The"
        " collector is rotel, over HTTP.",
    )
    with TemporaryDirectory(prefix="otel-ext-bench-") as folder, ExitStack() as stack:
        servers = _start(stack, Path(folder), result)
        found = _load(servers, effort, result)
    _tabulate(result, found)
    return result


def _start(stack: ExitStack, folder: Path, result: Result) -> dict[str, Server]:
    http, grpc, *ports = free_ports(2 + len(_WAYS))
    command = collector_command(http, grpc, folder)
    if command is None:
        result.notes.append("The collector is not installed, so two of the ways are left out.")
    else:
        stack.enter_context(serve(command, http, folder / "collector.log"))
    servers: dict[str, Server] = {}
    for way, port in zip(_WAYS, ports, strict=True):
        if command is None and way in {"otlp", "both"}:
            continue
        arguments = [way, str(port), str(folder / way), f"127.0.0.1:{http}"]
        module = python_command("benchmarks.web_app", *arguments)
        servers[way] = stack.enter_context(serve(module, port, folder / f"{way}.log"))
    return servers


def _load(
    servers: dict[str, Server], effort: Effort, result: Result
) -> dict[str, dict[str, list[float]]]:
    rounds = effort.pick(full=8, quick=1, tiny=1)
    seconds = effort.pick(full=3, quick=1, tiny=1)
    ways = list(servers)
    found: dict[str, dict[str, list[float]]] = {
        way: {column: [] for column in _COLUMNS} for way in ways
    }
    for way in ways:
        put_load(_url(servers[way]), 1)
    errors = 0
    for order in rotations(len(ways), rounds):
        for index in order:
            way = ways[index]
            before = cpu_seconds(servers[way].pid)
            load = put_load(_url(servers[way]), seconds)
            cpu = (cpu_seconds(servers[way].pid) - before) / max(1, load.requests) * 1e6
            errors += load.errors
            for column, value in zip(_COLUMNS, (load.rate, load.p50, load.p99, cpu), strict=True):
                found[way][column].append(value)
    if errors:
        result.notes.append(f"{errors} requests failed.")
    return found


def _url(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}/orders/7"


def _tabulate(result: Result, found: dict[str, dict[str, list[float]]]) -> None:
    digits = (0, 2, 2, 0)
    rows = [
        [
            _WAYS[way],
            *(
                summarise(values[column]).show(digit)
                for column, digit in zip(_COLUMNS, digits, strict=True)
            ),
        ]
        for way, values in found.items()
    ]
    result.tables.append(Table("Four ways", ["", *_COLUMNS], rows))
    series = {_WAYS[way]: [summarise(one["requests/s"]).value] for way, one in found.items()}
    title = "FastAPI under load"
    result.charts.append(Chart("application", title, "requests/s", [""], series))
    for key, of, to in (
        ("requests lost beside OTLP, %", "both", "otlp"),
        ("requests lost, ours alone, %", "ours", "none"),
        ("requests lost, OTLP alone, %", "otlp", "none"),
    ):
        if of in found and to in found:
            result.figures[key] = _lost(found[of]["requests/s"], found[to]["requests/s"])
    if "both" in found:
        result.figures["p99 beside OTLP"] = ratios(
            found["both"]["p99, ms"], found["otlp"]["p99, ms"]
        )


def _lost(of: list[float], to: list[float]) -> Figure:
    return summarise([100 * (1 - one / other) for one, other in zip(of, to, strict=True)])

"""Measures an application in each way of telemetry, all under the same load in turn."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from benchmarks.applications.control import ask
from benchmarks.applications.telemetry import SENDING, WAYS, Delivered, undelivered
from benchmarks.figures import Figure, ratios, summarise
from benchmarks.harness import rotations
from benchmarks.load import put_load
from benchmarks.result import Chart, Table
from benchmarks.servers import (
    children_of,
    collector_command,
    cpu_seconds,
    free_ports,
    python_command,
    serve,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.harness import Effort
    from benchmarks.load import Load
    from benchmarks.result import Result

__all__ = ["METHOD", "Application", "Process", "measure_under_load", "send_requests"]

METHOD: Final = (
    " The ways take turns, and all their processes run throughout. After each turn what waits is"
    " flushed, and the CPU time of that counts; that every span arrives is checked. The collector"
    " is rotel, over HTTP."
)
_LOCALHOST: Final = "127.0.0.1"
_FIELDS: Final = ("rate", "p50", "p99", "cpu")
Values = dict[str, list[float]]
"""By field, one value for each round."""


class Process(NamedTuple):
    """A running application.

    Attributes:
        pid: The process that was started; its children serve too.
        port: Where it serves.
        control: Where it answers questions.
    """

    pid: int
    port: int
    control: int

    def cpu_seconds(self) -> float:
        """Return the processor time of the process and its children so far."""
        return sum(map(cpu_seconds, [self.pid, *children_of(self.pid)]))

    def flush(self) -> Delivered:
        """Let it deliver all that waits."""
        return Delivered(*cast("list[object]", ask(self.control, "flush")))  # type: ignore[arg-type]


class Application(NamedTuple):
    """An application that is measured.

    Attributes:
        name: What the chart calls it.
        program: The module in `benchmarks/applications/`.
        work: What it does, in the singular: `request` or `task`.
        spans: How many spans that is.
        put_load: Lets a process work for some seconds.
    """

    name: str
    program: str
    work: str
    spans: int
    put_load: Callable[[Process, int], Load]


def send_requests(process: Process, seconds: int) -> Load:
    """Request an order from a web server again and again."""
    return put_load(f"http://{_LOCALHOST}:{process.port}/orders/7", seconds)


def measure_under_load(application: Application, effort: Effort, result: Result) -> None:
    """Measure the application in each way, and put what was found into `result`.

    Args:
        application: What is measured.
        effort: How much is measured.
        result: Gets the table, the chart, the figures and the notes.
    """
    with TemporaryDirectory(prefix="otel-ext-bench-") as folder, ExitStack() as stack:
        processes = _start(application, stack, Path(folder), result)
        found = _measure(application, processes, effort, result)
    _tabulate(application, found, result)


def _start(
    application: Application, stack: ExitStack, folder: Path, result: Result
) -> dict[str, Process]:
    http, grpc, *ports = free_ports(2 + 2 * len(WAYS))
    command = collector_command(http, grpc, folder)
    if command is None:
        result.notes.append("The collector is not installed, so three of the ways are left out.")
    else:
        stack.enter_context(serve(command, http, folder / "collector.log"))
    processes: dict[str, Process] = {}
    for way, port, control in zip(WAYS, ports[::2], ports[1::2], strict=True):
        if command is None and way in SENDING:
            continue
        endpoint = f"http://{_LOCALHOST}:{http}"
        words = [way, str(port), str(control), str(folder / way), endpoint]
        module = python_command(f"benchmarks.applications.{application.program}", *words)
        server = stack.enter_context(serve(module, control, folder / f"{way}.log"))
        processes[way] = Process(server.pid, port, control)
    return processes


def _measure(
    application: Application, processes: Mapping[str, Process], effort: Effort, result: Result
) -> dict[str, Values]:
    # Many short turns: the other programs of the machine then disturb all ways alike.
    rounds = effort.pick(full=20, quick=1, tiny=1)
    seconds = effort.pick(full=2, quick=1, tiny=1)
    ways = list(processes)
    found: dict[str, Values] = {way: {field: [] for field in _FIELDS} for way in ways}
    before_all = {way: processes[way].flush() for way in ways}
    done = {way: application.put_load(processes[way], 1).requests for way in ways}
    delivered = {way: processes[way].flush() for way in ways}
    errors = 0
    for order in rotations(len(ways), rounds):
        for way in (ways[index] for index in order):
            before = processes[way].cpu_seconds()
            load = application.put_load(processes[way], seconds)
            delivered[way] = processes[way].flush()
            used = processes[way].cpu_seconds() - before
            done[way] += load.requests
            errors += load.errors
            values = (load.rate, load.p50, load.p99, used / max(1, load.requests) * 1e6)
            for field, value in zip(_FIELDS, values, strict=True):
                found[way][field].append(value)
    if errors:
        result.notes.append(f"{errors} {application.work}s failed.")
    for way in ways:
        since = delivered[way].since(before_all[way])
        missing = undelivered(way, done[way] * application.spans, since)
        result.notes.extend(f"{WAYS[way]}: {one}." for one in missing)
    return found


def _tabulate(application: Application, found: Mapping[str, Values], result: Result) -> None:
    work = application.work
    stock = found.get("stock")
    columns = [
        *(f"{work}s/s", "over stock OTLP", "p50, ms", "p99, ms"),
        *(f"CPU a {work}, µs", "CPU over stock OTLP"),
    ]
    rows = [
        [
            WAYS[way],
            summarise(values["rate"]).show(0),
            ratios(values["rate"], stock["rate"]).show() if stock else "",
            summarise(values["p50"]).show(),
            summarise(values["p99"]).show(),
            summarise(values["cpu"]).show(0),
            ratios(values["cpu"], stock["cpu"]).show() if stock else "",
        ]
        for way, values in found.items()
    ]
    result.tables.append(Table("The ways", ["", *columns], rows))
    series = {WAYS[way]: [summarise(one["rate"]).value] for way, one in found.items()}
    title = f"{application.name} under load"
    name = result.name.replace("_", "-")
    result.charts.append(Chart(name, title, f"{work}s/s", [""], series))
    result.figures[f"{work}s lost, files alone, %"] = _lost(found["files"], found["none"])
    if stock:
        result.figures[f"{work}s lost, OTLP alone, %"] = _lost(stock, found["none"])
        result.figures[f"{work}s lost beside OTLP, %"] = _lost(found["beside"], stock)
        result.figures["p99 beside OTLP"] = ratios(found["beside"]["p99"], stock["p99"])
        rates = ratios(found["sending"]["rate"], stock["rate"])
        result.figures[f"{work}s/s, sending OTLP, over stock"] = rates
        spent = ratios(found["sending"]["cpu"], stock["cpu"])
        result.figures[f"CPU a {work}, sending OTLP, over stock"] = spent


def _lost(of: Values, to: Values) -> Figure:
    """Return by how many per cent `of` does less in a second than `to`."""
    lost = [100 * (1 - one / other) for one, other in zip(of["rate"], to["rate"], strict=True)]
    return summarise(lost)

"""Measures the server: records received until they are in the store, beside other servers."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter, sleep
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.bodies import write_line_bodies, write_otlp_bodies
from benchmarks.figures import percentile, summarise
from benchmarks.result import Result, Table
from benchmarks.sending import CONNECTIONS, send
from benchmarks.span_servers import SERVERS, measure_server
from benchmarks.viewer_server import health, viewer_server
from otel_ext.store.sqlite.schema import STORE_FOLDER
from otel_ext.store.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.harness import Effort
    from benchmarks.viewer_server import ViewerServer

__all__ = ["measure"]

_PROTOBUF: Final = "application/x-protobuf"
_LINES: Final = "application/x-ndjson"
_POLL_SECONDS: Final = 0.1
_LONGEST_SECONDS: Final = 300.0


class _Way(NamedTuple):
    """A way to send records.

    Attributes:
        what: Its name.
        key: The key of its figure.
        write: Prepares bodies with so many records.
        rate: How many records are prepared for each second.
        media_type: What the bodies are.
        counted: Whether the server counts the very records that were sent as stored; otherwise
            their spans are counted in the store.
    """

    what: str
    key: str
    write: Callable[[Path, int], None]
    rate: int
    media_type: str
    counted: bool

    def url(self, server: ViewerServer) -> str:
        """Return where to send them."""
        if self.media_type == _PROTOBUF:
            return f"http://127.0.0.1:{server.otlp_port}/v1/traces"
        return f"{server.address}/api/v1/records"


_WAYS: Final = (
    _Way(
        what="otel-ext serve, OTLP/HTTP, spans",
        key="ms for 1,000 spans over OTLP",
        write=write_otlp_bodies,
        rate=30_000,
        media_type=_PROTOBUF,
        counted=False,
    ),
    _Way(
        what="otel-ext serve, lines, records",
        key="ms for 1,000 records in lines",
        write=write_line_bodies,
        rate=45_000,
        media_type=_LINES,
        counted=True,
    ),
)
_COLUMNS: Final = (
    "",
    "sent",
    "acknowledged/s",
    "stored/s",
    "CPU a record, µs",
    "healthz, p99, ms",
    "sent again",
)


def measure(effort: Effort) -> Result:
    """Send as much as the server takes, and wait until all of it is stored."""
    seconds = effort.pick(full=60, quick=4, tiny=1)
    result = Result(
        "received",
        "The server: records received until they are stored",
        f"`otel-ext serve` in processes of its own; another process sends bodies of 500 records"
        f" over {CONNECTIONS} connections for {seconds} s, each when the one before was"
        " acknowledged. What is acknowledged survives the death of the server. The time is that"
        " until all records are in the store, where the viewer finds them. Spans have six"
        " attributes, in traces of 20. CPU is that of both processes of the server, with its start."
        " /healthz is asked meanwhile, 20 times a second.",
    )
    rows: list[list[str]] = []
    with TemporaryDirectory(prefix="otel-ext-bench-") as name:
        folder = Path(name)
        slowest: list[float] = []
        rows += [_measure_way(way, folder, seconds, result, slowest) for way in _WAYS]
        result.figures["healthz p99, ms"] = summarise([max(slowest)])
        result.tables.append(Table("Records received and stored", list(_COLUMNS), rows))
        _measure_others(folder, result, effort)
    return result


def _measure_way(
    way: _Way, folder: Path, seconds: int, result: Result, slowest: list[float]
) -> list[str]:
    bodies, records = folder / "bodies", folder / way.media_type.rpartition("/")[2]
    way.write(bodies, seconds * way.rate)
    with (
        viewer_server(records, folder / "server.log") as server,
        health(server.port) as answers,
    ):
        began = perf_counter()
        sent = send(way.url(server), way.media_type, bodies, seconds)
        if way.counted:
            _wait(lambda: server.stored_records() >= sent.records)
        else:
            store = SqliteStore(records / STORE_FOLDER)
            _wait(lambda: store.totals().spans >= sent.records)
            store.close()
        took, cpu = perf_counter() - began, server.cpu_seconds()
    slowest.append(percentile(answers, 0.99))
    result.figures[way.key] = summarise([took / sent.records * 1e6])
    return [
        way.what,
        f"{sent.records:,}",
        f"{sent.records / sent.seconds:,.0f}",
        f"{sent.records / took:,.0f}",
        f"{cpu / sent.records * 1e6:.1f}",
        f"{slowest[-1]:.1f}",
        str(sent.busy),
    ]


def _wait(is_done: Callable[[], bool]) -> None:
    until = monotonic() + _LONGEST_SECONDS
    while not is_done():
        if monotonic() > until:
            raise RuntimeError("not all that was acknowledged was stored")
        sleep(_POLL_SECONDS)


def _measure_others(folder: Path, result: Result, effort: Effort) -> None:
    """Send the same requests to other servers that store spans, where these are installed."""
    rows: list[list[str]] = []
    for server in SERVERS:
        spans = server.spans // effort.pick(full=1, quick=10, tiny=40)
        write_otlp_bodies(folder / "bodies", spans)
        found = measure_server(server, folder)
        if isinstance(found, str):
            result.notes.append(f"{server.name}: left out, {found}.")
            continue
        rows.append(
            [
                f"{server.name} {found.version}",
                f"{found.sent:,}",
                f"{found.sent / found.sent_seconds:,.0f}",
                f"{found.stored:,}",
                f"{found.stored / found.stored_seconds:,.0f}",
            ]
        )
    if rows:
        columns = ["", "spans sent", "acknowledged/s", "spans stored", "stored/s"]
        result.tables.append(Table("Other servers, the same requests", columns, rows))

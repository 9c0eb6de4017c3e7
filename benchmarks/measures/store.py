"""Measures the store: records from files into it, and what a list of traces asks of it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.figures import summarise
from benchmarks.hour import BEGIN_NS, HOUR_NS, RARE, SPANS_PER_TRACE, records_of_an_hour
from benchmarks.result import Result, Table
from otel_ext.analysis.traces.forest import Observed
from otel_ext.feed.feeder import Feeder, feed_all
from otel_ext.record.codec import encode_line
from otel_ext.search.parse import parse
from otel_ext.store.finding import find_traces
from otel_ext.store.queries import TraceQuery
from otel_ext.store.sqlite.schema import STORE_FOLDER
from otel_ext.store.sqlite.store import SqliteStore
from otel_ext.store.sqlite.writer import SqliteWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.harness import Effort
    from otel_ext.store.protocol import Store

__all__ = ["measure"]


def measure(effort: Effort) -> Result:
    """Store the records of an hour, and ask what a viewer asks."""
    count = 1_000_000 // effort.pick(full=1, quick=20, tiny=2_000)
    result = Result(
        "store",
        "The store: spans in, questions answered",
        f"{count:,} spans of one hour from four processes, in traces of {SPANS_PER_TRACE}, with"
        " six attributes each, a start and an end in a file of records. One process reads it and"
        " writes the store. A search is measured until its first 50 traces are found and checked.",
    )
    with TemporaryDirectory(prefix="otel-ext-bench-") as name:
        folder = Path(name)
        with (folder / "records.jsonl").open("wb") as file:
            file.writelines(map(encode_line, records_of_an_hour(count)))
        _measure_writing(folder, count, result)
        store = SqliteStore(folder / STORE_FOLDER)
        _measure_questions(store, result, effort.pick(full=15, quick=5, tiny=1))
        store.close()
    return result


def _measure_writing(folder: Path, count: int, result: Result) -> None:
    writer = SqliteWriter(folder / STORE_FOLDER)
    began = perf_counter()
    stored, _ = feed_all(Feeder(folder, writer), lambda _: None)
    seconds = perf_counter() - began
    writer.close()
    size = sum(path.stat().st_size for path in (folder / STORE_FOLDER).iterdir())
    result.figures["ms for 1,000 spans"] = summarise([seconds / count * 1e6])
    result.tables.append(
        Table(
            "From the file into the store",
            ["spans", "records", "s", "records/s", "spans/s", "bytes of a span in the store"],
            [
                [
                    f"{count:,}",
                    f"{stored:,}",
                    f"{seconds:.1f}",
                    f"{stored / seconds:,.0f}",
                    f"{count / seconds:,.0f}",
                    f"{size / count:,.0f}",
                ]
            ],
        )
    )


def _measure_questions(store: Store, result: Result, rounds: int) -> None:
    def found(search: str) -> Callable[[], object]:
        query = TraceQuery(parse(search))
        return lambda: find_traces(store, query, Observed(), limit=50)

    newest = next(store.candidates(TraceQuery())).trace_id
    questions: dict[str, tuple[str, Callable[[], object]]] = {
        "latest, ms": (
            "the latest 50 traces",
            lambda: find_traces(store, TraceQuery(), Observed(), limit=50),
        ),
        "one trace, ms": ("the spans of one trace", lambda: store.spans_of(newest)),
        "attribute, ms": ("an attribute, in some traces", found("user.id=4711")),
        "rare attribute, ms": ("an attribute, in one span", found(f"request.id={RARE}")),
        "text, ms": ("a text, in most traces", found("resource7")),
        "rare text, ms": ("a text, in one span", found(RARE[2:])),
        "failed, ms": ("failed spans of one service", found("error service:service-2")),
        "statistics, ms": (
            "statistics of all operations of an hour",
            lambda: store.operations(BEGIN_NS, BEGIN_NS + HOUR_NS),
        ),
        "errors, ms": ("all errors of it", lambda: store.errors(BEGIN_NS, BEGIN_NS + HOUR_NS)),
    }
    rows: list[list[str]] = []
    for key, (what, ask) in questions.items():
        ask()
        figure = summarise([_milliseconds(ask) for _ in range(rounds)])
        result.figures[key] = figure
        rows.append([what, figure.show()])
    result.tables.append(Table("Questions, in milliseconds", ["", "ms"], rows))


def _milliseconds(ask: Callable[[], object]) -> float:
    began = perf_counter()
    ask()
    return (perf_counter() - began) * 1_000

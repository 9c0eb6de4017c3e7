"""The targets, as ratios in one run on one machine, and whether they were met."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.result import Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.figures import Figure
    from benchmarks.result import Result

__all__ = ["TARGETS", "Target", "judge", "judgements"]


class Target(NamedTuple):
    """One target.

    Attributes:
        what: The measure in words.
        measure: The module that has the figure.
        key: The figure's key.
        target: The most it may be, or the least.
        stretch: A stricter limit, which is aimed at but not required.
        unit: Printed behind the numbers, such as " %".
        at_least: Whether more is better.
    """

    what: str
    measure: str
    key: str
    target: float
    stretch: float
    unit: str = ""
    at_least: bool = False

    def show(self, limit: float) -> str:
        """Format one of the limits for the table of targets.

        >>> one = Target("requests/s over stock", "measure", "key", 1.2, 1.4, at_least=True)
        >>> one.show(one.target)
        '≥ 1.20'
        """
        return f"{'≥' if self.at_least else '≤'} {limit:.2f}{self.unit}"

    def allows(self, value: float, limit: float) -> bool:
        """Return whether a value is within one of the limits."""
        return value >= limit if self.at_least else value <= limit


TARGETS: Final = (
    Target(
        "Instructions that a span adds on the caller's thread, both records in the file, over"
        " Batch + null exporter",
        *("instructions", "caller, over Batch + null", 2.0, 2.0),
    ),
    Target(
        "The same with `LifecycleSpanProcessor(JsonlExporter(...))` instead of `configure()`",
        *("instructions", "caller, over Batch + null, added by hand", 2.0, 2.0),
    ),
    Target(
        "Added CPU of a span, both records in the file, no redaction, over Batch + null exporter",
        *("span_cost", "cpu over Batch + null", 1.25, 0.75),
    ),
    Target(
        "The same with redaction, as it is by default",
        *("span_cost", "cpu over Batch + null, redacting", 1.35, 0.75),
    ),
    Target(
        "Without it, over Batch + stock OTLP encoding",
        *("span_cost", "cpu over Batch + OTLP encoding", 0.30, 0.15),
    ),
    Target(
        "Without it, over logfire's pending spans, null exporter",
        *("span_cost", "cpu over logfire pending", 0.40, 0.25),
    ),
    Target(
        "Added CPU of a span with an exception, redacting, over Batch + OTLP encoding of it",
        *("span_cost", "exception, redacting, over Batch + OTLP encoding", 0.4, 0.4),
    ),
    Target(
        "Added CPU of a span with a URL never seen before, redacting",
        *("span_cost", "new URL, redacting: added, µs", 25.0, 25.0, " µs"),
    ),
    Target(
        "CPU of encoding a final span for a collector, over the stock encoder",
        *("codec_cost", "encoding over stock, compiled", 0.15, 0.15),
    ),
    Target(
        "Switched off, over no processor: all CPU of a span",
        *("span_cost", "disabled over no processor", 1.02, 1.00),
    ),
    Target(
        "FastAPI: requests lost beside OpenTelemetry + OTLP",
        *("application", "requests lost beside OTLP, %", 5.0, 2.0, " %"),
    ),
    Target(
        "FastAPI: requests/s, otel-ext sending OTLP and writing files, over OpenTelemetry + OTLP",
        *("application", "requests/s, sending OTLP, over stock", 1.20, 1.40),
        at_least=True,
    ),
    Target(
        "p99.9 of a span at the caller, eight busy threads, over the no-op processor",
        *("latency", "Eight busy threads: p99.9 over no-op", 1.3, 1.1),
    ),
    Target(
        "p99 of a start beside four busy threads",
        *("latency", "A start beside four busy threads: p99, µs", 50.0, 50.0, " µs"),
    ),
    Target(
        "p99 of the start hook beside four busy threads, within a turn",
        *("hot_path", "the hook beside busy threads: p99, µs", 50.0, 50.0, " µs"),
    ),
    Target(
        "The table of open spans in the hook of a start",
        *("hot_path", "the table, µs", 1.0, 1.0, " µs"),
    ),
    Target(
        "Appending an encoded record to the journal",
        *("hot_path", "an append, µs", 2.0, 0.5, " µs"),
    ),
    Target(
        "p99 of appending beside four busy threads",
        *("hot_path", "an append beside busy threads: p99, µs", 50.0, 50.0, " µs"),
    ),
    Target(
        "CPU of a span that is sent over that with the stock OTLP/HTTP exporter",
        *("sent_span", "sent span over stock", 1.10, 1.00),
    ),
    Target(
        "A structlog record over structlog's own JSON chain with orjson",
        *("logs", "log over structlog", 1.3, 1.0),
    ),
    Target(
        "Start of a process under otel-ext run, beyond one without",
        *("start_cost", "start beyond without, ms", 300.0, 200.0, " ms"),
    ),
    Target(
        "First span of a process after configure(), beyond one without, at the caller",
        *("first_span", "In a fresh process: otel-ext: configure(), ms beyond", 1.0, 0.5, " ms"),
    ),
    Target(
        "Import of otel_ext and the SDK's tracing over that of the SDK's tracing alone",
        *("imports", "import over sdk.trace", 1.3, 1.1),
    ),
    Target(
        "`with_span` over the SDK's `start_as_current_span` with the same attributes",
        *("helpers", "with_span over start_as_current_span", 1.15, 1.00),
    ),
    Target(
        "`auto_span` on a function over the same span in it by hand",
        *("helpers", "auto_span over by hand", 1.25, 1.00),
    ),
    Target(
        "Restoring a carrier, its baggage seen before",
        *("helpers", "restoring a carrier, µs", 20.0, 15.0, " µs"),
    ),
    Target(
        "`with_context` over structlog's `bound_contextvars`",
        *("helpers", "with_context over bound_contextvars", 2.0, 1.0),
    ),
    Target(
        "A span, the event bus without subscribers over no bus",
        *("helpers", "bus without subscribers over none", 1.01, 1.00),
    ),
    Target(
        "An event of `SampledEvents` with a key, beyond the call",
        *("sampled_events", "with a key, beyond the call, µs", 1.5, 1.0, " µs"),
    ),
    Target("`with_span` while tracing is off", *("helpers", "with_span off, µs", 2.0, 1.0, " µs")),
    Target(
        "A checkpoint of three keys over the start of a span, at the caller",
        *("checkpoints", "checkpoint over span start", 2.0, 1.5),
    ),
    Target(
        "Forest and critical path of 100,000 spans, the slowest of four shapes",
        *("analysis", "forest and critical path, s", 0.5, 0.3, " s"),
    ),
    Target(
        "1,000,000 records from disk to forest",
        *("analysis", "from disk to forest, s", 15.0, 6.0, " s"),
    ),
    Target(
        "Peak of memory of that",
        *("analysis", "from disk to forest, MiB", 1024.0, 600.0, " MiB"),
    ),
    Target(
        "CPU of that over `orjson.loads` of the same lines",
        *("analysis", "from disk to forest over orjson.loads", 4.0, 3.0),
    ),
    Target(
        "`otel-ext tree --trace ID` on 1 GB, from start to end",
        *("analysis", "tree --trace of 1 GB, s", 3.0, 1.5, " s"),
    ),
    Target("`otel-ext ps`, from start to end", *("analysis", "ps, s", 0.2, 0.15, " s")),
    Target(
        "1,000 spans, a start and an end each, from a file into the store",
        *("store", "ms for 1,000 spans", 1_000 / 15, 1_000 / 30, " ms"),
    ),
    Target(
        "With 1,000,000 spans stored: the latest traces", *("store", "latest, ms", 50, 5, " ms")
    ),
    Target("One trace of them", *("store", "one trace, ms", 20, 2, " ms")),
    Target("An exact attribute", *("store", "attribute, ms", 100, 50, " ms")),
    Target("A text in most traces", *("store", "text, ms", 300, 150, " ms")),
    Target("A text in one span", *("store", "rare text, ms", 300, 150, " ms")),
    Target("Statistics of an hour", *("store", "statistics, ms", 1_000, 300, " ms")),
    Target(
        "1,000 spans over OTLP/HTTP, durable and stored",
        *("received", "ms for 1,000 spans over OTLP", 1_000 / 15, 1_000 / 30, " ms"),
    ),
    Target(
        "1,000 records in lines, durable and stored",
        *("received", "ms for 1,000 records in lines", 1_000 / 30, 1_000 / 60, " ms"),
    ),
    Target(
        "p99 of /healthz meanwhile",
        *("received", "healthz p99, ms", 100, 50, " ms"),
    ),
    Target(
        "Most memory of the server under hostile bodies",
        *("attacked", "memory, MiB", 256, 200, " MiB"),
    ),
    Target("p99 of /healthz meanwhile", *("attacked", "healthz p99, ms", 100, 50, " ms")),
    Target(
        "p99 from `start_span` to the bar of a trace in Chromium, at 1,000 spans/s",
        *("watched", "bar of a trace: p99, ms", 500, 250, " ms"),
    ),
    Target(
        "p99 from `start_span` to the bar among all that runs",
        *("watched", "bar of what runs: p99, ms", 500, 250, " ms"),
    ),
    Target(
        "A trace of 100,000 spans, from its address to its bars",
        *("watched", "large trace, s", 1.5, 1.0, " s"),
    ),
    Target(
        "First load of the page, compressed",
        *("watched", "first load, KB", 120, 100, " KB"),
    ),
    Target(
        "Registering an agent over a dict under its lock that keeps the same",
        *("registries", "register over by hand", 3.0, 2.0),
    ),
    Target(
        "Looking an agent up over that",
        *("registries", "look up over by hand", 2.0, 1.0),
    ),
    Target(
        "How much slower a turn is among 64 threads than alone, over that",
        *("registries", "64 threads: slower than alone, over by hand", 1.1, 1.0),
    ),
    Target("List of 10,000 agents", *("registries", "list of 10,000, ms", 5.0, 1.0, " ms")),
)


def judge(target: Target, figure: Figure | None) -> str:
    """Return the verdict on one figure: the median decides.

    >>> from benchmarks.figures import Figure
    >>> one = Target("what", "measure", "key", 1.3, 1.1)
    >>> judge(one, Figure(1.1, 1, 2, 3)), judge(one, Figure(1.2, 1, 2, 3)), judge(one, None)
    ('met, stretch too', 'met', 'not measured')
    """
    if figure is None:
        return "not measured"
    # Rounded like the printed figure, so that the verdict agrees with it.
    value = round(figure.value, 2)
    if target.allows(value, target.stretch):
        return "met, stretch too"
    return "met" if target.allows(value, target.target) else "**not met**"


def judgements(results: Iterable[Result]) -> Table:
    """Return the table of all targets with what was reached."""
    by_name = {result.name: result for result in results}
    rows: list[list[str]] = []
    for target in TARGETS:
        result = by_name.get(target.measure)
        figure = result.figures.get(target.key) if result is not None else None
        rows.append(
            [
                target.what,
                target.show(target.target),
                target.show(target.stretch),
                f"{figure.show()}{target.unit}" if figure is not None else "",
                judge(target, figure),
            ]
        )
    return Table("Targets", ["measure", "target", "stretch", "reached", ""], rows)

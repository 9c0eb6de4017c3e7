"""The table of all questions: path, parameters, and the function that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from otel_ext.analysis.json_forms import ANALYSES
from otel_ext.server.api.completion import completion
from otel_ext.server.api.entities import entities
from otel_ext.server.api.events import KINDS, events
from otel_ext.server.api.info import info
from otel_ext.server.api.logs import logs
from otel_ext.server.api.parameters import Choice, Flag, Id, Search, Text, TimeNs, Whole
from otel_ext.server.api.running import processes, running
from otel_ext.server.api.statistics import errors, operations
from otel_ext.server.api.trace_answers import analysis, comparison, details, span, trace
from otel_ext.server.api.trace_lists import ORDERS, agents, histogram, traces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_ext.server.api.context import Context
    from otel_ext.server.api.parameters import Parameter, Values

__all__ = ["LINE_TYPES", "PREFIX", "RECORDS_PATH", "ROUTES", "STREAM", "TOPICS", "Route"]

PREFIX: Final = "/api/v1"
TOPICS: Final = ("traces", "running", "logs")

RECORDS_PATH: Final = "/records"
"""The path below `PREFIX` that takes lines of records."""
LINE_TYPES: Final = ("application/x-ndjson", "application/jsonl", "application/stream+json")
"""The media types of lines of records."""

Answer: TypeAlias = "dict[str, object] | bytes"


class Route(NamedTuple):
    """One question.

    Attributes:
        path: Its path below `PREFIX`, with the names of parameters in braces.
        about: What it answers, as a sentence.
        parameters: Its parameters.
        answer: Returns a document, or one that is encoded already.
        form: The name of its form in `schemas.COMPONENTS`; empty for a text.
    """

    path: str
    about: str
    parameters: Sequence[Parameter]
    answer: Callable[[Context, Values], Answer]
    form: str = ""


_QUERY: Final = Search("q", "A search, such as service:shop dur:>500ms error.")
_SINCE: Final = TimeNs("since", "Only what began then or later, in nanoseconds since 1970.")
_UNTIL: Final = TimeNs("until", "Only what began before, in nanoseconds since 1970.")
_CURSOR: Final = Text("cursor", "The field next of the answer before, to go on behind it.", most=40)
_TRACE: Final = Id("trace_id", "The id of a trace.", is_required=True, in_path=True)
_LIST: Final = (
    _QUERY,
    _SINCE,
    _UNTIL,
    Choice("order", "In which order.", words=ORDERS),
    Whole("limit", "How many at most.", least=1, most=200),
    _CURSOR,
)

ROUTES: Final[Sequence[Route]] = (
    Route("/traces", "Traces, the newest first.", _LIST, traces, "Traces"),
    Route("/agents", "Traces of agents, the newest first.", _LIST, agents, "Traces"),
    Route(
        "/traces/histogram",
        "How many traces began in each of some equal intervals.",
        (
            _QUERY,
            _SINCE,
            _UNTIL,
            Whole("buckets", "How many intervals.", least=1, most=500),
        ),
        histogram,
        "Histogram",
    ),
    Route(
        "/traces/{trace_id}",
        "The spans and logs of a trace by column, or those that changed.",
        (_TRACE, Whole("after", "Only what changed after this number of a change.")),
        trace,
        "LiveTrace",
    ),
    Route(
        "/traces/{trace_id}/details",
        "Attributes, events and links of all spans of a trace.",
        (_TRACE,),
        details,
        "Details",
    ),
    Route(
        "/traces/{trace_id}/spans/{span_id}",
        "All that is known of one span, and which spans of any trace link to it.",
        (_TRACE, Id("span_id", "The id of a span.", is_required=True, in_path=True, digits=16)),
        span,
        "SpanDetails",
    ),
    Route(
        "/traces/{trace_id}/analysis/{analysis}",
        "One analysis of a trace.",
        (
            _TRACE,
            Choice("analysis", "Which one.", is_required=True, in_path=True, words=tuple(ANALYSES)),
        ),
        analysis,
        "Analysis",
    ),
    Route(
        "/compare",
        "What differs between two traces.",
        (
            Id("a", "The trace before.", is_required=True),
            Id("b", "The trace after.", is_required=True),
        ),
        comparison,
        "Comparison",
    ),
    Route("/running", "The spans that run now, and their processes.", (), running, "Running"),
    Route(
        "/processes",
        "The processes that may run, or all.",
        (Flag("all", "Whether those that have ended are wanted, too."),),
        processes,
        "Processes",
    ),
    Route(
        "/entities",
        "What lives in the processes, such as registered agents, with what each does now.",
        (
            Text("type", "Only those of this type: agent, service, checkpoint ...", most=200),
            Text("process", "Only those of this process, by its id.", most=200),
            Whole("limit", "How many at most, the oldest.", least=1, most=10_000),
        ),
        entities,
        "Entities",
    ),
    Route(
        "/events",
        "Events that programs have recorded, the newest first.",
        (
            Text("name", "Only those of this name; *, ? and [...] stand for others.", most=200),
            _SINCE,
            _UNTIL,
            Text("trace_id", "Only those of traces whose id begins so.", most=32),
            Text("correlation_id", "Only those with this correlation id.", most=500),
            Text("process", "Only those of this process, by its id or its pid.", most=200),
            Text("entity_type", "Only those about entities of this type.", most=200),
            Text("entity_id", "Only those about entities of this id.", most=500),
            Choice("kind", "Events, logs or both; by default events.", words=KINDS),
            Whole("limit", "How many at most.", least=1, most=1_000),
            Text("cursor", _CURSOR.about, most=250),
        ),
        events,
        "Events",
    ),
    Route(
        "/operations",
        "Statistics of each operation in some time, by default of the last hour.",
        (_SINCE, _UNTIL, Text("service", "Only of this service.", most=200)),
        operations,
        "Operations",
    ),
    Route(
        "/errors",
        "Errors by operation and text in some time, by default in the last hour.",
        (_SINCE, _UNTIL, Whole("limit", "How many at most.", least=1, most=1_000)),
        errors,
        "Errors",
    ),
    Route(
        "/logs",
        "Logs and events, the newest first.",
        (
            Text("q", "A text in them.", most=500),
            Id("trace_id", "Only those of this trace."),
            Id("span_id", "Only those of this span.", digits=16),
            Text("level", "Only those of this level.", most=40),
            _SINCE,
            _UNTIL,
            Whole("limit", "How many at most.", least=1, most=1_000),
            _CURSOR,
        ),
        logs,
        "Logs",
    ),
    Route(
        "/completion",
        "Words that complete the last word of a search.",
        (Text("q", "The search so far.", most=2_000),),
        completion,
        "Completion",
    ),
    Route("/info", "The server: version, folder, addresses, how much is stored.", (), info, "Info"),
)


def _no_answer(_context: Context, _values: Values) -> bytes:
    return b""


STREAM: Final = Route(
    "/stream",
    "Changes as Server-Sent Events, batched every 100 ms, with the number of the change as id.",
    (
        Text("topics", f"Words with commas between them: {', '.join(TOPICS)}.", most=100),
        Id("trace", "A trace whose changes are wanted, too."),
        _QUERY,
        Whole("after", "Begin after this number of a change, as with Last-Event-ID."),
    ),
    _no_answer,
)
"""The stream; another function answers it, since it does not end."""

"""Tools with a tracer provider of their own, set up before and after ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.programs import ids, python, recorded, spans_in, succeed
from tests.sdk import since

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = since(45, "the releases of these tools that constraints.txt names ask for it")

BEGINNING = """\
import json, sys, warnings
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
seen = InMemorySpanExporter()

def ours():
    import otel_ext
    otel_ext.configure(output=sys.argv[2], console="off")

def names():
    return [span.name for span in seen.get_finished_spans()]
"""

TOOLS = {
    "logfire": """
import logfire
def theirs():
    logfire.configure(send_to_logfire=False, console=False, inspect_arguments=False,
                      additional_span_processors=[SimpleSpanProcessor(seen)])
    return lambda: logfire.span("by the tool")
""",
    "langfuse": """
from langfuse import Langfuse
def theirs():
    client = Langfuse(public_key="pk-lf-test", secret_key="sk-lf-test",
                      base_url="http://127.0.0.1:9", span_exporter=seen,
                      should_export_span=lambda span: True)
    global names
    finished = names
    names = lambda: client.flush() or finished()
    return lambda: client.start_as_current_observation(name="by the tool")
""",
    "openinference": """
from openinference.instrumentation import TracerProvider
def theirs():
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(seen))
    trace.set_tracer_provider(provider)
    return lambda: provider.get_tracer("tool").start_as_current_span(
        "by the tool", openinference_span_kind="chain")
""",
    "sentry": """
import sentry_sdk
from sentry_sdk.integrations.opentelemetry.integration import OpenTelemetryIntegration
def theirs():
    sent = []
    def before_send_transaction(event, hint):
        sent.append(event["transaction"])
        sent.extend(span["description"] for span in event["spans"])
    warnings.simplefilter("ignore")  # the integration is deprecated, and in use
    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", traces_sample_rate=1.0, instrumenter="otel",
                    integrations=[OpenTelemetryIntegration()], default_integrations=False,
                    before_send_transaction=before_send_transaction)
    global names
    names = lambda: sent
    return lambda: trace.get_tracer("tool").start_as_current_span("by the tool")
""",
}

WORK = """
order = sys.argv[1]
if order == "ours first":
    ours()
early = trace.get_tracer("library", "1.0")

@early.start_as_current_span("decorated")
def decorated():
    pass

by_the_tool = theirs()
if order == "theirs first":
    ours()
with by_the_tool():
    with early.start_as_current_span("early tracer"):
        with trace.get_tracer("library").start_as_current_span("late tracer"):
            decorated()
print(json.dumps(sorted(names())))
"""

NAMES = ["by the tool", "decorated", "early tracer", "late tracer"]


@pytest.mark.parametrize("order", ["ours first", "theirs first", "otel-ext run"])
@pytest.mark.parametrize("tool", TOOLS)
def test_both_get_every_span(tool: str, order: str, tmp_path: Path) -> None:
    """The tool and our records have the same spans, whichever of the two is set up first."""
    traces = tmp_path / "traces"
    command = python("-c", BEGINNING + TOOLS[tool] + WORK, order, traces)
    if order == "otel-ext run":
        command = recorded(traces, *command)
    done = succeed(command, tmp_path, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="*")
    assert done.document == NAMES, done.err
    spans = spans_in(traces)
    assert sorted(span.name for span in spans if span.phase == "start") == NAMES
    assert ids(spans, "start") == ids(spans, "end")
    assert len({span.trace_id for span in spans}) == 1
    assert "Overriding" not in done.err

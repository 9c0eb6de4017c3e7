"""Texts that would run as scripts or mislead the reader, in every field that a program can fill."""

from __future__ import annotations

from typing import Any

__all__ = ["HOSTILE", "PROGRAM", "logs_request", "spans_request"]

HOSTILE = (
    "</script></title><img src=x onerror='window.broken=1'><style>*{display:none}</style>"
    "<script>window.broken=2</script>\" onfocus=window.broken=3 autofocus x='\u202e"
)
# Runs until it is killed; the hostile text is its argument.
PROGRAM = """
import json, sys, threading, time
import otel_ext, structlog
from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext

text = sys.argv[1]
otel_ext.configure()
otel_ext.configure_structlog(stdlib=True)
log = structlog.get_logger(text)
tracer = trace.get_tracer(text, text, schema_url=text)
script = "javascript:window.broken=4"
fields = {text: text, "url.full": script, "__proto__": text, "constructor": text, "list": [text]}
other = Link(SpanContext(1, 1, is_remote=True), fields)


def fail():
    with tracer.start_as_current_span(text, attributes=fields, links=[other]) as span:
        span.add_event(text, fields)
        log.warning(text, extra=text, url=script, **{"<b>": text})
        raise type(text, (Exception,), {})(text)


def answer():
    said = json.dumps([{"role": text, "parts": [
        {"type": "text", "content": text}, {"type": text, "content": text},
        {"type": "blob", "modality": "image", "mime_type": "image/svg+xml", "content": text},
        {"type": "uri", "modality": "image", "uri": script},
        {"type": "tool_call", "id": text, "name": text, "arguments": {text: script}}]}])
    agent = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": text,
        "gen_ai.request.model": text, "gen_ai.agent.name": text, "gen_ai.input.messages": said,
        "gen_ai.output.messages": said, "gen_ai.system_instructions": said, "error.type": text,
        "gen_ai.tool.definitions": said, "gen_ai.usage.input_tokens": text,
    }
    with tracer.start_as_current_span(text, attributes=agent):
        pass
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": text,
            "gen_ai.tool.call.arguments": text, "gen_ai.tool.call.result": text}
    with tracer.start_as_current_span(text, attributes=tool):
        pass


def work():
    with tracer.start_as_current_span(text, attributes=fields):
        answer()
        try:
            fail()
        except Exception:
            log.exception(text)
        # Short enough for completion.
        with tracer.start_as_current_span("<img src=x onerror=window.broken=6>"):
            time.sleep(600)


threading.Thread(target=work, name=text).start()
"""


def spans_request(trace: str, now_ns: int) -> dict[str, Any]:
    """Return a request of OTLP as JSON: a failed span, hostile in each field."""
    span = {
        "traceId": trace,
        "spanId": "1" * 16,
        "traceState": HOSTILE,
        "name": HOSTILE,
        "kind": 3,
        "startTimeUnixNano": str(now_ns),
        "endTimeUnixNano": str(now_ns + 10**8),
        "attributes": _ATTRIBUTES,
        "events": [
            {"timeUnixNano": str(now_ns), "name": "exception", "attributes": _EXCEPTION},
            {"timeUnixNano": str(now_ns), "name": HOSTILE, "attributes": _ATTRIBUTES},
        ],
        "links": [{"traceId": "2" * 32, "spanId": "2" * 16, "attributes": _ATTRIBUTES}],
        "status": {"code": 2, "message": HOSTILE},
    }
    return {"resourceSpans": [{**_ORIGIN, "scopeSpans": [{"scope": _SCOPE, "spans": [span]}]}]}


def logs_request(trace: str, now_ns: int) -> dict[str, Any]:
    """Return a request of OTLP as JSON: a log, hostile in each field."""
    log = {
        "timeUnixNano": str(now_ns),
        "severityText": HOSTILE,
        "severityNumber": 17,
        "eventName": HOSTILE,
        "body": {"stringValue": HOSTILE},
        "attributes": _ATTRIBUTES,
        "traceId": trace,
        "spanId": "1" * 16,
    }
    return {"resourceLogs": [{**_ORIGIN, "scopeLogs": [{"scope": _SCOPE, "logRecords": [log]}]}]}


def _pairs(**values: str) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


_ATTRIBUTES = _pairs(
    **{
        HOSTILE: HOSTILE,
        "code.file.path": HOSTILE,
        "code.function.name": HOSTILE,
        "code.line.number": HOSTILE,
        "thread.name": HOSTILE,
        "url.full": "javascript:window.broken=5",
    }
)
_EXCEPTION = _pairs(
    **{
        "exception.type": HOSTILE,
        "exception.message": HOSTILE,
        "exception.stacktrace": f'File "{HOSTILE}", line 1, in {HOSTILE}\n  {HOSTILE}',
    }
)
_SCOPE = {"name": HOSTILE, "version": HOSTILE, "attributes": _ATTRIBUTES}
_ORIGIN = {
    "resource": {
        "attributes": _pairs(
            **{
                "service.name": HOSTILE,
                "host.name": HOSTILE,
                "process.command": HOSTILE,
                "service.instance.id": HOSTILE,
                HOSTILE: HOSTILE,
            }
        )
    },
    "schemaUrl": HOSTILE,
}

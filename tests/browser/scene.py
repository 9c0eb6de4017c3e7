"""A small shop for the tests of pages: what it did, and what still runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.browser.served import Served

__all__ = ["SPANS", "scene"]

SPANS = 17
"""How many spans it has."""

_PAST = """
import json, time
import otel_ext, structlog
from opentelemetry import trace

otel_ext.configure()
otel_ext.configure_structlog()
log = structlog.get_logger("shop")
tracer = trace.get_tracer("shop")
span = tracer.start_as_current_span
for order in range(2):
    with span("POST /orders", kind=trace.SpanKind.SERVER, attributes={"order.id": order}):
        log.info("order taken", order=order)
        for item in ("lamp", "desk"):
            with span("reserve", attributes={"item": item}):
                time.sleep(0.002)
        try:
            with span("charge card", attributes={"bank": "example"}) as charge:
                charge.add_event("asked the bank", {"try": 1})
                if order:
                    raise PermissionError("card declined")
        except PermissionError as error:
            log.warning("not paid", reason=str(error))
        for _ in range(order):
            with span("send letter"):
                time.sleep(0.001)
said = [{"role": "user", "parts": [{"type": "text", "content": "Is there a lamp?"}]}]
answer = [{"role": "assistant", "parts": [{"type": "text", "content": "There are three."}]}]
with span("invoke_agent helper", attributes={"gen_ai.operation.name": "invoke_agent",
                                             "gen_ai.agent.name": "helper"}):
    with span("chat small", attributes={
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "example",
        "gen_ai.request.model": "small", "gen_ai.usage.input_tokens": 12,
        "gen_ai.input.messages": json.dumps(said), "gen_ai.output.messages": json.dumps(answer)}):
        time.sleep(0.002)
    with span("execute_tool find", attributes={
        "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find"}):
        pass
with span("close shop"):
    with span("count money"):
        pass
"""
_PRESENT = """
import time
import otel_ext
from opentelemetry import trace

otel_ext.configure()
tracer = trace.get_tracer("shop")
with tracer.start_as_current_span("import catalogue"):
    with tracer.start_as_current_span("fetch page"):
        with tracer.start_as_current_span("wait for supplier"):
            time.sleep(600)
"""


@contextmanager
def scene(served: Served) -> Generator[None]:
    """Make the traces of the shop, and let one program run until the end of the block."""
    served.run(_PAST, name="shop.py", OTEL_SERVICE_NAME="shop")
    with served.program(
        _PRESENT, name="catalogue.py", OTEL_SERVICE_NAME="catalogue", OTEL_EXT_STALL_AFTER="0.1s"
    ):
        served.has_spans(SPANS)
        yield

"""A shop that goes on taking orders, for the pictures of the viewer.

otel-ext run -- python tools/viewer_scene.py shop|packing|assistant

`shop` takes orders, and imports a catalogue that hangs; `packing` packs; `assistant` answers a
customer as an agent does. How long things take is random. All else is real: spans and logs are
recorded as those of any program. They go on until they are ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import sys
import threading
import time

from opentelemetry import trace

import otel_ext

tracer = trace.get_tracer("shop")
log = logging.getLogger("shop")
ITEMS = ("lamp", "chair", "rug", "desk", "shelf", "clock")
chance = random.Random(7)  # noqa: S311 - only for looks


async def work(least: float, most: float) -> None:
    """Take some milliseconds."""
    await asyncio.sleep(chance.uniform(least, most) / 1000)


async def query(text: str, most: float = 12) -> None:
    """Ask the database."""
    attributes = {"db.system.name": "postgresql", "db.query.text": text}
    with tracer.start_as_current_span(
        text.split(maxsplit=1)[0] + " shop", kind=trace.SpanKind.CLIENT, attributes=attributes
    ):
        await work(2, most)


async def charge(order: int, total: float) -> None:
    """Ask the bank, which refuses some orders."""
    with tracer.start_as_current_span(
        "charge card",
        kind=trace.SpanKind.CLIENT,
        attributes={"order.id": order, "order.total": total, "server.address": "bank.example"},
    ):
        await work(25, 90)
        if order % 7 == 3:  # noqa: PLR2004 - some
            raise PermissionError("card declined")


async def reserve(item: str) -> None:
    """Reserve an item in the stock."""
    with tracer.start_as_current_span("reserve", attributes={"item": item}):
        await query(f"SELECT number FROM stock WHERE item = '{item}'")  # noqa: S608 - only shown
        await work(1, 8)
        await query(f"UPDATE stock SET number = number - 1 WHERE item = '{item}'", 20)  # noqa: S608
        log.info("reserved %s", item)


async def order(number: int) -> None:
    """Take one order."""
    items = chance.sample(ITEMS, chance.randint(2, 5))
    with tracer.start_as_current_span(
        "POST /orders",
        kind=trace.SpanKind.SERVER,
        attributes={"http.request.method": "POST", "http.route": "/orders", "order.id": number},
    ):
        log.info("order %d of %d items", number, len(items))
        with tracer.start_as_current_span("check customer"):
            await query("SELECT * FROM customer WHERE id = 17")
        await asyncio.gather(*map(reserve, items))
        try:
            await charge(number, 19.5 * len(items))
        except PermissionError as error:
            log.warning("order %d: %s", number, error)
            return
        with tracer.start_as_current_span("render receipt"):
            await work(5, 25)
        with tracer.start_as_current_span("queue packing", kind=trace.SpanKind.PRODUCER):
            await work(1, 5)


def import_catalogue() -> None:
    """Import a catalogue; one of its pages does not come."""
    with tracer.start_as_current_span("import catalogue", attributes={"source": "supplier"}):
        for page in range(4):
            with tracer.start_as_current_span("fetch page", attributes={"page": page}):
                time.sleep(0.3)
        with tracer.start_as_current_span("fetch page", attributes={"page": 4}):
            log.warning("page 4 takes long")
            time.sleep(3600)


async def shop() -> None:
    """Take orders, three at a time."""
    threading.Thread(target=import_catalogue, name="catalogue", daemon=True).start()
    number = 100

    async def desk() -> None:
        nonlocal number
        while True:
            number += 1
            await order(number)
            await work(50, 400)

    await asyncio.gather(*(desk() for _ in range(3)))


async def packing() -> None:
    """Pack what was ordered."""
    while True:
        with tracer.start_as_current_span("pack order", kind=trace.SpanKind.CONSUMER):
            for _ in range(chance.randint(1, 3)):
                with tracer.start_as_current_span("wrap"):
                    await work(20, 60)
            with tracer.start_as_current_span("print label"):
                await work(10, 700)
                log.info("label printed")


def messages(*said: tuple[str, str, object]) -> str:
    """Return messages as the conventions for generative AI write them: role, type and content."""
    keys = {"text": "content", "tool_call": "arguments", "tool_call_response": "response"}
    return json.dumps(
        [
            {
                "role": role,
                "parts": [{"type": kind, "id": "1", "name": "find_stock", keys[kind]: what}],
            }
            for role, kind, what in said
        ]
    )


async def chat(*said: tuple[str, str, object]) -> None:
    """Let the model answer; the last that is said is its answer."""
    with tracer.start_as_current_span(
        "chat small-1",
        kind=trace.SpanKind.CLIENT,
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "example",
            "gen_ai.request.model": "small-1",
            "gen_ai.input.messages": messages(*said[:-1]),
        },
    ) as span:
        await work(700, 1_500)
        span.set_attribute("gen_ai.output.messages", messages(said[-1]))
        span.set_attribute("gen_ai.usage.input_tokens", 180 * len(said))
        span.set_attribute("gen_ai.usage.output_tokens", 24 * len(said))


async def call_tool(name: str, arguments: dict[str, str], result: str) -> None:
    """Call a tool, which fails without a result."""
    with tracer.start_as_current_span(
        f"execute_tool {name}",
        attributes={
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.arguments": json.dumps(arguments),
        },
    ) as span:
        await work(200, 400)
        if not result:
            raise LookupError(f"no {arguments['item']} in stock")
        span.set_attribute("gen_ai.tool.call.result", result)


async def assistant() -> None:
    """Answer a customer; the last answer goes on."""
    question = ("user", "text", "I need a desk and a lamp by Friday. What can you send?")
    found = {"item": "lamp"}
    called = ("assistant", "tool_call", found)
    told = ("tool", "tool_call_response", "3 lamps, no desk")
    answer = (
        "assistant",
        "text",
        "There are three lamps. The desk is sold out; I look for another.",
    )
    with tracer.start_as_current_span(
        "invoke_agent shop assistant",
        attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "shop assistant"},
    ):
        await chat(question, called)
        await call_tool("find_stock", found, "3 lamps on shelf 12")
        with contextlib.suppress(LookupError):
            await call_tool("find_stock", {"item": "desk"}, "")
        await chat(question, called, told, answer)
        await call_tool("order", found, "order 4711, arrives on Thursday")
        await chat(question, called, told, answer, ("assistant", "text", "Done."))
        with tracer.start_as_current_span(
            "execute_tool find_similar",
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "find_similar",
                "gen_ai.tool.call.arguments": json.dumps({"item": "desk"}),
            },
        ):
            await asyncio.sleep(3600)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    otel_ext.configure_structlog(stdlib=True)
    asyncio.run({"shop": shop, "packing": packing, "assistant": assistant}[sys.argv[1]]())

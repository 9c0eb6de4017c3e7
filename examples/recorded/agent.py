"""An agent that answers a question with tools, and a stand-in for its model on this machine.

The spans have the names and attributes of OpenTelemetry's conventions for generative AI
(https://opentelemetry.io/docs/specs/semconv/gen-ai/). Run: python examples/recorded/agent.py
"""

# ruff: noqa: T201 - a program for the terminal prints

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.request import Request, urlopen

import otel_ext
from otel_ext import traced_executor, with_span

STOCK: Final = {"lamp": 3, "desk": 0, "chair": 12}
ANSWERS: Final[list[dict[str, Any]]] = [
    {"tools": [{"name": "find_stock", "item": item} for item in STOCK]},
    {"tools": [{"name": "order", "item": "desk"}]},
    {"tools": [{"name": "order", "item": "chair"}]},
    {"text": "The lamp and the chair are in stock. The desk cannot be ordered."},
]


class Model(BaseHTTPRequestHandler):
    """Answers as a model does: with tools to call, and at last with a text."""

    def do_POST(self) -> None:
        """Send the answer of this turn."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(0.02 * (1 + asked["turn"] % 2))
        body = json.dumps(ANSWERS[asked["turn"]]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base
        """Print nothing."""


def ask(url: str, turn: int) -> dict[str, Any]:
    """Send one turn to the model."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "example",
        "gen_ai.request.model": "small-1",
    }
    with with_span("chat small-1", **attributes) as span:
        data = json.dumps({"turn": turn}).encode()
        with urlopen(Request(url, data), timeout=10) as response:  # noqa: S310 - of this program
            answer: dict[str, Any] = json.load(response)
        span.set_attribute("gen_ai.usage.input_tokens", 120 + 80 * turn)
        span.set_attribute("gen_ai.usage.output_tokens", 18 + len(json.dumps(answer)) // 4)
        reason = "stop" if "text" in answer else "tool_call"
        span.set_attribute("gen_ai.response.finish_reasons", [reason])
        return answer


def call_tool(name: str, item: str) -> str:
    """Call one tool."""
    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, "item": item}
    with with_span(f"execute_tool {name}", **attributes):
        time.sleep(0.004 * len(item))
        if name == "order" and not STOCK[item]:
            raise LookupError(f"no {item} in stock")
        return f"{item}: {STOCK[item]}"


def run(url: str) -> str:
    """Answer a question; return the answer."""
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "shop assistant"}
    with (
        with_span("invoke_agent shop assistant", **attributes),
        traced_executor(ThreadPoolExecutor(3)) as executor,
    ):
        for turn in range(len(ANSWERS)):
            answer = ask(url, turn)
            if "text" in answer:
                return str(answer["text"])
            jobs = [executor.submit(call_tool, *one.values()) for one in answer["tools"]]
            for job in jobs:
                if isinstance(error := job.exception(), LookupError):
                    print("reported to the model:", error)
    raise AssertionError


if __name__ == "__main__":
    otel_ext.configure()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(run(f"http://127.0.0.1:{server.server_port}/"))
    server.shutdown()

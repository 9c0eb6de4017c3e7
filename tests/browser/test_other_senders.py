"""Programs without otel-ext, in other languages too, send to the ports and are seen at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.from_npm import install_packages
from tests.browser.served import Served
from tests.programs import python, succeed, write_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser.visits import Visit

pytestmark = [
    pytest.mark.needs("chromium", "node", "npm"),
    pytest.mark.slow,
    pytest.mark.timeout(180),
]

# The stock SDK and exporter of OpenTelemetry; our package is not imported.
STOCK = """
import sys
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(sys.argv[1], insecure=True)))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("shop")
with tracer.start_as_current_span("GET /grpc"), tracer.start_as_current_span("query"):
    pass
provider.shutdown()
assert "otel_ext" not in sys.modules
"""


def test_other_sdks_are_seen(tmp_path: Path, visit: Callable[..., Visit]) -> None:
    """JavaScript by OTLP/HTTP as JSON and protobuf, Python by gRPC; the page is not reloaded."""
    npm = install_packages(tmp_path)
    served = Served(tmp_path)
    with served.running():
        shown = visit(served.url, "#/traces")
        page = shown.page
        expect(page.get_by_text("No traces yet")).to_be_visible()
        shown.mark()
        address = f"http://127.0.0.1:{served.http_port}"
        for encoding in ("json", "protobuf"):
            succeed(["node", npm / "send.mjs", address, encoding], npm)
            row = shown.row(f"GET /{encoding}")
            expect(row).to_contain_text(f"javascript {encoding}")
            expect(row).to_contain_text("2 spans")
        stock = write_program(tmp_path, STOCK)
        succeed(python(stock, f"127.0.0.1:{served.grpc_port}"), tmp_path, OTEL_SERVICE_NAME="stock")
        expect(shown.row("GET /grpc")).to_contain_text("stock")
        shown.row("GET /json").get_by_role("link").click()
        shown.row("render").click()
        page.keyboard.press("Enter")
        details = page.locator("aside.details")
        expect(details.locator("h2")).to_have_text("render")
        expect(details).to_contain_text("no such picture")
        expect(details).to_contain_text("rows")
        details.get_by_role("tab", name="Events").click()
        expect(details.get_by_role("tabpanel")).to_contain_text("TypeError")
        assert shown.is_same
        assert shown.problems == []

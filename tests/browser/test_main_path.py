"""The main path in each browser: a long span runs, grows, is killed, and the page shows it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.served import Served
from tests.browser.visits import Visit, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

# The second span begins when a file is there, so that its bar begins behind that of the first.
LONG = """
import pathlib, time
import otel_ext
from opentelemetry import trace

otel_ext.configure()
tracer = trace.get_tracer("test")
with tracer.start_as_current_span("nightly report"):
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    with tracer.start_as_current_span("wait for lock"):
        time.sleep(600)
"""


def width_of(row: Locator) -> float:
    """Return how wide the bar of a row is."""
    box = row.locator(".bar").bounding_box()
    return box["width"] if box else 0.0


def test_a_span_runs_and_is_killed(tmp_path: Path, each_browser: Browser) -> None:
    """It appears while it runs, grows, and is abandoned after the kill, without a reload."""
    served = Served(tmp_path)
    page = each_browser.new_page(viewport={"width": 1300, "height": 800})
    with served.running():
        visit = Visit(page, f"{served.url}/")
        page.goto(f"{served.url}/#/now")
        expect(page.get_by_text("Waiting for the first span")).to_be_visible()
        visit.mark()
        with served.program(LONG, OTEL_SERVICE_NAME="reports") as program:
            row = visit.row("nightly report")
            expect(row).to_have_class(re.compile("state-running"))
            expect(row).to_contain_text("reports")
            row.click()
            expect(page.locator("h1")).to_have_text("nightly report")
            (tmp_path / "go").touch()
            child = visit.row("wait for lock")
            expect(child).to_have_class(re.compile("state-running"))
            first = width_of(child)
            wait_for(page, lambda: width_of(child) > first + 50, "the bar grows")
            program.kill()
            expect(child).to_have_class(re.compile("state-abandoned"))
            expect(child).to_contain_text("process-died")
            expect(visit.row("nightly report")).to_have_class(re.compile("state-abandoned"))
        page.get_by_role("link", name="Traces").click()
        listed = visit.row("nightly report")
        expect(listed).to_contain_text("abandoned")
        expect(listed).to_contain_text("2 spans")
        page.get_by_role("link", name="Now").click()
        expect(page.get_by_text("All quiet")).to_be_visible()
        assert visit.is_same
        assert visit.problems == []
    page.close()

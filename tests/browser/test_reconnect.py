"""The page goes on by itself after the server was killed and started again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.served import Served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser.visits import Visit

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow, pytest.mark.timeout(120)]

# Opens spans as files tell it, and ends all but the first.
STEPS = """
import pathlib, time
import otel_ext
from opentelemetry import trace

otel_ext.configure()
tracer = trace.get_tracer("test")
with tracer.start_as_current_span("whole day"):
    for step in ("before", "between", "after"):
        while not pathlib.Path(step).exists():
            time.sleep(0.01)
        for number in range(10):
            with tracer.start_as_current_span(f"{step} {number}"):
                pass
    time.sleep(600)
"""


def test_a_restart_leaves_no_gap(tmp_path: Path, visit: Callable[..., Visit]) -> None:
    """All spans from before, between and after are there; meanwhile the page says that it waits."""
    served = Served(tmp_path)
    with served.program(STEPS):
        with served.running() as server:
            shown = visit(served.url)
            page = shown.page
            shown.row("whole day").click()
            shown.mark()
            (tmp_path / "before").touch()
            expect(shown.row("before 9")).to_be_visible()
            expect(shown.line).to_contain_text("live")
            listed = visit(served.url, "#/traces")
            listed.mark()
            expect(listed.row("whole day")).to_contain_text("11 spans")
            server.kill()
            for one in (shown, listed):
                expect(one.line).to_contain_text("not connected")
                expect(one.page.locator("button.live")).to_contain_text("Away")
            (tmp_path / "between").touch()
            served.run(SHORT, name="short.py")
        with served.running():
            for one in (shown, listed):
                expect(one.line).to_contain_text("live, ")
            expect(shown.row("between 9")).to_be_visible()
            (tmp_path / "after").touch()
            expect(page.locator(".header")).to_contain_text("31 spans")
            expect(listed.row("whole day")).to_contain_text("31 spans")
            expect(listed.row("made in between")).to_contain_text("ended")
            assert served.get("info")["spans"] == 32
            for one in (shown, listed):
                assert one.is_same
                # That the server was away is the browser's message, not the page's.
                assert [text for text in one.problems if "net::ERR_" not in text] == []


SHORT = """
import otel_ext
from opentelemetry import trace

otel_ext.configure()
with trace.get_tracer("test").start_as_current_span("made in between"):
    pass
"""

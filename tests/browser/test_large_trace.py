"""A trace of 100,000 spans opens, is scrolled to its end, and is searched; times are reported."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.served import Served
from tests.cli.written import DEAD, write
from tests.exporters.samples import end
from tests.figures import report_figures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otel_ext.record.model import Record
    from tests.browser.visits import Visit

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow, pytest.mark.timeout(240)]

TRACE = "7" * 32
SPANS = 100_000
BELOW = 100
"""How many spans are below each of the requests, which are below the root."""
# Scrolls through all rows in sixty steps; returns the longest time between two frames, in ms.
SCROLL = """
rows => new Promise(resolve => {
  let longest = 0, last = 0, step = 0;
  const frame = now => {
    if (last) longest = Math.max(longest, now - last);
    last = now;
    if (step++ === 60) return resolve(longest);
    rows.scrollTop = (rows.scrollHeight - rows.clientHeight) * step / 60;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})
"""


def write_trace(folder: Path) -> None:
    """Write the trace: a root, and below it a thousand requests with their spans."""
    now = time.time_ns() // 1000 * 1000

    def one(number: int) -> Record:
        opener = number - number % BELOW
        parent = opener if number % BELOW else 0
        took = SPANS * 50_000 if number == 0 else 40_000 if number % BELOW else BELOW * 50_000
        name = f"step {number % BELOW}" if number % BELOW else f"request {number // BELOW}"
        start = now + number * 50_000
        return end(name, number + 1, process=DEAD, seq=number + 1)._replace(
            trace_id=TRACE,
            parent_span_id=f"{parent + 1:016x}" if number else "",
            start_ns=start,
            time_ns=start + took,
        )

    write(folder, DEAD, *map(one, range(SPANS)))


def test_a_hundred_thousand_spans(tmp_path: Path, visit: Callable[..., Visit]) -> None:
    """The first bars appear, the last row can be reached, and a search finds its spans."""
    served = Served(tmp_path)
    write_trace(served.folder)
    with served.running():
        served.has_spans(SPANS)
        shown = visit(served.url, "#/traces")
        page = shown.page
        expect(shown.row("request 0")).to_contain_text("100,000 spans")
        began = time.monotonic()
        shown.row("request 0").get_by_role("link").click()
        expect(page.locator(".row .bar").first).to_be_visible()
        opened = time.monotonic() - began
        expect(page.locator(".header")).to_contain_text("100,000 spans")
        page.keyboard.press("X")
        page.keyboard.press("End")
        expect(page.locator(".row[aria-selected=true]")).to_contain_text("step 99")
        longest = page.locator(".rows").evaluate(SCROLL)
        page.keyboard.press("/")
        page.keyboard.type('name:"step 13"')
        expect(page.locator(".found")).to_contain_text("1,000 matches")
        report_figures(
            "a trace of 100,000 spans in the browser",
            first_bar=f"{opened * 1000:.0f} ms",
            longest_frame=f"{longest:.0f} ms",
        )
        assert shown.problems == []

"""A report opens in a browser from the disk: what it shows, keys, search, hostile data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from otel_ext.record.model import SpanEvent, Status
from otel_ext.views import write_report
from tests.cli.written import exported
from tests.commands import call
from tests.exporters.samples import end, log, start
from tests.programs import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from otel_ext.record.model import Record
    from tests.browser.visits import Visit

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow, pytest.mark.timeout(120)]

ROOT = f"{1:016x}"
# What would run if a text became part of the page.
HOSTILE = "</script><img src=x onerror='window.broken=1'><script>window.broken=2</script>\u202e"
FIELD = "document.querySelector('input[type=search]')"


def report_of(tmp_path: Path, *words: str) -> Path:
    """Write a report by the command, and return its file."""
    target = tmp_path / "trace.html"
    done = call("report", *words, "-o", target)
    assert done.code == 0, done.err
    return target


def failed(text: str, attributes: Mapping[str, object]) -> Record:
    """Return a span whose name and error are `text`."""
    exception = {"exception.type": text, "exception.message": text, "exception.stacktrace": text}
    event = SpanEvent("exception", 0, exception)
    return end(text, attributes=attributes, status=Status("error", text), events=(event,))


def test_a_list_a_trace_and_its_details(tmp_path: Path, open_page: Callable[..., Visit]) -> None:
    """By keys alone; nothing is requested, and nothing goes wrong."""
    file = report_of(tmp_path, str(EXAMPLES / "traces" / "shop.jsonl"), "--last", "3")
    visit = open_page(file)
    page = visit.page
    page.locator(".table-row").first.wait_for()
    assert page.locator(".table-row").count() == 3
    page.keyboard.press("Enter")
    page.locator(".row").first.wait_for()
    page.keyboard.press("e")
    page.keyboard.press("Enter")
    page.locator(".details").wait_for()
    assert "no box is large enough for a desk" in page.locator(".details").inner_text()
    page.keyboard.press("Escape")
    page.keyboard.press("f")
    page.locator(".flame").wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    assert visit.problems == []


def test_a_search_and_an_address_that_keeps_it(
    tmp_path: Path, open_page: Callable[..., Visit]
) -> None:
    """What is searched is in the address, so that a link shows the same."""
    file = report_of(tmp_path, str(EXAMPLES / "traces" / "agent.jsonl"))
    visit = open_page(file)
    page = visit.page
    page.locator(".row").first.wait_for()
    page.keyboard.press("/")
    page.keyboard.type("name:execute_tool* error")
    page.locator(".found", has_text=re.compile("^1 ")).wait_for()
    page.wait_for_function("() => location.hash.endsWith('error')")
    address = "#" + page.url.partition("#")[2]
    again = open_page(file, address)
    again.page.locator(".row").first.wait_for()
    again.page.wait_for_function(f"() => {FIELD}.value === 'name:execute_tool* error'")
    assert visit.problems == again.problems == []


def test_hostile_data_is_only_text(tmp_path: Path, open_page: Callable[..., Visit]) -> None:
    """In names, attributes, events, errors and logs, in every view."""
    attributes = {HOSTILE: HOSTILE, "url": "javascript:window.broken=3", "__proto__": 1}
    exported(
        tmp_path / "traces",
        failed(HOSTILE, attributes),
        end(HOSTILE, 2, parent_span_id=ROOT, attributes=attributes),
        log(HOSTILE, trace_id=end().trace_id, span_id=ROOT, attributes=attributes),
    )
    visit = open_page(report_of(tmp_path, str(tmp_path / "traces")))
    page = visit.page
    page.locator(".row").first.wait_for()
    page.keyboard.press("Enter")
    page.locator(".details").wait_for()
    assert "<img src=x" in page.locator(".details").inner_text()
    for tab in ("Events", "Logs", "Raw", "Attributes"):
        page.get_by_role("tab", name=tab).last.click()
    for _ in range(4):
        page.keyboard.press("v")
    assert page.evaluate("window.broken") is None
    assert page.locator("img").count() == 0
    assert page.evaluate("[...document.links].every(link => /^https?:/.test(link.href))")
    assert visit.problems == []


def test_a_running_and_a_missing_span(tmp_path: Path, open_page: Callable[..., Visit]) -> None:
    """Told apart by words, on a narrow window too."""
    exported(
        tmp_path / "traces",
        start("request"),
        end("query", 2, parent_span_id=ROOT),
        end("orphan", 3, parent_span_id=f"{9:016x}"),
    )
    visit = open_page(report_of(tmp_path, str(tmp_path / "traces")), width=700)
    page = visit.page
    page.locator(".row").first.wait_for()
    text = page.locator("body").inner_text()
    assert "request" in text
    assert "(not recorded)" in text
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert visit.problems == []


def test_a_chain_of_only_children(tmp_path: Path, open_page: Callable[..., Visit]) -> None:
    """It is one row, which a key unfolds, and so does a search that leads into it."""
    names = ["GET /report", *(f"middleware {number}" for number in range(1, 9)), "load rows"]
    chain = [
        end(name, number, 20_000_000 - number * 500_000, parent_span_id=f"{number - 1:016x}")
        for number, name in enumerate(names, 1)
    ]
    below = [end(f"query {number}", 20 + number, 9_000_000) for number in (1, 2)]
    last = f"{len(names):016x}"
    exported(
        tmp_path / "traces",
        chain[0]._replace(parent_span_id=""),
        *chain[1:],
        *(one._replace(parent_span_id=last) for one in below),
    )
    visit = open_page(report_of(tmp_path, str(tmp_path / "traces")))
    page, rows = visit.page, visit.page.locator(".filler [role=row]")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text(re.compile("GET /report. 8 more .load rows"))
    expect(page.locator(".rows")).to_have_attribute("aria-rowcount", "3")
    page.keyboard.press("ArrowRight")
    expect(rows).to_have_count(12)
    page.keyboard.press("ArrowLeft")
    expect(rows).to_have_count(3)
    page.keyboard.press("/")
    page.keyboard.type('"middleware 5"')
    page.keyboard.press("Enter")
    expect(page.locator(".row[aria-selected=true]")).to_contain_text("middleware 5")
    expect(rows).to_have_count(12)
    assert visit.problems == []


def test_the_report_of_a_file(tmp_path: Path, open_page: Callable[..., Visit]) -> None:
    """`write_report` makes the same page beside it."""
    (tmp_path / "library.jsonl").write_bytes((EXAMPLES / "traces" / "library.jsonl").read_bytes())
    visit = open_page(write_report(tmp_path / "library.jsonl"))
    visit.page.locator(".row").first.wait_for()
    assert "index library" in visit.page.locator("body").inner_text()
    assert visit.problems == []

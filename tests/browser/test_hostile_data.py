"""Whatever programs record or send is only text, on every page of the application."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.browser.hostile import HOSTILE, PROGRAM, logs_request, spans_request
from tests.browser.served import Served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser.visits import Visit

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow, pytest.mark.timeout(180)]

SENT = "5" * 32
# What a text could have become: an element that loads something, a handler, a link elsewhere.
FOREIGN = """
([own, editor]) => [
  ...document.querySelectorAll("img, iframe, object, embed, form, style, base, video"),
  ...document.querySelectorAll("svg:not(.bars)"),
  ...[...document.scripts].filter(one => !one.src.startsWith(own)),
  ...[...document.querySelectorAll("*")].filter(one =>
    [...one.attributes].some(({ name }) => name.startsWith("on") || name === "autofocus")),
  ...[...document.links].filter(one =>
    !one.href.startsWith(own) && !one.href.startsWith(editor)),
].map(one => one.outerHTML)
"""


def check(visit: Visit, folder: Path, what: str) -> None:
    """Check that nothing on the page is more than text, and that the text is there."""
    page, own = visit.page, visit.page.url.partition("#")[0]
    assert page.evaluate(FOREIGN, [own, f"vscode://file{folder}/app.py:"]) == [], what
    assert page.evaluate("window.broken") is None, what
    body = page.locator("body").inner_text()
    assert "<img src=x" in body, what
    # It would show the rest of the line backwards.
    assert "\u202e" not in body, what
    assert visit.problems == [], what


def trace_beside(served: Served, sent: str) -> str:
    """Return the id of the trace of the program, which is beside the one that was sent."""
    traces: list[dict[str, Any]] = served.get("traces")["traces"]
    return next(str(one["trace_id"]) for one in traces if one["trace_id"] != sent)


def look_at_pages(visit: Visit, served: Served, own: str) -> None:
    """Look at all pages but that of a trace."""
    page, folder = visit.page, served.folder.parent
    for address in (
        *("now", f"traces?open={own},{SENT}", "traces?q=img", "operations", "errors", "logs"),
        *(f"compare?a={SENT}&b={own}", "agents", f"agents/{own}"),
    ):
        page.goto(f"{served.url}/#/{address}")
        name = address.partition("?")[0].partition("/")[0]
        page.locator(f"main[aria-label={name}]", has_text="<img").first.wait_for()
        check(visit, folder, address)
        if name == "logs":
            page.keyboard.press("k")
            page.locator("aside.details").wait_for()
            check(visit, folder, "a log")
    page.goto(f"{served.url}/#/traces")
    complete(visit)
    check(visit, folder, "completion")


def look_at_trace(visit: Visit, folder: Path, where: str) -> None:
    """Look at an open trace in all its views, and at the details of each of its spans."""
    page = visit.page
    row = page.locator(".waterfall .row", has_text="<img").first
    row.wait_for()
    page.keyboard.press("Enter")
    details = page.locator("aside.details")
    for _ in range(row.locator("xpath=..").locator("[role=row]").count()):
        for tab in ("Events", "Logs", "Links", "Raw", "Attributes"):
            details.get_by_role("tab", name=tab).click()
        check(visit, folder, f"details in {where}")
        page.keyboard.press("j")
    for view in ("Flame", "Table", "Logs", "Errors", "Waterfall"):
        page.get_by_role("tablist", name="View").get_by_role("tab", name=view).click()
        page.locator(".main > :first-child", has_text="<img").wait_for()
        check(visit, folder, f"{view} of {where}")


def complete(visit: Visit) -> None:
    """Type into the search, so that it is completed."""
    page = visit.page
    page.keyboard.press("/")
    page.keyboard.type("name:")
    words = page.locator("#search-words option[value*='<img src=x']")
    words.first.wait_for(state="attached")


def test_hostile_texts_are_only_text(tmp_path: Path, visit: Callable[..., Visit]) -> None:
    """Of a program that runs and of one that sends OTLP: nothing runs, loads, or leads away."""
    served = Served(tmp_path)
    with (
        served.running("--root", str(tmp_path)),
        served.program(PROGRAM, HOSTILE, OTEL_SERVICE_NAME=HOSTILE),
    ):
        for signal, request in (("traces", spans_request), ("logs", logs_request)):
            requests.post(
                f"http://127.0.0.1:{served.http_port}/v1/{signal}",
                json=request(SENT, time.time_ns()),
                timeout=30,
            ).raise_for_status()
        served.has_spans(6)
        own = trace_beside(served, SENT)
        look_at_pages(visit(served.url), served, own)
        shown = visit(served.url)
        for trace in (own, SENT):
            shown.page.goto(f"{served.url}/#/trace/{trace}")
            look_at_trace(shown, tmp_path, trace)

"""The address says what is shown: a link opens the same, and back and forward work."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.visits import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.served import Served
    from tests.browser.visits import Visit

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow, pytest.mark.timeout(120)]


def state_of(visit: Visit) -> dict[str, object]:
    """Return what is shown of a trace: its axis, its rows, the chosen one, and the search."""
    page = visit.page
    rows = page.locator(".filler [role=row]")
    return {
        "axis": page.locator(".axis").inner_text(),
        "rows": [row.split("\n")[0] for row in rows.all_inner_texts()],
        "faded": page.locator(".row.faded").count(),
        "chosen": page.locator(".row[aria-selected=true]").inner_text(),
        "search": page.locator(".search > input").input_value(),
        "details": page.locator("aside.details").is_visible(),
    }


def test_a_link_opens_the_same(shop: Served, visit: Callable[..., Visit]) -> None:
    """Trace, span, zoom and search; in a new window."""
    first = visit(shop.url, "#/traces?q=state:error")
    first.row("POST /orders").get_by_role("link").click()
    page = first.page
    first.row("charge card").click()
    page.keyboard.press("/")
    page.keyboard.type("reserve")
    page.keyboard.press("Escape")
    expect(page.locator(".row.faded")).not_to_have_count(0)
    first.row("charge card").click()
    page.keyboard.press("w")
    expect(page).to_have_url(re.compile(r"(?=.*span=)(?=.*zoom=)(?=.*search=reserve)"))
    zoomed = page.url
    page.keyboard.press("d")
    expect(page).not_to_have_url(zoomed)  # the address follows a moment after the key
    again = visit(shop.url, f"#{page.url.partition('#')[2]}")
    expect(again.row("charge card")).to_be_visible()
    wanted = state_of(first)
    wait_for(again.page, lambda: state_of(again) == wanted, f"it shows {wanted}")
    assert again.page.url == page.url
    assert first.problems == again.problems == []


def test_back_and_forward(shop: Served, visit: Callable[..., Visit]) -> None:
    """They lead through the places where the reader was, each as it was left."""
    shown = visit(shop.url)
    page = shown.page
    expect(shown.row("import catalogue")).to_be_visible()
    page.get_by_role("link", name="Traces").click()
    page.keyboard.press("/")
    page.keyboard.type("name:POST*")
    page.keyboard.press("Enter")
    expect(page.locator(".tools")).to_contain_text("2 traces")
    shown.row("POST /orders").first.get_by_role("link").click()
    expect(page.locator("h1")).to_have_text("POST /orders")
    page.get_by_role("link", name="Errors").click()
    expect(page.get_by_text("card declined")).to_be_visible()
    page.go_back()
    expect(page.locator("h1")).to_have_text("POST /orders")
    page.go_back()
    expect(page.locator(".tools")).to_contain_text("2 traces")
    expect(page.locator(".search > input")).to_have_value("name:POST*")
    page.go_back()
    expect(shown.row("import catalogue")).to_be_visible()
    for _ in range(3):
        page.go_forward()
    expect(page.get_by_text("card declined")).to_be_visible()
    assert shown.problems == []


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("#/trace/" + "0" * 32, "No such trace"),
        ("#/trace/nonsense?span=<b>&zoom=9-1&view=none", "POST /orders"),
        ("#/compare?a=1&b=2", "Compare two traces"),
        ("#/traces?q=dur:>", "dur:>"),
        ("#/nowhere/at/all?since=never", "import catalogue"),
    ],
)
def test_a_wrong_address_is_no_end(
    shop: Served, visit: Callable[..., Visit], address: str, text: str
) -> None:
    """What it gets wrong is said or ignored, and the other pages can be reached."""
    shown = visit(shop.url, address)
    expect(shown.page.locator("body")).to_contain_text(text)
    shown.page.get_by_role("link", name="Now").click()
    expect(shown.row("import catalogue")).to_be_visible()
    assert [one for one in shown.problems if "status of 40" not in one] == []

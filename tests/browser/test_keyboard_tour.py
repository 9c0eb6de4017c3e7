"""Every page can be used without a mouse, and what has the focus can be seen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from tests.browser.served import Served
    from tests.browser.visits import Visit

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow, pytest.mark.timeout(180)]

# Returns what has the focus without showing it: neither it nor the row that it stands for.
UNSEEN = """
() => {
  const focused = document.activeElement;
  if (!focused || focused === document.body) return "";
  const isSeen = one => {
    const style = getComputedStyle(one);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
  };
  const rows = focused.querySelectorAll("[aria-selected=true], [aria-current=true]");
  return [focused, ...rows].some(isSeen) ? "" : focused.outerHTML.slice(0, 200);
}
"""
IS_BODY = "document.activeElement === document.body"


class Keys:
    """Presses keys on a page; after each, what has the focus has to be visible."""

    def __init__(self, visit: Visit) -> None:
        self.page = visit.page

    def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        for key in keys:
            self.page.keyboard.press(key)
            assert self.page.evaluate(UNSEEN) == "", key

    def tab_to(self, wanted: Locator) -> None:
        """Press Tab until an element has the focus."""
        wanted.wait_for()
        for _ in range(100):
            self.press("Tab")
            if wanted.evaluate("one => one === document.activeElement"):
                return
        raise AssertionError(f"Tab does not lead to {wanted}")

    def tab_around(self) -> int:
        """Press Tab until the browser's own controls would have the focus; return how often."""
        for times in range(200):
            self.press("Tab")
            if self.page.evaluate(IS_BODY):
                return times
        raise AssertionError("Tab does not leave the page")


def chosen(shown: Visit) -> Locator:
    """Return the chosen row."""
    return shown.page.locator(".filler [role=row][aria-selected=true]")


def now(shown: Visit, keys: Keys) -> None:
    """The help; the second running span, its details, and one step back at a time."""
    page, press = shown.page, keys.press
    expect(shown.row("import catalogue")).to_be_visible()
    press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    press("j", "j", "Enter")
    expect(page.locator("h1")).to_have_text("import catalogue")
    expect(chosen(shown)).to_contain_text("fetch page")
    press("Enter")
    details = page.locator("aside.details")
    expect(details.locator("h2")).to_have_text("fetch page")
    keys.tab_to(details.get_by_role("tab", name="Raw"))
    press("Enter")
    expect(details.get_by_role("tabpanel")).to_contain_text("fetch page")
    press("Escape")
    expect(details).to_be_hidden()


def traces(shown: Visit, keys: Keys) -> None:
    """A search that is completed while it is typed; then unfold a trace, and open a span."""
    page, press = shown.page, keys.press
    press("g", "t")
    expect(shown.row("POST /orders").first).to_be_visible()
    press("/")
    page.keyboard.type("state:err")
    expect(page.locator("#search-words option[value='state:error']")).to_be_attached()
    page.keyboard.type("or")
    press("Enter")
    expect(page.locator(".tools")).to_contain_text(re.compile("^1 trace"))
    press("j", "l")
    expect(shown.row("charge card")).to_be_visible()
    press("j", "j", "j", "j", "Enter")
    expect(page.locator("h1")).to_have_text("POST /orders")
    expect(chosen(shown)).to_contain_text("charge card")


def open_trace(shown: Visit, keys: Keys) -> None:
    """All views of a trace, its next error, and back to the list."""
    page, press = shown.page, keys.press
    for view in ("Flame", "Table", "Logs", "Errors", "Waterfall"):
        press("v")
        tab = page.get_by_role("tab", name=view)
        expect(tab).to_have_attribute("aria-selected", "true")
    press("Home", "e")
    expect(chosen(shown)).to_contain_text("charge card")
    for _ in range(5):
        press("Escape")
    expect(page).to_have_url(re.compile("#/traces"))


def compare(shown: Visit, keys: Keys) -> None:
    """Two traces that are marked in the list."""
    page, press = shown.page, keys.press
    press("/", "Control+a", "Delete", "Enter")
    expect(page.locator(".tools")).to_contain_text(re.compile("^5 traces"))
    press("Home", "j", "m", "j", "m", "g", "c")
    keys.tab_to(page.get_by_role("link", name="Compare the two"))
    press("Enter")
    expect(page.get_by_text("The second took")).to_be_visible()


def tables(shown: Visit, keys: Keys) -> None:
    """Operations, errors and logs: each leads to a search or a trace."""
    page, press = shown.page, keys.press
    press("g", "o")
    expect(shown.row("reserve")).to_be_visible()
    press("j", "Enter")
    expect(page).to_have_url(re.compile(r"#/traces\?q="))
    press("g", "e")
    expect(page.get_by_text("card declined")).to_be_visible()
    press("j", "Enter")
    expect(chosen(shown)).to_contain_text("charge card")
    press("g", "l")
    expect(shown.row("not paid")).to_be_visible()
    press("k", "Enter")
    expect(page.locator("h1")).to_have_text("POST /orders")


def agents(shown: Visit, keys: Keys) -> None:
    """A conversation, and back to all."""
    page, press = shown.page, keys.press
    press("g", "a")
    expect(page.get_by_role("list", name="Agents")).to_be_visible()
    press("j", "Enter")
    expect(page.get_by_text("There are three.")).to_be_visible()
    press("Escape")
    expect(page.get_by_role("list", name="Agents")).to_be_visible()


def pause(shown: Visit, keys: Keys) -> None:
    """Stand still, go on, and another theme."""
    live = shown.page.locator("button.live")
    keys.press(".")
    expect(live).to_contain_text("Paused")
    keys.press(".", "t")
    expect(live).to_contain_text("Live")
    html = shown.page.locator("html")
    expect(html).to_have_attribute("data-theme", re.compile("light|dark"))


def test_a_tour_by_keys(shop: Served, visit: Callable[..., Visit]) -> None:
    """Through all pages: help, search with completion, list, trace, details, and back."""
    shown = visit(shop.url)
    shown.mark()
    for part in (now, traces, open_trace, compare, tables, agents, pause):
        part(shown, Keys(shown))
    assert shown.is_same
    assert shown.problems == []


def test_tab_goes_around(shop: Served, visit: Callable[..., Visit]) -> None:
    """Tab leads through all controls of a page and out of it; each shows that it has the focus."""
    shown = visit(shop.url)
    for address in ("now", "traces", "operations", "errors", "logs", "agents"):
        shown.page.goto(f"{shop.url}/#/{address}")
        shown.page.locator(f"main[aria-label={address}] .rows").wait_for()
        # The seven tabs, search, live, theme, help, and the rows.
        assert Keys(shown).tab_around() >= 12, address

"""A report in a browser by keys alone, in narrow windows, and for eyes that see no colours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from otel_ext.views.report_data import STATES
from tests.browser.test_report_page import report_of
from tests.programs import EXAMPLES
from tests.views.report_case import document

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser.visits import Visit

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow, pytest.mark.timeout(120)]

# The contrast of an element's text with the ground behind it, opacity included.
CONTRAST = """
element => {
  const part = value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([red, green, blue]) =>
    0.2126 * part(red / 255) + 0.7152 * part(green / 255) + 0.0722 * part(blue / 255);
  let ground = [255, 255, 255], opacity = 1, isFound = false;
  for (let one = element; one; one = one.parentElement) {
    const style = getComputedStyle(one);
    opacity *= Number(style.opacity);
    const found = numbers(style.backgroundColor);
    if (!isFound && (found.length < 4 || found[3] > 0)) { ground = found; isFound = true; }
  }
  const text = numbers(getComputedStyle(element).color)
    .slice(0, 3).map((value, at) => value * opacity + ground[at] * (1 - opacity));
  const [low, high] = [light(text), light(ground)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}
"""
# The elements whose text is cut without an ellipsis.
CUT = """
[...document.querySelectorAll(".otel *")].filter(one =>
  one.childElementCount === 0 && one.scrollWidth > one.clientWidth + 1 &&
  getComputedStyle(one).overflowX === "hidden" && getComputedStyle(one).textOverflow !== "ellipsis"
).map(one => one.outerHTML)
"""
# Notes the texts that are drawn on canvases.
DRAWN = """
window.drawn = new Set();
const draw = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
  window.drawn.add(text);
  draw.call(this, text, ...rest);
};
"""


# Resolves when what has changed is drawn.
DRAWN_ANEW = """
() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))
"""


@pytest.fixture
def states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a report with spans in every state."""

    def made(*_: object, **_settings: object) -> bytes:
        return document()

    monkeypatch.setattr("otel_ext.views.report.report_document", made)
    return report_of(tmp_path, str(EXAMPLES / "traces" / "agent.jsonl"))


def focused(visit: Visit) -> str:
    """Return the class of the element that has the focus."""
    return str(visit.page.evaluate("document.activeElement.className"))


def test_the_search_by_keys(tmp_path: Path, open_page: Callable[..., Visit]) -> None:
    """No letter after `/` is lost; Enter and Escape lead to the rows, and Escape keeps the text."""
    visit = open_page(report_of(tmp_path, str(EXAMPLES / "traces" / "agent.jsonl")))
    page = visit.page
    page.locator(".row").first.wait_for()
    page.keyboard.press("/")
    page.keyboard.type("execute_tool")
    field = page.locator(".search > input")
    assert field.input_value() == "execute_tool"
    page.keyboard.press("Enter")
    selected = page.locator(".row[aria-selected=true] .name")
    page.locator(".row[aria-selected=true] .name", has_text="execute_tool").wait_for()
    page.wait_for_function("() => document.activeElement.className === 'rows'")
    assert selected.text_content() == "execute_tool find_stock"
    first = page.locator(".row[aria-selected=true]").get_attribute("id")
    page.keyboard.press("n")
    page.wait_for_function(
        f"() => document.querySelector('.row[aria-selected=true]').id !== '{first}'"
    )
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    assert (focused(visit), field.input_value()) == ("rows", "execute_tool")
    page.keyboard.press("Escape")
    page.locator(".row.faded").first.wait_for(state="detached")
    expect(field).to_have_value("")
    assert visit.problems == []


def test_dimmed_rows_can_be_read(states: Path, open_page: Callable[..., Visit]) -> None:
    """The rows that a search does not find, also the selected one."""
    page = open_page(states, "#trace=" + "a" * 32 + "&search=name:charge").page
    page.locator(".row.faded").first.wait_for()
    for text in page.locator(".row.faded :is(.name, .bar-text, .service, .mark:not(:empty))").all():
        assert text.evaluate(CONTRAST) >= 4.5, text.inner_text()


def test_words_on_a_bar_can_be_read(states: Path, open_page: Callable[..., Visit]) -> None:
    """They stand on the bar's own colour."""
    page = open_page(states, "#trace=" + "a" * 32).page
    page.locator(".row").first.wait_for()
    inside = page.locator(".bar-text.inside:not(.hollow)")
    assert inside.count() >= 1
    for text in inside.all():
        assert text.evaluate(CONTRAST) >= 4.5, text.inner_text()


def test_the_help_fits(states: Path, open_page: Callable[..., Visit]) -> None:
    """Into a window of a usual size, without scrolling."""
    page = open_page(states).page
    page.set_viewport_size({"width": 1280, "height": 760})
    page.locator(".table-row").first.wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    room = "element => element.scrollHeight - element.clientHeight"
    assert page.get_by_role("dialog").evaluate(room) <= 0


@pytest.mark.parametrize("width", [320, 500, 1280])
def test_every_view_fits_into_the_window(
    states: Path, open_page: Callable[..., Visit], width: int
) -> None:
    """A table is scrolled sideways to its last column; names end with an ellipsis."""
    visit = open_page(states, width=width)
    page = visit.page
    page.locator(".table-row").first.wait_for()
    for key in ("t", "w", "f", "a", "l", "e"):
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.evaluate(DRAWN_ANEW)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), key
        rows = page.locator(".table > .rows")
        if rows.count():
            rows.evaluate("element => { element.scrollLeft = 10_000; }")
            right = page.locator(".table-row").first.evaluate(
                "row => row.lastElementChild.getBoundingClientRect().right"
            )
            assert right <= width + 1, key
        assert page.evaluate(CUT) == [], key
    assert visit.problems == []


def test_states_have_marks_in_canvases(states: Path, open_page: Callable[..., Visit]) -> None:
    """In the flame graph before the name, in the overview below the bars."""
    visit = open_page(states)
    page = visit.page
    page.add_init_script(DRAWN)
    page.reload()
    page.locator(".table-row").first.wait_for()
    page.keyboard.press("Enter")
    page.locator(".row").first.wait_for()
    page.keyboard.press("f")
    page.locator(".flame").wait_for()
    for text in ("✗ charge", "▶ POST /checkout", "◷ wait for lock", "○ watch", *"✗▶◷○☠"):
        page.wait_for_function("text => window.drawn.has(text)", arg=text)


def test_errors_with_their_stack(states: Path, open_page: Callable[..., Visit]) -> None:
    """By keys: the stack is unfolded, and Enter goes to the span."""
    visit = open_page(states)
    page = visit.page
    page.locator(".table-row").first.wait_for()
    page.keyboard.press("Enter")
    page.keyboard.press("g")
    page.keyboard.press("e")
    page.locator(".exception summary").first.focus()
    page.keyboard.press("Enter")
    page.get_by_text("line 58, in charge").wait_for()
    page.locator(".error-line", has_text="POST /charges").focus()
    page.keyboard.press("Enter")
    page.locator(".row[aria-selected=true] .name", has_text="POST /charges").wait_for()
    assert visit.problems == []


def test_only_services_that_there_are(tmp_path: Path, open_page: Callable[..., Visit]) -> None:
    """A column without any value is left out."""
    page = open_page(
        report_of(tmp_path, str(EXAMPLES / "traces" / "agent.jsonl")), "#view=table"
    ).page
    page.locator(".table-row").first.wait_for()
    titles = page.locator("[role=columnheader]").all_inner_texts()
    assert [title.split()[0] for title in titles] == ["Name", "State", "Start", "Duration", "Self"]


def test_text_cannot_become_part_of_the_page(states: Path, open_page: Callable[..., Visit]) -> None:
    """The browser refuses HTML from scripts, and everything that the page does not need."""
    page = open_page(states).page
    page.locator(".table-row").first.wait_for()
    policy = page.locator("meta[http-equiv]").get_attribute("content") or ""
    names = [part.split()[0] for part in policy.split(";")]
    assert names == [
        *("default-src", "script-src", "style-src"),
        *("require-trusted-types-for", "trusted-types", "base-uri", "form-action"),
    ]
    assert re.search(r"script-src 'sha256-[\w+/=]+'", policy)
    refused = page.evaluate(
        "try { document.body.innerHTML = '<b>x</b>'; false } catch (error) { error.name }"
    )
    assert refused == "TypeError"


def test_the_document_has_every_state(states: Path, open_page: Callable[..., Visit]) -> None:
    """The table names each."""
    page = open_page(states, "#trace=" + "a" * 32 + "&view=table").page
    page.locator(".table-row").first.wait_for()
    words = page.locator(".table-row .state-word").all_inner_texts()
    assert {word.split()[-1] for word in words} == set(STATES)

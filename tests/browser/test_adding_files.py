"""Files of records that are dropped on the page, or chosen, are added to what the server keeps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.hostile import HOSTILE
from tests.browser.served import Served
from tests.browser.visits import wait_for
from tests.programs import wait_until
from tests.server.security.served import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import FileChooser, Locator, Page

    from tests.browser.visits import Visit

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow, pytest.mark.timeout(120)]

ELSEWHERE = """
import otel_ext
from opentelemetry import trace

otel_ext.configure()
with trace.get_tracer("test").start_as_current_span("Überweisung elsewhere"):
    pass
"""
# A dragged file of this name and text, for an event.
TRANSFER = """
([name, text]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([text], name));
  return transfer;
}
"""
EVENT = """
(dataTransfer, name) => document.querySelector("main").dispatchEvent(
  new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true }))
"""


def recorded(folder: Path) -> Path:
    """Return a file of records that a program has written, whose folder no server shows."""
    folder.mkdir()
    program = Served(folder)
    program.run(ELSEWHERE)
    (file,) = program.folder.glob("*.jsonl")
    return file


def drag(page: Page, name: str, text: str, *events: str) -> None:
    """Send what a browser sends while a file is dragged over the page, and dropped there."""
    transfer = page.evaluate_handle(TRANSFER, [name, text])
    for event in events:
        transfer.evaluate(EVENT, event)


def outcome(page: Page) -> Locator:
    """Return the part of the page that says what became of files."""
    return page.get_by_role("region", name="Added files")


def test_a_dropped_file_is_in_the_list(tmp_path: Path, visit: Callable[..., Visit]) -> None:
    """It is added to what the server keeps, and shown without a reload; from an empty page on."""
    file = recorded(tmp_path / "elsewhere")
    text = file.read_text("utf-8")
    served = Served(tmp_path)
    with served.running():
        shown = visit(served.url, "#/traces")
        page = shown.page
        expect(page.get_by_text("No traces yet")).to_be_visible()
        shown.mark()
        drag(page, file.name, text, "dragenter", "dragover")
        expect(page.locator(".drop-here")).to_contain_text(f"{served.folder.name}/received")
        drag(page, file.name, text, "drop")
        expect(page.locator(".drop-here")).to_have_count(0)
        lines = len(text.splitlines())
        expect(outcome(page)).to_contain_text(f"{file.name}: {lines} records accepted")
        shown.row("Überweisung elsewhere").get_by_role("link").click()
        expect(page.locator("h1")).to_have_text("Überweisung elsewhere")
        outcome(page).get_by_role("link", name="Show all traces").click()
        expect(shown.row("Überweisung elsewhere")).to_be_visible()
        outcome(page).get_by_role("button", name="Close").click()
        expect(outcome(page)).to_have_count(0)
        assert shown.is_same
        assert shown.problems == []
    kept = b"".join(one.read_bytes() for one in (served.folder / "received").glob("*.jsonl"))
    assert set(text.encode().splitlines()) <= set(kept.splitlines())


def test_a_file_is_chosen_by_keys(tmp_path: Path, visit: Callable[..., Visit]) -> None:
    """By the button as well as by the key; what is no record is counted, and the rest is added."""
    file = recorded(tmp_path / "elsewhere")
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_bytes(file.read_bytes() + b'{"user":"ann"}\n')
    number = len(mixed.read_bytes().splitlines())
    served = Served(tmp_path)
    with served.running():
        shown = visit(served.url, "#/traces")
        page = shown.page
        choosers: list[FileChooser] = []

        def note(chooser: FileChooser) -> None:
            choosers.append(chooser)

        # Before the page is used: a dialog that opens at once after this would be missed.
        page.on("filechooser", note)
        expect(page.get_by_text("No traces yet")).to_be_visible()
        page.get_by_role("button", name="Add files").focus()
        page.keyboard.press("Enter")
        wait_for(page, lambda: len(choosers) == 1, "the button opens the dialog of files")
        choosers[0].set_files(mixed)
        expect(outcome(page)).to_contain_text("1 line refused")
        expect(outcome(page)).to_contain_text(f"line {number}: has no __tracer_meta__")
        expect(shown.row("Überweisung elsewhere")).to_be_visible()
        expect(page.locator(".tools").get_by_role("button", name="Add files")).to_be_visible()
        page.keyboard.press("+")
        wait_for(page, lambda: len(choosers) == 2, "the key opens the dialog of files")
        choosers[1].set_files([file, file])
        expect(outcome(page)).to_contain_text(re.compile("accepted.*accepted", re.DOTALL))
        expect(page.locator(".tools")).to_contain_text("1 trace")
        assert shown.problems == []


def test_the_cookie_of_the_page_is_enough(tmp_path: Path, visit: Callable[..., Visit]) -> None:
    """Where a token is needed, the page of a one-time link may add files, and no other."""
    text = recorded(tmp_path / "elsewhere").read_text("utf-8")
    served = Served(tmp_path)
    with served.running(OTEL_EXT_SERVE_TOKEN=TOKEN):
        link = re.compile(re.escape(served.url) + r"/(\?token=\S+)")
        said = tmp_path / "serve.txt"
        wait_until(lambda: link.search(said.read_text("utf-8")), "it has printed its link")
        (address,) = link.findall(said.read_text("utf-8"))
        shown = visit(served.url, address)
        page = shown.page
        drag(page, "a.jsonl", text, "drop")
        expect(outcome(page)).to_contain_text("records accepted")
        assert shown.problems == []
        page.context.clear_cookies()
        drag(page, "b.jsonl", text, "drop")
        expect(outcome(page)).to_contain_text("This server needs a token")


def test_what_is_no_record_is_only_text(
    shop: Served, tmp_path: Path, visit: Callable[..., Visit]
) -> None:
    """Its name and contents run nothing; the page names it, and says what could be done."""
    name = "<img src=x onerror='window.broken=1'>\u202e.jsonl"
    shown = visit(shop.url, "#/traces")
    page = shown.page
    hostile = f'{HOSTILE}\n{{"__tracer_meta__":"{HOSTILE}"}}\n{{"__proto__":{{"x":1}}}}\n'
    drag(page, name, hostile, "drop")
    expect(outcome(page)).to_contain_text("<img src=x onerror='window.broken=1'>")
    expect(outcome(page)).to_contain_text("has no records")
    expect(outcome(page)).to_contain_text("otel-ext convert")
    expect(outcome(page).get_by_role("link")).to_have_count(0)
    image = tmp_path / "image.png"
    image.write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    page.locator("input[type=file]").set_input_files(image)
    expect(outcome(page)).to_contain_text("image.png is not text")
    assert page.locator("img, iframe, style, form").count() == 0
    assert page.evaluate("window.broken") is None
    assert "\u202e" not in page.locator("body").inner_text()
    assert shown.problems == []

"""A browser for the tests of pages."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

__all__ = ["Visit"]


class Visit:
    """A page that is open, and what went wrong in it.

    Attributes:
        page: The page.
        problems: Messages of its console, errors of its scripts, and requests that it has made.
    """

    def __init__(self, page: Page, file: Path) -> None:
        self.page = page
        self.problems: list[str] = []
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self._note(request.url, file.as_uri()))

    def _note(self, url: str, own: str) -> None:
        if url.partition("#")[0] != own:
            self.problems.append(f"requested {url}")


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    """Start the Chromium of this machine once."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - takes long to import

    # It ends before other tests: it leaves an event loop running in this thread.
    with sync_playwright() as playwright:
        # As root Chromium has no sandbox.
        found = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), chromium_sandbox=False
        )
        yield found
        found.close()


@pytest.fixture(params=["light", "dark"])
def open_page(request: pytest.FixtureRequest, browser: Browser) -> Generator[object]:
    """A function that opens a file in a new window, in each colour scheme."""
    contexts: list[BrowserContext] = []

    def opened(file: Path, address: str = "", width: int = 1280) -> Visit:
        context = browser.new_context(
            color_scheme=request.param, viewport={"width": width, "height": 800}, offline=True
        )
        contexts.append(context)
        visit = Visit(context.new_page(), file)
        visit.page.goto(file.as_uri() + address)
        return visit

    yield opened
    for context in contexts:
        context.close()
